"""Batches that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from connector.engine.batches import Batches, Outcome
from connector.errors import EmbeddingError, ModelUnavailable, StoreUnavailable

Embed = Callable[[Sequence[int]], NDArray[np.float32]]


class Model:
    """Turns numbers into vectors, remembers its calls, and fails where it is told to."""

    def __init__(
        self, *, bad: Sequence[int] = (), fits: int = 10_000, error: Callable[[], Exception] | None = None
    ) -> None:
        self.bad, self.fits = set(bad), fits
        self.error = error or (lambda: ValueError("cannot read this"))
        self.calls: list[int] = []

    def __call__(self, items: Sequence[int]) -> NDArray[np.float32]:
        self.calls.append(len(items))
        if len(items) > self.fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if self.bad & set(items):
            raise self.error()
        return np.array([[item + 1, 1] for item in items], np.float32)


def _batches(embed: Embed, size: int = 32) -> Batches[int]:
    return Batches[int](embed, size=size, length=2, kind="picture")


def _numbers(outcomes: list[Outcome]) -> list[int | None]:
    return [None if isinstance(outcome, EmbeddingError) else int(outcome[0]) - 1 for outcome in outcomes]


def test_order_is_kept_over_several_batches() -> None:
    model = Model()
    assert _numbers(_batches(model).run(range(70))) == list(range(70))
    assert model.calls == [32, 32, 6]


def test_nothing_in_nothing_out_and_the_model_is_not_called() -> None:
    model = Model()
    assert _batches(model).run([]) == []
    assert model.calls == []


def test_vectors_are_float32() -> None:
    (vector,) = _batches(Model()).run([1])
    assert isinstance(vector, np.ndarray)
    assert vector.dtype == np.float32


def test_one_bad_item_is_alone_and_the_other_31_succeed() -> None:
    model = Model(bad=[13])
    outcomes = _batches(model).run(range(32))
    assert _numbers(outcomes) == [None if number == 13 else number for number in range(32)]
    assert len(model.calls) <= 1 + 10


def test_a_refusal_says_why_and_keeps_the_cause() -> None:
    (refusal,) = _batches(Model(bad=[0])).run([0])
    assert str(refusal) == "The model cannot embed this picture (ValueError: cannot read this)."
    assert isinstance(refusal, EmbeddingError)
    assert isinstance(refusal.__cause__, ValueError)


def test_out_of_memory_halves_the_batch_and_goes_on_with_the_smaller_one() -> None:
    model = Model(fits=8)
    batches = _batches(model)
    assert _numbers(batches.run(range(40))) == list(range(40))
    assert batches.size == 8
    batches.run(range(16))
    assert model.calls[-2:] == [8, 8]


def test_an_item_too_large_alone_is_refused_and_does_not_slow_the_others() -> None:
    def embed(items: Sequence[int]) -> NDArray[np.float32]:
        if 5 in items:
            raise MemoryError
        return np.ones((len(items), 2), np.float32)

    batches = _batches(embed)
    outcomes = batches.run(range(32))
    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, EmbeddingError)] == [5]
    assert "too large for the memory" in str(outcomes[5])
    assert batches.size == 32


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 9 bytes",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)",
    ],
)
def test_every_spelling_of_out_of_memory_is_known(message: str) -> None:
    def embed(items: Sequence[int]) -> NDArray[np.float32]:
        if len(items) > 1:
            raise RuntimeError(message)
        return np.ones((1, 2), np.float32)

    batches = _batches(embed, size=4)
    assert not any(isinstance(outcome, EmbeddingError) for outcome in batches.run(range(4)))
    assert batches.size == 1


def test_torch_says_out_of_memory_in_words_that_are_known() -> None:
    import torch

    def embed(items: Sequence[int]) -> NDArray[np.float32]:
        if len(items) > 1:
            torch.empty(2**60, dtype=torch.uint8)
        return np.ones((1, 2), np.float32)

    assert not any(isinstance(outcome, EmbeddingError) for outcome in _batches(embed, size=2).run(range(2)))


def test_numbers_that_are_not_finite_are_refused() -> None:
    def embed(items: Sequence[int]) -> NDArray[np.float32]:
        return np.array([[np.nan, 1], [1, np.inf], [0, 0], [1, 1]], np.float32)

    first, second, third, fourth = _batches(embed).run(range(4))
    assert "not finite" in str(first)
    assert "not finite" in str(second)
    assert "vector of zeros" in str(third)
    assert isinstance(fourth, np.ndarray)


def test_the_worlds_refusal_ends_the_run() -> None:
    model = Model(bad=[3], error=lambda: StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        _batches(model).run(range(8))
    assert model.calls == [8]


def test_a_broken_device_ends_the_run_instead_of_refusing_every_picture() -> None:
    class AcceleratorError(RuntimeError):
        """Stands in for torch's."""

    model = Model(bad=[3], error=lambda: AcceleratorError("CUDA error: device-side assert triggered"))
    with pytest.raises(ModelUnavailable, match="device stopped working"):
        _batches(model).run(range(8))


def test_a_handler_that_returns_another_shape_is_found_out() -> None:
    with pytest.raises(ModelUnavailable, match=r"shape \(1, 3\)"):
        _batches(lambda items: np.ones((len(items), 3), np.float32)).run([1])


def test_without_a_size_the_fastest_is_found_and_kept() -> None:
    """Each call takes a hundredth of a second, and one more for every 128 items."""
    now = 0.0

    def embed(items: Sequence[int]) -> NDArray[np.float32]:
        nonlocal now
        now += 0.01 + 0.01 * (len(items) // 128)
        return np.ones((len(items), 2), np.float32)

    batches = Batches[int](embed, size=None, length=2, kind="picture", clock=lambda: now)
    sizes = []
    for _ in range(12):
        sizes.append(batches.size)
        batches.run(range(batches.size))
    assert sizes == [32, 32, 64, 64, 128, 128, 64, 64, 64, 64, 64, 64]
