"""Files → searchable points with descriptions: against the loop a user writes, and against the bare model call.

All sides run in this process on the same pictures and weights, in turn (A B C A B C …); a ratio is the median of the
rounds. The loop keeps its points in `:memory:`, the fastest store it could have; ours go to a folder on disk, which each
round makes and closes. The bare call is `SentenceTransformer.encode` on pictures that are decoded already: no files, no
words, no store.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from tests.benchmarks.material import draw_photos, random_vit_b32
from tests.benchmarks.measure import Effort, Likeness, Row, Rows, Side, absent, compared, in_turn, likeness
from tests.benchmarks.ours import Ingests, Photo, stored
from tests.benchmarks.rivals import Vectors, encode, naive_loop

__all__ = ["Photo", "ingest"]  # the schema is imported from here, too

PRECISIONS = ("auto", "float32", "int8")
COSINES = {"auto": 0.9995, "float32": 0.99999, "int8": 0.99}


@dataclasses.dataclass(frozen=True)
class Size:
    """Pictures of one size, how many of them, and what our ratios to the user's loop are held against."""

    name: str
    pixels: tuple[int, int]
    count: int
    quick: int
    bars: dict[str, float]


SIZES = (
    Size("640×480", (640, 480), 384, 32, {"auto": 4, "float32": 2.1, "int8": 6}),
    Size("1280×960", (1280, 960), 192, 16, {}),
    Size("12-megapixel", (4000, 3000), 96, 8, {"auto": 5, "float32": 2.1}),
)
BARE_BAR = 3.0


def ingest(work: Path, effort: Effort) -> Rows:
    """End to end at three sizes of picture, by precision."""
    from sentence_transformers import SentenceTransformer

    folder = random_vit_b32(work / "vit-b-32")
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    rows: Rows = []
    for size in SIZES:
        paths = draw_photos(work / size.name, effort.of(size.count, size.quick), size.pixels)
        rows += _rows(size, model, folder, paths, effort)
    return rows


def _rows(size: Size, model: Any, folder: Path, paths: list[Path], effort: Effort) -> Rows:
    ours = Ingests(folder, paths, paths[0].parent, PRECISIONS)
    naive_loop(model, paths[:8])
    loop: Side[Vectors] = Side(functools.partial(naive_loop, model, paths))
    sides: dict[str, Side[Any]] = {"loop": loop, **ours.distinct()}
    with_bare = size is SIZES[0]
    if with_bare:
        sides["bare"] = Side(functools.partial(encode, model, _decoded(paths)))
    in_turn(sides, effort.of(5, 2))
    count, rows = len(paths), list[Row]()
    for precision in PRECISIONS:
        what = f"ingest of {size.name} files, {precision}"
        if precision in ours.refused:
            rows.append(absent(what, ours.refused[precision]))
            continue
        side, note = ours.sides[precision], f"ran in {ours.took[precision]}"
        made = stored(ours.spaces[precision], side.result, paths)
        alike = worst(made, loop.result)
        bars: dict[str, Any] = {
            "bar": size.bars.get(precision),
            "cosine_bar": COSINES[precision],
            "note": note,
        }
        against = "the user's loop"
        rows.append(compared(what, side, loop, count, against, alike=alike, **bars))
        if with_bare:
            what = f"ingest of {size.name} files against the model call alone, {precision}"
            alike = likeness(made["image"], sides["bare"].result)
            bars |= {"bar": BARE_BAR if precision == "auto" else None}
            against = "encode of decoded pictures, no words, no store"
            rows.append(compared(what, side, sides["bare"], count, against, alike=alike, **bars))
    return rows


def worst(ours: Vectors, theirs: Vectors) -> Likeness:
    """Of all three vectors of a point, each figure the worst."""
    fused = likeness(ours["fused"], theirs["fused"])
    return fused & likeness(ours["image"], theirs["image"]) & likeness(ours["text"], theirs["text"])


def _decoded(paths: list[Path]) -> list[Any]:
    from PIL import Image

    return [Image.open(path).convert("RGB") for path in paths]
