"""A second run over a feed with the real model: nothing changed, a price changed, the words changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from connector import Blob, Connector, Field, Id, ImageSpace, Report, Schema, Text
from tests.benchmarks.material import describe, draw_photos, random_vit_b32
from tests.benchmarks.measure import Effort, Row, Rows, row


class Listing(Schema):
    """A described photo that has a price."""

    id: Id
    image: Blob
    description: Text
    price: Field[float]


def changes(work: Path, effort: Effort) -> Rows:
    """ViT-B/32 over 640×480 files: seconds of each kind of run by those of the first load of the same rows."""
    count, rounds = effort.of(256, 48), effort.of(3, 1)
    paths = draw_photos(work / "640×480", count, (640, 480))
    space = ImageSpace(Listing.image + Listing.description, str(random_vit_b32(work / "vit-b-32")))
    run(space, paths[:8], work / "changes" / "warm.qdrant", 0, 0)
    seconds: dict[str, list[float]] = {"first": [], "same": [], "price": [], "words": []}
    for turn in range(rounds):
        folder = work / "changes" / f"{turn}.qdrant"
        expected: dict[str, tuple[int, int, Callable[[Report], bool]]] = {
            "first": (0, 0, lambda report: report.new == count),
            "same": (0, 0, lambda report: report.unchanged == count and not report.written),
            "price": (1, 0, lambda report: report.changed == count and not report.embedded_texts),
            "words": (1, 1, lambda report: report.embedded_texts == count and not report.embedded_images),
        }
        for name, (price, words, fits) in expected.items():
            report, took = run(space, paths, folder, price, words)
            assert fits(report), (name, report)
            seconds[name].append(took)
    told = {
        "same": "unchanged rows synced again",
        "price": "rows of which only a price changed",
        "words": "rows of which only the description changed",
    }
    return [_row(f"{what}, ViT-B/32", count, seconds[name], seconds["first"]) for name, what in told.items()]


def run(
    space: ImageSpace[Listing], paths: list[Path], folder: Path, price: int, words: int
) -> tuple[Report, float]:
    """One sync of all rows in a connector of its own, at this edition of the prices and of the words; its seconds."""
    rows = [
        {
            "id": path.name,
            "image": path.name,
            "description": describe(at + 1_000_000 * words),
            "price": at + price / 2,
        }
        for at, path in enumerate(paths)
    ]
    begun = time.perf_counter()
    with Connector(space, folder) as connector:
        report = connector.sync(rows, base=paths[0].parent)
    return report, time.perf_counter() - begun


def _row(what: str, count: int, again: list[float], first: list[float]) -> Row:
    pairs = sorted(a / b for a, b in zip(first, again, strict=True))
    middle = len(pairs) // 2
    ours, rival = (
        f"{count / sorted(again)[middle]:,.0f}/s",
        f"{count / sorted(first)[middle]:,.1f}/s, the first load",
    )
    return row(what, ours, rival, pairs[middle])
