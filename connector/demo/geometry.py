"""Outlines in a unit square: polygons of (n, 2) float64 points, x to the right and y downwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """One polygon of a thing.

    Attributes:
        points: (n, 2) corners in the unit square.
        paint: "body" is the patterned colour; "shade" and "tint" are darker and lighter plain versions of it;
            any other word is a fixed paint of the palette.
        outlined: whether a dark line goes round it.
    """

    points: Points
    paint: str = "body"
    outlined: bool = True


def ellipse(x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360) -> Points:
    """An ellipse round (x, y), or its arc from `start` to `end` degrees, clockwise from three o'clock."""
    count = max(6, round(abs(end - start) / 9))
    turns = np.radians(np.linspace(start, end, count, endpoint=abs(end - start) < 360))
    return np.stack([x + rx * np.cos(turns), y + ry * np.sin(turns)], axis=1)


def soft(corners: Sequence[Pair], radius: float | Sequence[float] = 0.04) -> Points:
    """A polygon with its corners rounded, each by its own radius where several are given."""
    ring = np.asarray(corners, dtype=np.float64)
    radii = [radius] * len(ring) if isinstance(radius, (int, float)) else list(radius)
    pieces = [_corner(ring[i - 1], ring[i], ring[(i + 1) % len(ring)], radii[i]) for i in range(len(ring))]
    return np.concatenate(pieces)


def _corner(before: Points, at: Points, after: Points, radius: float) -> Points:
    if radius <= 0:
        return at[None, :]
    back, ahead = before - at, after - at
    reach = min(radius, 0.49 * float(np.hypot(*back)), 0.49 * float(np.hypot(*ahead)))
    start = at + back / np.hypot(*back) * reach
    end = at + ahead / np.hypot(*ahead) * reach
    t = np.linspace(0, 1, 11)[:, None]
    curve: Points = (1 - t) ** 2 * start + 2 * t * (1 - t) * at + t**2 * end
    return curve


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.03) -> Points:
    """An upright rectangle with rounded corners."""
    return soft([(left, top), (right, top), (right, bottom), (left, bottom)], radius)


def spline(knots: Sequence[Pair], *, closed: bool = True) -> Points:
    """The Catmull-Rom curve through `knots`."""
    path = np.asarray(knots, dtype=np.float64)
    ends = (path[-1:], path[:2]) if closed else (path[:1], path[-1:])
    padded = np.concatenate([ends[0], path, ends[1]])
    t = np.linspace(0, 1, 9)[:-1, None]
    pieces = []
    for i in range(len(padded) - 3):
        a, b, c, d = padded[i : i + 4]
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - 3 * c + d - a) * t**3)
        )
    if not closed:
        pieces.append(path[-1:])
    return np.concatenate(pieces)


def mirrored(half: Points) -> Points:
    """The whole outline whose right half runs from top to bottom; the axis is x = 0.5."""
    left = half[::-1].copy()
    left[:, 0] = 1 - left[:, 0]
    return np.concatenate([half, left])


def flipped(points: Points) -> Points:
    """The mirror image over the axis x = 0.5."""
    return np.stack([1 - points[:, 0], points[:, 1]], axis=1)


def ribbon(path: Points, width: float, end_width: float | None = None) -> Points:
    """A band of `width` along an open path, with round ends: thick drawn lines would show tick marks."""
    last = width if end_width is None else end_width
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    half = np.linspace(width / 2, last / 2, len(path))[:, None]
    return np.concatenate(
        [
            path + across * half,
            _cap(path[-1], along[-1], last / 2),
            (path - across * half)[::-1],
            _cap(path[0], -along[0], width / 2),
        ]
    )


def _cap(at: Points, ahead: Points, radius: float) -> Points:
    facing = math.atan2(ahead[1], ahead[0])
    turns = facing + np.linspace(np.pi / 2, -np.pi / 2, 9)[1:-1]
    return at + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)


def bar(start: Pair, end: Pair, width: float, end_width: float | None = None) -> Points:
    """A straight band with round ends."""
    return ribbon(np.linspace(start, end, 3), width, end_width)


def outward(points: Points) -> Points:
    """(n, 2): where each corner of a polygon moves when its edges move sideways by one, at most by two.

    Corners given twice are taken for one.
    """
    ahead = _next_edges(points)
    behind = -_next_edges(points[::-1])[::-1]
    across = ahead[:, ::-1] * (1, -1) + behind[:, ::-1] * (1, -1)
    length = np.hypot(across[:, 0], across[:, 1])[:, None]
    # The sum of two unit normals is shorter the sharper the turn; dividing by its square makes the mitre.
    moved: Points = across / np.maximum(length**2 / 2, length / 2 + 1e-9)
    return moved


def _next_edges(points: Points) -> Points:
    """(n, 2) unit vectors from each corner of a ring to the next one that lies elsewhere."""
    edges = np.roll(points, -1, axis=0) - points
    length = np.hypot(edges[:, 0], edges[:, 1])
    for i in range(len(points) - 1, -len(points), -1):
        if length[i] < 1e-6:
            edges[i], length[i] = edges[(i + 1) % len(points)], length[(i + 1) % len(points)]
    unit: Points = edges / np.maximum(length, 1e-9)[:, None]
    return unit
