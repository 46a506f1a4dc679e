"""What a model wants done to a picture before its centre crop: read from its preprocessing, and proven on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from connector.transformation import PictureFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

Preprocess = Callable[["Image"], "NDArray[np.float32]"]

# On a picture of noise two libraries' resizes agree to a cosine of 0.9998; the nearest wrong frame gave 0.9956.
_SAME = 0.999

_FILTERS: Mapping[int, Literal["bicubic", "bilinear", "lanczos"]] = {
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
}

_SIZES = ("size", "crop_size", "resize_mode", "resample", "interpolation")
_SETTINGS = (*_SIZES, "image_mean", "image_std", "mean", "std", "patch_size", "max_num_patches")
_STEPS = {"size": "do_resize", "crop_size": "do_center_crop"}


def from_processor(processor: Any) -> PictureFrame | None:
    """Read the frame of a Hugging Face image processor; None where it does more than a plain resize."""
    size, resample = getattr(processor, "size", None), getattr(processor, "resample", None)
    if not getattr(processor, "do_resize", False) or not size or resample is None or resample not in _FILTERS:
        return None
    sides = {key: value for key, value in dict(size).items() if value}
    if set(sides) == {"shortest_edge"}:
        frame = PictureFrame(sides["shortest_edge"], "shortest", _FILTERS[resample])
    elif set(sides) == {"height", "width"} and sides["height"] == sides["width"]:
        frame = PictureFrame(sides["height"], "squash", _FILTERS[resample])
    else:
        return None
    return proven(frame, lambda picture: processor(images=[picture], return_tensors="np")["pixel_values"][0])


def from_open_clip(settings: Mapping[str, Any], transform: Callable[[Image], Any]) -> PictureFrame | None:
    """Read the frame of an open_clip `preprocess_cfg`; None where it does more than a plain resize."""
    size, mode = settings["size"], settings.get("resize_mode") or "shortest"
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1 or mode == "longest":
        return None
    fit: Literal["shortest", "squash"] = "squash" if mode == "squash" else "shortest"
    resample: Literal["bilinear", "bicubic"] = "bicubic"
    if settings.get("interpolation") == "bilinear":
        resample = "bilinear"
    frame = PictureFrame(sides.pop(), fit, resample)
    return proven(frame, lambda picture: np.asarray(transform(picture), np.float32))


def proven(frame: PictureFrame, preprocess: Preprocess) -> PictureFrame | None:
    """Return the frame if the model preprocesses a picture and that picture already resized to the same pixels.

    Some processors do more than their settings say (ConvNeXt's enlarges before it crops). For those it is None, and
    pictures must reach the model at full size.
    """
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (frame.size * 2 - 9, frame.size * 3 - 7, 3), np.uint8)
    for pixels in (noise, noise.transpose(1, 0, 2)):
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        if not _alike(preprocess(picture), preprocess(resized(picture, frame))):
            return None
    return frame


def resized(picture: Image, frame: PictureFrame) -> Image:
    """Resize a picture to a frame, as `blobs` does while decoding."""
    from PIL import Image

    return picture.resize(frame.size_of(*picture.size), Image.Resampling[frame.resample.upper()])


def summary(settings: Any) -> str:
    """Say in one line what a processor or a `preprocess_cfg` does to a picture: part of what makes the vectors."""
    values = settings if isinstance(settings, Mapping) else _Attributes(settings)
    given = {key: values.get(key) for key in _SETTINGS if values.get(_STEPS.get(key, ""), True)}
    return " ".join(f"{key}={_short(value)}" for key, value in given.items() if value is not None)


class _Attributes:
    """A processor's attributes, read like a mapping."""

    def __init__(self, owner: object) -> None:
        self._owner = owner

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self._owner, key, default) if key else default


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_short(each) for each in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        return value
    return ",".join(f"{key}:{side}" for key, side in sorted(dict(value).items()) if side)


def _alike(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    if first.shape != second.shape:
        return False
    one, other = (np.ravel(each).astype(np.float64) for each in (first, second))
    one, other = one - one.mean(), other - other.mean()
    return bool(one @ other >= _SAME * np.linalg.norm(one) * np.linalg.norm(other))
