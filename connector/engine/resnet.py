"""The demo model's picture tower: timm's `test_resnet`, in plain torch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from connector.engine.clip import Shapes
    from connector.engine.device import Device
    from connector.engine.pixels import Pixels
    from connector.engine.tensors import Tensors

_PREFIX = "vision_model.timm_model."
_EPS = 1e-5
# Name of a convolution, its batch norm, channels out and in, side of its kernel.
_CONVOLUTIONS = (
    ("conv1.0", "conv1.1", 16, 3, 3),
    ("conv1.3", "conv1.4", 16, 16, 3),
    ("conv1.6", "bn1", 32, 16, 3),
    ("layer1.0.conv1", "layer1.0.bn1", 32, 32, 3),
    ("layer1.0.conv2", "layer1.0.bn2", 32, 32, 3),
    ("layer2.0.conv1", "layer2.0.bn1", 48, 32, 3),
    ("layer2.0.conv2", "layer2.0.bn2", 48, 48, 3),
    ("layer2.0.downsample.1", "layer2.0.downsample.2", 48, 32, 1),
    ("layer3.0.conv1", "layer3.0.bn1", 48, 48, 1),
    ("layer3.0.conv2", "layer3.0.bn2", 48, 48, 3),
    ("layer3.0.conv3", "layer3.0.bn3", 192, 48, 1),
    ("layer3.0.downsample.1", "layer3.0.downsample.2", 192, 48, 1),
    ("layer4.0.conv1", "layer4.0.bn1", 96, 192, 3),
    ("layer4.0.conv2", "layer4.0.bn2", 96, 96, 3),
    ("layer4.0.downsample.1", "layer4.0.downsample.2", 96, 192, 1),
)


@dataclasses.dataclass(frozen=True)
class ResNetSettings:
    """`length`: values in a vector."""

    length: int

    @property
    def shapes(self) -> Shapes:
        """Every weight's name and shape."""
        shapes: Shapes = {"visual_projection.weight": (self.length, 96)}
        for name, norm, out, into, side in _CONVOLUTIONS:
            shapes[f"{_PREFIX}{name}.weight"] = (out, into, side, side)
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{_PREFIX}{norm}.{part}"] = (out,)
        return shapes

    def build(self, tensors: Tensors, where: Device, pixels: Pixels) -> ResNet:
        """Read the weights and place them on the device."""
        return ResNet(tensors, where, pixels)


class ResNet:
    """Runs pictures through the model; each batch norm is folded into the convolution before it."""

    def __init__(self, tensors: Tensors, where: Device, pixels: Pixels) -> None:
        self._pixels = pixels
        self._layers = {}
        for name, norm, *_ in _CONVOLUTIONS:
            weight, bias = _folded(tensors, _PREFIX + name, _PREFIX + norm)
            self._layers[name] = weight.to(where.name, where.dtype), bias.to(where.name, where.dtype)
        self._projection = tensors.read("visual_projection.weight").to(where.name, where.dtype)

    @torch.inference_mode()
    def embed(self, squares: Tensor) -> Tensor:
        """Embed pictures: uint8 (n, side, side, 3) to float32 (n, length)."""
        hidden = self._pixels.normalised(squares).to(self._projection.dtype)
        hidden = self._convolved("conv1.0", hidden, 2).relu_()
        hidden = self._convolved("conv1.3", hidden).relu_()
        hidden = self._convolved("conv1.6", hidden).relu_()
        hidden = functional.max_pool2d(hidden, 3, stride=2, padding=1)
        hidden = self._block("layer1.0", hidden, stride=1)
        hidden = self._block("layer2.0", hidden, stride=2)
        hidden = self._bottleneck("layer3.0", hidden)
        hidden = self._block("layer4.0", hidden, stride=2)
        return functional.linear(hidden.mean((2, 3)), self._projection).float()

    def _convolved(self, name: str, hidden: Tensor, stride: int = 1) -> Tensor:
        weight, bias = self._layers[name]
        return functional.conv2d(hidden, weight, bias, stride, padding=weight.shape[-1] // 2)

    def _block(self, name: str, hidden: Tensor, stride: int) -> Tensor:
        out = self._convolved(f"{name}.conv1", hidden, stride).relu_()
        return (self._convolved(f"{name}.conv2", out) + self._beside(name, hidden)).relu_()

    def _bottleneck(self, name: str, hidden: Tensor) -> Tensor:
        out = self._convolved(f"{name}.conv1", hidden).relu_()
        out = self._convolved(f"{name}.conv2", out, 2).relu_()
        return (self._convolved(f"{name}.conv3", out) + self._beside(name, hidden)).relu_()

    def _beside(self, name: str, hidden: Tensor) -> Tensor:
        if f"{name}.downsample.1" not in self._layers:
            return hidden
        pooled = functional.avg_pool2d(hidden, 2, 2, ceil_mode=True, count_include_pad=False)
        return self._convolved(f"{name}.downsample.1", pooled)


def _folded(tensors: Tensors, name: str, norm: str) -> tuple[Tensor, Tensor]:
    scale, shift, mean, variance = (
        tensors.read(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / torch.sqrt(variance + _EPS)
    return tensors.read(f"{name}.weight") * scale[:, None, None, None], shift - mean * scale
