"""Rows from a folder of pictures: each picture's path as id, the texts beside it as the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic_core

from connector.errors import RecordError
from connector.schema.schema import definition_of
from connector.sources.source import Row, Rows, broken

if TYPE_CHECKING:
    from connector.space import SpaceEntry

PICTURE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".ico", ".heic", ".heif", ".mpo",
})  # fmt: skip


def folder_rows(folder: Path, base: Path, entry: SpaceEntry) -> Rows:
    """One row per picture, sorted by path: its relative path as id, sidecar `.txt` and `.json` as the rest.

    For `cat.jpg` the sidecars are `cat.txt` or `cat.jpg.txt` (the description) and `cat.json` or `cat.jpg.json`
    (an object with any of the schema's columns).
    """
    done, total = 0, -1

    def rows() -> Iterator[Row]:
        nonlocal done
        for row in _rows(folder, entry):
            yield row
            done += 1

    def progress() -> float | None:
        nonlocal total
        # Counted when somebody watches: a second walk costs little beside the pictures themselves.
        if total < 0:
            total = sum(1 for _ in _pictures(folder))
        return min(1.0, done / total) if total else None

    return Rows(rows(), base, progress)


def _rows(folder: Path, entry: SpaceEntry) -> Iterator[Row]:
    id_name = definition_of(entry.schema).id.name
    for path in _pictures(folder):
        name = path.relative_to(folder).as_posix()
        row: dict[str, object] = {id_name: name, entry.blob.name: name}
        try:
            if entry.description is not None and (words := _sidecar(path, ".txt")) is not None:
                row[entry.description.name] = words.decode("utf-8-sig").strip()
            if (text := _sidecar(path, ".json")) is not None:
                row |= sidecar_object(text)
        except (OSError, ValueError) as error:
            yield RecordError(
                f"A sidecar of '{name}' could not be read: {error}. Write UTF-8 text, or one JSON object.",
                id=name,
            )
        else:
            yield row


def _sidecar(picture: Path, suffix: str) -> bytes | None:
    for path in (picture.with_suffix(suffix), picture.with_name(picture.name + suffix)):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            continue
    return None


def sidecar_object(text: bytes) -> dict[str, object]:
    """What a `.json` beside a picture says; ValueError where it holds no JSON object."""
    value = pydantic_core.from_json(text.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    if not isinstance(value, dict):
        raise ValueError(f"it holds a JSON {type(value).__name__}")
    return value


def _pictures(folder: Path) -> Iterator[Path]:
    """Pictures beneath a folder by their suffix, in the order of their paths; hidden ones and linked folders left out."""

    def refuse(error: OSError) -> None:
        raise broken(folder, error) from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield Path(parent, name)
