"""CLIP's two towers in plain torch, from weights in transformers' names: no library has to be imported to run them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from connector.engine.blocks import Block, BlockWeights, byte_product

if TYPE_CHECKING:
    from connector.engine.device import Device
    from connector.engine.pixels import Pixels
    from connector.engine.tensors import Tensors

Activation = Literal["quick_gelu", "gelu", "gelu_tanh"]
Shapes = dict[str, tuple[int, ...]]
Pair = tuple[Tensor, Tensor]

_LEGACY_END = 2
"""The end-of-text id of CLIP's first published settings, which is no id of theirs: the text's highest id is meant."""


class PictureTower(Protocol):
    """Runs pictures through a model."""

    def embed(self, squares: Tensor) -> Tensor:
        """Embed pictures: uint8 (n, side, side, 3) to float32 (n, length)."""
        ...


@dataclasses.dataclass(frozen=True)
class Blocks:
    """One tower's blocks: where their weights are, how wide they are, how many."""

    prefix: str
    width: int
    inner: int
    layers: int
    heads: int
    activation: Activation
    eps: float

    @property
    def shapes(self) -> Shapes:
        """Every weight's name and shape."""
        width, inner = self.width, self.inner
        weights: Shapes = {f"self_attn.{each}_proj": (width, width) for each in ("q", "k", "v", "out")}
        weights |= {"mlp.fc1": (inner, width), "mlp.fc2": (width, inner)}
        weights |= {"layer_norm1": (width,), "layer_norm2": (width,)}
        return {
            f"{self.prefix}.{at}.{name}.{kind}": shape[:1] if kind == "bias" else shape
            for at in range(self.layers)
            for name, shape in weights.items()
            for kind in ("weight", "bias")
        }

    def build(self, tensors: Tensors, where: Device) -> list[Block]:
        """Read the weights and place them on the device."""
        return [Block(self._weights(tensors, at), where.precision, where.name) for at in range(self.layers)]

    def _weights(self, tensors: Tensors, at: int) -> BlockWeights:
        def pair(name: str) -> Pair:
            return _pair(tensors, f"{self.prefix}.{at}.{name}")

        parts = [pair(f"self_attn.{name}_proj") for name in "qkv"]
        return BlockWeights(
            norm1=pair("layer_norm1"),
            qkv=(torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])),
            out=pair("self_attn.out_proj"),
            norm2=pair("layer_norm2"),
            fc1=pair("mlp.fc1"),
            fc2=pair("mlp.fc2"),
            scale1=None,
            scale2=None,
            heads=self.heads,
            activation=self.activation,
            eps=self.eps,
        )


@dataclasses.dataclass(frozen=True)
class TextSettings:
    """CLIP's text tower.

    Attributes:
        words: ids it knows.
        positions: ids it reads of one text.
        end: the id at which a text's vector is read.
        length: values in a vector.
    """

    blocks: Blocks
    words: int
    positions: int
    end: int
    length: int

    @property
    def shapes(self) -> Shapes:
        """Every weight's name and shape."""
        width = self.blocks.width
        return self.blocks.shapes | {
            "text_model.embeddings.token_embedding.weight": (self.words, width),
            "text_model.embeddings.position_embedding.weight": (self.positions, width),
            "text_model.final_layer_norm.weight": (width,),
            "text_model.final_layer_norm.bias": (width,),
            "text_projection.weight": (self.length, width),
        }

    def end_of(self, ids: Sequence[int]) -> int:
        """The position at which a text's vector is read, as transformers finds it."""
        if self.end == _LEGACY_END:
            return max(range(len(ids)), key=ids.__getitem__)
        return ids.index(self.end) if self.end in ids else 0

    def build(self, tensors: Tensors, where: Device) -> TextTower:
        """Read the weights and place them on the device."""
        return TextTower(self, tensors, where)


class TextTower:
    """Runs texts through a model. A text's vector does not depend on what it is embedded with.

    Every position sees only those before it, and the vector is read where the text ends: what pads it is never seen.
    """

    def __init__(self, settings: TextSettings, tensors: Tensors, where: Device) -> None:
        self._settings, self._where = settings, where
        place = _Place(tensors, where)
        self._words = place.take("text_model.embeddings.token_embedding.weight")
        self._positions = place.take("text_model.embeddings.position_embedding.weight")
        self._blocks = settings.blocks.build(tensors, where)
        self._norm = place.pair("text_model.final_layer_norm")
        self._projection = place.take("text_projection.weight")

    @torch.inference_mode()
    def embed(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Embed texts, given as ids, at least one: float32 (n, length). The shorter ones are padded, so like lengths pay."""
        longest = max(map(len, texts))
        padded = [[*ids, *[0] * (longest - len(ids))] for ids in texts]
        hidden = functional.embedding(torch.tensor(padded, device=self._where.name), self._words)
        hidden = hidden + self._positions[:longest]
        for block in self._blocks[:-1]:
            hidden = block(hidden, causal=True)
        ends = torch.tensor([self._settings.end_of(ids) for ids in texts], device=self._where.name)
        hidden = self._blocks[-1](hidden, causal=True, only=ends)
        return functional.linear(self._normed(hidden[:, 0]), self._projection).float()

    def _normed(self, hidden: Tensor) -> Tensor:
        return functional.layer_norm(hidden, hidden.shape[-1:], *self._norm, self._settings.blocks.eps)


@dataclasses.dataclass(frozen=True)
class PictureSettings:
    """CLIP's picture tower, a vision transformer.

    Attributes:
        side: of a picture, in pixels.
        patch: side of the squares it is cut into.
        length: values in a vector.
    """

    blocks: Blocks
    side: int
    patch: int
    length: int

    @property
    def shapes(self) -> Shapes:
        """Every weight's name and shape."""
        width = self.blocks.width
        norms = ("vision_model.pre_layrnorm", "vision_model.post_layernorm")
        return self.blocks.shapes | {
            "vision_model.embeddings.class_embedding": (width,),
            "vision_model.embeddings.patch_embedding.weight": (width, 3, self.patch, self.patch),
            "vision_model.embeddings.position_embedding.weight": ((self.side // self.patch) ** 2 + 1, width),
            **{f"{norm}.{kind}": (width,) for norm in norms for kind in ("weight", "bias")},
            "visual_projection.weight": (self.length, width),
        }

    def build(self, tensors: Tensors, where: Device, pixels: Pixels) -> PictureTower:
        """Read the weights and place them on the device."""
        return VisionTransformer(self, tensors, where, pixels)


class VisionTransformer:
    """Runs pictures through a model: patches and a class token, whose last state becomes the vector.

    Patches do not overlap, so their embedding is a product, and normalising the pixels beforehand is part of its weights.
    """

    def __init__(self, settings: PictureSettings, tensors: Tensors, where: Device, pixels: Pixels) -> None:
        self._settings = settings
        place = _Place(tensors, where)
        weight = tensors.read("vision_model.embeddings.patch_embedding.weight")
        self._embedded = byte_product(
            pixels.of_bytes(weight.permute(0, 2, 3, 1).flatten(1)),
            precision=where.precision,
            device=where.name,
        )
        positions = place.take("vision_model.embeddings.position_embedding.weight")
        # The class token is the same in every picture, and so is its position.
        self._first = place.take("vision_model.embeddings.class_embedding") + positions[:1]
        self._positions = positions[1:]
        self._before = place.pair("vision_model.pre_layrnorm")
        self._blocks = settings.blocks.build(tensors, where)
        self._after = place.pair("vision_model.post_layernorm")
        self._projection = place.take("visual_projection.weight")

    @torch.inference_mode()
    def embed(self, squares: Tensor) -> Tensor:
        """Embed pictures: uint8 (n, side, side, 3) to float32 (n, length)."""
        patches = self._embedded(self._cut(squares)).view(len(squares), *self._positions.shape)
        first = self._first.expand(len(squares), 1, -1)
        hidden = torch.cat([first, patches + self._positions], dim=1)
        hidden = self._normed(hidden, self._before)
        for block in self._blocks[:-1]:
            hidden = block(hidden)
        hidden = self._blocks[-1](
            hidden, only=torch.zeros(len(hidden), dtype=torch.int64, device=hidden.device)
        )
        return functional.linear(self._normed(hidden[:, 0], self._after), self._projection).float()

    def _cut(self, squares: Tensor) -> Tensor:
        """Each patch's bytes in a row: (n · patches, patch · patch · 3). What is left over at the right and below stays out."""
        patch = self._settings.patch
        across = self._settings.side // patch
        whole = squares[:, : across * patch, : across * patch]
        rows = whole.reshape(len(squares), across, patch, across, patch * 3)
        return rows.transpose(2, 3).reshape(-1, patch * patch * 3)

    def _normed(self, hidden: Tensor, norm: Pair) -> Tensor:
        return functional.layer_norm(hidden, hidden.shape[-1:], *norm, self._settings.blocks.eps)


class _Place:
    """Reads tensors and places them where, and in the numbers in which, a model runs."""

    def __init__(self, tensors: Tensors, where: Device) -> None:
        self._tensors, self._where = tensors, where

    def take(self, name: str) -> Tensor:
        return self._tensors.read(name).to(self._where.name, self._where.dtype)

    def pair(self, name: str) -> Pair:
        return self.take(f"{name}.weight"), self.take(f"{name}.bias")


def _pair(tensors: Tensors, name: str) -> Pair:
    return tensors.read(f"{name}.weight"), tensors.read(f"{name}.bias")
