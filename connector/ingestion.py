"""One run of `Connector.ingest`: the stages a row passes through, each an iterator over the one before.

An item on the line is a `Draft` (a record on its way, or what it was rejected for), or the `Rejection` of a row that
never became one. Order is kept throughout, and only the last
stage, `settle`, writes and counts, so the report balances whenever a run ends, also by Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from connector.embedding import Embedder, Unembeddable
from connector.errors import BlobError, BlobUnavailable, ConnectorError, OperationalError, RecordError
from connector.pipeline import in_order
from connector.report import Rejection, Report
from connector.schema.schema import Schema, definition_of, parse, unknown_columns
from connector.space import SpaceEntry
from connector.store.points import (
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
    from connector.blobs.picture import Picture
    from connector.rows import Row
    from connector.store.store import Point, Store

log = logging.getLogger("connector")

COMPARED_AT_ONCE = 256  # ids in one question to the store
SETTLED_AT_ONCE = (
    1024  # items that may wait for a batch of pictures to fill up, so that unchanged rows flow past
)
PICTURE_BYTES_AHEAD = 256 * 2**20  # decoded pictures that may wait for the model
BATCHES_AHEAD = 2  # embedded batches that may wait for the store
LOADING_THREADS = max(4, os.cpu_count() or 4)  # more than the cores: some of them wait for disks and servers

T = TypeVar("T")


@dataclasses.dataclass(eq=False)
class Draft:
    """One record on its way from a row to a point."""

    row: int
    entry: SpaceEntry
    key: str | int
    point_id: str
    record: Schema | None  # dropped when the draft has arrived, and with it any picture that came as bytes
    source: Any  # the blob's value
    description: str | None
    references: dict[str, str | None] = dataclasses.field(
        default_factory=dict
    )  # where its picture can be found again
    before: Digests | None = None  # what the collection holds of it
    earlier: Draft | None = None  # an earlier row of the same id that is still on its way
    now: Digests | None = None  # what it is of
    picture: Picture | None = None
    point: Point | None = None
    rejection: Rejection | None = None

    def reject(self, field: str | None, error: ConnectorError) -> Draft:
        """End its way here, for this reason."""
        named = f"{self.entry.schema.__name__} {self.key}:" + (f" {field}" if field else "")
        self.rejection = Rejection(self.row, _plain(self.key), field, error.code, f"{named} {error}")
        self.record = self.source = self.picture = self.point = None
        return self

    def held_before(self) -> Digests | None:
        """What the collection holds of this record before this draft is stored, earlier rows of this run included."""
        if self.earlier is not None:
            self.before, self.earlier = self.earlier.held_before(), None
        return self.before

    @property
    def wanted(self) -> bool:
        """Whether it must be embedded. An earlier row still on its way makes that unknown, so it is."""
        return self.rejection is None and (self.earlier is not None or not self.unchanged)

    @property
    def unchanged(self) -> bool:
        """Whether the collection already holds exactly this."""
        return self.now is not None and self.now == self.before


Item: TypeAlias = Draft | Rejection


class Ingestion:
    """The stages of one run over one store, and its report."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        fetcher: BlobFetcher,
        base: Path,
        clock: Callable[[], datetime],
    ) -> None:
        self.report = Report()
        self.broken: OperationalError | None = None
        self._store = store
        self._embedder = embedder
        self._fetcher = fetcher
        self._base = str(base.absolute())
        self._clock = clock
        self._in_flight: dict[str, Draft] = {}
        self._warned: set[str] = set()

    # 1 · schema

    def parse(self, rows: Iterable[Row], entry_for: Callable[[Row], SpaceEntry]) -> Iterator[Item]:
        """Rows to drafts; a row that does not fit becomes a rejection.

        A source that breaks off ends the line here, and `broken` says why: what was read before is still stored.
        """
        numbered = enumerate(rows)
        while True:
            try:
                number, row = next(numbered)
            except StopIteration:
                return
            except OperationalError as error:
                self.broken = error
                return
            try:
                yield self._draft(number, row, entry_for)
            except RecordError as error:
                yield Rejection(number, _plain(error.id), error.field, error.code, str(error))

    def _draft(self, number: int, row: Row, entry_for: Callable[[Row], SpaceEntry]) -> Draft:
        if isinstance(row, RecordError):
            raise row
        entry = entry_for(row)
        if not isinstance(row, Schema):
            self._warn_of_unknown(entry.schema, row)
        record = parse(entry.schema, row, number)
        key = getattr(record, definition_of(entry.schema).id.name)
        source = getattr(record, entry.blob.name)
        description = None if entry.description is None else getattr(record, entry.description.name)
        if source is None and not description:
            raise RecordError(
                f"{entry.schema.__name__} {key}: there is neither a picture nor a description, so nothing to embed. "
                f"Fill {' or '.join(_parts(entry))}.",
                id=key,
            )
        return Draft(number, entry, key, point_id(entry.schema.__name__, key), record, source, description)

    def _warn_of_unknown(self, schema: type[Schema], row: Mapping[str, object]) -> None:
        for column in unknown_columns(schema, row):
            if column not in self._warned and len(self._warned) < 20:
                self._warned.add(column)
                log.warning("Column %r is no field of %s and is left out.", column, schema.__name__)

    # 2 · what the collection holds already

    def compare(self, items: Iterable[Item]) -> Iterator[Item]:
        """Give each draft the fingerprint of the point that is stored for it, many ids in one question."""
        for batch in _batched(items, COMPARED_AT_ONCE):
            drafts = [item for item in batch if isinstance(item, Draft)]
            # Entered before the question is asked: a version that arrives in between is either seen here or there.
            for draft in drafts:
                draft.earlier = self._in_flight.get(draft.point_id)
                self._in_flight[draft.point_id] = draft
            stored = self._store.get([draft.point_id for draft in drafts])
            for draft in drafts:
                if draft.point_id in stored:
                    draft.before = digests(stored[draft.point_id])
            yield from batch

    # 3 · blobs

    def load(self, items: Iterable[Item]) -> Iterator[Item]:
        """Fetch, compare and decode pictures in threads; what is unchanged is not decoded."""
        pool = ThreadPoolExecutor(LOADING_THREADS, thread_name_prefix="connector-blobs")
        try:
            yield from in_order(self._load_one, items, pool, in_flight=2 * LOADING_THREADS)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _load_one(self, item: Item) -> Item:
        if isinstance(item, Rejection) or item.record is None:
            return item
        fetched: Fetched | None = None
        blob = item.entry.blob.name
        try:
            if item.source is not None:
                fetched = self._fetcher.fetch(item.source)
                item.references = {blob: fetched.reference}
                item.source = None
            item.now = Digests(
                picture=None if fetched is None else fetched.digest,
                text=digest_text(item.description) if item.description else None,
                payload=digest_payload(stored_values(item.record, item.references)),
            )
            if fetched is not None and item.wanted:
                from connector.blobs.picture import decode

                item.picture = decode(fetched, self._fetcher.policy, self._embedder.frame)
        except (BlobError, BlobUnavailable) as error:
            return item.reject(blob, error)
        return item

    # 4 · engine

    def embed(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        """Drafts that differ get their point, a batch at a time; the rest flows along in its place."""
        for batch in _cut(items, self._embedder.batch_size):
            self._add_points([item for item in batch if isinstance(item, Draft) and item.wanted])
            yield batch

    def _add_points(self, drafts: Sequence[Draft]) -> None:
        if not drafts:
            return
        made = self._embedder.embed([(draft.picture, draft.description) for draft in drafts])
        at = self._clock()
        for draft, vectors in zip(drafts, made, strict=True):
            draft.picture = None
            if isinstance(vectors, Unembeddable):
                fields = {"image": draft.entry.blob, "text": draft.entry.description}
                field = None if vectors.part is None else fields[vectors.part]
                draft.reject(None if field is None else field.name, vectors.error)
            elif draft.record is not None and draft.now is not None:
                draft.point = to_point(
                    draft.record,
                    vectors,
                    references=draft.references,
                    picture=draft.now.picture,
                    text=draft.now.text,
                    base=self._base,
                    at=at,
                )
                draft.record = None

    # 5, 6 · store

    def settle(self, batch: Sequence[Item]) -> Iterator[Item]:
        """Store a batch, count what became of each item, and hand the items on as they ended."""
        waiting: dict[str, Draft] = {}
        for item in batch:
            if isinstance(item, Rejection) or item.rejection is not None:
                yield self._count(item)
                continue
            if (
                item.point_id in waiting
            ):  # two versions of one record: the first must be there before the second
                yield from self._store_points(waiting)
            item.held_before()
            if item.unchanged:
                yield self._count(item)
            else:
                waiting[item.point_id] = item
        yield from self._store_points(waiting)

    def _store_points(self, waiting: dict[str, Draft]) -> Iterator[Item]:
        drafts = list(waiting.values())
        waiting.clear()
        points = [draft.point for draft in drafts if draft.point is not None]
        for draft, refused in zip(drafts, self._store.upsert(points) if points else [], strict=True):
            draft.point = None
            yield self._count(draft if refused is None else draft.reject(None, refused))

    def _count(self, item: Item) -> Item:
        self.report.read += 1
        rejection = item if isinstance(item, Rejection) else item.rejection
        if rejection is not None:
            self.report.reject(rejection)
        elif isinstance(item, Draft):
            if item.unchanged:
                self.report.unchanged += 1
            elif item.before is None:
                self.report.new += 1
            else:
                self.report.changed += 1
            item.before = item.now  # what a later row of the same id is compared with
        if isinstance(item, Draft) and self._in_flight.get(item.point_id) is item:
            del self._in_flight[item.point_id]
        return item


def _parts(entry: SpaceEntry) -> list[str]:
    return [entry.blob.name] + ([entry.description.name] if entry.description is not None else [])


def _plain(key: object) -> str | int | None:
    """An id as a rejects file can hold it."""
    return key if key is None or isinstance(key, (str, int)) else str(key)


def cost(item: Item) -> int:
    """What an item on the line holds, in bytes: its decoded picture, and a little."""
    picture = item.picture if isinstance(item, Draft) else None
    return 4096 + (0 if picture is None else 3 * picture.image.width * picture.image.height)


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _cut(items: Iterable[Item], wanted: int) -> Iterator[list[Item]]:
    """Batches in which `wanted` drafts are to be embedded, or that have grown long without."""
    batch: list[Item] = []
    count = held = 0
    for item in items:
        batch.append(item)
        count += isinstance(item, Draft) and item.wanted
        held += cost(item)
        if count >= wanted or len(batch) >= SETTLED_AT_ONCE or held >= PICTURE_BYTES_AHEAD:
            yield batch
            batch, count, held = [], 0, 0
    if batch:
        yield batch
