"""A block is the textbook's arithmetic, whatever its precision and layout."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from connector.engine import blocks
from connector.engine.blocks import Activation, Block, BlockWeights
from connector.engine.precision import DTYPES, Precision

WIDTH, INNER, HEADS = 64, 160, 4
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda values: functional.gelu(values, approximate="tanh"),
    "quick_gelu": lambda values: values * torch.sigmoid(1.702 * values),
}


def some_weights(activation: Activation = "gelu", *, bias: bool = True, scaled: bool = False) -> BlockWeights:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int, spread: float = 0.2) -> Tensor:
        return torch.randn(shape, generator=random) * spread

    def linear(outputs: int, inputs: int) -> tuple[Tensor, Tensor | None]:
        return draw(outputs, inputs), draw(outputs) if bias else None

    return BlockWeights(
        norm1=(1 + draw(WIDTH), draw(WIDTH)),
        qkv=linear(3 * WIDTH, WIDTH),
        out=linear(WIDTH, WIDTH),
        norm2=(1 + draw(WIDTH), draw(WIDTH)),
        fc1=linear(INNER, WIDTH),
        fc2=linear(WIDTH, INNER),
        heads=HEADS,
        activation=activation,
        eps=1e-5,
        scale1=draw(WIDTH) if scaled else None,
        scale2=draw(WIDTH) if scaled else None,
    )


def textbook(weights: BlockWeights, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Pre-norm attention and a layer of two products, written as it is taught, in double precision."""

    def linear(values: Tensor, pair: tuple[Tensor, Tensor | None]) -> Tensor:
        weight, bias = pair
        return functional.linear(values, weight.double(), None if bias is None else bias.double())

    def norm(values: Tensor, pair: tuple[Tensor, Tensor]) -> Tensor:
        return functional.layer_norm(values, (WIDTH,), pair[0].double(), pair[1].double(), weights.eps)

    def cut(values: Tensor) -> Tensor:
        return values.view(*values.shape[:2], HEADS, -1).transpose(1, 2)

    h = hidden.double()
    query, key, value = (cut(each) for each in linear(norm(h, weights.norm1), weights.qkv).chunk(3, -1))
    scores = query @ key.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf"))
    seen = (scores.softmax(-1) @ value).transpose(1, 2).reshape(h.shape)
    one = torch.ones(WIDTH)
    h = h + (one if weights.scale1 is None else weights.scale1) * linear(seen, weights.out)
    inner = ACTIVATIONS[weights.activation](linear(norm(h, weights.norm2), weights.fc1))
    return h + (one if weights.scale2 is None else weights.scale2) * linear(inner, weights.fc2)


def hidden_states(count: int = 3, tokens: int = 7) -> Tensor:
    return torch.randn((count, tokens, WIDTH), generator=torch.Generator().manual_seed(1))


def distance(made: Tensor, wanted: Tensor) -> float:
    """Relative distance of all values together."""
    return float((made.double() - wanted.double()).norm() / wanted.double().norm())


@torch.inference_mode()
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "quick_gelu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_float32_is_exact(activation: Activation, bias: bool, scaled: bool) -> None:
    weights = some_weights(activation, bias=bias, scaled=scaled)
    made = Block(weights, "float32")(hidden_states())
    assert distance(made, textbook(weights, hidden_states())) < 2e-6


@torch.inference_mode()
@pytest.mark.parametrize(("precision", "near"), [("bfloat16", 0.02), ("int8", 0.02)])
def test_shorter_numbers_stay_near(precision: Precision, near: float) -> None:
    if not blocks.packs(precision):
        pytest.skip(f"this processor has no products in {precision}")
    weights = some_weights("quick_gelu", scaled=True)
    made = Block(weights, precision)(hidden_states().to(DTYPES[precision]))
    assert 1e-5 < distance(made, textbook(weights, hidden_states())) < near


@torch.inference_mode()
def test_plain_layers_do_the_same_where_packed_ones_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = Block(some_weights(), "float32")(hidden_states())
    monkeypatch.setattr(blocks, "packs", lambda precision: False)
    assert distance(Block(some_weights(), "float32")(hidden_states()), packed) < 2e-6


@torch.inference_mode()
def test_a_causal_block_looks_backwards_only() -> None:
    allowed = torch.ones(7, 7, dtype=torch.bool).tril()
    wanted = textbook(some_weights(), hidden_states(), allowed)
    block = Block(some_weights(), "float32")
    assert distance(block(hidden_states(), causal=True), wanted) < 2e-6
    assert distance(block(hidden_states(), allowed), wanted) < 2e-6
    added = torch.zeros(7, 7).masked_fill(~allowed, float("-inf"))
    assert distance(block(hidden_states(), added), wanted) < 2e-6


@torch.inference_mode()
@pytest.mark.parametrize("causal", [True, False])
def test_one_token_of_each_row_may_be_all_that_is_wanted(causal: bool) -> None:
    block, places = Block(some_weights(), "float32"), torch.tensor([6, 0, 3])
    whole = block(hidden_states(), causal=causal)
    made = block(hidden_states(), causal=causal, only=places)
    assert made.shape == (3, 1, WIDTH)
    assert distance(made[:, 0], whole[torch.arange(3), places]) < 2e-6


@torch.inference_mode()
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_vector_does_not_depend_on_what_else_is_in_the_batch(precision: Precision) -> None:
    if not blocks.packs(precision):
        pytest.skip(f"this processor has no products in {precision}")
    block, loud = Block(some_weights(), precision), hidden_states()
    loud[1] *= 100
    assert distance(block(loud)[:1], block(hidden_states()[:1])) < 1e-5


@torch.inference_mode()
def test_values_after_an_activation_are_rounded_more_finely() -> None:
    if not blocks.packs("int8"):
        pytest.skip("this processor has no products in int8")
    random = torch.Generator().manual_seed(0)
    values = torch.nn.functional.silu(torch.randn(32, 64, generator=random))
    same = functools.partial(blocks.product, (torch.eye(64), None), precision="int8", device="cpu")
    errors = [float((same(after=after)(values) - values).abs().mean()) for after in ("", "silu")]
    assert errors[1] < 0.7 * errors[0]


@torch.inference_mode()
def test_zeros_pass_through_8_bits() -> None:
    if not blocks.packs("int8"):
        pytest.skip("this processor has no products in int8")
    made = blocks.product((torch.zeros(8, 16), None), precision="int8", device="cpu")(torch.zeros(4, 16))
    assert made.shape == (4, 8)
    assert not made.any()


@torch.inference_mode()
@pytest.mark.parametrize(
    ("precision", "near"), [("float32", 1e-6), ("bfloat16", 0.01), ("float16", 0.002), ("int8", 0.01)]
)
def test_bytes_are_centred_and_halved_exactly(precision: Precision, near: float) -> None:
    if precision != "float32" and not blocks.packs(precision):
        pytest.skip(f"this processor has no products in {precision}")
    random = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(40, 48, generator=random), torch.randn(40, generator=random)
    rows = torch.randint(0, 256, (9, 48), generator=random, dtype=torch.uint8)
    rows[0], rows[1] = 0, 255
    made = blocks.byte_product((weight, bias), precision=precision, device="cpu")(rows)
    wanted = functional.linear((rows.double() - 128) / 128, weight.double(), bias.double())
    assert distance(made, wanted) < near


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="such instructions are x86's")
@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_8_bits_are_offered_only_where_their_sums_do_not_overflow(instructions: str) -> None:
    """Without VNNI two products are added up in 16 bits; what the processor could do more is forbidden to a process."""
    code = "from connector.engine.blocks import packs; print(packs('float32'), packs('int8'))"
    given = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions}
    ran = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]


def test_a_missing_operator_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("could not create a primitive descriptor")

    blocks.packs.cache_clear()
    monkeypatch.setattr(blocks, "_Packed", refuse)
    assert not blocks.packs("bfloat16")
    blocks.packs.cache_clear()
