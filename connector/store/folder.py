"""The small files of a folder: `collection.json`, `writer.json`, aliases; each written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from connector.errors import StoreUnavailable
from connector.store.shape import Shape
from connector.store.store import CollectionSpec

FILE = "collection.json"
WRITER = "writer.json"
FORMAT = 2
FIRST = "shard"

# The engine writes through memory maps and preallocates: on a full disk the system kills the process (SIGBUS)
# where a plain write would fail. So writing stops while there is still room for what is under way.
RESERVE = 128 * 1024 * 1024


class Files(NamedTuple):
    """The engine's files of a collection.

    Attributes:
        name: the folder they are in, beside `collection.json`.
        each: how many vectors a point had in the search graphs when they were built; None before that.
    """

    name: str = FIRST
    each: float | None = None

    def following(self) -> str:
        """Another name, for files that are to take the place of these."""
        return f"{FIRST}-{int(self.name.partition('-')[2] or 1) + 1}"


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
            quantization=content.get("quantization"),
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


def read_files(path: Path) -> Files:
    """Return where the engine's files of the collection in folder `path` are.

    Raises:
        OSError, ValueError: it was written down and cannot be read.
    """
    try:
        found = json.loads((path / FILE).read_bytes()).get("files", {})
    except FileNotFoundError:  # a creation that was interrupted
        return Files()
    return Files(found.get("name", FIRST), found.get("each"))


def write_spec(path: Path, spec: CollectionSpec, files: Files = Files()) -> None:  # noqa: B008  # a plain value
    """Write `collection.json`, so that after a crash either the old or the new one is there.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    content: dict[str, object] = {
        # An older version of this package would look for the files at their first place.
        "format": 1 if files.name == FIRST else FORMAT,
        "length": spec.length,
        "vectors": list(spec.vectors),
        "indexes": dict(spec.indexes),
        "metadata": dict(spec.metadata),
    }
    if spec.quantization is not None:
        content["quantization"] = spec.quantization
    if files != Files():
        content["files"] = {"name": files.name, "each": files.each}
    _write(path / FILE, json.dumps(content, indent=2, ensure_ascii=True))


def read_pointer(folder: Path, alias: str) -> str | None:
    """Return the collection that an alias in `folder` points to, or None when it is no alias.

    Raises:
        StoreUnavailable: the alias is there and cannot be read.
    """
    file = _pointer(folder, alias)
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"{file} cannot be read: {error}. Check its permissions.") from error


def write_pointer(folder: Path, alias: str, collection: str) -> None:
    """Make an alias point to a collection, so that after a crash it points to the old one or to the new one."""
    _write(_pointer(folder, alias), collection)


def pointers(folder: Path) -> dict[str, str]:
    """Return all aliases of a folder: name -> collection."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob(".*.alias")):
        name = file.name.removeprefix(".").removesuffix(".alias")
        if target := read_pointer(folder, name):
            found[name] = target
    return found


def _pointer(folder: Path, alias: str) -> Path:
    # No collection's name starts with a dot.
    return folder / f".{alias}.alias"


def read_writer(path: Path) -> tuple[str, float] | None:
    """Return who said to hold the lock, and since when (seconds since 1970); None where nobody did."""
    try:
        content = json.loads((path / WRITER).read_bytes())
        return str(content["holder"]), float(content["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # only ever for a message


def write_writer(path: Path, holder: str, since: float) -> None:
    """Write down who holds the lock. The lock itself is the engine's."""
    _write(path / WRITER, json.dumps({"holder": holder, "since": since}))


def remove_writer(path: Path) -> None:
    """Say no longer that somebody holds the lock."""
    # What cannot be removed only makes a message less exact.
    with contextlib.suppress(OSError):
        (path / WRITER).unlink(missing_ok=True)


def remove_other_files(path: Path, files: Files) -> None:
    """Remove what is left of copies of the engine's files; for whoever has those that count open."""
    for other in path.glob(f"{FIRST}*"):
        if other.name != files.name:
            shutil.rmtree(other, ignore_errors=True)


def _write(file: Path, content: str) -> None:
    fresh = file.with_name(f"{file.name}.new")
    with fresh.open("w", encoding="utf-8") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(file)
    sync_folder(file.parent)


def check_space(folder: Path, more: int = 0) -> None:
    """Raise `StoreUnavailable` when the disk below `folder` is so full that the engine might be killed.

    `more` is how many bytes are about to be written.
    """
    free, needed = shutil.disk_usage(folder).free, RESERVE + more
    if free < needed:
        raise StoreUnavailable(
            f"The disk with {folder} is nearly full: {free >> 20} MiB left, {needed >> 20} MiB are needed. "
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
    return Shape(spec.length, spec.vectors, spec.quantization is not None)
