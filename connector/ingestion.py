"""One run over the rows: the stages a record passes through, each an iterator over the one before.

What goes down the line is lists of items: a `Draft` (a record on its way, or what it was rejected for), or the
`Rejection` of a row that never became one. Order is kept throughout, and only the last stage, `settle`, writes and
counts, so the report balances whenever a run ends, also by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from connector.draft import Draft, Held, Item, cost, plain, readings, rejection_of
from connector.embedding import Embedder, Parts, Unembeddable, Vectors
from connector.errors import BlobError, BlobUnavailable, OperationalError, RecordError
from connector.pipeline import in_order
from connector.report import Rejection, Report
from connector.schema.schema import Schema, definition_of, parse, unknown_columns
from connector.space import SpaceEntry
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
    point_id,
    stored_values,
    to_point,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connector.blobs.fetch import BlobFetcher, Fetched
    from connector.blobs.sources import Kind
    from connector.rows import Row
    from connector.store.store import Point, Store

log = logging.getLogger("connector")

COMPARED_AT_ONCE = 512  # ids in one question to the store
CHECKED_AT_ONCE = 64  # drafts that are probably unchanged, handed to a loading thread together
SLOW_CHECK = 0.0002  # seconds a file; where a disk takes longer to tell, many threads ask it faster than one
SETTLED_AT_ONCE = (
    1024  # items that may wait for a batch of pictures to fill up, so that unchanged rows flow past
)
PATIENCE = (
    2.0  # seconds that a row may wait for others to go on with; a slow pipe's rows are stored as they come
)
PICTURE_BYTES_AHEAD = 64 * 2**20  # decoded pictures that may wait for the model, and that it sees at once
BATCHES_AHEAD = 2  # embedded batches that may wait for the store
LOADING_THREADS = max(4, os.cpu_count() or 4)  # more than the cores: some of them wait for disks and servers


@dataclasses.dataclass(frozen=True)
class Course:
    """How one run goes about it.

    Attributes:
        base: the folder relative paths start from.
        clock: what time it is.
        version: the run's number, asked for when something is first written.
        verify_bytes: read every picture, also where its source says it has not changed.
        dry_run: find out what would happen, embed and write nothing.
        unique: reject the second row of an id; otherwise rows of one id are applied in their order.
        afresh: ids of points that are written again whatever they say of themselves.
    """

    base: Path
    clock: Callable[[], datetime]
    version: Callable[[], int]
    verify_bytes: bool = False
    dry_run: bool = False
    unique: bool = False
    afresh: frozenset[str] = frozenset()


class Ingestion:
    """The stages of one run, and its report.

    Attributes:
        report: what has happened so far.
        broken: why the source broke off, where it did; what was read before is still stored.
        seen: of a run whose ids must be unique, the row of each point id.
        schemas: the schemas whose rows came.
        held: by schema, how many of the records that came are stored now; exact where ids are unique.
        unidentified: rejected rows that could have been any record.
    """

    def __init__(self, store: Store | None, embedder: Embedder, fetcher: BlobFetcher, course: Course) -> None:
        self.report = Report()
        self.broken: OperationalError | None = None
        self.seen: dict[str, int] = {}
        self.schemas: set[type[Schema]] = set()
        self.held: Counter[type[Schema]] = Counter()
        self.unidentified = 0
        self._store = store
        self._embedder = embedder
        self._fetcher = fetcher
        self.course = course
        self._base = str(course.base.absolute())
        self._in_flight: dict[str, Draft] = {}
        self._warned: set[str] = set()
        self._disk_is_fast = True

    # 1 · schema

    def parse(
        self, rows: Iterable[tuple[int, Row]], entry_for: Callable[[Row], SpaceEntry]
    ) -> Iterator[list[Item]]:
        """Numbered rows to drafts; a row that does not fit becomes a rejection.

        A source that breaks off ends the line here, and `broken` says why: what was read before is still stored.
        """
        items: list[Item] = []
        begun, held = time.monotonic(), 0
        try:
            for number, row in rows:
                items.append(item := self._item(number, row, entry_for))
                held += 0 if isinstance(item, Rejection) else item.inline
                full = len(items) >= COMPARED_AT_ONCE or held >= PICTURE_BYTES_AHEAD
                if full or time.monotonic() - begun >= PATIENCE:
                    yield items
                    items, begun, held = [], time.monotonic(), 0
        except OperationalError as error:
            self.broken = error
        if items:
            yield items

    def _item(self, number: int, row: Row, entry_for: Callable[[Row], SpaceEntry]) -> Item:
        try:
            if isinstance(row, RecordError):
                raise row
            entry = entry_for(row)
        except RecordError as error:
            return self._refused(number, error, None)
        self.schemas.add(entry.schema)
        try:
            return self._draft(number, row, entry)
        except RecordError as error:
            return self._refused(number, error, entry)

    def _refused(self, number: int, error: RecordError, entry: SpaceEntry | None) -> Rejection:
        if error.id is None or entry is None:
            self.unidentified += 1
        elif self.course.unique:  # the source has it, although not in a form that can be taken
            for key in readings(error.id):
                self.seen.setdefault(point_id(entry.schema.__name__, key), number)
        return Rejection(number, plain(error.id), error.field, error.code, str(error))

    def _draft(self, number: int, row: Mapping[str, object] | Schema, entry: SpaceEntry) -> Draft:
        if not isinstance(row, Schema):
            self._warn_of_unknown(entry.schema, row)
        record = parse(entry.schema, row, number)
        key = getattr(record, definition_of(entry.schema).id.name)
        source = getattr(record, entry.blob.name)
        description = None if entry.description is None else getattr(record, entry.description.name)
        id = point_id(entry.schema.__name__, key)
        if self.course.unique and (first := self.seen.setdefault(id, number)) != number:
            raise RecordError(
                f"{entry.schema.__name__} {key}: rows {first} and {number} have the same id; the first was taken. "
                "Remove one of them.",
                id=key,
            )
        if source is None and not description:
            raise RecordError(
                f"{entry.schema.__name__} {key}: there is neither a picture nor a description, so nothing to embed. "
                f"Fill {' or '.join(part.name for part in (entry.blob, entry.description) if part is not None)}.",
                id=key,
            )
        inline = len(source) if isinstance(source, (str, bytes)) else 0
        return Draft(number, entry, key, id, record, source, description, inline=inline)

    def _warn_of_unknown(self, schema: type[Schema], row: Mapping[str, object]) -> None:
        for column in unknown_columns(schema, row):
            if column not in self._warned and len(self._warned) < 20:
                self._warned.add(column)
                log.warning("Column %r is no field of %s and is left out.", column, schema.__name__)

    # 2 · what the collection holds already

    def compare(self, chunks: Iterable[list[Item]]) -> Iterator[list[Item]]:
        """Give each draft what is stored of it, many ids in one question; hand on what is best loaded together."""
        for chunk in chunks:
            drafts = [item for item in chunk if isinstance(item, Draft)]
            # Entered before the question is asked: a version that arrives in between is either seen here or there.
            for draft in drafts:
                draft.earlier = self._in_flight.get(draft.point_id)
                self._in_flight[draft.point_id] = draft
            self._ask(drafts)
            yield from _together(chunk)

    def _ask(self, drafts: Sequence[Draft]) -> None:
        names = {draft.entry.blob.name for draft in drafts}
        keys = [PICTURE, DESCRIPTION, PAYLOAD, STAMP, BASE, *sorted(names)]
        ids = [draft.point_id for draft in drafts if draft.point_id not in self.course.afresh]
        stored = {} if self._store is None else self._store.get(ids, keys=keys)
        kinds: list[Kind] = []
        for draft in drafts:
            assert draft.record is not None  # nothing has been dropped this early
            kinds.append(draft.refer())
            if (point := stored.get(draft.point_id)) is not None:
                draft.before = self._held(draft, point)
            draft.now = Digests(
                picture=None,
                text=digest_text(draft.description) if draft.description else None,
                payload=digest_payload(stored_values(draft.record, draft.references)),
            )
        if self._disk_is_fast:
            started = time.perf_counter()
            self._recognise(zip(drafts, kinds, strict=True))
            self._disk_is_fast = time.perf_counter() - started < SLOW_CHECK * len(drafts)

    def _recognise(self, drafts: Iterable[tuple[Draft, Kind]]) -> None:
        """See which files still are what was stored, where that can be told at once; their pictures need no loading."""
        for draft, kind in drafts:
            if (stamp := self._known_stamp(draft)) and self._fetcher.is_unmodified(draft.source, stamp, kind):
                self._is_as_held(draft)
                draft.at_rest = draft.earlier is None and draft.unchanged
                if draft.at_rest or not self._sees_picture(draft):
                    draft.source = None

    def _known_stamp(self, draft: Draft) -> str | None:
        """What the picture's source said of it when it was stored, where that source may be asked again."""
        held = draft.before
        if held is None or held.digests.picture is None or not held.same_place or self.course.verify_bytes:
            return None
        return held.stamp

    @staticmethod
    def _is_as_held(draft: Draft) -> None:
        if draft.before is not None and draft.now is not None:
            draft.now = draft.now.with_picture(draft.before.digests.picture)
            draft.stamp = draft.before.stamp

    def _held(self, draft: Draft, point: Point) -> Held:
        name = draft.entry.blob.name
        same_place = (point.payload.get(name), point.payload.get(BASE)) == (
            draft.references[name],
            self._base,
        )
        stamp = point.payload.get(STAMP)
        return Held(digests(point), stamp if isinstance(stamp, str) else None, same_place)

    # 3 · blobs

    def load(self, units: Iterable[list[Item]]) -> Iterator[list[Item]]:
        """Fetch pictures in threads, and decode those the model must see; what says it is unchanged is not fetched."""
        pool = ThreadPoolExecutor(LOADING_THREADS, thread_name_prefix="connector-blobs")
        try:
            yield from in_order(self._load, units, pool, in_flight=2 * LOADING_THREADS, done=_is_loaded)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, unit: list[Item]) -> list[Item]:
        for item in unit:
            if isinstance(item, Draft) and item.source is not None:
                with _or_rejected(item):
                    self._load_one(item)
        return unit

    def _load_one(self, draft: Draft) -> None:
        assert draft.now is not None  # set by the stage before
        fetched = self._fetcher.fetch(draft.source, unless=self._known_stamp(draft))
        if fetched is not None:
            draft.now, draft.stamp = draft.now.with_picture(fetched.digest), fetched.stamp
        else:
            self._is_as_held(draft)
        if self._sees_picture(draft):
            self._decode(draft, fetched or self._fetcher.fetch(draft.source))
        draft.source = None

    def _decode(self, draft: Draft, fetched: Fetched) -> None:
        from connector.blobs.picture import decode

        assert draft.now is not None
        draft.picture = decode(fetched, self._fetcher.policy, self._embedder.frame)
        draft.now = draft.now.with_picture(fetched.digest)

    def _sees_picture(self, draft: Draft) -> bool:
        """Whether the model must see the picture: not where its vector is stored, or nothing of it has changed."""
        if self.course.dry_run or not draft.wanted:
            return False
        return not (draft.same_picture and (draft.same_words or self._embedder.keeps_parts))

    # 4 · engine

    def embed(self, units: Iterable[list[Item]]) -> Iterator[list[Item]]:
        """Drafts that differ get their point, a batch at a time; the rest flows along in its place."""
        for batch in _cut(units, lambda: self._embedder.batch_size):
            drafts = [
                item
                for item in batch
                if isinstance(item, Draft) and not item.at_rest and (item.wanted or item.restamped)
            ]
            if drafts and not self.course.dry_run:
                self._add_points(drafts)
            yield batch

    def _add_points(self, drafts: Sequence[Draft]) -> None:
        """Vectors for drafts whose picture or words differ; values alone need none, and stored parts are taken again."""
        embedded = [draft for draft in drafts if not (draft.same_picture and draft.same_words)]
        stored = self._stored_parts(embedded)
        embedded = [draft for draft in embedded if draft.rejection is None]
        made = self._embedder.embed(
            [Parts(draft.picture, draft.description, stored.get(draft.point_id, {})) for draft in embedded]
        )
        vectors = dict(zip((draft.row for draft in embedded), made, strict=True))
        at, version = self.course.clock(), self.course.version()
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
                    base=self._base,
                    stamp=draft.stamp,
                    version=version,
                    at=at,
                )

    def _stored_parts(self, drafts: Sequence[Draft]) -> dict[str, Vectors]:
        """The stored vectors of parts that have not changed, by point id."""
        half = [draft for draft in drafts if draft.same_picture or draft.same_words]
        if not half or not self._embedder.keeps_parts or self._store is None:
            return {}
        found = self._store.get([draft.point_id for draft in half], vectors=True, keys=[])
        kept: dict[str, Vectors] = {}
        for draft in half:
            vectors = found[draft.point_id].vectors if draft.point_id in found else {}
            same = {"image": draft.same_picture, "text": draft.same_words}
            kept[draft.point_id] = {name: vector for name, vector in vectors.items() if same.get(name)}
            if draft.same_picture and draft.now and draft.now.picture and "image" not in kept[draft.point_id]:
                with _or_rejected(
                    draft
                ):  # its vector is not there although its digest is: somebody has been at it
                    self._decode(draft, self._fetcher.fetch(getattr(draft.record, draft.entry.blob.name)))
        self.report.reused_images += sum("image" in vectors for vectors in kept.values())
        self.report.reused_texts += sum("text" in vectors for vectors in kept.values())
        return kept

    # 5, 6 · store

    def settle(self, batch: Sequence[Item]) -> Iterator[Item]:
        """Store a batch, count what became of each item, and hand the items on as they ended."""
        waiting: dict[str, Draft] = {}
        for item in batch:
            if isinstance(item, Rejection) or item.at_rest or item.rejection is not None:
                yield self._count(item)
                continue
            if (
                item.point_id in waiting
            ):  # two versions of one record: the first must be there before the second
                yield from self._write(waiting)
            item.held_before()
            if item.unchanged and item.point is None:
                yield self._count(item)
            else:
                waiting[item.point_id] = item
        yield from self._write(waiting)

    def _write(self, waiting: dict[str, Draft]) -> Iterator[Item]:
        """Write what differs: whole points, or the payload alone where the vectors stay as they are."""
        drafts = list(waiting.values())
        waiting.clear()
        if self._store is not None and not self.course.dry_run:
            changed = [draft for draft in drafts if not draft.unchanged or draft.restamped]
            whole = [draft for draft in changed if draft.point is not None and draft.point.vectors]
            values = [draft for draft in changed if draft.point is not None and not draft.point.vectors]
            for group, write in ((whole, self._store.upsert), (values, self._store.overwrite)):
                points = [draft.point for draft in group if draft.point is not None]
                for draft, refused in zip(group, write(points) if points else [], strict=True):
                    draft.point = draft.record = None
                    self.report.written += refused is None
                    if refused is not None:
                        draft.reject(None, refused)
        yield from (self._count(draft) for draft in drafts)

    def _count(self, item: Item) -> Item:
        report = self.report
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
        self.held[item.entry.schema] += item.before is not None
        if self._in_flight.get(item.point_id) is item:
            del self._in_flight[item.point_id]
        return item


@contextlib.contextmanager
def _or_rejected(draft: Draft) -> Iterator[None]:
    """What is wrong with its picture ends a draft's way, and nobody else's."""
    try:
        yield
    except (BlobError, BlobUnavailable) as error:
        draft.reject(draft.entry.blob.name, error)


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


def _is_loaded(unit: Sequence[Item]) -> bool:
    return not any(isinstance(item, Draft) and item.source is not None for item in unit)


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
