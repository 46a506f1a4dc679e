"""How fast points go into a store and are found again: against what a user writes, and against the engine itself.

Ours goes all the way: records and arrays to points, checked, sent, acknowledged. Servers are in another process and
answer at once, so that what is measured is this side.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import qdrant_edge as engine
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from connector.schema.fields import Field, Id
from connector.schema.schema import Schema
from connector.store.edge import EdgeStore
from connector.store.opening import open_store
from connector.store.points import payload_indexes, to_point
from connector.store.shard import make_shard
from connector.store.store import CollectionSpec, Point, Store, Where
from tests.benchmarks.answering import answering
from tests.benchmarks.measure import Effort, Row, Rows, Side, compared, in_turn, row
from tests.store.samples import AT

LENGTH = 512
BATCH = 512
ROUNDS = 5
FEW = 1_000  # what goes into a rival that takes some hundred points a second
LOADS = {1: ("fused",), 3: ("fused", "image", "text")}
FASTEST_FOLDER, FASTEST_REST = 20_000, 10_000  # points a second that are wanted

Vectors = dict[str, NDArray[np.float32]]


class Item(Schema):
    """A small record."""

    key: Id
    brand: Field[str]
    price: Field[float]


def stores(work: Path, effort: Effort | None = None) -> Rows:
    """Upserts into a folder, over REST and over gRPC, with one and with three vectors a point; searches in a folder."""
    effort = effort or Effort()
    rows: Rows = []
    for names in LOADS.values():
        material = some(effort.of(10_000, 2_000), names)
        rows += folder_rows(work, material, names)
        rows += server_rows(material, names)
    return rows + search_rows(work, effort.of(100_000, 5_000))


# --- material -------------------------------------------------------------------------------------------------


def some(count: int, names: Sequence[str]) -> list[tuple[Item, Vectors]]:
    """Records with unit vectors: 2,000 clusters in 48 dimensions and noise, as pictures' vectors lie."""
    random = np.random.default_rng(1)
    centres = random.standard_normal((2_000, 48), dtype=np.float32)
    spread = random.standard_normal((48, LENGTH), dtype=np.float32)
    made = np.empty((count, len(names), LENGTH), np.float32)
    for place in range(len(names)):
        near = centres[random.integers(0, 2_000, count)]
        near = near + 0.6 * random.standard_normal((count, 48), dtype=np.float32)
        values = near @ spread + 0.5 * random.standard_normal((count, LENGTH), dtype=np.float32)
        made[:, place] = values / np.linalg.norm(values, axis=1, keepdims=True)
    return [
        (
            Item(key=n, brand=f"b{n % 10}", price=n / 7),
            {name: made[n, at] for at, name in enumerate(names)},
        )
        for n in range(count)
    ]


def points_of(material: Sequence[tuple[Item, Vectors]]) -> list[Point]:
    """The points that a run would write."""
    return [to_point(record, vectors, version=1, at=AT) for record, vectors in material]


def collection(names: tuple[str, ...]) -> CollectionSpec:
    """What all sides fill: payload indexes first, and the vectors of these names."""
    return CollectionSpec("bench", LENGTH, names, payload_indexes([Item]), {})


def ours(store: Store, material: Sequence[tuple[Item, Vectors]]) -> None:
    """Records and arrays to acknowledged points."""
    for start in range(0, len(material), BATCH):
        assert not any(store.upsert(points_of(material[start : start + BATCH])))


def theirs(client: QdrantClient, material: Sequence[tuple[Item, Vectors]]) -> None:
    """What a user writes: the same points as the client's models, their vectors as lists."""
    for start in range(0, len(material), BATCH):
        structs = [
            models.PointStruct(
                id=point.id,
                vector={name: vector.tolist() for name, vector in point.vectors.items()},
                payload=dict(point.payload),
            )
            for point in points_of(material[start : start + BATCH])
        ]
        client.upsert("bench", structs, wait=True)


def bare(shard: engine.EdgeShard, material: Sequence[tuple[Item, Vectors]]) -> None:
    """The engine alone, and no check of anything."""
    for start in range(0, len(material), BATCH):
        points = [
            engine.Point(
                point.id,
                cast("Any", {name: vector.tolist() for name, vector in point.vectors.items()}),
                dict(point.payload),
            )
            for point in points_of(material[start : start + BATCH])
        ]
        shard.update(engine.UpdateOperation.upsert_points(points))


# --- loads ----------------------------------------------------------------------------------------------------


def folder_rows(work: Path, material: list[tuple[Item, Vectors]], names: tuple[str, ...]) -> Rows:
    """Into a folder, with payload indexes and the guards of a run's number; opening and closing are not counted."""
    sides: dict[str, Side[None]] = {name: Side(lambda: None) for name in ("ours", "engine", "client")}
    for turn in range(ROUNDS):
        place = work / f"load-{len(names)}-{turn}"
        with contextlib.closing(open_store(place / "ours", "bench")) as store:
            store.create(collection(names))
            _timed(sides["ours"], functools.partial(ours, store, material))
        make_shard(place / "engine", collection(names))
        shard = engine.EdgeShard.load(str(place / "engine"))
        _timed(sides["engine"], functools.partial(bare, shard, material))
        shard.close()
        if turn == 0:  # it takes a quarter of a minute
            with contextlib.closing(QdrantClient(path=str(place / "client"))) as client:
                _create(client, names)
                _timed(sides["client"], functools.partial(theirs, client, material[:FEW]))
        shutil.rmtree(place)
    rate, slow = (
        len(material) / sides["ours"].median,
        min(FEW, len(material)) / sides["client"].median,
    )
    what = f"records to points in a folder, {len(names)} × {LENGTH} floats"
    note = f"{FASTEST_FOLDER:,}/s are wanted" if len(names) == 1 else None
    return [
        row(
            what,
            f"{rate:,.0f}/s",
            f"{slow:,.0f}/s, qdrant_client's own folder",
            rate / slow,
            bar=1,
            note=note,
        ),
        compared(what, sides["ours"], sides["engine"], len(material), "the bare engine, nothing checked"),
    ]


def _timed(side: Side[None], load: Callable[[], None]) -> None:
    """Run one side once, and note what it took."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    load()
    side.seconds.append(time.perf_counter() - wall)
    side.cpu.append(time.process_time() - cpu)


def server_rows(material: list[tuple[Item, Vectors]], names: tuple[str, ...]) -> Rows:
    """To a server, over REST and over gRPC, against the client's own upsert of the same points."""
    rows: Rows = []
    for prefer_grpc, told in ((False, "REST"), (True, "gRPC")):
        with answering() as (url, grpc_port):
            store = open_store(url, "bench", prefer_grpc=prefer_grpc, grpc_port=grpc_port)
            client = QdrantClient(
                url=url, check_compatibility=False, prefer_grpc=prefer_grpc, grpc_port=grpc_port
            )
            store.create(collection(names))
            sides = {
                "ours": Side(functools.partial(ours, store, material)),
                "client": Side(functools.partial(theirs, client, material)),
            }
            in_turn(sides, ROUNDS)
            store.close()
            client.close()
        what = f"records to points over {told}, {len(names)} × {LENGTH} floats"
        wanted = {"note": f"{FASTEST_REST:,}/s are wanted"} if len(names) == 1 and not prefer_grpc else {}
        rows.append(
            compared(
                what, sides["ours"], sides["client"], len(material), "qdrant_client's upsert", bar=1, **wanted
            )
        )
    return rows


def _create(client: QdrantClient, names: tuple[str, ...]) -> None:
    params = models.VectorParams(size=LENGTH, distance=models.Distance.COSINE)
    client.create_collection("bench", vectors_config=dict.fromkeys(names, params))


# --- searches -------------------------------------------------------------------------------------------------


def search_rows(work: Path, count: int) -> Rows:
    """Searches for ten of many points in a folder with its graph, against the engine's own, by turns."""
    material = some(count, ("fused",))
    with contextlib.closing(open_store(work / "found", "bench")) as store:
        assert isinstance(store, EdgeStore)
        store.create(collection(("fused",)))
        ours(store, material)
        begun = time.perf_counter()
        store.optimize()
        rows = [row(f"graph of {count:,} points built", f"{time.perf_counter() - begun:.1f} s")]
        shard, _ = store._place.open()
        queries = [vectors["fused"] for _, vectors in some(200, ("fused",))]
        filter_ = engine.Filter(must=[engine.FieldCondition("brand", match=engine.MatchValue("b3"))])
        for told, where, theirs in (
            ("", None, None),
            (", one in ten fulfils a condition", Where((), Item.brand == "b3"), filter_),
        ):
            searched = functools.partial(store.query, using="fused", where=where)
            asked = functools.partial(_engine_search, shard, filter_=theirs)
            rows.append(_latency(f"search, {count:,} points{told}", queries, searched, asked))
    return rows


def _engine_search(
    shard: engine.EdgeShard, query: NDArray[np.float32], filter_: engine.Filter | None
) -> object:
    nearest = engine.Query.Nearest(query.tolist(), using="fused")
    request = engine.QueryRequest(query=nearest, filter=filter_, limit=10, with_payload=True)
    return [(hit.id, hit.score, hit.payload) for hit in shard.query(request)]


def _latency(
    what: str,
    queries: Sequence[NDArray[np.float32]],
    ours: Callable[[NDArray[np.float32]], object],
    theirs: Callable[[NDArray[np.float32]], object],
) -> Row:
    """The row of two ways to search, by turns; never the same query one after the other: the second would find all warm."""
    seconds: tuple[list[float], list[float]] = ([], [])
    away = len(queries) // 2
    for turn in range(-away, len(queries)):  # the first turns warm up
        for side, search, query in (
            (0, ours, queries[turn % len(queries)]),
            (1, theirs, queries[(turn + away) % len(queries)]),
        ):
            begun = time.perf_counter()
            search(query)
            if turn >= 0:
                seconds[side].append(time.perf_counter() - begun)
    (median, slow), (their_median, their_slow) = (
        (1000 * statistics.median(side), 1000 * float(np.quantile(side, 0.99))) for side in seconds
    )
    return row(
        what,
        f"p50 {median:.2f} ms, p99 {slow:.2f} ms",
        f"p50 {their_median:.2f} ms, p99 {their_slow:.2f} ms, the engine's own search",
        median / their_median,
        at_most=True,
        bar=1.15,
    )
