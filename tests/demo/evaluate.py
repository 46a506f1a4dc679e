"""Measures the shipped demo model: `python -m tests.demo.evaluate`; exits with 1 where a bar is missed.

Every picture is a fresh drawing of a combination that training never saw. It is drawn at 320 pixels, written as JPEG or
PNG, opened again and prepared as the connector does it, or one of the two libraries alone. Offline.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from connector.demo import MODEL_FOLDER
from connector.demo.drawings import draw
from connector.demo.scene import BACKDROPS, COLOURS, COPIES, PATTERNS, THINGS, Scene
from connector.demo.words import COPIES_WORDS, plural, sentence
from tests.demo.embedders import LIBRARIES, Embedder, Rows
from tests.demo.split import scenes

FRESH = 10_000_000  # far above every variant that training draws


@dataclass(frozen=True)
class Figure:
    """One measured share, and the least it must be (None: only reported)."""

    name: str
    value: float
    bar: float | None = None

    @property
    def missed(self) -> bool:
        return self.bar is not None and self.value < self.bar


def written(chosen: Sequence[Scene]) -> Iterator[bytes]:
    """The scenes drawn afresh, as the bytes of picture files."""
    for i, scene in enumerate(chosen):
        file = io.BytesIO()
        draw(scene, variant=FRESH + i, side=320).save(file, "JPEG" if i % 2 else "PNG")
        yield file.getvalue()


def evaluate(model: Embedder, full: int = 500, short: int = 1500) -> list[Figure]:
    """Every figure: full sentences against `full` pictures, short queries against `short` more."""
    first, second = scenes(full, 1, unseen=True), scenes(short, 2, unseen=True)
    shown = model.images(list(written([*first, *second])))
    return [
        *_full_sentences(model, first, shown[:full]),
        *_zero_shot(model, first, shown[:full]),
        *_short_queries(model, second, shown[full:]),
        Figure("picture -> picture of the same thing, P@10", _neighbours(second, shown[full:])),
    ]


def _full_sentences(model: Embedder, chosen: Sequence[Scene], shown: Rows) -> list[Figure]:
    scores = model.texts([sentence(scene) for scene in chosen]) @ shown.T
    rank = (scores > np.diag(scores)[:, None]).sum(axis=1)
    return [
        Figure("full sentence -> its picture, R@1", float((rank < 1).mean()), 0.90),
        Figure("full sentence -> its picture, R@5", float((rank < 5).mean()), 0.99),
    ]


def _zero_shot(model: Embedder, chosen: Sequence[Scene], shown: Rows) -> list[Figure]:
    def share(axis: str, choices: Sequence[str], pattern: str) -> Figure:
        named = (shown @ model.texts([pattern.format(choice) for choice in choices]).T).argmax(axis=1)
        right = [choices[i] == getattr(scene, axis) for i, scene in zip(named, chosen, strict=True)]
        return Figure(f"zero-shot {axis}", float(np.mean(right)))

    return [
        share("thing", THINGS, "{}"),
        share("colour", COLOURS, "a {} thing"),
        share("pattern", PATTERNS, "a {} thing"),
        share("backdrop", BACKDROPS, "on a {} background"),
    ]


def _short_queries(model: Embedder, chosen: Sequence[Scene], shown: Rows) -> list[Figure]:
    def precision(name: str, queries: dict[str, dict[str, object]], bar: float | None = None) -> Figure:
        """Mean share of right pictures among the first five, over the queries that have five right ones."""
        scores = model.texts(list(queries)) @ shown.T
        shares = []
        for row, wanted in zip(scores, queries.values(), strict=True):
            right = np.array([wanted.items() <= vars(scene).items() for scene in chosen])
            if right.sum() >= 5:
                shares.append(right[np.argsort(-row)[:5]].mean())
        return Figure(f"{name}, P@5", float(np.mean(shares)), bar)

    counted = {(t, n): f"{COPIES_WORDS[n][0]} {plural(t) if n > 1 else t}" for t in THINGS for n in COPIES}
    return [
        precision('"mug"', {t: {"thing": t} for t in THINGS}, 0.98),
        precision(
            '"red mug"', {f"{c} {t}": {"thing": t, "colour": c} for t in THINGS for c in COLOURS}, 0.95
        ),
        precision(
            '"striped mug"', {f"{p} {t}": {"thing": t, "pattern": p} for t in THINGS for p in PATTERNS}
        ),
        precision('"two mugs"', {text: {"thing": t, "copies": n} for (t, n), text in counted.items()}),
        precision('"on a mint background"', {f"on a {b} background": {"backdrop": b} for b in BACKDROPS}),
    ]


def _neighbours(chosen: Sequence[Scene], shown: Rows) -> float:
    scores = shown @ shown.T
    np.fill_diagonal(scores, -2)
    nearest = np.argsort(-scores, axis=1)[:, :10]
    names = np.array([scene.thing for scene in chosen])
    return float((names[nearest] == names[:, None]).mean())


def main() -> None:
    """Print the table and say by the exit code whether every bar is met."""
    parser = argparse.ArgumentParser(description="Measure the demo model.")
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER, help="the model's folder")
    parser.add_argument("--library", choices=sorted(LIBRARIES), default="connector")
    arguments = parser.parse_args()
    figures = evaluate(LIBRARIES[arguments.library](arguments.model))
    for figure in figures:
        bar = "" if figure.bar is None else f"   bar {figure.bar:.2f} {'MISSED' if figure.missed else 'met'}"
        print(f"{figure.name:<46}{figure.value:6.3f}{bar}")
    sys.exit(any(figure.missed for figure in figures))


if __name__ == "__main__":
    main()
