"""How much of what the processor can multiply at all is reached end to end, from files to stored points.

Measured by turns in one run: matrix products of ViT-B/32's own shapes (32 pictures of 50 tokens), by kind of number, and
our ingest of 640×480 files with descriptions. Counted as work are the multiplications and additions of the picture's
linear layers, its patches, its attention and its projection, and of the text tower's for the tokens each description has,
padding left out; decoding, resizing, norms, activations and the store take time and count for nothing.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.material import describe, draw_photos, random_vit_b32
from tests.benchmarks.measure import Effort, Row, Rows, Side, absent, in_turn, row
from tests.benchmarks.ours import Ingests

# Rows, columns in, columns out: the four linear layers of a layer.
SHAPES = ((1600, 768, 2304), (1600, 768, 768), (1600, 768, 3072), (1600, 3072, 768))
PRECISIONS = ("auto", "float32", "int8")
PASSES = 4
BAR = 0.55

_PASSES_GFLOP = PASSES * sum(2 * a * b * c for a, b, c in SHAPES) / 1e9

Kernels = list[Callable[[], object]]


def limit(work: Path, effort: Effort) -> Rows:
    """The rates of the products, and the share of the bf16 one that an ingest reaches, by precision."""
    folder = random_vit_b32(work / "vit-b-32")
    paths = draw_photos(work / "640×480", effort.of(128, 32), (640, 480))
    ours = Ingests(folder, paths, work / "limit", PRECISIONS)
    kinds, missing = _kinds()
    products = {name: Side(_passes(kernels)) for name, kernels in kinds.items()}
    in_turn({**products, **ours.distinct()}, effort.of(5, 2))
    rates = {name: [_PASSES_GFLOP / each for each in side.seconds] for name, side in products.items()}
    rows: Rows = [
        row(f"matrix products, {name}", f"{statistics.median(each):,.0f} GFLOP/s")
        for name, each in rates.items()
    ]
    rows += [absent(f"matrix products, {name}", why) for name, why in missing.items()]
    gflop = _flops(folder, len(paths)) / 1e9
    for precision in PRECISIONS:
        what = f"share of the bf16 matrix limit reached end to end, {precision}"
        if precision in ours.refused:
            rows.append(absent(what, ours.refused[precision]))
            continue
        reached = [gflop / each for each in ours.sides[precision].seconds]
        note = f"ran in {ours.took[precision]}; {gflop / len(paths):.2f} GFLOP a record"
        rows.append(_share(what, reached, rates, BAR if precision == "auto" else None, note))
    return rows


def _share(
    what: str, reached: list[float], rates: dict[str, list[float]], bar: float | None, note: str
) -> Row:
    """The row of what was reached (GFLOP/s by round), against the faster way to multiply in bf16, round by round."""
    limits = {kind: _fastest(kind, rates) for kind in ("fp32", "bf16", "int8")}
    shares = {
        kind: statistics.median(a / b for a, b in zip(reached, limit, strict=True))
        for kind, limit in limits.items()
        if limit is not None
    }
    others = ", ".join(f"{share:.2f} of {kind}'s" for kind, share in shares.items() if kind != "bf16")
    given = (
        f"{statistics.median(reached):,.0f} GFLOP/s",
        f"{statistics.median(limits['bf16'] or [0]):,.0f} GFLOP/s",
    )
    return row(what, *given, shares.get("bf16"), bar=bar, share=True, shares=shares, note=f"{note}; {others}")


def _fastest(kind: str, rates: dict[str, list[float]]) -> list[float] | None:
    ways = [each for name, each in rates.items() if name.startswith(kind)]
    return max(ways, key=statistics.median) if ways else None


def _flops(folder: Path, count: int) -> float:
    """Of the first `count` records: each a picture and a description, two for a multiplication with its addition."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    vision, text, shared = config["vision_config"], config["text_config"], config["projection_dim"]
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    into_patches = 2 * patches * 3 * vision["patch_size"] ** 2 * vision["hidden_size"]
    picture = _tower(vision, patches + 1) + into_patches + 2 * vision["hidden_size"] * shared
    lengths = [len(tokenizer(describe(number))["input_ids"]) for number in range(count)]
    words = sum(_tower(text, length) + 2 * text["hidden_size"] * shared for length in lengths)
    return float(count * picture + words)


def _tower(config: Mapping[str, int], tokens: int) -> int:
    width, inner = config["hidden_size"], config["intermediate_size"]
    linear = 2 * tokens * (4 * width * width + 2 * width * inner)
    attention = 2 * 2 * tokens * tokens * width
    return config["num_hidden_layers"] * (linear + attention)


def _passes(kernels: Kernels) -> Callable[[], object]:
    """Some passes over all shapes, warm."""

    def run() -> None:
        for _ in range(PASSES):
            for kernel in kernels:
                kernel()

    for kernel in kernels:
        kernel()
    return run


def _kinds() -> tuple[dict[str, Kernels], dict[str, str]]:
    """Each kind of product that this torch has, ready to run; and why it lacks the others."""
    import torch

    makers: dict[str, Callable[[], Kernels]] = {
        "fp32, torch.mm": lambda: _mm(torch.float32),
        "fp32, oneDNN packed": lambda: _packed(torch.float32),
        "bf16, torch.mm": lambda: _mm(torch.bfloat16),
        "bf16, oneDNN packed": lambda: _packed(torch.bfloat16),
        "int8, torch._int_mm": _int8,
        "int8 (u8 × s8), oneDNN packed": _packed_int8,
    }
    kinds: dict[str, Kernels] = {}
    missing: dict[str, str] = {}
    for name, make in makers.items():
        try:
            kinds[name] = make()
            kinds[name][0]()
        except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
            # Private operators: they come and go, and a processor may lack their instructions.
            kinds.pop(name, None)
            missing[name] = str(error).splitlines()[0]
    return kinds, missing


def _mm(dtype: Any) -> Kernels:
    import torch

    return [
        partial(torch.mm, torch.randn(m, k, dtype=dtype), torch.randn(n, k, dtype=dtype).t())
        for m, k, n in SHAPES
    ]


def _packed(dtype: Any) -> Kernels:
    import torch

    kernels: Kernels = []
    for m, k, n in SHAPES:
        weight = torch.ops.mkldnn._reorder_linear_weight(torch.randn(n, k, dtype=dtype), m)
        given = torch.randn(m, k, dtype=dtype)
        kernels.append(partial(torch.ops.mkldnn._linear_pointwise, given, weight, None, "none", [], ""))
    return kernels


def _int8() -> Kernels:
    import torch

    product: Any = torch._int_mm  # pyright: ignore[reportPrivateImportUsage]
    return [partial(product, _small(m, k), _small(n, k).t()) for m, k, n in SHAPES]


def _packed_int8() -> Kernels:
    import torch

    kernels: Kernels = []
    for m, k, n in SHAPES:
        weight = torch.ops.onednn.qlinear_prepack(_small(n, k), [m, k])
        given = _small(m, k).view(torch.uint8), 1.0, 0
        scaled = weight, torch.ones(n), torch.zeros(n, dtype=torch.int32), None
        out: tuple[Any, ...] = 1.0, 0, torch.float32, "none", [], ""
        kernels.append(partial(torch.ops.onednn.qlinear_pointwise, *given, *scaled, *out))
    return kernels


def _small(*shape: int) -> Any:
    import torch

    return torch.randint(-100, 100, shape, dtype=torch.int8)
