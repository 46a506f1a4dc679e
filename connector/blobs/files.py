"""Reading a picture's file: only a regular one, only beneath an allowed root, only up to the limit."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote_to_bytes

from connector.blobs.policy import BlobPolicy
from connector.blobs.sources import LONGEST_PATH
from connector.blobs.stamps import file_stamp, settles_in
from connector.errors import BlobError, BlobForbidden, BlobNotFound, BlobUnreadable

_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FOLDER_FLAGS = os.O_RDONLY | _CLOEXEC | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a FIFO nobody writes to would wait for ever.
_FILE_FLAGS = os.O_RDONLY | _CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


_MOST_FOLDERS = 100_000
"""Folders remembered at a time, about 200 bytes each."""
_MOST_LINKS = 4
"""Links one after the other that `Files.is_known_as` follows before it leaves the rest to `Files.read`."""


class Files:
    """Files beneath `base`, the working directory and `policy.roots`, as they lie when this is made.

    `clock` (ns since 1970) and `sleep` (s) tell whether a file was changed too lately for its stamp to be relied
    on; tests put their own there.
    """

    def __init__(
        self,
        policy: BlobPolicy,
        base: Path | None,
        *,
        clock: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._policy = policy
        self.base = Path(base) if base is not None else Path.cwd()
        self._clock = clock
        self._sleep = sleep
        roots = [Path(os.path.realpath(root)) for root in (self.base, Path.cwd(), *policy.roots)]
        self._roots = tuple(dict.fromkeys(roots))
        self._start = f"{self.base}/"
        self._folders: dict[tuple[int, int], int] = {}
        """Folders (device and inode) that lay beneath a root when a file in them was opened, and when each had
        last changed then: in its entries or, which is the point, in its place."""

    def read(self, path: str, name: str, unless: str | None = None) -> tuple[bytes, str | None] | None:
        """The file's bytes and stamp, or None if its stamp is `unless`; relative paths are relative to `base`.

        There is no stamp where the file changed while it was read. `name` is how messages call the blob.
        """
        if not self._policy.allow_files:
            raise BlobForbidden(
                f"{name} is a file, and files are not allowed here. Send the picture's bytes or a URL."
            )
        if not path or "\0" in path or len(path) > LONGEST_PATH:
            raise BlobNotFound(f"{name} is no path, no URL and no picture in base64. Pass one of these.")
        if unless and self.is_known_as(path, unless):
            return None
        try:
            return self._read_beneath_root(path, name, unless)
        except OSError as error:
            raise self._explained(error, name) from error
        except UnicodeEncodeError as error:  # a lone surrogate no file system could have given
            raise self._not_found(name) from error

    def is_known_as(self, path: str, unless: str) -> bool:
        """Whether a file may be read and its stamp is `unless`, where that can be told in two system calls.

        False says nothing; ask `read`. What costs time is to be sure that a folder lies beneath a root. That is
        remembered of the folder itself, not of its path, from the last `read` in it, and forgotten when the
        folder changes; so whatever is moved, replaced or linked elsewhere in between is looked at anew.
        """
        if not self._policy.allow_files:
            return False
        if not path.startswith("/"):
            path = self._start + path
        try:
            for _ in range(_MOST_LINKS):
                folder = path.rpartition("/")[0]
                status = os.lstat(path)
                if not stat.S_ISLNK(status.st_mode):
                    there = os.stat(folder)  # noqa: PTH116  # making a Path takes longer than the call
                    return self._folders.get((there.st_dev, there.st_ino)) == there.st_ctime_ns and self._is(
                        status, unless
                    )
                path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118  # likewise
        except (OSError, ValueError):  # `read` will say what is the matter
            pass
        return False

    def _is(self, status: os.stat_result, unless: str) -> bool:
        return (
            stat.S_ISREG(status.st_mode)
            and 0 < status.st_size <= self._policy.max_bytes
            and file_stamp(status) == unless
        )

    def _read_beneath_root(self, path: str, name: str, unless: str | None) -> tuple[bytes, str | None] | None:
        real = Path(os.path.realpath(self.base / path))
        # Asked before anything is opened, so that an answer never tells whether a file outside exists.
        root = next((root for root in self._roots if real.is_relative_to(root)), None)
        if root is None:
            raise BlobForbidden(
                f"{name} lies outside the allowed folders ({_listed(self._roots)}). "
                f"Allow its folder with BlobPolicy(roots=[…])."
            )
        opened, folder = _open_beneath(root, real.relative_to(root).parts)
        try:
            if unless is not None:
                self._remember(folder)
                if self._is(os.fstat(opened), unless):
                    return None
            return self._read_regular(opened, name)
        finally:
            os.close(opened)

    def _remember(self, folder: os.stat_result | None) -> None:
        if folder is not None:
            if len(self._folders) >= _MOST_FOLDERS:
                self._folders.clear()
            self._folders[folder.st_dev, folder.st_ino] = folder.st_ctime_ns

    def _read_regular(self, opened: int, name: str) -> tuple[bytes, str | None]:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise BlobForbidden(
                f"{name} is {_kind_of_file(status.st_mode)}, not a regular file. Name a picture file."
            )
        settled = self._settle(status)
        limit = self._policy.max_bytes
        if status.st_size <= limit:
            with open(opened, "rb", closefd=False) as file:
                data = file.read(status.st_size + 1)
                if len(data) > status.st_size:  # it has grown since fstat
                    data += file.read(limit + 1 - len(data))
            if len(data) <= limit:
                stamp = file_stamp(status)
                still = len(data) == status.st_size and file_stamp(os.fstat(opened)) == stamp
                return data, stamp if settled and still else None
        raise self._policy.too_many_bytes(name)

    def _settle(self, status: os.stat_result) -> bool:
        """Wait until a further change must show in the stamp; False where that would take too long."""
        wait = settles_in(status.st_mtime_ns, self._clock())
        if wait:
            self._sleep(wait / 1e9)
        return wait is not None

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


def _open_beneath(root: Path, parts: tuple[str, ...]) -> tuple[int, os.stat_result | None]:
    """Open `parts` one by one from `root`, following no link: one swapped in since `realpath` looked is
    not followed. Returns the file and, where that is known, which folder it lies in."""
    if os.open not in os.supports_dir_fd:
        return os.open(root.joinpath(*parts), _FILE_FLAGS), None
    folder = os.open(root, _FOLDER_FLAGS)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        opened = os.open(parts[-1] if parts else ".", _FILE_FLAGS, dir_fd=folder)
        return opened, os.fstat(folder)
    finally:
        os.close(folder)


def _kind_of_file(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((word for is_kind, word in kinds if is_kind(mode)), "a device")


def _listed(roots: Iterable[Path]) -> str:
    return ", ".join(map(str, roots))
