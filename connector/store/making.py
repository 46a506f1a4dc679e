"""How a collection's folder comes to be: beside its place, and moved there when whole. Half of one is never seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import qdrant_edge as engine

from connector.errors import StoreLocked, StoreUnavailable
from connector.store.folder import FIRST, check_space, read_files, read_spec, sync_folder, write_spec
from connector.store.shard import make_shard, translated
from connector.store.store import CollectionSpec


def make(path: Path, spec: CollectionSpec) -> None:
    """Make an empty collection in the folder `path`, or leave nothing behind.

    Raises:
        StoreUnavailable: something else is in that folder, or another process made one there at this moment.
    """
    building = path.with_name(f".{path.name}.creating")
    if building.exists():  # left by a creation that was interrupted, unless another process is at it now
        see_that_it_is_free(building)
        shutil.rmtree(building)
    building.mkdir(parents=True)
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


def see_that_it_is_free(path: Path) -> None:
    """Raise `StoreLocked` when the collection in a folder, or what is left of one, is open somewhere."""
    try:
        engine.EdgeShard.load(str(path / read_files(path).name)).close()
    # A border: bare exceptions again; whatever else is wrong with it, nobody is using it.
    except Exception as error:
        if isinstance(meaning := translated(error, path, "opened"), StoreLocked):
            raise meaning from error
