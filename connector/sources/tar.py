"""Rows from WebDataset tars: `key.jpg`, `key.txt` and `key.json` side by side become one row, read in one pass."""

from __future__ import annotations

import contextlib
import logging
import re
import tarfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self

from connector.errors import DataError, RecordError, SourceUnavailable
from connector.schema.schema import definition_of
from connector.sources.folder import PICTURE_SUFFIXES, sidecar_object
from connector.sources.source import Row, Rows, broken

if TYPE_CHECKING:
    from connector.space import SpaceEntry

MEMBER_LIMIT = 256 * 1024 * 1024  # above what any policy is likely to allow; that one's refusal says more
SIDECAR_LIMIT = 16 * 1024 * 1024
HEADER_LIMIT = 1024 * 1024  # bytes of a member's extended header, which tarfile reads into memory unasked
SHARD_LIMIT = 100_000
_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LONG_HEADERS = frozenset({
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
})  # fmt: skip
_log = logging.getLogger("connector")

Open = Callable[[str], "IO[bytes]"]


def is_tar(source: str) -> bool:
    """Whether `source` names a tar, plain or compressed, or a range of them."""
    return source.lower().endswith(_SUFFIXES)


def open_file(path: str) -> IO[bytes]:
    """Open a tar on this machine.

    Raises:
        SourceUnavailable: it is not there or cannot be read.
    """
    try:
        return Path(path).open("rb")
    except FileNotFoundError as error:
        raise SourceUnavailable(
            f"Source '{path}' was not found. Check the path; relative ones start from {Path.cwd()}."
        ) from error
    except OSError as error:
        raise broken(path, error) from error


def tar_rows(source: str, entry: SpaceEntry, base: Path | None, open_shard: Open) -> Rows:
    """One row per sample: its key as id, its picture's bytes as blob, `.txt` as description, `.json` as the rest.

    A sample's members stand next to each other and share their name up to its first dot, the WebDataset rule.
    `{000..127}` names a range of tars, read one after the other. Links, devices and sparse files are never read or followed.

    Raises:
        SourceUnavailable: a tar is not there, damaged, or cut short (also half-way, while iterating).
        DataError: the range is too long or runs backwards.
    """
    shards = _shards(source)
    current = open_shard(shards[0])  # at once: a name that is wrong is told before anything else happens

    def rows() -> Iterator[Row]:
        nonlocal current
        for number, shard in enumerate(shards):
            if number:
                current = open_shard(shard)
            with current:
                yield from _samples(shard, current, entry)

    def close() -> None:
        current.close()  # whichever is open by then

    return Rows(rows(), base or Path.cwd(), close=close)


def _shards(source: str) -> list[str]:
    found = _RANGE.search(source)
    if found is None or Path(source).exists():
        return [source]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + SHARD_LIMIT:
        raise DataError(
            f"Source '{source}' names a range from {first} to {last}. Write the smaller number first, "
            f"and at most {SHARD_LIMIT:,} tars."
        )
    names = (f"{number:0{len(found[1])}d}" for number in range(first, last + 1))
    return [
        shard for name in names for shard in _shards(source[: found.start()] + name + source[found.end() :])
    ]


class _Member(tarfile.TarInfo):
    """A member's header, read strictly.

    tarfile takes a damaged header, or a file that just stops, for the end of the archive. A sync would then delete
    what comes after it, so that only the end mark (zeros) counts as the end here.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if len(buf) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it is cut short")
        if not any(buf):
            return super().frombuf(buf, encoding, errors)  # tells tarfile that this is the end
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a header in it is damaged ({error})") from error
        if member.type in _LONG_HEADERS and not 0 <= member.size <= HEADER_LIMIT:
            raise tarfile.ReadError("a header in it is too long")
        return member


class _Sample:
    """The members of one key so far."""

    def __init__(self, key: str, entry: SpaceEntry) -> None:
        self.key = key
        self.suffixes: set[str] = set()
        self._entry = entry
        self._row: dict[str, object] = {}
        self._values: dict[str, object] = {}
        self._problem: RecordError | None = None

    def take(self, suffix: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        """Read a member if the row wants it. What cannot be read is kept as the row's rejection."""
        self.suffixes.add(suffix)
        blob, description = self._entry.blob.name, self._entry.description
        try:
            if PurePosixPath(f"x.{suffix}").suffix in PICTURE_SUFFIXES:
                if blob not in self._row:
                    self._row[blob] = _content(member, tar, MEMBER_LIMIT)
            elif suffix == "txt" and description is not None:
                text = _content(member, tar, SIDECAR_LIMIT)
                self._row[description.name] = text.decode("utf-8-sig").strip()
            elif suffix == "json":
                self._values = sidecar_object(_content(member, tar, SIDECAR_LIMIT))
        except ValueError as error:
            self._problem = self._problem or RecordError(
                f"Member {_quoted(member.name)} could not be taken: {error}. Correct it and write the tar again.",
                id=self.key,
            )

    def row(self) -> Row | None:
        """The row, the reason why there is none, or None for members that are about something else."""
        if self._problem is not None:
            return self._problem
        if not self._row and not self._values:
            return None
        return {definition_of(self._entry.schema).id.name: self.key, **self._row, **self._values}


def _samples(shard: str, file: IO[bytes], entry: SpaceEntry) -> Iterator[Row]:
    sample: _Sample | None = None
    with contextlib.closing(_members(shard, file)) as members:
        for tar, member in members:
            if _leads_out(member.name):
                yield RecordError(
                    f"Member {_quoted(member.name)} has a name that leads out of its tar. Rename it."
                )
                continue
            key, suffix = _split(member.name)
            if not suffix:
                continue
            # The same suffix again is a second sample of this key, which the run will then reject as such.
            if sample is None or key != sample.key or suffix in sample.suffixes:
                if sample is not None and (row := sample.row()) is not None:
                    yield row
                sample = _Sample(key, entry)
            try:
                sample.take(suffix, member, tar)
            except (tarfile.TarError, OSError, EOFError) as error:
                raise broken(shard, error) from error
    if sample is not None and (row := sample.row()) is not None:
        yield row


def _members(shard: str, file: IO[bytes]) -> Generator[tuple[tarfile.TarFile, tarfile.TarInfo], None, None]:
    """The plain files of a tar, in their order, none of them kept once it has passed."""
    left_out = 0
    try:
        with tarfile.open(fileobj=file, mode="r|*", tarinfo=_Member, encoding="utf-8") as tar:
            while (member := tar.next()) is not None:
                # Else a tar of a million members is a million headers in memory; typeshed does not know the list.
                tar.members.clear()  # type: ignore[attr-defined]
                if member.isfile() and not member.issparse():
                    yield tar, member
                elif not member.isdir():
                    left_out += 1
    # RecursionError: headers of headers of headers.
    except (tarfile.TarError, OSError, EOFError, ValueError, RecursionError) as error:
        raise broken(shard, error) from error
    if left_out:
        _log.warning("%d links, devices or sparse files in '%s' were left out.", left_out, shard)


def _content(member: tarfile.TarInfo, tar: tarfile.TarFile, limit: int) -> bytes:
    if not 0 <= member.size <= limit:
        raise ValueError(f"it is larger than {limit // 2**20} MiB")
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


def _split(name: str) -> tuple[str, str]:
    """`a/cat.left.jpg` → `a/cat`, `left.jpg`; hidden files, such as the Finder's `._cat.jpg`, have no suffix."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, _, suffix = last.partition(".")
    return f"{folder}{slash}{stem}", suffix.lower() if stem else ""


def _leads_out(name: str) -> bool:
    return name.startswith("/") or "\x00" in name or "\\" in name or ".." in name.split("/")


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:40] + "…" + name[-39:])
