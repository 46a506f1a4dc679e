"""JPEG files to pictures of the model's size: ours, against the full decode and the library's own resize, on one core each.

Both sides end with pixels of 0 to 255, before they are scaled and normalised. The cosine is that of what one and the same
model makes of both, in float32.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.ingest import SIZES
from tests.benchmarks.material import draw_photos, random_vit_b32
from tests.benchmarks.measure import Effort, Rows, Side, compared, in_turn, likeness
from tests.benchmarks.ours import photo_space
from tests.benchmarks.rivals import encode


def decode(work: Path, effort: Effort) -> Rows:
    """At the sizes that are ingested, too."""
    from sentence_transformers import SentenceTransformer

    from connector.engine.engine import Engine
    from connector.engine.handlers import load_handler

    folder = random_vit_b32(work / "vit-b-32")
    model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    processor = model[0].processor.image_processor
    engine = Engine(load_handler(photo_space(folder, "float32").transformation_config.embedding_config))
    rows: Rows = []
    for size in SIZES:
        paths = draw_photos(work / size.name, effort.of(min(size.count, 64), 8), size.pixels)
        ours: Side[Any] = Side(_on_one_core(functools.partial(_ours, engine, paths)))
        theirs: Side[Any] = Side(_on_one_core(functools.partial(_theirs, processor, paths)))
        in_turn({"theirs": theirs, "ours": ours}, effort.of(5, 2))
        originals = [_opened(path) for path in paths]
        alike = likeness(encode(model, ours.result), encode(model, originals))
        what = f"{size.name} files decoded and resized"
        against = "full decode and the library's own resize"
        rows.append(compared(what, ours, theirs, len(paths), against, "/s a core", alike=alike))
    return rows


def _ours(engine: Any, paths: list[Path]) -> list[Any]:
    from connector.blobs.fetch import BlobFetcher
    from connector.blobs.picture import decode

    with BlobFetcher(base=paths[0].parent) as blobs:
        decoded = (decode(blobs.fetch(path.name), blobs.policy, engine.frame) for path in paths)
        return [engine.resize(picture.image) for picture in decoded]


def _theirs(processor: Any, paths: list[Path]) -> list[Any]:
    pixels = {"do_rescale": False, "do_normalize": False, "return_tensors": "pt"}
    return [processor(_opened(path), **pixels)["pixel_values"] for path in paths]


def _opened(path: Path) -> Any:
    from PIL import Image

    return Image.open(path).convert("RGB")


def _on_one_core(run: Callable[[], Any]) -> Callable[[], Any]:
    import torch

    def alone() -> Any:
        torch.set_num_threads(1)
        return run()

    return alone
