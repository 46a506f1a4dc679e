"""Devices, precisions, and silence while a model loads."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch
from transformers.utils import logging as transformers_logging

from connector.engine import blocks, device
from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.space import EmbeddingEngineConfig


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, float]]:
    """No card, and a processor that takes so many seconds in each precision."""
    seconds = {"float32": 1.0, "bfloat16": 1.0}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(blocks, "packs", lambda precision: precision in seconds)
    monkeypatch.setattr(device, "_seconds", seconds.__getitem__)
    device._fastest.cache_clear()
    yield seconds
    device._fastest.cache_clear()


@pytest.mark.parametrize(
    ("bfloat16", "chosen"), [(0.5, "bfloat16"), (0.75, "bfloat16"), (0.9, "float32"), (1.7, "float32")]
)
def test_auto_is_what_the_processor_is_much_faster_in(
    bfloat16: float, chosen: str, processor: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    processor["bfloat16"] = bfloat16
    with caplog.at_level(logging.INFO, "connector"):
        assert device.choose(EmbeddingEngineConfig()) == device.Device("cpu", chosen)  # type: ignore[arg-type] # of the parameters
    assert f"precision auto: {chosen}" in caplog.text


def test_auto_is_float32_where_there_is_no_bfloat16(processor: dict[str, float]) -> None:
    del processor["bfloat16"]
    assert device.choose(EmbeddingEngineConfig()) == device.Device("cpu", "float32")


@pytest.mark.usefixtures("processor")
def test_int8_is_refused_where_it_cannot_run() -> None:
    with pytest.raises(ModelUnavailable, match=r"'int8' is not there on device 'cpu'.*precision='auto'"):
        device.choose(EmbeddingEngineConfig(precision="int8"))


def test_int8_needs_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ModelUnavailable, match="'int8' is not there on device 'cuda'"):
        device.choose(EmbeddingEngineConfig(precision="int8"))


def test_the_processor_is_really_measured() -> None:
    device._fastest.cache_clear()
    assert device._fastest() in ("float32", "bfloat16")


def test_auto_is_float16_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.choose(EmbeddingEngineConfig()) == device.Device("cuda", "float16")


def test_a_precision_is_taken_as_it_is_given() -> None:
    chosen = device.choose(EmbeddingEngineConfig(device="cpu", precision="bfloat16"))
    assert chosen.dtype is torch.bfloat16


def test_a_device_that_is_not_there_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match=r"'cuda:1' is not there: torch sees 0 .* device='auto'"):
        device.choose(EmbeddingEngineConfig(device="cuda:1"))


def test_a_device_that_torch_does_not_know_is_a_mistake() -> None:
    with pytest.raises(InvalidSpaceParamException, match="'gpu' is unknown to torch"):
        device.choose(EmbeddingEngineConfig(device="gpu"))


def test_threads_are_set_where_they_are_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        device.choose(EmbeddingEngineConfig(device="cpu", threads=before + 1))
        assert torch.get_num_threads() == before + 1
        device.choose(EmbeddingEngineConfig(device="cpu"))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_everything_that_quiet_changes_is_put_back() -> None:
    library, root = logging.getLogger("transformers"), logging.getLogger()
    before = (list(library.handlers), library.propagate, list(root.handlers))
    bars = transformers_logging.is_progress_bar_enabled()

    def load() -> None:
        with device.quietly():
            assert not transformers_logging.is_progress_bar_enabled()
            raise KeyError

    with pytest.raises(KeyError):
        load()
    assert (list(library.handlers), library.propagate, list(root.handlers)) == before
    assert transformers_logging.is_progress_bar_enabled() == bars
