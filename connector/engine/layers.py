"""The libraries' own transformer layers, replaced in a loaded model by our blocks, which give the same vectors sooner.

A layer is recognised by its parts and not by its name. Its block is then run beside it, and takes its place only where
both agree: a layer that does more than its parts say stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from connector.engine.blocks import Activation, Block, BlockWeights, Linear
from connector.engine.device import Device

log = logging.getLogger("connector")

# What a layer adds to its input, by us and by the library: bfloat16 and int8 leave 0.999, anything wrong far less.
_SAME = 0.99

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
}


class Layer(Block):
    """A block that is called as the libraries call their layers."""

    def forward(self, hidden: Tensor, *masks: Tensor | None, **options: Any) -> Tensor:
        """(n, tokens, width) to the same; transformers names the mask `attention_mask`, open_clip `attn_mask`."""
        given = (*masks, options.get("attention_mask"), options.get("attn_mask"))
        mask = next((each for each in given if each is not None), None)
        if mask is not None and mask.is_floating_point():
            mask = mask.to(hidden.dtype)
        return super().forward(hidden, mask, causal=bool(options.get("is_causal", False)))

    def get_weight_dtype(self) -> torch.dtype:
        """What open_clip asks of its first layer."""
        return self.norms[0][0].dtype


@torch.inference_mode()
def replace_layers(model: nn.Module, where: Device) -> int:
    """Put blocks in the place of a model's layers, where they are known and agree.

    Returns:
        how many were replaced.
    """
    replaced = 0
    for holder, place, layer in list(_layers(model)):
        weights = _weights(layer)
        if weights is not None:
            block = Layer(weights, where.precision, where.name)
            if _agrees(layer, block, weights):
                holder[place] = block
                replaced += 1
    log.debug("%d layers of %s run as packed blocks", replaced, type(model).__name__)
    return replaced


def _layers(model: nn.Module) -> Iterator[tuple[Any, int, nn.Module]]:
    for holder in model.modules():
        if isinstance(holder, (nn.ModuleList, nn.Sequential)):
            for place, layer in enumerate(holder):
                yield holder, place, layer


def _weights(layer: nn.Module) -> BlockWeights | None:
    """A layer's parts; None where it has others than those of a plain pre-norm block."""
    if layer.training:
        return None
    children = dict(layer.named_children())
    try:
        return _of_open_clip(children) if "ln_1" in children else _of_transformers(children)
    except (KeyError, AttributeError, TypeError):  # it lacks a part, or has another in its place
        return None


def _of_transformers(parts: dict[str, Any]) -> BlockWeights | None:
    attention = parts.get("self_attn") or parts["attention"]
    norm1, norm2 = parts.get("layer_norm1") or parts["norm1"], parts.get("layer_norm2") or parts["norm2"]
    out = getattr(attention, "out_proj", None) or attention.o_proj
    mlp = parts["mlp"]
    activation = _activation(mlp.activation_fn)
    if activation is None:
        return None
    three = (attention.q_proj, attention.k_proj, attention.v_proj)
    biases = [each.bias for each in three if each.bias is not None]
    scales = [parts.get(f"layer_scale{which}") for which in (1, 2)]
    heads = getattr(attention, "num_heads", None) or attention.num_attention_heads
    return BlockWeights(
        norm1=(norm1.weight, norm1.bias),
        qkv=(torch.cat([each.weight for each in three]), torch.cat(biases) if len(biases) == 3 else None),
        out=_linear(out),
        norm2=(norm2.weight, norm2.bias),
        fc1=_linear(mlp.fc1),
        fc2=_linear(mlp.fc2),
        heads=heads,
        activation=activation,
        eps=norm1.eps,
        scale1=None if scales[0] is None else scales[0].lambda1,
        scale2=None if scales[1] is None else scales[1].lambda1,
    )


def _of_open_clip(parts: dict[str, Any]) -> BlockWeights | None:
    attention, mlp = parts["attn"], dict(parts["mlp"].named_children())
    activation = _activation(mlp["gelu"])
    if not isinstance(attention, nn.MultiheadAttention) or not attention.batch_first or activation is None:
        return None
    norm1, norm2 = parts["ln_1"], parts["ln_2"]
    scales = [
        None if isinstance(parts[name], nn.Identity) else parts[name].gamma for name in ("ls_1", "ls_2")
    ]
    return BlockWeights(
        norm1=(norm1.weight, norm1.bias),
        qkv=(attention.in_proj_weight, attention.in_proj_bias),
        out=_linear(attention.out_proj),
        norm2=(norm2.weight, norm2.bias),
        fc1=_linear(mlp["c_fc"]),
        fc2=_linear(mlp["c_proj"]),
        heads=attention.num_heads,
        activation=activation,
        eps=norm1.eps,
        scale1=scales[0],
        scale2=scales[1],
    )


def _linear(layer: Any) -> Linear:
    return layer.weight, layer.bias


def _activation(function: Callable[[Tensor], Tensor]) -> Activation | None:
    """Which of the known activations a function is, by what it does: its names differ between the libraries."""
    values = torch.linspace(-6, 6, 201)
    made = function(values.clone())
    for name, known in _ACTIVATIONS.items():
        if (made - known(values)).abs().max() < 1e-5:
            return name
    return None


def _agrees(layer: nn.Module, block: Layer, weights: BlockWeights) -> bool:
    width, like = weights.out[0].shape[0], weights.norm1[0]
    noise = torch.randn((2, 5, width), generator=torch.Generator().manual_seed(0)).to(like.device, like.dtype)
    # A border: a layer that asks for more than hidden states is none that a block can stand for, however it says so.
    try:
        theirs = layer(noise.clone(), None)
    except Exception:  # noqa: BLE001
        return False
    if not isinstance(theirs, Tensor) or theirs.shape != noise.shape:
        return False
    added = [(made - noise).float().flatten() for made in (theirs, block(noise.clone()))]
    return bool(functional.cosine_similarity(added[0], added[1], dim=0) >= _SAME)
