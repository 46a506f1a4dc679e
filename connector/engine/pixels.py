"""CLIP's preprocessing, as transformers does it with torchvision and to the same pixels, with torch alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from connector.engine import documents
from connector.engine.blocks import HALF
from connector.transformation import PictureFrame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

LEAVE = 4
"""How much larger than their square pictures may come: JPEGs decoded at a reduced size are from two to four times as large,
and torch resizes those in a fifth of Pillow's time."""

_TYPES = {
    None,
    "CLIPImageProcessor",
    "CLIPImageProcessorFast",
    "CLIPImageProcessorPil",
    "CLIPFeatureExtractor",
}
_STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
_READ = {"size", "crop_size", "resample", "rescale_factor", "image_mean", "image_std", *_STEPS}
_IGNORED = {
    *(
        "image_processor_type",
        "feature_extractor_type",
        "processor_class",
        "_processor_class",
        "do_convert_rgb",
    ),
    *("data_format", "default_to_square", "_valid_processor_keys", "backend"),
}
_FILTERS: Mapping[object, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Resize the shorter side to `size`, cut a square of `crop` from the middle, normalise each channel.

    Attributes:
        scale: what a value from 0 to 255 is multiplied by, before mean and deviation.
    """

    size: int
    crop: int
    resample: Literal["bilinear", "bicubic"]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def frame(self) -> PictureFrame:
        """What pictures may be resized to beforehand."""
        return PictureFrame(self.size, "shortest", self.resample, leave=LEAVE)

    @property
    def settings(self) -> dict[str, Any]:
        """The same in transformers' words."""
        return {
            "size": {"shortest_edge": self.size},
            "crop_size": {"height": self.crop, "width": self.crop},
            "resample": {kept: number for number, kept in _FILTERS.items()}[self.resample],
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }

    def cut(self, pictures: Sequence[Image]) -> torch.Tensor:
        """Resize and crop RGB pictures: uint8 (n, crop, crop, 3)."""
        return torch.from_numpy(np.stack([self._square(picture) for picture in pictures]))

    def normalised(self, squares: torch.Tensor) -> torch.Tensor:
        """Squares to what the model takes: float32 (n, 3, crop, crop), on the device where they are."""
        mean, std = (
            torch.tensor(each, device=squares.device) * (1.0 / self.scale) for each in (self.mean, self.std)
        )
        return squares.to(torch.float32).sub_(mean).div_(std).permute(0, 3, 1, 2)

    def of_bytes(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A linear layer without bias over normalised pixels as one for `blocks.byte_product`: weight and bias.

        Args:
            weight: (outputs, inputs), the channels of a pixel beside each other.
        """
        mean, std = (
            torch.tensor(each, dtype=torch.float64).repeat(weight.shape[1] // 3) / self.scale
            for each in (self.mean, self.std)
        )
        scaled = weight.double() / std
        return (scaled * HALF).float(), (scaled @ (HALF - mean)).float()

    def resized(self, picture: Image) -> Image:
        """Resize an RGB picture as `cut` would."""
        from PIL import Image

        width, height = self.frame.size_of(*picture.size)
        if picture.size == (width, height):
            return picture
        # The channels stay beside each other, for which torch has kernels three times as fast. It sees that only where the
        # batch comes before they are moved, and then leaves them so in what it makes.
        whole = torch.from_numpy(np.array(picture))[None].permute(0, 3, 1, 2)
        made = torch.nn.functional.interpolate(
            whole, size=(height, width), mode=self.resample, align_corners=False, antialias=True
        )
        return Image.fromarray(made.permute(0, 2, 3, 1)[0].numpy())

    def _square(self, picture: Image) -> NDArray[np.uint8]:
        pixels = np.asarray(self.resized(picture))
        top, left = (int((side - self.crop) / 2) for side in pixels.shape[:2])
        return pixels[top : top + self.crop, left : left + self.crop]


def read(folder: Path) -> Pixels | None:
    """Read a folder's preprocessing; None where it does more or less than the steps of `Pixels`."""
    nested = (documents.read(folder / "processor_config.json") or {}).get("image_processor")
    settings = nested or documents.read(folder / "preprocessor_config.json")
    if not isinstance(settings, dict) or not _plain(settings):
        return None
    size, crop = _side(settings.get("size", 224), "shortest_edge"), settings.get("crop_size", 224)
    if isinstance(crop, dict) and crop.get("height") == crop.get("width"):
        crop = crop.get("height") if crop.keys() <= {"height", "width"} else None
    resample = _FILTERS.get(settings.get("resample", 3))
    mean, std = settings.get("image_mean") or _MEAN, settings.get("image_std") or _STD
    if size is None or not isinstance(crop, int) or not 0 < crop <= size or resample is None:
        return None
    if not all(isinstance(each, list | tuple) and len(each) == 3 for each in (mean, std)):
        return None
    scale = settings.get("rescale_factor", 1 / 255)
    return Pixels(size, crop, resample, float(scale), tuple(mean), tuple(std))


def _plain(settings: Mapping[str, Any]) -> bool:
    asked = {key for key, value in settings.items() if value not in (None, False)}
    kinds = {settings.get("image_processor_type"), settings.get("feature_extractor_type")}
    return (
        asked <= _READ | _IGNORED
        and kinds <= _TYPES
        and all(settings.get(step, True) for step in _STEPS)
        and not settings.get("default_to_square")
    )


def _side(size: object, name: str) -> int | None:
    if isinstance(size, dict):
        size = size.get(name) if size.keys() <= {name} else None
    return size if isinstance(size, int) and size > 0 else None
