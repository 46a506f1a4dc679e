"""How large a picture must become, and from which part of it: a model's frame, or a thumbnail."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from PIL import Image

from connector.blobs.headers import Size
from connector.blobs.upright import Box

if TYPE_CHECKING:
    from connector.transformation import PictureFrame

LONGEST_STRIP = 16
"""Long side over short side, beyond which the ends of a strip are left out: the centre crop that follows
drops them anyway, and a picture of 1 x 4000 would otherwise become one of 224 x 896,000."""

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclasses.dataclass(frozen=True)
class Target:
    """`size`: what to resize to; `box`: from which part of the upright picture, in its pixels; `resample`:
    how; `leave`: rasters of up to so many pixels need not be resized."""

    size: Size
    box: Box
    resample: Image.Resampling
    leave: int = 0


def framed(size: Size, frame: PictureFrame) -> Target:
    """What `frame` makes of an upright picture of `size`, in torchvision's and transformers' arithmetic."""
    width, height = size
    resample = _FILTERS[frame.resample]
    leave = 2 * (frame.leave * frame.size) ** 2
    if frame.fit == "squash":
        return Target(frame.size_of(width, height), (0, 0, width, height), resample, leave)
    long, new_long = max(size), max(frame.size_of(width, height))
    # An even number of pixels at either end, so that the later centre crop rounds as it would have.
    cut = max(0, new_long - LONGEST_STRIP * frame.size) // 4 * 2
    left_out = cut * long / new_long
    kept = new_long - 2 * cut
    if width <= height:
        return Target((frame.size, kept), (0, left_out, width, height - left_out), resample, leave)
    return Target((kept, frame.size), (left_out, 0, width - left_out, height), resample, leave)


def within(size: Size, side: int) -> Target:
    """The whole picture, scaled down to fit a square of `side` pixels."""
    scale = min(1.0, side / max(size))
    small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    return Target(small, (0, 0, *size), Image.Resampling.BICUBIC)
