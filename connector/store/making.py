"""How a collection's folder comes to be: beside its place, and moved there when whole. Half of one is never seen.

Who makes one holds a lock, a file beside it, from beginning to end. The system gives it back when a process is
killed, so what is found in the place of a building while the lock is held is a remainder, and nobody is at it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import qdrant_edge as engine

from connector.errors import StoreLocked, StoreUnavailable
from connector.store.folder import FIRST, check_space, read_files, read_spec, sync_folder, write_spec
from connector.store.shard import make_shard, translated
from connector.store.store import CollectionSpec

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def make(path: Path, spec: CollectionSpec) -> None:
    """Make an empty collection in the folder `path`, or leave nothing behind.

    Raises:
        StoreLocked: somebody else is making it at this moment.
        StoreUnavailable: something else is in that folder, or another process made one there at this moment.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        building = path.with_name(f".{path.name}.creating")
        if building.exists():  # left by a creation that was interrupted
            shutil.rmtree(building)
        building.mkdir()
        try:
            check_space(building)
            make_shard(building / FIRST, spec)
            write_spec(building, spec)
            _move(building, path)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


def _move(building: Path, path: Path) -> None:
    if read_spec(path) is not None:
        raise StoreUnavailable(f"Another process made {path} at this moment. Run it again.")
    if path.exists() and any(path.iterdir()):
        raise StoreUnavailable(
            f"{path} holds other files, and no collection. Choose another folder or another collection name."
        )
    building.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only one who makes the collection in `path`, for as long as the block runs."""
    place = path.with_name(f".{path.name}.creating.lock")
    while True:
        with place.open("ab") as file:
            try:
                _lock(file)
            except (BlockingIOError, PermissionError) as error:
                raise StoreLocked(
                    f"Another process, or another store of this one, is making {path} at this moment. Run it again."
                ) from error
            if not _is_still(file, place):
                continue
            try:
                yield
            finally:
                if sys.platform == "win32":  # where no file can be removed that is open
                    file.close()
                with contextlib.suppress(OSError):  # one that stays is nobody's, and no obstacle
                    place.unlink()
            return


def _lock(file: BinaryIO) -> None:
    """Take a file's lock, which ends when the file is closed, by whatever.

    Raises:
        BlockingIOError, PermissionError: it is somebody else's.
    """
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still(file: BinaryIO, place: Path) -> bool:
    """Whether a file is still in its place; who had the lock before may have removed it since it was opened."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), place.stat())
    except FileNotFoundError:
        return False


def see_that_it_is_free(path: Path) -> None:
    """Raise `StoreLocked` when the collection in a folder, or what is left of one, is open somewhere."""
    try:
        engine.EdgeShard.load(str(path / read_files(path).name)).close()
    # A border: bare exceptions again; whatever else is wrong with it, nobody is using it.
    except Exception as error:
        if isinstance(meaning := translated(error, path, "opened"), StoreLocked):
            raise meaning from error
