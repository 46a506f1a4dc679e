"""What says how a vector is made refuses what cannot work, with what to write instead."""

from typing import Any

import pytest

from connector import EmbeddingEngineConfig, InvalidSpaceParamException, Weights


@pytest.mark.parametrize("value", [(float("nan"), 1), (1, float("inf")), (1,), (1, 2, 3), ("a", "b")])
def test_weights_are_two_finite_numbers(value: Any) -> None:
    with pytest.raises(InvalidSpaceParamException, match="two finite numbers"):
        Weights.of(value)


def test_weights_may_be_named_and_not_all_zero() -> None:
    assert Weights.of({"image": 0.7}) == Weights(0.7, 0.0)
    with pytest.raises(InvalidSpaceParamException, match="both 0"):
        Weights.of((0, 0))
    with pytest.raises(InvalidSpaceParamException, match="'image' and 'text'"):
        Weights.of({"picture": 1.0})


@pytest.mark.parametrize(
    "options", [{"precision": "half"}, {"image_batch_size": 0}, {"text_batch_size": 1.5}, {"threads": 0}]
)
def test_an_engine_config_that_cannot_work_is_refused(options: Any) -> None:
    with pytest.raises(InvalidSpaceParamException, match=next(iter(options))):
        EmbeddingEngineConfig(**options)
