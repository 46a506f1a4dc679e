"""A collection's own file beside its shard: `collection.json`, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from connector.errors import StoreUnavailable
from connector.store.store import CollectionSpec, Shape

FILE = "collection.json"
FORMAT = 1

# The engine writes through memory maps and preallocates: on a full disk the system kills the process (SIGBUS)
# where a plain write would fail. So writing stops while there is still room for what is under way.
RESERVE = 128 * 1024 * 1024


def read_spec(path: Path) -> CollectionSpec | None:
    """Return what the collection in folder `path` is made of, or None when there is none.

    Raises:
        StoreUnavailable: the file is there and cannot be read, or makes no sense.
    """
    try:
        content = json.loads((path / FILE).read_bytes())
        if content["format"] > FORMAT:
            raise StoreUnavailable(f"{path} was written by a newer version of this package. Upgrade.")
        return CollectionSpec(
            name=path.name,
            length=int(content["length"]),
            vectors=tuple(content["vectors"]),
            indexes=dict(content["indexes"]),
            metadata=dict(content["metadata"]),
        )
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise StoreUnavailable(f"{path} is not in a folder but in a file. Name a folder.") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreUnavailable(f"{path / FILE} cannot be read: {why}. Check its permissions.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreUnavailable(
            f"{path / FILE} is damaged ({type(error).__name__}: {error}). "
            f"Restore it from a copy, or delete {path} and ingest again."
        ) from error


def write_spec(path: Path, spec: CollectionSpec) -> None:
    """Write `collection.json`, so that after a crash either the old or the new one is there.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    content: Mapping[str, object] = {
        "format": FORMAT,
        "length": spec.length,
        "vectors": list(spec.vectors),
        "indexes": dict(spec.indexes),
        "metadata": dict(spec.metadata),
    }
    fresh = path / f"{FILE}.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=True)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path / FILE)
    sync_folder(path)


def check_space(folder: Path) -> None:
    """Raise `StoreUnavailable` when the disk below `folder` is so full that the engine might be killed."""
    free = shutil.disk_usage(folder).free
    if free < RESERVE:
        raise StoreUnavailable(
            f"The disk with {folder} is nearly full: {free >> 20} MiB left, {RESERVE >> 20} MiB are needed. "
            "Free some space and run it again; nothing acknowledged is lost."
        )


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut, where the system has a way to."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def shape_of(spec: CollectionSpec) -> Shape:
    """Return the vectors that a spec describes."""
    return Shape(spec.length, spec.vectors)
