"""A small shop in two states, what a collection must hold of each, and how a collection may differ from that."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from connector import Connector, EmbeddingEngineConfig, ImageSpace, ModelHandler
from connector.store.opening import open_store
from connector.store.store import FloatVector, Store
from schemas.product import Product

TARGET = "tests.faults.corpus:STEPWISE"
COLLECTION = "product"
SPACE: ImageSpace[Product] = ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN)
# In small batches, so that a run writes often and a random moment is likely to be between two of them.
STEPWISE: ImageSpace[Product] = ImageSpace(
    Product.photo + Product.title,
    model_handler=ModelHandler.STAND_IN,
    embedding_engine_config=EmbeddingEngineConfig(image_batch_size=4),
)
_OF_THE_RUN = {
    "_at",
    "_version",
    "_stamp",
    "_base",
}  # may differ between runs although the record is the same

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """What a collection holds of one record: stored values and digests as JSON, and its vectors."""

    payload: str
    vectors: Mapping[str, FloatVector]

    def __eq__(self, other: object) -> bool:
        """Whether both are of the same record in the same state; vectors may differ by what an engine rounds."""
        if not isinstance(other, Held):
            return NotImplemented
        return (
            self.payload == other.payload
            and self.vectors.keys() == other.vectors.keys()
            and all(np.allclose(self.vectors[name], other.vectors[name], atol=1e-5) for name in self.vectors)
        )

    __hash__ = None  # type: ignore[assignment]  # equal within a tolerance has no hash


Snapshot = dict[str, Held]


class Shop:
    """`size` products in a folder: a feed, and a picture for each.

    `change` takes it from its first state to its second: of every ten products one gets another picture, one
    other words, one another price, one all three, one is taken out; and a tenth as many are new.
    With `flawed`, every fifth row of the feed is followed by one that has no picture and is rejected: whoever reads
    the rejects as they come knows how far a run has come.
    """

    def __init__(self, folder: Path, size: int, *, flawed: bool = False) -> None:
        self.folder = folder
        self.size = size
        self.flaws = 0
        self._flawed = flawed
        self.rows: list[Row] = []
        self.removed: list[str] = []
        folder.mkdir(parents=True)
        self._write([self._row(number) for number in range(size)])

    @property
    def feed(self) -> Path:
        """The source to ingest or to sync."""
        return self.folder / "feed.jsonl"

    def change(self) -> None:
        """Go on to the second state."""
        rows = [self._row(number, edited=number % 10) for number in range(self.size) if number % 10 != 4]
        self.removed = [f"a{number}" for number in range(self.size) if number % 10 == 4]
        self._write(rows + [self._row(self.size + number) for number in range(self.size // 10)])

    def _row(self, number: int, edited: int | None = None) -> Row:
        repainted, renamed, repriced = edited in (0, 3), edited in (1, 3), edited in (2, 3)
        path = self.folder / f"p{number}.png"
        if repainted or not path.exists():
            # Red tells the state, so that no picture of one state is a picture of the other.
            Image.new("RGB", (24, 16), (200 if repainted else 20, number // 256, number % 256)).save(path)
        return {
            "sku": f"a{number}",
            "photo": f"p{number}.png",
            "title": f"{'big' if renamed else 'small'} mug {number}",
            "price": number + (0.5 if repriced else 0.0),
            "tags": ["new"] if repriced else ["old"],
        }

    def _write(self, rows: list[Row]) -> None:
        self.rows = rows
        self.flaws = 0
        with self.feed.open("w", encoding="utf-8") as feed:
            for number, row in enumerate(rows):
                feed.write(json.dumps(row) + "\n")
                if self._flawed and number % 5 == 4:
                    self.flaws += 1
                    feed.write(json.dumps({"sku": f"flaw-{number}", "title": "no picture"}) + "\n")


@dataclasses.dataclass(frozen=True)
class Difference:
    """How a collection differs from what it should hold, in records.

    Attributes:
        lost: not there.
        duplicate: there, and not in the source, or a second time.
        stale: there as they were before.
        half_written: neither as they were nor as they should be.
    """

    lost: int = 0
    duplicate: int = 0
    stale: int = 0
    half_written: int = 0

    def __add__(self, other: Difference) -> Difference:
        ours, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return Difference(*(one + another for one, another in zip(ours, theirs, strict=True)))


def difference(wanted: Snapshot, found: Sequence[tuple[str, Held]], before: Snapshot) -> Difference:
    """Compare what a collection holds with what it should hold, and with what it held before.

    A collection is listed as (record id, what is held of it), because an id may wrongly be there twice.
    """
    lost = len(wanted.keys() - {id for id, _ in found})
    duplicate = len(found) - len(wanted.keys() & {id for id, _ in found})
    stale = half = 0
    for id, held in found:
        if id in wanted and held != wanted[id]:
            if held == before.get(id):
                stale += 1
            else:
                half += 1
    return Difference(lost, duplicate, stale, half)


def halves(found: Sequence[tuple[str, Held]], *whole: Snapshot) -> int:
    """How many records are held as none of these states has them."""
    return sum(all(held != state.get(id) for state in whole) for id, held in found)


def same(found: Sequence[tuple[str, Held]], state: Snapshot) -> bool:
    """Whether a collection is in this state, exactly."""
    return len(found) == len(state) and dict(found) == state


def listed(store: Store) -> list[tuple[str, Held]]:
    """Everything in a collection: record ids, as its payloads say, and what is held of them."""
    return [
        (str(point.payload.get("sku")), _held(point.payload, point.vectors))
        for point in store.scan(vectors=True)
    ]


def _held(payload: Mapping[str, object], vectors: Mapping[str, FloatVector]) -> Held:
    kept = {key: value for key, value in payload.items() if key not in _OF_THE_RUN}
    return Held(json.dumps(kept, sort_keys=True), vectors)


def held_in(location: str | Path) -> list[tuple[str, Held]]:
    """`listed` of the store at this location; empty where there is no collection."""
    store = open_store(location, COLLECTION)
    try:
        return [] if store.describe() is None else listed(store)
    finally:
        store.close()


def wanted(shop: Shop, location: Path) -> Snapshot:
    """What a collection must hold of the shop as it is now: an untroubled run into a new folder, checked by the rows."""
    with Connector(SPACE, location) as connector:
        report = connector.ingest(shop.feed)
        assert (report.new, report.rejected) == (len(shop.rows), shop.flaws)
        for row in shop.rows:
            record = connector.get(row["sku"])
            assert record is not None
            assert (record.title, record.price, record.tags) == (row["title"], row["price"], row["tags"])
    found = held_in(location)
    assert sorted(id for id, _ in found) == sorted(row["sku"] for row in shop.rows)
    return dict(found)
