"""Where pictures come from: the only room that opens files, sockets and Pillow.

    policy.py      what may be fetched
    sources.py     what a string is; what it is called in messages and payloads
    fetch.py       bytes, base64, data: URL, path, file:, http(s):, object stores, PIL image  ->  Fetched
    stamps.py      what a source says of itself, so that an unchanged blob is not read again
    picture.py     Fetched  ->  Picture: upright, RGB, at the size the model wants

Each name is imported when first touched, so that neither Pillow nor httpcore is loaded before it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.blobs.fetch import BlobFetcher, Fetched
    from connector.blobs.picture import Picture, decode, thumbnail
    from connector.blobs.policy import BlobPolicy
    from connector.blobs.sources import Kind, classify

__all__ = ["BlobFetcher", "BlobPolicy", "Fetched", "Kind", "Picture", "classify", "decode", "thumbnail"]

_HOME = {
    "BlobFetcher": "fetch",
    "BlobPolicy": "policy",
    "Fetched": "fetch",
    "Kind": "sources",
    "Picture": "picture",
    "classify": "sources",
    "decode": "picture",
    "thumbnail": "picture",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
