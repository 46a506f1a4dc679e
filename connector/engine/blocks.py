"""The transformer block that CLIP, SigLIP and DINOv2 are made of, with its weights laid out for the processor.

PyTorch's own linear layers re-order their weights for the processor's kernels on every call. Here that is done once
(oneDNN's pre-packed weights), the activation and the residual are added inside the matrix product, the projections of
query, key and value are one product, and layer scales are part of the weights. "int8" stores weights as 8-bit numbers
with a scale for each output, and rounds each token's values to 8 bits with a scale of its own, so that a vector does
not depend on what else is in the batch.

The packed operators are private to PyTorch. Where they are missing, and on a GPU, plain linear layers take their place.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from connector.engine.precision import DTYPES, Precision

Activation: TypeAlias = Literal["quick_gelu", "gelu", "gelu_tanh"]
Linear: TypeAlias = "tuple[Tensor, Tensor | None]"  # weight (outputs, inputs) and bias (outputs,)

ROWS = 400
"""Tokens for which weights are packed: about what one part of a batch has (see `streams`)."""

HALF = 128
"""What bytes are centred on, and divided by, before they are multiplied: exact in every precision."""

_LOW = 32
"""What stands for nothing in 8 bits where an activation came before: it lets through less than a third below, and far more
above. Of 16, 24, 32, 64 and 128 this rounds finest."""

_QUICK = 1.702  # quick_gelu(x) = x · sigmoid(1.702 x), of https://github.com/openai/CLIP


@dataclasses.dataclass(frozen=True)
class BlockWeights:
    """One pre-norm block: h + s1·out(attention(qkv(norm1(h)))), then h + s2·fc2(activation(fc1(norm2(h)))).

    Attributes:
        norm1: weight and bias, (width,) each; likewise `norm2`.
        qkv: the projections to query, key and value, one below the other: (3 · width, width).
        out: (width, width).
        fc1: (hidden, width).
        fc2: (width, hidden).
        heads: into how many parts of equal size the width is cut for attention.
        activation: between `fc1` and `fc2`.
        eps: of the norms.
        scale1: layer scale (width,), or None; likewise `scale2`.
    """

    norm1: tuple[Tensor, Tensor]
    qkv: Linear
    out: Linear
    norm2: tuple[Tensor, Tensor]
    fc1: Linear
    fc2: Linear
    heads: int
    activation: Activation
    eps: float
    scale1: Tensor | None = None
    scale2: Tensor | None = None


class Product(Protocol):
    """A linear layer that is ready to run."""

    def __call__(self, rows: Tensor, /, to: Tensor | None = None) -> Tensor:
        """(n, inputs) to (n, outputs), the activation included, and added to `to` where that is given."""
        ...


class Block(torch.nn.Module):
    """A block with its weights in the layout of its device and precision; it keeps none of those it was made from."""

    def __init__(self, weights: BlockWeights, precision: Precision, device: str = "cpu") -> None:
        super().__init__()
        dtype = DTYPES[precision]
        self.heads, self.eps = weights.heads, weights.eps
        self.norms = [
            (weight.detach().to(device, dtype), bias.detach().to(device, dtype))
            for weight, bias in (weights.norm1, weights.norm2)
        ]
        fc1, fc2, then = _rescaled(weights)
        make = functools.partial(product, precision=precision, device=device)
        self.qkv, self.fc1 = make(weights.qkv), make(fc1, then)
        self.out = make(_scaled(weights.out, weights.scale1))
        self.fc2 = make(_scaled(fc2, weights.scale2), after=then)

    def forward(
        self, hidden: Tensor, mask: Tensor | None = None, *, causal: bool = False, only: Tensor | None = None
    ) -> Tensor:
        """(n, tokens, width) to the same, or of each row to the one token at the place that `only` (n,) names: (n, 1, width).

        `mask` is added to the attention's scores, or says where True may look. The last block of a tower of which one
        token is read may leave two thirds of its work undone.
        """
        count, tokens, width = hidden.shape
        rows = hidden.reshape(-1, width)
        mixed = self.qkv(self._normed(rows, 0)).view(count, tokens, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        if only is not None:
            each = torch.arange(count, device=hidden.device)
            rows, query = hidden[each, only], query[each, :, only].unsqueeze(2)
            if causal:
                mask = (torch.arange(tokens, device=hidden.device) <= only[:, None])[:, None, None]
        seen = functional.scaled_dot_product_attention(
            query, key, value, mask, is_causal=causal and mask is None
        )
        rows = self.out(seen.transpose(1, 2).reshape(-1, width), rows)
        rows = self.fc2(self.fc1(self._normed(rows, 1)), rows)
        return rows.view(count, -1, width)

    def _normed(self, rows: Tensor, which: int) -> Tensor:
        weight, bias = self.norms[which]
        return functional.layer_norm(rows, (rows.shape[-1],), weight, bias, self.eps)


def _rescaled(weights: BlockWeights) -> tuple[Linear, Linear, str]:
    """`fc1` and `fc2` for an activation that the kernels know: quick_gelu(x) is silu(1.702 x) / 1.702."""
    if weights.activation != "quick_gelu":
        return weights.fc1, weights.fc2, weights.activation
    (weight1, bias1), (weight2, bias2) = weights.fc1, weights.fc2
    fc1 = (weight1 * _QUICK, None if bias1 is None else bias1 * _QUICK)
    return fc1, (weight2 / _QUICK, bias2), "silu"


def _scaled(linear: Linear, scale: Tensor | None) -> Linear:
    if scale is None:
        return linear
    weight, bias = linear
    return weight * scale[:, None], None if bias is None else bias * scale


def product(linear: Linear, then: str = "", *, after: str = "", precision: Precision, device: str) -> Product:
    """A linear layer and the activation `then`, in the fastest form that its device and precision have.

    `after` is the activation that its inputs come from, if they do.
    """
    weight, bias = (None if each is None else each.detach().float() for each in linear)
    assert weight is not None  # a linear layer may lack a bias only
    if precision == "int8":
        return _Int8(weight, bias, then, zero=_LOW if after else HALF)
    if device == "cpu" and packs(precision):
        return _Packed(weight, bias, then, DTYPES[precision])
    return _Plain(weight, bias, then, DTYPES[precision], device)


def byte_product(linear: Linear, *, precision: Precision, device: str) -> Callable[[Tensor], Tensor]:
    """A linear layer over bytes, uint8 (n, inputs), each of which counts as its distance from `HALF`, divided by `HALF`."""
    made = product(linear, precision=precision, device=device)
    if isinstance(made, _Int8):
        return made.of_bytes
    return lambda rows: made(rows.to(DTYPES[precision]).sub_(HALF).div_(HALF))


class _Plain:
    """torch's own linear layer, on any device."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, then: str, dtype: torch.dtype, device: str
    ) -> None:
        self._weight = weight.to(device, dtype)
        self._bias = None if bias is None else bias.to(device, dtype)
        self._then = _ACTIVATIONS[then]

    def __call__(self, rows: Tensor, /, to: Tensor | None = None) -> Tensor:
        return _sum(self._then(functional.linear(rows, self._weight, self._bias)), to)


class _Packed:
    """oneDNN's linear layer with weights re-ordered beforehand, and the activation or the sum fused."""

    def __init__(self, weight: Tensor, bias: Tensor | None, then: str, dtype: torch.dtype) -> None:
        reorder = torch.ops.mkldnn._reorder_linear_weight
        self._weight = reorder(weight.to(dtype).contiguous(), ROWS)
        self._bias = None if bias is None else bias.to(dtype).contiguous()
        self._then, self._kind = _FUSED[then]

    def __call__(self, rows: Tensor, /, to: Tensor | None = None) -> Tensor:
        run, weight, bias = torch.ops.mkldnn._linear_pointwise, self._weight, self._bias
        if to is not None and self._then == "none":
            added: Tensor = run.binary(rows, to, weight, bias, "add")
            return added
        made: Tensor = run(rows, weight, bias, self._then, [], self._kind)
        return _sum(made, to)


class _Int8:
    """8-bit weights (symmetric, a scale for each output) times 8-bit values (a scale for each token).

    `zero` is the byte that stands for nothing: how many of the 256 are below it, and how many above.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, then: str, zero: int = HALF) -> None:
        self._scale = (weight.abs().amax(1) / 127).clamp_(min=_TINY)
        rounded = (weight / self._scale[:, None]).round_().to(torch.int8).contiguous()
        self._weight = torch.ops.onednn.qlinear_prepack(rounded, [ROWS, weight.shape[1]])
        self._none = torch.zeros(len(weight), dtype=torch.int32)
        self._bias = torch.zeros(len(weight)) if bias is None else bias.contiguous()
        self._zero = zero
        # The cast cuts, so the half rounds. A row of them, for which torch has a faster kernel than for one.
        self._zeros = torch.full((weight.shape[1],), zero + 0.5)
        self._then = _ACTIVATIONS[then]

    def __call__(self, rows: Tensor, /, to: Tensor | None = None) -> Tensor:
        above = rows.amax(1, keepdim=True) / (255 - self._zero)
        below = rows.amin(1, keepdim=True) / -self._zero
        scale = torch.maximum(above, below).clamp_(min=_TINY)
        values = torch.addcmul(self._zeros, rows, 1 / scale).to(torch.uint8)
        made = self._multiplied(values, self._zero)
        return _sum(self._then(torch.addcmul(self._bias, made, scale, out=made)), to)

    def of_bytes(self, values: Tensor) -> Tensor:
        """Bytes are what the kernels take: nothing is rounded."""
        return self._then(torch.add(self._bias, self._multiplied(values, HALF), alpha=1 / HALF))

    def _multiplied(self, values: Tensor, zero: int) -> Tensor:
        made: Tensor = torch.ops.onednn.qlinear_pointwise(
            values,
            1.0,
            zero,
            self._weight,
            self._scale,
            self._none,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return made


def _sum(made: Tensor, to: Tensor | None) -> Tensor:
    return made if to is None else made.add_(to)


_TINY = torch.finfo(torch.float32).tiny
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda values: values,
    "silu": lambda values: functional.silu(values, inplace=True),
    "gelu": functional.gelu,
    "gelu_tanh": functools.partial(functional.gelu, approximate="tanh"),
}
_FUSED = {"": ("none", ""), "silu": ("swish", ""), "gelu": ("gelu", "none"), "gelu_tanh": ("gelu", "tanh")}


@functools.cache
def packs(precision: Precision) -> bool:
    """Whether this PyTorch and this processor run products of a precision with packed weights, and get them right."""
    # A border: private operators may be missing, have another signature or refuse the processor, each in a way of its own.
    try:
        weight, rows = torch.eye(64), torch.linspace(-1, 1, 64 * 64).view(64, 64)
        if precision == "int8":
            # Where a processor adds neighbouring products up in 16 bits, only large ones show that they do not fit.
            ones = torch.ones(64, 64)
            if bool((_Int8(ones, None, "")(ones) - 64).abs().max() > 0.02):
                return False
            made = _Int8(weight, None, "")(rows)
        else:
            multiply, given = _Packed(weight, None, "", DTYPES[precision]), rows.to(DTYPES[precision])
            made = multiply(given, multiply(given)) / 2
        return bool((made.float() - rows).abs().max() < 0.02)
    except Exception:  # noqa: BLE001
        return False
