"""Loading handlers: once each, and every failure is one typed error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import connector.testing
from connector.engine import ImageHandler, handlers, load_handler
from connector.errors import ModelUnavailable
from connector.space import ImageEmbeddingConfig, ModelHandler
from connector.testing import StandInHandler

Configured = Callable[..., ImageEmbeddingConfig]


def test_every_handler_of_a_space_is_in_the_table() -> None:
    assert set(handlers._LOADERS) == set(ModelHandler)


def test_one_model_is_loaded_once_whatever_the_batch_sizes(configured: Configured) -> None:
    one = load_handler(configured("same", ModelHandler.STAND_IN))
    assert load_handler(configured("same", ModelHandler.STAND_IN, image_batch_size=3)) is one
    assert load_handler(configured("other", ModelHandler.STAND_IN)) is not one
    assert load_handler(configured("same", ModelHandler.STAND_IN, precision="float16")) is not one


def test_threads_that_ask_at_once_share_one_model(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []

    def load(config: ImageEmbeddingConfig) -> StandInHandler:
        loads.append(config.model)
        return StandInHandler()

    monkeypatch.setattr(connector.testing, "load", load)
    got: list[ImageHandler] = []
    config = configured("asked for at once", ModelHandler.STAND_IN)
    threads = [threading.Thread(target=lambda: got.append(load_handler(config))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["asked for at once"]
    assert len(set(map(id, got))) == 1


def test_whatever_a_library_raises_is_one_typed_error_with_its_cause(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(config: ImageEmbeddingConfig) -> StandInHandler:
        raise ImportError("this tokenizer needs sentencepiece")

    monkeypatch.setattr(connector.testing, "load", load)
    with pytest.raises(
        ModelUnavailable, match=r"'broken' cannot be loaded by STAND_IN: ImportError: .*piece"
    ) as raised:
        load_handler(configured("broken", ModelHandler.STAND_IN))
    assert isinstance(raised.value.__cause__, ImportError)


def test_a_model_that_failed_is_tried_again(configured: Configured, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="does not exist"):
            load_handler(configured(tmp_path / "missing"))
