"""Files → searchable points of an open_clip model, against open_clip's own loop, which stores nothing."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from connector.space import ModelHandler
from tests.benchmarks.ingest import COSINES
from tests.benchmarks.material import draw_photos, random_open_clip_vit_b32
from tests.benchmarks.measure import Effort, Rows, Side, absent, compared, in_turn, likeness
from tests.benchmarks.ours import Ingests, stored
from tests.benchmarks.rivals import Vectors, open_clip_loop

PRECISIONS = ("auto", "float32")


def open_clip_rows(work: Path, effort: Effort) -> Rows:
    """At 640×480, by precision; the loop has no DataLoader and leaves all its cores to the model."""
    import open_clip

    folder = random_open_clip_vit_b32(work / "open-clip-vit-b-32")
    create: Any = open_clip.create_model_from_pretrained
    model, transform = create(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    paths = draw_photos(work / "640×480", effort.of(128, 32), (640, 480))
    ours = Ingests(folder, paths, work / "open-clip", PRECISIONS, ModelHandler.OPEN_CLIP)
    run = functools.partial(open_clip_loop, model.eval(), transform, tokenizer)
    run(paths[:8])
    loop: Side[Vectors] = Side(functools.partial(run, paths))
    in_turn({"loop": loop, **ours.distinct()}, effort.of(5, 2))
    rows: Rows = []
    for precision in PRECISIONS:
        what = f"ingest of 640×480 files, open_clip's ViT-B-32, {precision}"
        if precision in ours.refused:
            rows.append(absent(what, ours.refused[precision]))
            continue
        made = stored(ours.spaces[precision], ours.sides[precision].result, paths)
        alike = likeness(made["image"], loop.result["image"]) & likeness(made["text"], loop.result["text"])
        rows.append(
            compared(
                what,
                ours.sides[precision],
                loop,
                len(paths),
                "open_clip's loop, nothing stored",
                alike=alike,
                cosine_bar=COSINES[precision],
                note=f"ran in {ours.took[precision]}",
            )
        )
    return rows
