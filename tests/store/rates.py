"""How fast points go into a store and are found again: `python -m tests.store.rates [POINTS]`.

Prints upserted points a second (512 floats, batches of 256, one and three named vectors) and search times.
The REST figures include the whole cost of the test server, which shares the processor and Python's lock.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from connector.schema.fields import Field, Id
from connector.schema.schema import Schema
from connector.store.points import payload_indexes, to_point
from connector.store.store import CollectionSpec, Point, Store, Where, open_store
from tests.store.qdrant_server import running_server
from tests.store.samples import AT

LENGTH = 512
BATCH = 256


class Item(Schema):
    """A small record."""

    key: Id
    brand: Field[str]
    price: Field[float]


def some_points(count: int, names: tuple[str, ...]) -> list[Point]:
    """Points with random unit vectors."""
    values = np.random.default_rng(1).standard_normal((count, len(names), LENGTH), dtype=np.float32)
    values /= np.linalg.norm(values, axis=2, keepdims=True)
    return [
        to_point(
            Item(key=n, brand=f"b{n % 10}", price=n / 7),
            {name: values[n, place] for place, name in enumerate(names)},
            at=AT,
        )
        for n in range(count)
    ]


def measure(label: str, store: Store, count: int, names: tuple[str, ...]) -> None:
    """Fill a store, search it, print the figures."""
    points = some_points(count, names)
    store.create(CollectionSpec("bench", LENGTH, names, payload_indexes([Item]), {}))
    start = time.perf_counter()
    for at in range(0, count, BATCH):
        assert not any(store.upsert(points[at : at + BATCH]))
    rate = count / (time.perf_counter() - start)
    start = time.perf_counter()
    store.flush()
    flushed = time.perf_counter() - start
    plain, filtered = searches(store, None), searches(store, Where(("Item",), Item.brand == "b3"))
    print(
        f"{label:<24}{len(names)} vector(s)  {count:>6} points  {rate:>8,.0f} points/s  flush {flushed:5.2f} s  "
        f"search p50 {plain:6.2f} ms, filtered {filtered:6.2f} ms"
    )


def searches(store: Store, where: Where | None) -> float:
    """The median of 50 searches for ten hits, in milliseconds."""
    queries = np.random.default_rng(2).standard_normal((50, LENGTH), dtype=np.float32)
    times = []
    for query in queries:
        start = time.perf_counter()
        store.query(query, using="fused", where=where, limit=10)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def main() -> None:
    """Run all measurements."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for names in (("fused",), ("fused", "image", "text")):
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(folder), "bench")
            measure("folder", store, count, names)
            store.close()
        with running_server() as server:
            store = open_store(server.url, "bench")
            measure("REST, test server", store, min(count, 2_000), names)
            store.close()


if __name__ == "__main__":
    main()
