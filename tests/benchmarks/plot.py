"""The ratios as a picture: one bar a row, shares, gains and costs apart, each with the line that it is held against."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.benchmarks.machine import heading
from tests.benchmarks.measure import Row, Rows
from tests.benchmarks.report import alike, number, reached

WIDTH, ROW, MARGIN, LABELS, RIGHT = 1600, 46, 44, 760, 110
PAPER, INK, FAINT, GRID = "#ffffff", "#1f2430", "#6b7485", "#e4e7ee"
GOOD, SHORT, PLAIN = "#2a9d6f", "#e07a3f", "#5b7fbd"
LEGEND = ((GOOD, "reaches its line"), (SHORT, "falls short"), (PLAIN, "held against none"))

Pen = ImageDraw.ImageDraw


@dataclasses.dataclass(frozen=True)
class Scale:
    """Where values lie from left to right: from zero in even steps, or in doublings on both sides of one."""

    low: float
    high: float
    doublings: bool

    @classmethod
    def of(cls, numbers: list[float], *, share: bool) -> Scale:
        """One that holds all these numbers."""
        high = max([*numbers, 1.0])
        if share:
            return cls(0.0, high, doublings=False)
        low = min([*numbers, 0.9])
        return cls(
            2.0 ** math.floor(math.log2(low)), 2.0 ** math.ceil(math.log2(max(high, 1.1))), doublings=True
        )

    @property
    def start(self) -> float:
        """The value at which every bar begins."""
        return 1.0 if self.doublings else 0.0

    @property
    def ticks(self) -> list[float]:
        """Values to draw a line at."""
        if self.doublings:
            return [self.low * 2**step for step in range(round(math.log2(self.high / self.low)) + 1)]
        return [step / 4 for step in range(math.floor(4 * self.high) + 1)]

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = value / self.high
        if self.doublings:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        return LABELS + share * (WIDTH - MARGIN - RIGHT - LABELS)


def draw(path: Path, about: dict[str, object], rows: Rows) -> None:
    """Write the picture. Rows without a ratio, or with a ratio of zero, are left out."""
    shown = [row for row in rows if number(row, "ratio")]
    charts = [
        ("Shares of a limit: more is better", [row for row in shown if row.get("share")]),
        (
            "Times as fast: more is better",
            [row for row in shown if not row.get("share") and not row.get("at_most")],
        ),
        ("Times the cost: less is better", [row for row in shown if row.get("at_most")]),
    ]
    texts = heading(about)
    height = 2 * MARGIN + 64 + 24 * len(texts) + sum(100 + ROW * len(some) for _, some in charts if some)
    image = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(image)
    _write(pen, (MARGIN, MARGIN), "Against what a user would run instead", 30)
    _legend(pen, MARGIN + 12)
    y: float = MARGIN + 52
    for text in texts:
        _write(pen, (MARGIN, y), text, 15, FAINT)
        y += 24
    for title, some in charts:
        if some:
            y = _chart(pen, y + 26, title, some)
    image.save(path)


def _chart(pen: Pen, top: float, title: str, rows: Rows) -> float:
    """One chart from `top` downwards; where it ends."""
    numbers = [value for row in rows for key in ("ratio", "bar") if (value := number(row, key))]
    scale = Scale.of(numbers, share=bool(rows[0].get("share")))
    _write(pen, (MARGIN, top), title, 19)
    top += 34
    bottom = top + ROW * len(rows)
    for tick in scale.ticks:
        x = scale.at(tick)
        pen.line((x, top, x, bottom), GRID, 3 if tick == scale.start else 1)
        _write(pen, (x, bottom + 4), f"{tick:g}" + "×" * scale.doublings, 14, FAINT, anchor="ma")
    for place, row in enumerate(rows):
        _bar(pen, top + ROW * place, row, scale)
    return bottom + 40


def _bar(pen: Pen, top: float, row: Row, scale: Scale) -> None:
    ratio, bar, fits = number(row, "ratio"), number(row, "bar"), reached(row)
    assert ratio is not None
    middle = top + ROW / 2
    left, right = sorted((scale.at(scale.start), scale.at(ratio)))
    colour = SHORT if False in (fits, alike(row)) else GOOD if fits else PLAIN
    pen.rounded_rectangle((left, top + 11, max(right, left + 2), top + ROW - 11), 3, colour)
    if bar is not None:
        pen.line((scale.at(bar), top + 6, scale.at(bar), top + ROW - 6), INK, 3)
        right = max(right, scale.at(bar))
    told = f"{row['ours']} against {row['rival']}" if "rival" in row else str(row["ours"])
    _write(pen, (LABELS - 14, middle - 9), _fitting(pen, str(row["what"]), 15), 15, anchor="rm")
    _write(pen, (LABELS - 14, middle + 10), _fitting(pen, told, 12), 12, FAINT, anchor="rm")
    _write(pen, (max(right, left) + 10, middle), f"{ratio:.3g}" + "×" * scale.doublings, 15, anchor="lm")


def _legend(pen: Pen, y: float) -> None:
    x: float = WIDTH - MARGIN
    for colour, text in reversed(LEGEND):
        _write(pen, (x, y), text, 14, FAINT, anchor="ra")
        x -= pen.textlength(text, _font(14)) + 22
        pen.rounded_rectangle((x, y + 2, x + 14, y + 15), 3, colour)
        x -= 26


def _fitting(pen: Pen, text: str, size: int) -> str:
    """A label, cut in its middle where it is too long."""
    while pen.textlength(_known(text), _font(size)) > LABELS - MARGIN - 20:
        middle = len(text) // 2
        text = f"{text[: middle - 2]}…{text[middle + 2 :]}"
    return text


def _write(
    pen: Pen, at: tuple[float, float], text: str, size: int, colour: str = INK, *, anchor: str = "la"
) -> None:
    pen.text(at, _known(text), colour, _font(size), anchor=anchor)


def _known(text: str) -> str:
    """The text in letters that Pillow's own font has, so that none need be installed."""
    return text.replace("×", "x").replace("→", "to").replace("≤", "at most ").replace("≥", "at least ")


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
