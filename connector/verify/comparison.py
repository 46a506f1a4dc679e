"""A source streamed past an inventory of what is stored: which records are missing, stale, another's, or not named."""

from __future__ import annotations

import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from connector.draft import Draft, Item, readings, rejection_of
from connector.embedding import FUSED, Embedder, Parts, Unembeddable
from connector.errors import BlobError, BlobUnavailable, OperationalError
from connector.pipeline import in_order
from connector.report import Rejection
from connector.schema.schema import Schema, definition_of
from connector.stages.load import IN_FLIGHT, LOADING_THREADS, room
from connector.store.points import Digests, point_id, schema_name, stored_values
from connector.transformation import PictureFrame
from connector.verify.audit import Finding, Kind, Tally
from connector.verify.inventory import PARTS, Inventory, Mark, digest_values, digest_words

if TYPE_CHECKING:
    from connector.blobs.fetch import BlobFetcher
    from connector.store.store import Point, Store

TOGETHER = 16  # drafts that a thread looks at in one go
NAMED_AT_ONCE = 256  # points read again to say what they are called
SAME_VECTOR = 0.99  # cosine to its own vector made again; another machine's differs by far less
READABLE = PictureFrame(224)  # how large a picture is decoded that only has to show that it can be

_T = TypeVar("_T")

Placed: TypeAlias = "tuple[Item, int]"  # an item and where its point is in the inventory, -1 where it is not


class Comparison:
    """Rows beside what is stored of them.

    Args:
        store: where the points are; None where there is no collection yet.
        inventory: what is in it, sealed.
        schemas: the schemas that are asked about.
        pictures: read the picture of every record, and not only of those that are not stored.
    """

    def __init__(
        self,
        store: Store | None,
        inventory: Inventory,
        schemas: Sequence[type[Schema]],
        embedder: Embedder,
        fetcher: BlobFetcher,
        tally: Tally,
        *,
        pictures: bool,
    ) -> None:
        self._store = store
        self._inventory = inventory
        self._schemas = {schema.__name__: schema for schema in schemas}
        self._embedder = embedder
        self._fetcher = fetcher
        self._tally = tally
        self._pictures = pictures
        self._suspects: list[tuple[Draft, int]] = []
        self._rows, self._places = array.array("Q"), array.array("q")
        self._unknown_model: str | None = None

    def read(self, chunks: Iterable[list[Item]]) -> None:
        """Compare every row; findings about records that are in the source are made here or in `conclude`."""
        self._prepare_suspects()
        with ThreadPoolExecutor(LOADING_THREADS, thread_name_prefix="connector-blobs") as pool:
            for unit in in_order(self._look, self._placed(chunks), pool, IN_FLIGHT, cost=_room):
                for item, place in unit:
                    self._judge(item, place)
        self._settle_suspects()

    def conclude(self) -> None:
        """Name what is stored and in no row, and what is stored otherwise than in any row of its id."""
        for point, marks in self._unequal():
            if (finding := self._finding(point, marks)) is not None:
                self._tally.add(finding)

    def extra(self) -> Iterator[Point]:
        """The stored points that no row has, those of no schema included."""
        return (point for point, marks in self._unequal() if not marks & Mark.SEEN)

    def _unequal(self) -> Iterator[tuple[Point, Mark]]:
        for some in in_batches(self._inventory.marked(), NAMED_AT_ONCE):
            points = {} if self._store is None else self._store.get([id for id, _ in some])
            yield from ((points[id], marks) for id, marks in some if id in points)

    def _finding(self, point: Point, marks: Mark) -> Finding | None:
        if marks & Mark.UNOWNED:
            return None  # told when it was read
        if not marks & Mark.SEEN:
            return self.about(point, Kind.EXTRA, " is stored, but not in the source")
        if marks & Mark.RIGHT:
            if not marks & Mark.TORN or marks & Mark.FAULTY:
                return None
            return self.about(point, Kind.HALF_WRITTEN, ": its digests are not of what is stored")
        differing = [told for mark, told in PARTS.items() if marks & mark]
        if not differing:  # its row was rejected, so nobody can tell
            return None
        what = f" is stored with {' and '.join(told for _, told in differing)} than in the source"
        return self.about(point, Kind.STALE, what, tuple(name for name, _ in differing))

    def about(self, point: Point, kind: Kind, what: str, parts: tuple[str, ...] = ()) -> Finding:
        """A finding about a stored point; `what` goes on where the record's name ends (" is stored …", ": it lacks …")."""
        schema = schema_name(point)
        key = (
            point.payload.get(definition_of(self._schemas[schema]).id.name)
            if schema in self._schemas
            else None
        )
        id = key if isinstance(key, (str, int)) else None
        named = f"Point {point.id}" if schema is None else f"{schema} {point.id if id is None else id}"
        removed = kind is Kind.EXTRA or schema is None
        cure = "Repair removes it." if removed else "Repair writes it again."
        return Finding(kind, schema, id, point.id, f"{named}{what}. {cure}", parts)

    def differing(self) -> tuple[set[int], list[str]]:
        """The rows whose record must be written again, and the ids of those of their points that lie about themselves."""
        rows: set[int] = set()
        places: set[int] = set()
        for row, place in zip(self._rows, self._places, strict=True):
            if place < 0:
                rows.add(row)
            elif self._inventory.has(place, Mark.DISTRUSTED):
                rows.add(row)
                places.add(place)
            elif not self._inventory.has(place, Mark.RIGHT):  # another row of this id may be the stored one
                rows.add(row)
        return rows, [self._inventory.id(place) for place in sorted(places)]

    # --- row by row -------------------------------------------------------------------------------------------

    def _placed(self, chunks: Iterable[list[Item]]) -> Iterator[list[Placed]]:
        for chunk in chunks:
            places = iter(
                self._inventory.places([item.point_id for item in chunk if isinstance(item, Draft)])
            )
            placed = [(item, next(places) if isinstance(item, Draft) else -1) for item in chunk]
            yield from in_batches(placed, TOGETHER)

    def _look(self, unit: list[Placed]) -> list[Placed]:
        """Find out what each record is now; a picture that no run could take rejects its row here as there."""
        for item, place in unit:
            if isinstance(item, Draft):
                try:
                    self._look_at(item, place)
                except (BlobError, BlobUnavailable) as error:
                    item.reject(item.entry.blob.name, error)
        return unit

    def _look_at(self, draft: Draft, place: int) -> None:
        from connector.blobs.picture import decode

        draft.now = now = _digests_now(draft)
        suspect = place >= 0 and self._inventory.has(place, Mark.SUSPECT)
        if draft.source is None or not (self._pictures or suspect or place < 0):
            return
        fetched = self._fetcher.fetch(draft.source)
        draft.now = now = Digests(fetched.digest, now.text, now.payload)
        if suspect and self._unknown_model is None:
            draft.picture = self._embedder.decoded(fetched, self._fetcher.policy)
        elif place < 0 or self._inventory.differences(place, now, pictures=True) & Mark.PICTURE:
            decode(fetched, self._fetcher.policy, READABLE)

    def _judge(self, item: Item, place: int) -> None:
        self._tally.rows += 1
        if (rejection := rejection_of(item)) is not None:
            self._tally.reject(rejection)
            self._excuse(rejection, place)
        elif isinstance(item, Draft) and item.now is not None:
            if place < 0:
                named = f"{item.entry.schema.__name__} {item.key}"
                reason = f"{named} is in the source (row {item.row}), but not stored. Repair ingests it."
                self._tally.add(Finding(Kind.MISSING, item.entry.schema.__name__, item.key, None, reason))
                self._want(item, place)
                return
            different = self._inventory.differences(place, item.now, pictures=self._pictures)
            self._inventory.mark(place, Mark.SEEN | (different or Mark.RIGHT))
            if different or self._inventory.has(place, Mark.DISTRUSTED):
                self._want(item, place)
            elif self._inventory.has(place, Mark.SUSPECT):
                self._suspects.append((item, place))
                if len(self._suspects) >= self._embedder.batch_size:
                    self._settle_suspects()

    def _want(self, draft: Draft, place: int) -> None:
        self._rows.append(draft.row)
        self._places.append(place)

    def _excuse(self, rejection: Rejection, place: int) -> None:
        """The source has a rejected row's record, although not in a form that could be compared."""
        ids = (
            []
            if place >= 0
            else [point_id(name, key) for name in self._schemas for key in readings(rejection.id)]
        )
        for each in (place, *self._inventory.places(ids)):
            if each >= 0:
                self._inventory.mark(each, Mark.SEEN)

    # --- vectors that several records share -------------------------------------------------------------------

    def _prepare_suspects(self) -> None:
        """Load the model before the threads start, where it will be asked; without one every suspect is a finding."""
        if bool(np.any(self._inventory.marks & np.uint16(Mark.SUSPECT))):
            try:
                _ = self._embedder.engine
            except OperationalError as error:
                self._unknown_model = str(error)

    def _settle_suspects(self) -> None:
        """Records whose vector is another's too: is it what their own picture and words give?"""
        suspects, self._suspects = self._suspects, []
        if not suspects or self._store is None:
            return
        stored = self._store.get([draft.point_id for draft, _ in suspects], vectors=True)
        unknown = self._unknown_model is not None
        made = (
            []
            if unknown
            else self._embedder.embed([Parts(each.picture, each.description) for each, _ in suspects])
        )
        for at, (draft, place) in enumerate(suspects):
            point = stored.get(draft.point_id)
            if point is None or (not unknown and _is_its_own(made[at], point)):
                continue
            what = " has a vector 'fused' that is another record's too"
            what += f" (no model to tell whose: {self._unknown_model})" if unknown else ", and not its own"
            self._tally.add(self.about(point, Kind.DUPLICATE_VECTOR, what))
            self._inventory.mark(place, Mark.FAULTY)
            self._want(draft, place)


def _is_its_own(made: object, point: Point) -> bool:
    if isinstance(made, Unembeddable) or not isinstance(made, dict):
        return True  # the model refuses it now, so nothing can be said
    return float(made[FUSED] @ point.vectors[FUSED]) >= SAME_VECTOR


def _room(unit: list[Placed]) -> int:
    return room(item for item, _ in unit)


def _digests_now(draft: Draft) -> Digests:
    """What a record is made of, its picture apart; of its values without its words."""
    assert draft.record is not None  # not rejected yet
    draft.refer()
    words = None if draft.entry.description is None else draft.entry.description.name
    values = stored_values(draft.record, draft.references)
    return Digests(None, digest_words(draft.description), digest_values(values, words))


def in_batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """`items` in lists of at most `size`."""
    batch: list[_T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
