"""One search in a warm process: against the bare forward pass of its words, or picture, and the engine's own search."""

from __future__ import annotations

import datetime
import functools
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import qdrant_edge as engine
from PIL import Image

from connector import Connector
from connector.engine.fusion import unit
from connector.engine.handlers import TextHandler, load_handler
from connector.store.points import to_point
from tests.benchmarks.material import describe, draw_photos, random_vit_b32
from tests.benchmarks.measure import Effort, Row, Rows, row
from tests.benchmarks.ours import Photo, photo_space
from tests.benchmarks.rivals import encode

LENGTH, HITS, BAR = 512, 10, 1.15
AT_ONCE = 4096


def search(work: Path, effort: Effort) -> Rows:
    """Searches no two of which are the same, ours and the bare ones by turns, over a folder with a graph."""
    from sentence_transformers import SentenceTransformer

    count, times = effort.of(100_000, 5_000), effort.of(400, 40)
    folder = random_vit_b32(work / "vit-b-32")
    space = photo_space(folder, "auto", keep_parts=False)  # three graphs would take minutes more
    paths = draw_photos(work / "640×480", effort.of(64, 8), (640, 480))
    with Connector(space, work / "search" / "store.qdrant") as connector:
        fill(connector, paths[0], count)
        built = time.perf_counter()
        connector.optimize()
        built = time.perf_counter() - built
        handler = load_handler(space.transformation_config.embedding_config)
        assert isinstance(handler, TextHandler)
        model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        bare = functools.partial(nearest, shard_of(connector))
        words = [describe(1_000_000 + number) for number in range(times)]
        texts = by_turns(
            words,
            connector.search,
            lambda text: bare(handler.embed_texts([text])[0]),
            lambda text: bare(encode(model, [{"text": text}])[0]),
            lambda text: bare(vector_of(text)),
        )
        again = by_turns([words[-1]] * times, connector.search)
        photos = {path: _resized(path) for path in paths}
        pictures = by_turns(
            paths,
            lambda path: connector.search(image=path.read_bytes()),
            lambda path: bare(handler.embed_images([photos[path]])[0]),
        )
    where = f"{count:,} records, ViT-B/32, warm"
    forward = "the bare forward pass and the engine's own search"
    return [
        _row(f"search by words, {where}", texts[0], texts[1], forward, bar=BAR),
        _row(f"search by words, {where}", texts[0], texts[2], "sentence-transformers' encode and the same"),
        _row(f"search by words seen before, {where}", again[0], texts[3], "the engine's own search alone"),
        _row(f"search by a 640×480 file, {where}", pictures[0], pictures[1], forward, bar=BAR),
        row(f"graph of {count:,} records built", f"{built:.1f} s"),
    ]


def fill(connector: Connector[Photo], picture: Path, count: int) -> None:
    """One record by the front door, so that the collection is there; the others straight into the store."""
    rows = [{"id": "first", "image": picture.name, "description": "the first"}]
    assert connector.ingest(rows, base=picture.parent).new == 1
    random = np.random.default_rng(3)
    now = datetime.datetime.now(datetime.UTC)
    for start in range(1, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        values = random.standard_normal((size, LENGTH), dtype=np.float32)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        points = []
        for number, fused in enumerate(values, start):
            photo = Photo(id=f"r{number}", image=picture.name, description=describe(number))
            points.append(to_point(photo, {"fused": fused}, at=now))
        assert not any(connector.store.upsert(points))


def shard_of(connector: Connector[Photo]) -> engine.EdgeShard:
    """The engine's own object behind a connector's folder: one process can open it once only."""
    store = cast("Any", connector.store)
    shard: engine.EdgeShard = store._place.open()[0]
    return shard


def nearest(shard: engine.EdgeShard, vector: Any) -> object:
    """Ten hits with their payloads, asked of the engine itself."""
    query = engine.Query.Nearest(unit(vector).tolist(), using="fused")
    return shard.query(engine.QueryRequest(query=query, limit=HITS, with_payload=True))


def vector_of(text: str) -> Any:
    """A random unit vector that belongs to a text."""
    return unit(np.random.default_rng(len(text)).standard_normal(LENGTH).astype(np.float32))


def by_turns(queries: Sequence[Any], *sides: Callable[[Any], object]) -> list[list[float]]:
    """Milliseconds of each query on each side; every query begins with another side."""
    for side in sides:
        side(queries[0])  # warm; ours knows this one from now on, so it is not among what counts
    gc.collect()
    taken: list[list[float]] = [[] for _ in sides]
    for turn, query in enumerate(queries[1:]):
        for at in _from(turn, len(sides)):
            begun = time.perf_counter()
            sides[at](query)
            taken[at].append(1000 * (time.perf_counter() - begun))
    return taken


def _from(start: int, count: int) -> Iterator[int]:
    return ((start + step) % count for step in range(count))


def _row(what: str, ours: list[float], rival: list[float], against: str, **more: Any) -> Row:
    ratio = float(np.median(ours)) / float(np.median(rival))
    return row(what, told(ours), f"{told(rival)}, {against}", ratio, at_most=True, **more)


def told(milliseconds: list[float]) -> str:
    """The middle, and what one in a hundred exceeds."""
    middle, late = np.percentile(milliseconds, (50, 99))
    return f"p50 {middle:.2f}, p99 {late:.2f} ms"


def _resized(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
