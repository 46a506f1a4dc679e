"""Pictures in object stores (S3, Google, Azure, Hugging Face) through fsspec; only what the policy names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connector.blobs.policy import BlobPolicy
from connector.errors import (
    BlobForbidden,
    BlobNotFound,
    BlobUnavailable,
    ConnectorError,
    MissingExtra,
)

if TYPE_CHECKING:
    from types import ModuleType

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
# "::" chains file systems, so that an s3 URL could end in a local file; the rest is what fsspec could read
# otherwise.
UNPLAIN = re.compile(r"::|[\x00-\x1f\x7f\\?#*]|/\.{1,2}(?:/|$)|://[^/]*:[^/]*@")


def read_object(url: str, policy: BlobPolicy, name: str) -> bytes:
    """The bytes of one object. Credentials are the store's own affair: its library finds them in the
    environment.

    Raises `BlobForbidden` where `policy.object_prefixes` does not name it, `MissingExtra`, and the usual
    `BlobError`s.
    """
    if not any(_is_beneath(url, prefix) for prefix in policy.object_prefixes):
        raise BlobForbidden(
            f"{name} lies in an object store that is not allowed. "
            f"Allow it with BlobPolicy(object_prefixes=['{_store(url)}'])."
        )
    if UNPLAIN.search(url):
        raise BlobForbidden(f"{name} is no plain object URL. Write scheme://bucket/key.")
    fsspec = _fsspec(name)
    scheme = url.partition("://")[0].lower()
    try:
        system, path = fsspec.core.url_to_fs(scheme + url[len(scheme) :])
        with system.open(path, "rb", cache_type="none") as file:
            data: bytes = file.read(policy.max_bytes + 1)
    except FileNotFoundError as error:
        raise BlobNotFound(f"{name} was not found. Check the bucket and the key.") from error
    except PermissionError as error:
        raise BlobForbidden(
            f"{name} is refused by its store. Check the credentials in the environment."
        ) from error
    except ImportError as error:
        raise MissingExtra(EXTRAS.get(scheme, "stores"), f"Reading {name}") from error
    except ConnectorError:
        raise
    # A border: each store's library raises errors of its own (botocore, aiohttp, google, azure), known
    # only to it.
    except Exception as error:
        raise BlobUnavailable(
            f"{name} could not be fetched ({type(error).__name__}). Try again later."
        ) from error
    if len(data) > policy.max_bytes:
        raise policy.too_many_bytes(name)
    return data


def _is_beneath(url: str, prefix: str) -> bool:
    """Whether `prefix` names a folder above `url`: "s3://shop" covers "s3://shop/a.jpg" and not
    "s3://shopping/…"."""
    return bool(prefix) and url.startswith(prefix.rstrip("/") + "/")


def _store(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}/"[:60]


def _fsspec(name: str) -> ModuleType:
    try:
        import fsspec
        import fsspec.core
    except ImportError as error:
        raise MissingExtra("stores", f"Reading {name}") from error
    return fsspec  # type: ignore[no-any-return]  # fsspec is untyped
