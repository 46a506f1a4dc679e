"""Syncs over a large source, nothing or a price changed: rows a second, with the stand-in model and a folder."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

from PIL import Image

from connector import Connector
from connector.space import ModelHandler
from schemas.product import space
from tests.benchmarks.measure import Effort, Rows, row


def recheck(work: Path, effort: Effort) -> Rows:
    """Fill a folder with products of 64 pictures, sync the same feed again, and then feeds with other prices."""
    count, rounds = effort.of(100_000, 3_000), effort.of(5, 2)
    folder = work / "recheck"
    folder.mkdir()
    for number in range(64):
        Image.new("RGB", (64, 64), (number, 2 * number, 255 - number)).save(folder / f"{number}.png")
    feed, dearer = (
        write_feed(folder / "feed.jsonl", count, 0.0),
        write_feed(folder / "dearer.jsonl", count, 1.0),
    )
    stand_in = space.with_model(model_handler=ModelHandler.STAND_IN)
    with Connector(stand_in, folder / "store.qdrant") as shop:
        first = shop.sync(feed)
        assert first.new == count
    same, priced = list[float](), list[float]()
    with Connector(stand_in, folder / "store.qdrant") as shop:  # opened afresh, as a scheduled sync does
        for _ in range(rounds):
            start = time.perf_counter()
            again = shop.sync(feed, delete_missing=True)
            same.append(time.perf_counter() - start)
            assert (again.unchanged, again.fetched, again.written) == (count, 0, 0)
        for turn in range(min(rounds, 2)):
            start = time.perf_counter()
            changed = shop.sync((dearer, feed)[turn], delete_missing=True)
            priced.append(time.perf_counter() - start)
            assert (changed.changed, changed.fetched) == (count, 0)
    rival = f"{count / first.seconds:,.0f}/s, the first load"
    told = (("unchanged rows", same), ("rows of which only the price changed", priced))
    return [
        row(
            f"{count:,} {what}, synced with a stand-in",
            f"{count / statistics.median(seconds):,.0f}/s",
            rival,
            first.seconds / statistics.median(seconds),
            seconds={"again": seconds, "first": [first.seconds]},
        )
        for what, seconds in told
    ]


def write_feed(path: Path, count: int, dearer: float) -> Path:
    """A feed of so many products, each this much dearer."""
    with path.open("w", encoding="utf-8") as feed:
        for n in range(count):
            values = {
                "sku": f"p{n:06}",
                "photo": f"{n % 64}.png",
                "title": f"Red striped mug {n}",
                "price": n / 7 + dearer,
                "brand": f"brand {n % 50}",
                "category": "kitchen",
            }
            feed.write(json.dumps(values) + "\n")
    return path
