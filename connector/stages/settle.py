"""Stage 6, store: what differs is written, and what became of each item is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connector.draft import Draft, Held, Item, rejection_of
from connector.report import Rejection
from connector.stages.run import Run


def settle(run: Run, batch: Sequence[Item]) -> Iterator[Item]:
    """Store a batch, count what became of each item, and hand the items on as they ended."""
    waiting: dict[str, Draft] = {}
    for item in batch:
        if isinstance(item, Rejection) or item.at_rest or item.rejection is not None:
            yield _count(run, item)
            continue
        # Two versions of one record: the first must be there before the second.
        if item.point_id in waiting:
            yield from _write(run, waiting)
        item.held_before()
        if item.unchanged and item.point is None:
            yield _count(run, item)
        else:
            waiting[item.point_id] = item
    yield from _write(run, waiting)


def _write(run: Run, waiting: dict[str, Draft]) -> Iterator[Item]:
    """Write what differs: whole points, or the payload alone where the vectors stay as they are."""
    drafts = list(waiting.values())
    waiting.clear()
    if run.store is not None and not run.options.dry_run:
        changed = [draft for draft in drafts if not draft.unchanged or draft.restamped]
        whole = [draft for draft in changed if draft.point is not None and draft.point.vectors]
        values = [draft for draft in changed if draft.point is not None and not draft.point.vectors]
        for group, write in ((whole, run.store.upsert), (values, run.store.overwrite)):
            points = [draft.point for draft in group if draft.point is not None]
            for draft, refused in zip(group, write(points) if points else [], strict=True):
                draft.point = draft.record = None
                run.report.written += refused is None
                if refused is not None:
                    draft.reject(None, refused)
    yield from (_count(run, draft) for draft in drafts)


def _count(run: Run, item: Item) -> Item:
    report = run.report
    report.read += 1
    if (rejection := rejection_of(item)) is not None:
        report.reject(rejection)
    if isinstance(item, Rejection):
        return item
    if rejection is None:
        if item.at_rest or item.unchanged:
            report.unchanged += 1
        elif item.before is None:
            report.new += 1
        else:
            report.changed += 1
        if item.now is not None and not item.at_rest:
            item.before = Held(item.now)  # what a later row of the same id is compared with
    run.held[item.entry.schema] += item.before is not None
    if run.in_flight.get(item.point_id) is item:
        del run.in_flight[item.point_id]
    return item
