"""Where probes are embedded: this machine, and the libraries beneath the handlers, which can move a model without a word."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version

_BENEATH = ("numpy", "pillow", "timm", "tokenizers", "torch", "torchvision", "transformers")


@functools.cache
def place() -> str:
    """A word for this machine and the libraries on it (hex): what another one has checked says nothing about this."""
    known = [platform.node(), *(f"{name} {number}" for name, number in beneath().items())]
    return hashlib.blake2b("\n".join(known).encode(), digest_size=6).hexdigest()


@functools.cache
def beneath() -> dict[str, str]:
    """What is installed beneath the handlers, read without importing any of it."""
    found = {"machine": f"{platform.system()} {platform.machine()}"}
    for name in _BENEATH:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
