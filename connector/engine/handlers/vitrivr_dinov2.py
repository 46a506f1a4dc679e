"""DINOv2 as vitrivr's feature-extraction service runs it, quirks included, so that vectors of both are comparable.

That service resizes to 244 pixels (not 256), on the tensor and not on the picture, normalises with mean and deviation
0.5 (not ImageNet's), and takes the class token after the last layer norm. Its model comes from torch.hub, which fits
the table of positions to the picture in another way than transformers does. `dinov2.py` has the model's own recipe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torchvision
import transformers
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional
from torchvision.transforms import functional as pixels
from transformers import AutoModel

from connector.engine import device, models
from connector.engine.layers import replace_layers
from connector.engine.streams import spread
from connector.errors import ModelUnavailable
from connector.transformation import ImageEmbeddingConfig, ModelHandler

RESIZE, CROP, MEAN = 244, 224, 0.5
PREPROCESS = (
    f"vitrivr tensor size=shortest_edge:{RESIZE} bilinear antialias crop_size={CROP} mean={MEAN} std={MEAN} "
    "positions=bicubic+0.1"
)
_LONGEST_STRIP = 16
"""Long side over short side, beyond which the ends of a strip are left out: the crop drops them anyway, and a picture
of 1 x 4000 would take three gigabytes at 244 x 976,000."""


class VitrivrDinoModel:
    """Embeds pictures; a vector is the class token after the last layer norm, not brought to length one."""

    # What is resized is no picture of 8 bits any more, so none of those could stand for it.
    frame = None

    def __init__(self, model: Any, where: device.Device, identity: dict[str, str]) -> None:
        self._model, self._where = model, where
        self.device = where.name
        self.identity = identity
        self.length = int(model.config.hidden_size)

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length)."""
        return spread(self._embed, pictures, self._where.name)

    @torch.inference_mode()
    def _embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        inputs = torch.stack([_prepared(picture) for picture in pictures])
        outputs = self._model(pixel_values=inputs.to(self._where.name, self._where.dtype))
        rows: NDArray[np.float32] = outputs.last_hidden_state[:, 0].float().cpu().numpy()
        return rows


def load(config: ImageEmbeddingConfig) -> VitrivrDinoModel:
    """Load a model from the folder that its name leads to."""
    engine = config.embedding_engine_config
    files, where = models.find(config), device.choose(engine)
    with device.quietly():
        model = AutoModel.from_pretrained(
            files.folder,
            dtype=where.dtype,
            use_safetensors=None if engine.unsafe_weights else True,
            local_files_only=True,
            trust_remote_code=engine.trust_remote_code,
        )
    if model.config.model_type != "dinov2":
        raise ModelUnavailable(
            f"Model {config.model!r} is of the family {model.config.model_type!r}, and vitrivr's service runs a plain "
            "DINOv2. Use 'facebook/dinov2-small', or ModelHandler.DINOV2 for its variants."
        )
    _fit_positions(model)
    libraries = (("transformers", transformers.__version__), ("torchvision", torchvision.__version__))
    identity = files.identity(
        ModelHandler.VITRIVR_DINOV2,
        precision=where.precision,
        preprocess=PREPROCESS,
        library=" ".join(f"{name} {'.'.join(version.split('.')[:2])}" for name, version in libraries),
    )
    model = model.to(where.name).eval()
    replace_layers(model, where)
    return VitrivrDinoModel(model, where, identity)


def _prepared(picture: Image.Image) -> torch.Tensor:
    """A picture as float32 (3, 224, 224): numbers first, then resized, cropped at the centre, normalised."""
    values = pixels.to_tensor(_without_ends(picture))
    values = pixels.center_crop(pixels.resize(values, [RESIZE], antialias=True), [CROP, CROP])
    normalised: torch.Tensor = pixels.normalize(values, [MEAN], [MEAN])
    return normalised


def _without_ends(picture: Image.Image) -> Image.Image:
    short, long = sorted(picture.size)
    cut = max(0, long - _LONGEST_STRIP * short) // 2
    if not cut:
        return picture
    box = (cut, 0, long - cut, short) if picture.width > picture.height else (0, cut, short, long - cut)
    return picture.crop(box)


def _fit_positions(model: Any) -> None:
    """Bring the table of positions to the size of the crop once, in torch.hub's arithmetic.

    torch.hub's code asks for a scale a little larger than it means (0.1 of a patch more), which also shifts where the
    table is read. transformers asks for the size. A table that already fits is used as it is, by both.
    """
    embeddings = model.embeddings
    table = embeddings.position_embeddings
    side, wanted = math.isqrt(table.shape[1] - 1), CROP // embeddings.patch_size
    if side == wanted:
        return
    grid = table[:, 1:].detach().float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = float(wanted + 0.1) / side
    fitted = functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", antialias=False)
    rows = fitted.permute(0, 2, 3, 1).reshape(1, wanted * wanted, -1).to(table.dtype)
    embeddings.position_embeddings = torch.nn.Parameter(
        torch.cat((table[:, :1].detach(), rows), dim=1), requires_grad=False
    )
