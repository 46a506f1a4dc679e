"""The surfaces of a drawing: a pattern in two colours, and the backdrop's soft light."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.float32]
Texture: TypeAlias = Callable[[Plane, Plane], NDArray[np.uint8]]
"""(height, width) planes of x and y in a thing's unit square, to its (height, width, 3) pixels."""


def texture(pattern: str, colour: tuple[int, int, int], rng: random.Random) -> Texture:
    """The surface of a thing in `colour`; `rng` chooses the run of the pattern."""
    second = _second(colour)
    period, phase = rng.uniform(0.2, 0.26), rng.random()
    slant = rng.choice((0.0, 0.0, 0.6, -0.6))

    def share(x: Plane, y: Plane) -> Plane:
        """How much of the second colour is at each point, from 0 to 1."""
        if pattern == "striped":
            return (((y + slant * x) / period + phase) % 1 < 0.42).astype(np.float32)
        if pattern == "dotted":
            return _dots(x / period + phase, y / period)
        if pattern == "checked":
            across, down = (x / period + phase) % 1 < 0.5, (y / period) % 1 < 0.5
            return (across.astype(np.float32) + down) / np.float32(2)
        return np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)

    def surface(x: Plane, y: Plane) -> NDArray[np.uint8]:
        blend = share(x, y)[..., None]
        # Light from the upper left; a flat colour looks cut out of paper.
        light = (np.float32(1.07) - np.float32(0.1) * x - np.float32(0.08) * y)[..., None]
        base, other = np.array(colour, np.float32), np.array(second, np.float32)
        shaded: NDArray[np.uint8] = np.clip((base + blend * (other - base)) * light, 0, 255).astype(np.uint8)
        return shaded

    return surface


def _dots(x: Plane, y: Plane) -> Plane:
    row = np.floor(y)
    dx = (x + row % 2 * np.float32(0.5)) % 1 - np.float32(0.5)
    dy = y - row - np.float32(0.5)
    return (dx * dx + dy * dy < 0.085).astype(np.float32)


def _second(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """The pattern's other colour: near white, except on white."""
    return (176, 190, 206) if min(colour) > 230 else (255, 250, 240)


@functools.lru_cache(maxsize=16)
def backdrop(colour: tuple[int, int, int], side: int) -> NDArray[np.uint8]:
    """(side, side, 3): a pastel wall, lighter round its middle."""
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    light = 1.02 - 0.04 * np.clip(ramp[:, None] ** 2 + ramp**2, 0, 2)[..., None]
    pixels: NDArray[np.uint8] = np.clip(np.array(colour, np.float32) * light, 0, 255).astype(np.uint8)
    return pixels
