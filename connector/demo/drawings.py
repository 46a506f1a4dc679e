"""Draws a scene with Pillow and numpy: `draw(scene, variant)` gives the same pixels every time."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from connector.demo import household, nature, outdoors
from connector.demo.geometry import Part, Points, outward
from connector.demo.scene import Scene
from connector.demo.textures import Texture, backdrop, texture

Colour: TypeAlias = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "red": (222, 52, 56), "orange": (247, 134, 36), "yellow": (250, 206, 46), "green": (58, 162, 82),
    "turquoise": (32, 184, 178), "blue": (48, 106, 216), "purple": (134, 78, 192), "pink": (244, 118, 172),
    "brown": (136, 86, 54), "black": (54, 56, 66), "grey": (142, 150, 160), "white": (250, 249, 246),
}  # fmt: skip
BACKDROP_PAINTS: dict[str, Colour] = {
    "pink": (251, 205, 217), "sky": (193, 224, 249), "mint": (194, 236, 211), "lemon": (252, 240, 170),
    "lilac": (217, 204, 244), "peach": (253, 212, 180), "sand": (233, 217, 190), "pearl": (227, 231, 236),
}  # fmt: skip
_PAINTS: dict[str, tuple[int, ...]] = {
    "white": (255, 255, 255), "cream": (253, 243, 224), "wood": (176, 122, 76), "gold": (244, 190, 66),
    "leaf": (92, 170, 84), "glass": (186, 226, 244), "ink": (52, 50, 62), "silver": (206, 212, 220),
    "light": (255, 236, 160), "coffee": (104, 66, 44), "cocoa": (122, 86, 70), "ruby": (220, 50, 70),
    "flame": (250, 142, 50), "water": (120, 184, 232), "blush": (240, 120, 130, 120),
    "gloss": (255, 255, 255, 120), "steam": (255, 255, 255, 190), "glow": (255, 240, 150, 130),
    "dusk": (30, 20, 40, 60),
}  # fmt: skip
_NEARLY_BLACK = (38, 32, 48)

SHAPES = household.SHAPES | nature.SHAPES | outdoors.SHAPES

# Side of a thing as a share of the picture's, by how many there are.
_SPANS = {
    1: {"small": 0.40, "medium": 0.56, "large": 0.76},
    2: {"small": 0.29, "medium": 0.38, "large": 0.45},
    3: {"small": 0.25, "medium": 0.33, "large": 0.41},
}
_PLACES: dict[int, tuple[tuple[tuple[float, float], ...], ...]] = {
    1: (((0.5, 0.5),),),
    2: (((0.27, 0.5), (0.73, 0.5)), ((0.28, 0.33), (0.72, 0.67)), ((0.28, 0.67), (0.72, 0.33))),
    3: (((0.27, 0.28), (0.73, 0.28), (0.5, 0.72)), ((0.5, 0.28), (0.27, 0.72), (0.73, 0.72))),
}


@dataclass(frozen=True)
class _Pose:
    """Where one copy stands: the affine map from its unit square to pixels."""

    x: float
    y: float
    span: float
    tilt: float
    mirrored: bool

    def matrix(self) -> NDArray[np.float64]:
        """(2, 2): unit square, centred, to pixels."""
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        flip = -1.0 if self.mirrored else 1.0
        return self.span * np.array([[cos * flip, -sin], [sin * flip, cos]])

    def place(self, points: Points) -> Points:
        """Pixels of points in the unit square."""
        moved: Points = (points - 0.5) @ self.matrix().T + (self.x, self.y)
        return moved


def draw(scene: Scene, variant: int = 0, side: int = 320, sampling: int = 2) -> Image.Image:
    """The RGB picture of `scene`, `side` pixels square.

    Args:
        scene: what it shows.
        variant: another number is another drawing of the same scene.
        side: width and height, in pixels.
        sampling: it is drawn this many times larger and reduced, which smooths its edges; 1 is fastest.
    """
    # A string seeds `random.Random` through SHA-512: the same in every process and on every machine.
    rng = random.Random(f"{scene}/{variant}")  # noqa: S311
    canvas = Image.fromarray(backdrop(BACKDROP_PAINTS[scene.backdrop], side * sampling))
    brush = ImageDraw.Draw(canvas, "RGBA")
    look = texture(scene.pattern, PALETTE[scene.colour], rng)
    poses = _poses(scene, side * sampling, rng)
    for pose in poses:
        _shadow(brush, pose)
    for pose in poses:
        _thing(canvas, brush, scene, pose, look)
    return canvas if sampling == 1 else canvas.resize((side, side), Image.Resampling.LANCZOS)


def _poses(scene: Scene, side: int, rng: random.Random) -> list[_Pose]:
    span = _SPANS[scene.copies][scene.size] * side * rng.uniform(0.96, 1.04)
    slack = 0.03 if scene.copies > 1 else 0.06 if scene.size != "large" else 0.03
    flip = rng.random() < 0.5
    poses = []
    for x, y in rng.choice(_PLACES[scene.copies]):
        poses.append(
            _Pose(
                x=(x + rng.uniform(-slack, slack)) * side,
                y=(y + rng.uniform(-slack, slack)) * side,
                span=span,
                tilt=np.radians(rng.uniform(-9, 9)),
                mirrored=flip,
            )
        )
    return poses


def _shadow(brush: ImageDraw.ImageDraw, pose: _Pose) -> None:
    for grow in (1.0, 0.86, 0.72):
        wide, high = 0.44 * pose.span * grow, 0.06 * pose.span * grow
        y = pose.y + 0.47 * pose.span
        brush.ellipse((pose.x - wide, y - high, pose.x + wide, y + high), fill=(70, 50, 90, 18))


def _thing(canvas: Image.Image, brush: ImageDraw.ImageDraw, scene: Scene, pose: _Pose, look: Texture) -> None:
    half = max(0.5 / pose.span, 0.0085)
    for part, across in _parts(scene.thing):
        points = pose.place(part.points)
        colour = _paint(part.paint, scene)
        if part.paint == "body":
            _textured(canvas, points, pose, look)
        else:
            brush.polygon(_flat(points), fill=colour)
        if part.outlined:
            # A ring with a seam: thick lines would show a notch at every corner.
            ring = [part.points + across * half, part.points - across * half]
            seamed = np.concatenate([closed for side in ring for closed in (side, side[:1])])
            brush.polygon(_flat(pose.place(seamed)), fill=_mix(colour[:3], _NEARLY_BLACK, 0.62))


@functools.cache
def _parts(thing: str) -> tuple[tuple[Part, Points], ...]:
    """The thing's parts, each with the (n, 2) directions in which its outline widens."""
    return tuple((part, outward(part.points)) for part in SHAPES[thing]())


def _textured(canvas: Image.Image, points: Points, pose: _Pose, look: Texture) -> None:
    """Fill a polygon with the pattern, computed in the thing's own square so that it tilts along."""
    left, top = (max(0, int(v)) for v in np.floor(points.min(axis=0)))
    right, bottom = (min(canvas.width, int(v) + 1) for v in np.ceil(points.max(axis=0)))
    if right <= left or bottom <= top:
        return
    inverse = np.linalg.inv(pose.matrix()).astype(np.float32)
    dx = np.arange(left, right, dtype=np.float32) + np.float32(0.5 - pose.x)
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - pose.y)
    pixels = look(
        0.5 + inverse[0, 0] * dx + inverse[0, 1] * dy, 0.5 + inverse[1, 0] * dx + inverse[1, 1] * dy
    )
    mask = Image.new("1", (right - left, bottom - top))
    ImageDraw.Draw(mask).polygon(_flat(points - (left, top)), fill=1)
    canvas.paste(Image.fromarray(pixels), (left, top), mask)


def _paint(paint: str, scene: Scene) -> tuple[int, ...]:
    base = PALETTE[scene.colour]
    if paint == "body":
        return base
    if paint == "shade":
        return _mix(base, _NEARLY_BLACK, 0.2)
    if paint == "tint":
        return _mix(base, (255, 255, 255), 0.42)
    return BACKDROP_PAINTS[scene.backdrop] if paint == "backdrop" else _PAINTS[paint]


def _mix(colour: Sequence[int], other: Colour, share: float) -> Colour:
    red, green, blue = (round(c * (1 - share) + o * share) for c, o in zip(colour, other, strict=True))
    return red, green, blue


def _flat(points: Points) -> list[float]:
    flat: list[float] = points.ravel().tolist()
    return flat
