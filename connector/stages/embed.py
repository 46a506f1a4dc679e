"""Stages 4 and 5, engine: drafts that differ get their vectors and their point, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from connector.draft import Draft, Item, cost
from connector.embedding import Parts, Unembeddable, Vectors
from connector.pipeline import PATIENCE, PICTURE_BYTES_AHEAD
from connector.stages.load import load_again
from connector.stages.run import Run
from connector.store.points import to_point

SETTLED_AT_ONCE = (
    1024  # items that may wait for a batch of pictures to fill up, so that unchanged rows flow past
)


def embed(run: Run, units: Iterable[list[Item]]) -> Iterator[list[Item]]:
    """Drafts that differ get their point, a batch at a time; the rest flows along in its place."""
    for batch in _cut(units, lambda: run.embedder.batch_size):
        drafts = [
            item
            for item in batch
            if isinstance(item, Draft) and not item.at_rest and (item.wanted or item.restamped)
        ]
        if drafts and not run.options.dry_run:
            _add_points(run, drafts)
        yield batch


def _add_points(run: Run, drafts: Sequence[Draft]) -> None:
    """Vectors for drafts whose picture or words differ; values alone need none, and stored parts are taken again."""
    embedded = [draft for draft in drafts if not (draft.same_picture and draft.same_words)]
    stored = _stored_parts(run, embedded)
    embedded = [draft for draft in embedded if draft.rejection is None]
    made = run.embedder.embed(
        [Parts(draft.picture, draft.description, stored.get(draft.point_id, {})) for draft in embedded]
    )
    vectors = dict(zip((draft.row for draft in embedded), made, strict=True))
    at, version = run.clock(), run.version()
    for draft in drafts:
        outcome = vectors.get(draft.row, {})
        if isinstance(outcome, Unembeddable):
            blamed = {"image": draft.entry.blob, "text": draft.entry.description}.get(outcome.part or "")
            draft.reject(None if blamed is None else blamed.name, outcome.error)
        elif draft.record is not None and draft.now is not None:
            draft.picture = None
            draft.point = to_point(
                draft.record,
                outcome,
                references=draft.references,
                picture=draft.now.picture,
                text=draft.now.text,
                base=run.base,
                stamp=draft.stamp,
                version=version,
                at=at,
            )


def _stored_parts(run: Run, drafts: Sequence[Draft]) -> dict[str, Vectors]:
    """The stored vectors of parts that have not changed, by point id."""
    half = [draft for draft in drafts if draft.same_picture or draft.same_words]
    if not half or not run.embedder.keeps_parts or run.store is None:
        return {}
    found = run.store.get([draft.point_id for draft in half], vectors=True, keys=[])
    kept: dict[str, Vectors] = {}
    for draft in half:
        vectors = found[draft.point_id].vectors if draft.point_id in found else {}
        same = {"image": draft.same_picture, "text": draft.same_words}
        kept[draft.point_id] = {name: vector for name, vector in vectors.items() if same.get(name)}
        if draft.same_picture and draft.now and draft.now.picture and "image" not in kept[draft.point_id]:
            load_again(run, draft)  # its vector is not there although its digest is: somebody has been at it
    run.report.reused_images += sum("image" in vectors for vectors in kept.values())
    run.report.reused_texts += sum("text" in vectors for vectors in kept.values())
    return kept


def _cut(units: Iterable[list[Item]], wanted: Callable[[], int]) -> Iterator[list[Item]]:
    """Batches in which `wanted()` drafts are to be embedded, or that have grown long without."""
    batch: list[Item] = []
    count = held = 0
    begun = time.monotonic()
    for unit in units:
        batch += unit
        moving = [item for item in unit if isinstance(item, Draft) and not item.at_rest]
        count += sum(draft.wanted for draft in moving)
        held += sum(map(cost, moving))
        full = count >= wanted() or len(batch) >= SETTLED_AT_ONCE or held >= PICTURE_BYTES_AHEAD
        if full or time.monotonic() - begun >= PATIENCE:
            yield batch
            batch, count, held, begun = [], 0, 0, time.monotonic()
    if batch:
        yield batch
