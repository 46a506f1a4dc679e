"""Stage 2, store: what the collection holds of each draft already, and which pictures are known to be what they were."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from connector.draft import Draft, Held, Item
from connector.stages.run import Run
from connector.store.points import (
    BASE,
    DESCRIPTION,
    PAYLOAD,
    PICTURE,
    STAMP,
    Digests,
    digest_payload,
    digest_text,
    digests,
    stored_values,
)

if TYPE_CHECKING:
    from connector.blobs.sources import Kind
    from connector.store.store import Point

CHECKED_AT_ONCE = 64  # drafts that are probably unchanged, handed to a loading thread together
SLOW_CHECK = 0.0002  # seconds a file; where a disk takes longer to tell, many threads ask it faster than one


def compare(run: Run, chunks: Iterable[list[Item]]) -> Iterator[list[Item]]:
    """Give each draft what is stored of it, many ids in one question; hand on what is best loaded together."""
    disk_is_fast = True
    for chunk in chunks:
        drafts = [item for item in chunk if isinstance(item, Draft)]
        # Entered before the question is asked: a version that arrives in between is either seen here or there.
        for draft in drafts:
            draft.earlier = run.in_flight.get(draft.point_id)
            run.in_flight[draft.point_id] = draft
        kinds = _ask(run, drafts)
        if disk_is_fast and drafts:
            started = time.perf_counter()
            _recognise(run, zip(drafts, kinds, strict=True))
            disk_is_fast = time.perf_counter() - started < SLOW_CHECK * len(drafts)
        yield from _together(chunk)


def _ask(run: Run, drafts: Sequence[Draft]) -> list[Kind]:
    """Note what is stored of each draft, and what it is itself, its picture apart; the kinds of their sources."""
    names = {draft.entry.blob.name for draft in drafts}
    keys = [PICTURE, DESCRIPTION, PAYLOAD, STAMP, BASE, *sorted(names)]
    ids = [draft.point_id for draft in drafts if draft.point_id not in run.options.afresh]
    stored = {} if run.store is None else run.store.get(ids, keys=keys)
    kinds: list[Kind] = []
    for draft in drafts:
        assert draft.record is not None  # nothing has been dropped this early
        kinds.append(draft.refer())
        if (point := stored.get(draft.point_id)) is not None:
            draft.before = _held(draft, point, run.base)
        draft.now = Digests(
            picture=None,
            text=digest_text(draft.description) if draft.description else None,
            payload=digest_payload(stored_values(draft.record, draft.references)),
        )
    return kinds


def _held(draft: Draft, point: Point, base: str) -> Held:
    name = draft.entry.blob.name
    same_place = (point.payload.get(name), point.payload.get(BASE)) == (draft.references[name], base)
    stamp = point.payload.get(STAMP)
    return Held(digests(point), stamp if isinstance(stamp, str) else None, same_place)


def _recognise(run: Run, drafts: Iterable[tuple[Draft, Kind]]) -> None:
    """See which files still are what was stored, where that can be told at once; their pictures need no loading."""
    for draft, kind in drafts:
        if (stamp := run.known_stamp(draft)) and run.fetcher.is_unmodified(draft.source, stamp, kind):
            draft.keep_picture()
            draft.at_rest = draft.earlier is None and draft.unchanged
            if draft.at_rest or not run.sees_picture(draft):
                draft.source = None


def _together(chunk: Sequence[Item]) -> Iterator[list[Item]]:
    """Items in the lists they are loaded in: what is probably unchanged many at a time, the others one by one."""
    unit: list[Item] = []
    for item in chunk:
        if (
            isinstance(item, Draft)
            and item.source is not None
            and (item.before is None or item.before.stamp is None)
        ):
            if unit:
                yield unit
                unit = []
            yield [item]
            continue
        unit.append(item)
        if len(unit) >= CHECKED_AT_ONCE:
            yield unit
            unit = []
    if unit:
        yield unit
