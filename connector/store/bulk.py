"""First loads on a server: it builds its search graphs once, when all points are there."""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Iterator

from qdrant_client import models

from connector.errors import StoreUnavailable
from connector.store.connection import Connection

log = logging.getLogger("connector")

# In the collection's metadata while no graphs are built: the size of a segment, in kilobytes, from which they were.
THRESHOLD = "indexing_threshold"
_loading: weakref.WeakSet[Connection] = weakref.WeakSet()
FEW = 1  # the lease of a lock is a point, too


@contextlib.contextmanager
def graphs_later(to: Connection) -> Iterator[None]:
    """Have an empty collection build no graphs within the block. Afterwards, however it ends, it does so again.

    What a process that was killed left off is put on again at the start of the next block. Of blocks within one another,
    over one connection, the outermost counts.
    """
    if to in _loading:
        yield
        return
    off = _switch_off(to)
    _loading.add(to)
    try:
        yield
    finally:
        _loading.discard(to)
        if off is not None:
            try:
                _set(to, off, None)
            except StoreUnavailable as error:  # must not hide what ended the block
                log.warning("Qdrant builds no search graphs until the next run: %s", error)


def _switch_off(to: Connection) -> int | None:
    """Have no graphs built from here on where that is worth it; the size that is to be set again, else None."""
    info = to.info()
    if info is None:
        return None
    left = (info.config.metadata or {}).get(THRESHOLD)
    size = left if isinstance(left, int) else info.config.optimizer_config.indexing_threshold
    if not size:  # somebody has switched it off for good
        return None
    if (info.points_count or 0) <= FEW:
        _set(to, 0, size)
        return size
    if left is not None:
        _set(to, size, None)
    return None


def _set(to: Connection, threshold: int, remembered: int | None) -> None:
    name = to.real_name()
    to.ask(
        lambda: to.client.update_collection(
            name,
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=threshold),
            metadata={THRESHOLD: remembered},
        )
    )
