"""A sync over a source that has not changed: rows checked a second, with the stand-in model and a folder."""

from __future__ import annotations

import json
import time
from pathlib import Path

from PIL import Image

from connector import Connector
from schemas.product import space

ROWS = 100_000


def recheck(work: Path) -> list[dict[str, object]]:
    """Fill a folder with `ROWS` products of 64 pictures, then sync the same feed again, five times."""
    from connector.space import ModelHandler

    folder = work / "recheck"
    folder.mkdir()
    for number in range(64):
        Image.new("RGB", (64, 64), (number, 2 * number, 255 - number)).save(folder / f"{number}.png")
    with (folder / "feed.jsonl").open("w", encoding="utf-8") as feed:
        for n in range(ROWS):
            row = {
                "sku": f"p{n:06}",
                "photo": f"{n % 64}.png",
                "title": f"Red striped mug {n}",
                "price": n / 7,
            }
            feed.write(json.dumps(row | {"brand": f"brand {n % 50}", "category": "kitchen"}) + "\n")
    stand_in = space.with_model(model_handler=ModelHandler.STAND_IN)
    with Connector(stand_in, folder / "store.qdrant") as shop:
        first = shop.sync(folder / "feed.jsonl")
        assert first.new == ROWS
    seconds = []
    with Connector(stand_in, folder / "store.qdrant") as shop:  # opened afresh, as a scheduled sync does
        for _ in range(5):
            start = time.perf_counter()
            again = shop.sync(folder / "feed.jsonl", delete_missing=True)
            seconds.append(time.perf_counter() - start)
            assert (again.unchanged, again.fetched, again.written) == (ROWS, 0, 0)
    return [
        {
            "what": f"{ROWS:,} unchanged rows, stand-in, folder, deletions looked for",
            "ours": f"{ROWS / min(seconds):,.0f} rows/s",
            "rival": f"{ROWS / first.seconds:,.0f} rows/s (the first time)",
            "ratio": round(first.seconds / min(seconds), 1),
        }
    ]
