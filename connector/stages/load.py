"""Stage 3, blobs: pictures fetched in threads, and decoded where the model must see them."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from connector.draft import Draft, Item
from connector.errors import BlobError, BlobUnavailable
from connector.pipeline import PICTURE_BYTES_AHEAD, in_order
from connector.stages.run import Run

if TYPE_CHECKING:
    from connector.blobs.fetch import Fetched

LOADING_THREADS = max(4, os.cpu_count() or 4)  # more than the cores: some of them wait for disks and servers
IN_FLIGHT = 2 * LOADING_THREADS


def load(run: Run, units: Iterable[list[Item]]) -> Iterator[list[Item]]:
    """Fetch and decode what must be; a picture whose source says that it is unchanged is not fetched."""
    pool = ThreadPoolExecutor(LOADING_THREADS, thread_name_prefix="connector-blobs")
    work = functools.partial(_load, run)
    try:
        yield from in_order(work, units, pool, IN_FLIGHT, done=_is_loaded, cost=room)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def room(items: Iterable[Item]) -> int:
    """How many of the `IN_FLIGHT` places items take together: one, and more where rows hold their pictures themselves.

    Otherwise what waits to be decoded would grow with the cores.
    """
    held = sum(item.inline for item in items if isinstance(item, Draft))
    return 1 + IN_FLIGHT * held // PICTURE_BYTES_AHEAD


def load_again(run: Run, draft: Draft) -> None:
    """Fetch and decode a picture that seemed to need no loading."""
    with _or_rejected(draft):
        _decode(run, draft, run.fetcher.fetch(getattr(draft.record, draft.entry.blob.name)))


def _is_loaded(unit: Sequence[Item]) -> bool:
    return not any(isinstance(item, Draft) and item.source is not None for item in unit)


def _load(run: Run, unit: list[Item]) -> list[Item]:
    for item in unit:
        if isinstance(item, Draft) and item.source is not None:
            with _or_rejected(item):
                _load_one(run, item)
    return unit


def _load_one(run: Run, draft: Draft) -> None:
    assert draft.now is not None  # set by the stage before
    fetched = run.fetcher.fetch(draft.source, unless=run.known_stamp(draft))
    if fetched is not None:
        draft.now, draft.stamp = draft.now.with_picture(fetched.digest), fetched.stamp
    else:
        draft.keep_picture()
    if run.sees_picture(draft):
        _decode(run, draft, fetched or run.fetcher.fetch(draft.source))
    draft.source = None


def _decode(run: Run, draft: Draft, fetched: Fetched) -> None:
    assert draft.now is not None
    draft.picture = run.embedder.decoded(fetched, run.fetcher.policy)
    draft.now = draft.now.with_picture(fetched.digest)


@contextlib.contextmanager
def _or_rejected(draft: Draft) -> Iterator[None]:
    """What is wrong with its picture ends a draft's way, and nobody else's."""
    try:
        yield
    except (BlobError, BlobUnavailable) as error:
        draft.reject(draft.entry.blob.name, error)
