"""How fast points go into a store and are found again.

Upserted points a second (512 floats, batches of 256, one and three named vectors) and search times.
The REST figures include the whole cost of the test server, which shares the processor and Python's lock.
"""

from __future__ import annotations

import statistics
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


def measure(label: str, store: Store, count: int, names: tuple[str, ...]) -> dict[str, object]:
    """Fill a store, search it: one row of the table."""
    points = some_points(count, names)
    store.create(CollectionSpec("bench", LENGTH, names, payload_indexes([Item]), {}))
    start = time.perf_counter()
    for at in range(0, count, BATCH):
        assert not any(store.upsert(points[at : at + BATCH]))
    rate = count / (time.perf_counter() - start)
    store.flush()
    plain, filtered = searches(store, None), searches(store, Where(("Item",), Item.brand == "b3"))
    return {
        "what": f"{label}, {count} points of {len(names)} × {LENGTH} floats",
        "ours": f"{rate:,.0f} points/s; search p50 {plain:.2f} ms, filtered {filtered:.2f} ms",
    }


def searches(store: Store, where: Where | None) -> float:
    """The median of 50 searches for ten hits, in milliseconds."""
    queries = np.random.default_rng(2).standard_normal((50, LENGTH), dtype=np.float32)
    times = []
    for query in queries:
        start = time.perf_counter()
        store.query(query, using="fused", where=where, limit=10)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def stores(work: Path) -> list[dict[str, object]]:
    """A folder and the REST test server, with one and with three vectors a point."""
    rows = []
    for names in (("fused",), ("fused", "image", "text")):
        folder = open_store(work / f"store-{len(names)}", "bench")
        rows.append(measure("folder", folder, 10_000, names))
        folder.close()
        with running_server() as server:
            remote = open_store(server.url, "bench")
            rows.append(measure("REST, test server in this process", remote, 2_000, names))
            remote.close()
    return rows
