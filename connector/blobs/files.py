"""Reading a picture's file: only a regular one, only beneath an allowed root, only up to the limit."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_to_bytes

from connector.blobs.policy import BlobPolicy
from connector.blobs.sources import LONGEST_PATH
from connector.errors import BlobError, BlobForbidden, BlobNotFound, BlobUnreadable

_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FOLDER_FLAGS = os.O_RDONLY | _CLOEXEC | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a FIFO nobody writes to would wait for ever.
_FILE_FLAGS = os.O_RDONLY | _CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Files:
    """Files beneath `base`, the working directory and `policy.roots`, as they lie when this is made."""

    def __init__(self, policy: BlobPolicy, base: Path | None) -> None:
        self._policy = policy
        self.base = Path(base) if base is not None else Path.cwd()
        roots = [Path(os.path.realpath(root)) for root in (self.base, Path.cwd(), *policy.roots)]
        self._roots = tuple(dict.fromkeys(roots))

    def read(self, path: str, name: str) -> bytes:
        """The file's bytes; relative paths are relative to `base`. `name` is how messages call the blob."""
        if not self._policy.allow_files:
            raise BlobForbidden(
                f"{name} is a file, and files are not allowed here. Send the picture's bytes or a URL."
            )
        if not path or "\0" in path or len(path) > LONGEST_PATH:
            raise BlobNotFound(f"{name} is no path, no URL and no picture in base64. Pass one of these.")
        try:
            return self._read_beneath_root(path, name)
        except OSError as error:
            raise self._explained(error, name) from error
        except UnicodeEncodeError as error:  # a lone surrogate no file system could have given
            raise self._not_found(name) from error

    def _read_beneath_root(self, path: str, name: str) -> bytes:
        real = Path(os.path.realpath(self.base / path))
        # Asked before anything is opened, so that an answer never tells whether a file outside exists.
        root = next((root for root in self._roots if real.is_relative_to(root)), None)
        if root is None:
            raise BlobForbidden(
                f"{name} lies outside the allowed folders ({_listed(self._roots)}). "
                f"Allow its folder with BlobPolicy(roots=[…])."
            )
        opened = _open_beneath(root, real.relative_to(root).parts)
        try:
            return self._read_regular(opened, name)
        finally:
            os.close(opened)

    def _read_regular(self, opened: int, name: str) -> bytes:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise BlobForbidden(
                f"{name} is {_kind_of_file(status.st_mode)}, not a regular file. Name a picture file."
            )
        limit = self._policy.max_bytes
        if status.st_size <= limit:
            with open(opened, "rb", closefd=False) as file:
                data = file.read(status.st_size + 1)
                if len(data) > status.st_size:  # it has grown since fstat
                    data += file.read(limit + 1 - len(data))
            if len(data) <= limit:
                return data
        raise self._policy.too_many_bytes(name)

    def _explained(self, error: OSError, name: str) -> BlobError:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL):
            return self._not_found(name)
        if error.errno in (errno.EACCES, errno.EPERM):
            return BlobForbidden(f"{name} may not be read by this user. Change its permissions.")
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            return BlobForbidden(f"{name} is a link in a circle, a socket or a folder. Name a picture file.")
        return BlobUnreadable(f"{name} could not be read: {error.strerror}. Check the disk it lies on.")

    def _not_found(self, name: str) -> BlobNotFound:
        return BlobNotFound(
            f"{name} was not found. Paths are relative to {self.base}; pass an absolute path or a URL."
        )


def path_of_file_url(url: str, name: str) -> str:
    """The path of `file:///abs` or `file://localhost/abs`, percent-decoded; every other form is refused."""
    place = url[len("file:") :]
    host, slash, path = place[2:].partition("/") if place.startswith("//") else ("?", "", "")
    if host.lower() not in ("", "localhost") or not slash:
        raise BlobForbidden(f"{name} is no URL of a file on this machine. Write file:///folder/picture.jpg.")
    if len(path) > 3 * LONGEST_PATH or set(path) & set("?#"):
        raise BlobForbidden(
            f"{name} is no plain file: URL. Percent-encode ? and # in it, or pass the path itself."
        )
    try:
        decoded = unquote_to_bytes(path)
    except UnicodeEncodeError:
        raise BlobNotFound(f"{name} has characters no file name has. Pass the path itself.") from None
    if b"%2f" in path.lower().encode("utf-8", "replace"):
        raise BlobForbidden(f"{name} hides a slash as %2F. Write the slash itself.")
    path = os.fsdecode(decoded)
    return path if os.name == "nt" else "/" + path  # file:///C:/x.jpg is Windows' C:/x.jpg


def _open_beneath(root: Path, parts: tuple[str, ...]) -> int:
    """Open `parts` one by one from `root`, following no link: one swapped in since `realpath` looked is
    not followed."""
    if os.open not in os.supports_dir_fd:
        return os.open(root.joinpath(*parts), _FILE_FLAGS)
    folder = os.open(root, _FOLDER_FLAGS)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1] if parts else ".", _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def _kind_of_file(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((word for is_kind, word in kinds if is_kind(mode)), "a device")


def _listed(roots: Iterable[Path]) -> str:
    return ", ".join(map(str, roots))
