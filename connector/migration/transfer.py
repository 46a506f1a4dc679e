"""The records of one collection, embedded again into another: only what differs, so it can break off and go on."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from connector.embedding import FUSED
from connector.errors import BlobNotFound
from connector.report import Rejection, Report
from connector.schema.schema import Schema, definition_of
from connector.store.points import (
    BASE,
    DESCRIPTION,
    PAYLOAD,
    PICTURE,
    PRESENT,
    Digests,
    digest_payload,
    digest_text,
    digests,
    point_id,
    schema_name,
    stored_values,
    to_record,
)
from connector.store.store import Point, Store, Where

if TYPE_CHECKING:
    from pathlib import Path

    from connector.connector import Connector
    from connector.rows import Source

TOGETHER: Final = 2048  # records of one base folder that are ingested in one go
_WORK: Final = (
    "embedded_images",
    "embedded_texts",
    "reused_images",
    "reused_texts",
    "fetched",
    "written",
    "seconds",
)


@dataclasses.dataclass
class Difference:
    """How the records of two collections compare: how many each holds, and which points only one of them has."""

    before: int = 0
    after: int = 0
    missing: list[str] = dataclasses.field(default_factory=list)
    extra: list[str] = dataclasses.field(default_factory=list)


class Transfer:
    """Brings the records of a space's schemas from the store `here` into the connector `new`, whose store is `there`.

    Attributes:
        where: the points that are brought over.
        rejected: why a record could not be, by the id of its point.
    """

    def __init__(
        self,
        here: Store,
        there: Store,
        new: Connector[Any],
        on_progress: Callable[[Report, float | None], object] | None = None,
    ) -> None:
        self.rejected: dict[str, Rejection] = {}
        self.where = Where(tuple(schema.__name__ for schema in new.space.schemas))
        self._here = here
        self._there = there
        self._new = new
        self._on_progress = on_progress
        self._done = Report()
        self._refused: list[Rejection] = []  # rows of a source
        self._left: dict[str, Rejection] = {}  # stored records, the last time they were carried over

    @property
    def report(self) -> Report:
        """What has happened so far; it balances."""
        report = dataclasses.replace(self._done, codes=collections.Counter(), rejections=[])
        for rejection in self.left:
            report.reject(rejection)
        report.read = report.new + report.changed + report.unchanged + report.rejected
        return report

    @property
    def left(self) -> list[Rejection]:
        """What could not be brought over, in the order it was met."""
        return [*self._refused, *self._left.values()]

    # --- in -------------------------------------------------------------------------------------------------------

    def take(self, rows: Source, base: Path | str | None) -> None:
        """Ingest the rows of a source."""
        self._add(
            self._new.ingest(rows, base=base, on_rejection=self._reject_row, on_progress=self._on_progress)
        )

    def carry(self, *, again: bool = False) -> None:
        """Ingest the old collection's own records, as far as the new one lacks them, and delete what the old one lacks.

        Pictures are fetched again from where they were ingested from. `again`: what has stayed as it was since the
        first time is not counted a second time.
        """
        total, seen = self._here.count(self.where), 0
        unchanged = self._done.unchanged
        self._left = {}
        waiting: dict[str | None, list[Point]] = collections.defaultdict(list)
        gone: list[str] = []
        for ours, theirs in self._pairs(keys=(PICTURE, DESCRIPTION, PAYLOAD)):
            if ours is None:
                gone += [theirs.id] if theirs is not None else []
                continue
            seen += 1
            if theirs is not None and digests(theirs) == self._digests(ours):
                self._done.unchanged += 1
            elif self._is_out_of_reach(ours):
                self._reject_unreachable(ours, seen - 1)
            else:
                base = ours.payload.get(BASE)
                batch = waiting[base if isinstance(base, str) else None]
                batch.append(ours)
                if len(batch) >= TOGETHER:
                    self._ingest(waiting.pop(base if isinstance(base, str) else None), seen / total)
        for batch in waiting.values():
            self._ingest(batch, 1.0)
        if gone:
            self._there.delete(gone)
        if again:
            self._done.unchanged = unchanged
        self.rejected |= self._left

    def _ingest(self, points: list[Point], fraction: float) -> None:
        base = points[0].payload.get(BASE)

        def reject(rejection: Rejection) -> None:
            self._left[points[rejection.row].id] = rejection

        records = [self._record(point) for point in points]
        self._add(
            self._new.ingest(records, base=base if isinstance(base, str) else None, on_rejection=reject)
        )
        if self._on_progress is not None:
            self._on_progress(self.report, min(1.0, fraction))

    def _add(self, report: Report) -> None:
        for name in ("new", "changed", "unchanged", *_WORK):
            setattr(self._done, name, getattr(self._done, name) + getattr(report, name))

    def _record(self, point: Point) -> Schema:
        name = schema_name(point)
        return to_record(point, next(each for each in self._new.space.schemas if each.__name__ == name))

    def _digests(self, point: Point) -> Digests:
        """What an old record comes to in the new collection, whose schema may have other fields and defaults by now."""
        record = self._record(point)
        definition = definition_of(type(record))
        entry = self._new.space.entry(type(record))
        references = {
            name: value for name in definition.blobs if isinstance(value := getattr(record, name), str)
        }
        words = None if entry.description is None else getattr(record, entry.description.name)
        return Digests(
            digests(point).picture,
            digest_text(words) if words else None,
            digest_payload(stored_values(record, references)),
        )

    # --- rejected -------------------------------------------------------------------------------------------------

    def _is_out_of_reach(self, point: Point) -> bool:
        """Whether the record had a picture, and where it can be found again is not known."""
        hidden = point.payload.get(PRESENT)
        return (
            isinstance(hidden, list) and self._new.space.entry(type(self._record(point))).blob.name in hidden
        )

    def _reject_unreachable(self, point: Point, row: int) -> None:
        record = self._record(point)
        entry = self._new.space.entry(type(record))
        key = getattr(record, definition_of(type(record)).id.name)
        self._left[point.id] = Rejection(
            row,
            key if isinstance(key, (str, int)) else str(key),
            entry.blob.name,
            BlobNotFound.code,
            f"{entry.schema.__name__} {key}: {entry.blob.name} came as content and not as a place, so it cannot be fetched "
            "again. Name the source of the rows.",
        )

    def _reject_row(self, rejection: Rejection) -> None:
        """A source's row is not a stored point; it is the point, or points, that its id belongs to."""
        self._refused.append(rejection)
        keys: list[object] = [rejection.id]
        if isinstance(rejection.id, str):
            with contextlib.suppress(ValueError):
                keys.append(uuid.UUID(rejection.id))
        for name in self.where.schemas:
            for key in keys:
                if key is not None:
                    self.rejected[point_id(name, key)] = rejection

    # --- out ------------------------------------------------------------------------------------------------------

    def difference(self) -> Difference:
        """Compare the two collections, id by id."""
        found = Difference()
        for ours, theirs in self._pairs(keys=()):
            found.before += ours is not None
            found.after += theirs is not None
            if ours is not None and theirs is None:
                found.missing.append(ours.id)
            if theirs is not None and ours is None:
                found.extra.append(theirs.id)
        return found

    def overlap(self, sample: int, top: int) -> tuple[int, float | None]:
        """Search both collections with some of the records they have in common.

        Returns:
            with how many, and the mean share of the `top` nearest records that is the same in both; None if no share is.
        """
        shares = []
        # Ids are digests, so the first of them are as good a sample as any.
        for theirs in itertools.islice(self._there.scan(self.where, vectors=True), sample):
            ours = self._here.get([theirs.id], vectors=True).get(theirs.id)
            if ours is not None and FUSED in ours.vectors and FUSED in theirs.vectors:
                first, second = self._nearest(self._here, ours, top), self._nearest(self._there, theirs, top)
                shares += [len(first & second) / max(len(first), len(second))] if first or second else []
        return len(shares), sum(shares) / len(shares) if shares else None

    def _nearest(self, store: Store, point: Point, top: int) -> set[str]:
        found = store.query(point.vectors[FUSED], using=FUSED, where=self.where, limit=top + 1)
        return set([hit.point.id for hit in found if hit.point.id != point.id][:top])

    def _pairs(self, keys: Sequence[str]) -> Iterator[tuple[Point | None, Point | None]]:
        """The points of both collections in the order of their ids: of both, or of one alone.

        Points may be written to the new collection meanwhile: they are behind the place this has got to.
        """
        old = iter(self._here.scan(self.where, keys=None if keys else ()))
        new = iter(self._there.scan(self.where, keys=keys))
        ours, theirs = next(old, None), next(new, None)
        while ours is not None or theirs is not None:
            if theirs is None or (ours is not None and ours.id < theirs.id):
                yield ours, None
                ours = next(old, None)
            elif ours is None or theirs.id < ours.id:
                yield None, theirs
                theirs = next(new, None)
            else:
                yield ours, theirs
                ours, theirs = next(old, None), next(new, None)
