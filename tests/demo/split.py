"""Which combinations of thing, colour and pattern training never sees."""

from __future__ import annotations

import hashlib
import random

from connector.demo.scene import BACKDROPS, COLOURS, COPIES, PATTERNS, SIZES, THINGS, Scene


def held_back(scene: Scene) -> bool:
    """Whether the combination is kept for evaluation: about one in five, by a digest of its names."""
    return hashlib.sha256("/".join(scene.look).encode()).digest()[0] < 51


def scenes(count: int, seed: int, *, unseen: bool) -> list[Scene]:
    """`count` different scenes, all of combinations held back (`unseen`) or all of the others."""
    rng = random.Random(f"scenes/{seed}/{unseen}")
    chosen: dict[Scene, None] = {}
    while len(chosen) < count:
        axes = (THINGS, COLOURS, PATTERNS, BACKDROPS, COPIES, SIZES)
        scene = Scene(*(rng.choice(axis) for axis in axes))  # type: ignore[arg-type]
        if held_back(scene) is unseen:
            chosen[scene] = None
    return list(chosen)
