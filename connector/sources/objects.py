"""Rows from an object store: the pictures beneath `s3://bucket/prefix/` with their sidecars, listed folder by folder."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from typing_extensions import Buffer

from connector.blobs.objects import EXTRAS, UNPLAIN
from connector.blobs.sources import Kind, classify, shown
from connector.errors import ConnectorError, DataError, MissingExtra, RecordError, SourceUnavailable
from connector.schema.schema import definition_of
from connector.sources.folder import PICTURE_SUFFIXES, sidecar_object
from connector.sources.source import Row, Rows

if TYPE_CHECKING:
    from connector.space import SpaceEntry

SIDECAR_LIMIT = 16 * 1024 * 1024
BUFFER = 1024 * 1024


class _System(Protocol):
    """What is used of an fsspec file system."""

    def invalidate_cache(self) -> None: ...
    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]: ...
    def cat_file(self, path: str) -> bytes: ...
    def open(self, path: str, mode: str = "rb") -> IO[bytes]: ...


def is_object_url(source: str) -> bool:
    """Whether `source` is `s3://…` or another object store's URL."""
    return classify(source) is Kind.OBJECT_URL


def open_object(url: str) -> IO[bytes]:
    """Open one object for reading from its beginning.

    Raises:
        SourceUnavailable: it is not there or may not be read.
        DataError: the URL is not plain.
        MissingExtra: the store's library is not installed.
    """
    system, path = _system(url)
    with _translated(url):
        return io.BufferedReader(_Object(url, system.open(path)), BUFFER)


class _Object(io.RawIOBase):
    """An open object whose errors, half-way too, are those of a source."""

    def __init__(self, url: str, file: IO[bytes]) -> None:
        self._url = url
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        with _translated(self._url):
            data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def object_rows(url: str, entry: SpaceEntry, base: Path | None) -> Rows:
    """One row per picture beneath a prefix: its key below the prefix as id, its URL as blob, sidecars as the rest.

    Sidecars are those of a folder of pictures: `cat.txt` or `cat.jpg.txt`, `cat.json` or `cat.jpg.json`. Which there
    are is known from the listing; only those that exist are asked for. A listing that breaks off ends the run.

    Raises:
        SourceUnavailable: there is nothing beneath the prefix, or it may not be listed.
        DataError: the URL is not plain, or names one object.
        MissingExtra: the store's library is not installed.
    """
    system, root = _system(url)
    root = root.rstrip("/")
    with _translated(url):
        system.invalidate_cache()  # a process that syncs every hour must not see the first hour's listing
        top = system.ls(root, detail=True)
    if [(info["name"].rstrip("/"), info["type"]) for info in top] == [(root, "file")] and top[0].get("size"):
        raise DataError(
            f"{_name(url)} is one object. Give the prefix of a folder of pictures, ending in '/'."
        )
    return Rows(_beneath(system, url.rstrip("/"), root, root, entry, top), base or Path.cwd())


def _beneath(
    system: _System, url: str, root: str, folder: str, entry: SpaceEntry, listing: list[dict[str, Any]]
) -> Iterator[Row]:
    """Rows of a folder, then of its folders, each in the order of their names.

    Not `system.walk`: below the first level it leaves out, without a word, folders that it could not list.
    """
    inside = [info for info in listing if info["name"].rstrip("/") != folder]
    files = {_last(info): info for info in inside if info["type"] == "file"}
    for name in sorted(files):
        if not name.startswith(".") and PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES:
            key = files[name]["name"].removeprefix(root).lstrip("/")
            yield _row(system, url, key, name, entry, files)
    for info in sorted((info for info in inside if info["type"] == "directory"), key=_last):
        if not _last(info).startswith("."):
            below = info["name"].rstrip("/")
            with _translated(url):
                deeper = system.ls(below, detail=True)
            yield from _beneath(system, url, root, below, entry, deeper)


def _row(
    system: _System, url: str, key: str, name: str, entry: SpaceEntry, files: dict[str, dict[str, Any]]
) -> Row:
    row: dict[str, object] = {definition_of(entry.schema).id.name: key, entry.blob.name: f"{url}/{key}"}
    try:
        if (
            entry.description is not None
            and (words := _sidecar(system, url, name, ".txt", files)) is not None
        ):
            row[entry.description.name] = words.decode("utf-8-sig").strip()
        if (text := _sidecar(system, url, name, ".json", files)) is not None:
            row |= sidecar_object(text)
    except ValueError as error:
        return RecordError(
            f"A sidecar of '{key}' could not be read: {error}. Write UTF-8 text, or one JSON object.", id=key
        )
    return row


def _sidecar(
    system: _System, url: str, picture: str, suffix: str, files: dict[str, dict[str, Any]]
) -> bytes | None:
    for name in (str(PurePosixPath(picture).with_suffix(suffix)), picture + suffix):
        if name in files:
            if (files[name].get("size") or 0) > SIDECAR_LIMIT:
                raise ValueError(f"'{name}' is larger than {SIDECAR_LIMIT // 2**20} MiB")
            with contextlib.suppress(FileNotFoundError), _translated(url, missing_is_error=False):
                return system.cat_file(files[name]["name"])
    return None


def _system(url: str) -> tuple[_System, str]:
    if UNPLAIN.search(url):
        raise DataError(
            f"{_name(url)} is no plain object URL. Write scheme://bucket/prefix/; credentials belong in the environment."
        )
    try:
        import fsspec.core
    except ImportError as error:
        raise MissingExtra(_extra(url), f"Reading {_name(url)}") from error
    scheme, mark, rest = url.partition("://")
    with _translated(url):
        system, path = fsspec.core.url_to_fs(f"{scheme.lower()}{mark}{rest}")
    return cast("_System", system), str(path)


@contextlib.contextmanager
def _translated(url: str, *, missing_is_error: bool = True) -> Iterator[None]:
    try:
        yield
    except ConnectorError:
        raise
    except FileNotFoundError as error:
        if not missing_is_error:
            raise
        raise SourceUnavailable(f"{_name(url)} was not found. Check the bucket and the prefix.") from error
    except PermissionError as error:
        raise SourceUnavailable(
            f"{_name(url)} is refused by its store. Check the credentials in the environment."
        ) from error
    except ImportError as error:
        raise MissingExtra(_extra(url), f"Reading {_name(url)}") from error
    # A border: each store's library raises errors of its own (botocore, aiohttp, google, azure), known only to it.
    except Exception as error:
        raise SourceUnavailable(
            f"{_name(url)} could not be read ({type(error).__name__}). What was read before it is kept; run it again."
        ) from error


def _extra(url: str) -> str:
    return EXTRAS.get(url.partition("://")[0].lower(), "stores")


def _name(url: str) -> str:
    return f"Source {shown(Kind.OBJECT_URL, url)}"


def _last(info: dict[str, Any]) -> str:
    return str(info["name"]).rstrip("/").rpartition("/")[2]
