"""Forward passes written out in torch's primitives, from a weight file's numbers: what the handlers must be equal to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]
Activation = Callable[[Tensor], Tensor]
HEADS = 2

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def weights_of(folder: Path, name: str = "model.safetensors") -> dict[str, Tensor]:
    """A folder's weights by name."""
    return load_file(folder / name)


def quick_gelu(x: Tensor) -> Tensor:
    """The activation of OpenAI's CLIP."""
    return x * torch.sigmoid(1.702 * x)


def clip_pixels(picture: Image.Image, half: Callable[[float], int] = math.floor) -> Tensor:
    """Shortest side 224, bicubic, by Pillow; centre crop; OpenAI's mean and deviation: (1, 3, 224, 224).

    `half` is where libraries differ: of an odd number of pixels to cut, transformers leaves the smaller half on the
    left; torchvision, and with it open_clip, rounds.
    """
    short, long = sorted(picture.size)
    side = int(224 * long / short)
    size = (224, side) if picture.width <= picture.height else (side, 224)
    small = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = half((small.width - 224) / 2), half((small.height - 224) / 2)
    values = torch.tensor(np.asarray(small.crop((left, top, left + 224, top + 224)), np.float32)) / 255
    return ((values - torch.tensor(OPENAI_MEAN)) / torch.tensor(OPENAI_STD)).permute(2, 0, 1)[None]


def vitrivr_pixels(picture: Image.Image, *, resize: int = 244, mean: float = 0.5) -> Tensor:
    """Numbers from 0 to 1, shortest side 244 bilinear with antialias, centre crop 224, mean = deviation = 0.5."""
    values = torch.tensor(np.asarray(picture, np.float32)).permute(2, 0, 1)[None] / 255
    height, width = values.shape[-2:]
    short, long = sorted((height, width))
    side = int(resize * long / short)
    size = (side, resize) if width <= height else (resize, side)
    values = functional.interpolate(values, size=size, mode="bilinear", antialias=True, align_corners=False)
    top, left = (round((each - 224) / 2) for each in values.shape[-2:])
    return (values[..., top : top + 224, left : left + 224] - mean) / mean


def _norm(x: Tensor, weights: Weights, name: str, eps: float) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def _linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return functional.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def _heads(x: Tensor) -> Tensor:
    return x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)


def _attend(parts: Sequence[Tensor], mask: Tensor | None) -> Tensor:
    q, k, v = (_heads(part) for part in parts)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def _clip_layers(x: Tensor, weights: Weights, tower: str, mask: Tensor | None) -> Tensor:
    """The pre-norm blocks of a transformers CLIP."""
    for layer in range(2):
        at = f"{tower}.encoder.layers.{layer}"
        inner = _norm(x, weights, f"{at}.layer_norm1", 1e-5)
        parts = [_linear(inner, weights, f"{at}.self_attn.{name}_proj") for name in "qkv"]
        x = x + _linear(_attend(parts, mask), weights, f"{at}.self_attn.out_proj")
        inner = quick_gelu(_linear(_norm(x, weights, f"{at}.layer_norm2", 1e-5), weights, f"{at}.mlp.fc1"))
        x = x + _linear(inner, weights, f"{at}.mlp.fc2")
    return x


def _tokens(pixels: Tensor, kernel: Tensor, bias: Tensor | None, first: Tensor) -> Tensor:
    patches = functional.conv2d(pixels, kernel, bias, stride=kernel.shape[-1]).flatten(2).transpose(1, 2)
    return torch.cat((first.reshape(1, 1, -1), patches), dim=1)


def clip_image(pixels: Tensor, weights: Weights) -> Tensor:
    """CLIP's picture vector: class token, post-layernorm, visual projection, length one."""
    at = "vision_model.embeddings"
    x = _tokens(pixels, weights[f"{at}.patch_embedding.weight"], None, weights[f"{at}.class_embedding"])
    x = x + weights[f"{at}.position_embedding.weight"]
    x = _clip_layers(_norm(x, weights, "vision_model.pre_layrnorm", 1e-5), weights, "vision_model", None)
    pooled = _norm(x[:, 0], weights, "vision_model.post_layernorm", 1e-5)
    return functional.normalize(_linear(pooled, weights, "visual_projection"), dim=-1)[0]


def clip_text(ids: list[int], weights: Weights) -> Tensor:
    """CLIP's text vector: final layer norm at the end-of-text token (the highest id), text projection, length one."""
    at = "text_model.embeddings"
    x = weights[f"{at}.token_embedding.weight"][ids][None]
    x = x + weights[f"{at}.position_embedding.weight"][: len(ids)]
    causal = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    x = _norm(_clip_layers(x, weights, "text_model", causal), weights, "text_model.final_layer_norm", 1e-5)
    return functional.normalize(_linear(x[:, int(np.argmax(ids))], weights, "text_projection"), dim=-1)[0]


def open_clip_image(pixels: Tensor, weights: Weights) -> Tensor:
    """open_clip's picture vector: class token, ln_post, projection, length one."""
    x = _tokens(pixels, weights["visual.conv1.weight"], None, weights["visual.class_embedding"])
    x = _norm(x + weights["visual.positional_embedding"], weights, "visual.ln_pre", 1e-5)
    for layer in range(2):
        at = f"visual.transformer.resblocks.{layer}"
        inner = _norm(x, weights, f"{at}.ln_1", 1e-5)
        joined = functional.linear(
            inner, weights[f"{at}.attn.in_proj_weight"], weights[f"{at}.attn.in_proj_bias"]
        )
        x = x + _linear(_attend(joined.chunk(3, dim=-1), None), weights, f"{at}.attn.out_proj")
        inner = functional.gelu(_linear(_norm(x, weights, f"{at}.ln_2", 1e-5), weights, f"{at}.mlp.c_fc"))
        x = x + _linear(inner, weights, f"{at}.mlp.c_proj")
    pooled = _norm(x[:, 0], weights, "visual.ln_post", 1e-5)
    return functional.normalize(pooled @ weights["visual.proj"], dim=-1)[0]


def xlm_roberta_text(ids: list[int], weights: Weights, *, pad: int = 1, eps: float = 1e-12) -> Tensor:
    """The multilingual tower's vector: mean of the tokens that are no padding, two layers, length one."""
    at = "text.transformer"
    tokens = torch.tensor(ids)
    there = (tokens != pad).long()
    places = there.cumsum(0) * there + pad
    x = weights[f"{at}.embeddings.word_embeddings.weight"][tokens]
    x = x + weights[f"{at}.embeddings.position_embeddings.weight"][places]
    x = (x + weights[f"{at}.embeddings.token_type_embeddings.weight"][0])[None]
    x = _norm(x, weights, f"{at}.embeddings.LayerNorm", eps)
    mask = torch.where(there == 1, 0.0, -math.inf)
    for layer in range(2):
        block = f"{at}.encoder.layer.{layer}"
        parts = [_linear(x, weights, f"{block}.attention.self.{name}") for name in ("query", "key", "value")]
        out = _linear(_attend(parts, mask), weights, f"{block}.attention.output.dense")
        x = _norm(x + out, weights, f"{block}.attention.output.LayerNorm", eps)
        inner = functional.gelu(_linear(x, weights, f"{block}.intermediate.dense"))
        out = _linear(inner, weights, f"{block}.output.dense")
        x = _norm(x + out, weights, f"{block}.output.LayerNorm", eps)
    mean = (x * there[None, :, None]).sum(1) / there.sum()
    return functional.normalize(
        _linear(functional.gelu(_linear(mean, weights, "text.proj.0")), weights, "text.proj.2"), dim=-1
    )[0]


def hub_positions(table: Tensor, patches: int) -> Tensor:
    """The table of positions as torch.hub's dinov2 brings it to another size: asked for by a scale 0.1 of a patch too
    large, bicubic, without antialias."""
    side = math.isqrt(table.shape[1] - 1)
    if side == patches:
        return table
    grid = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (patches + 0.1) / side
    grid = functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat((table[:, :1], grid.permute(0, 2, 3, 1).reshape(1, patches * patches, -1)), dim=1)


def dinov2_image(pixels: Tensor, weights: Weights, positions: Tensor) -> Tensor:
    """DINOv2's class token after the last layer norm, not brought to length one."""
    at = "embeddings"
    kernel, bias = (weights[f"{at}.patch_embeddings.projection.{name}"] for name in ("weight", "bias"))
    x = _tokens(pixels, kernel, bias, weights[f"{at}.cls_token"]) + positions
    for layer in range(2):
        block = f"encoder.layer.{layer}"
        inner = _norm(x, weights, f"{block}.norm1", 1e-6)
        parts = [
            _linear(inner, weights, f"{block}.attention.attention.{name}")
            for name in ("query", "key", "value")
        ]
        out = _linear(_attend(parts, None), weights, f"{block}.attention.output.dense")
        x = x + out * weights[f"{block}.layer_scale1.lambda1"]
        inner = functional.gelu(
            _linear(_norm(x, weights, f"{block}.norm2", 1e-6), weights, f"{block}.mlp.fc1")
        )
        x = x + _linear(inner, weights, f"{block}.mlp.fc2") * weights[f"{block}.layer_scale2.lambda1"]
    return _norm(x, weights, "layernorm", 1e-6)[0, 0]
