"""Loading handlers: once each, and every failure is one typed error."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

import connector.testing
from connector.engine import ImageHandler, handlers, load_handler, release_handler
from connector.engine.handlers import remote
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


def test_a_model_here_does_not_wait_for_a_server_elsewhere(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def load(config: ImageEmbeddingConfig) -> StandInHandler:
        asked.set()
        assert answered.wait(30)
        return StandInHandler()

    monkeypatch.setattr(remote, "load", load)
    slow = configured("http://127.0.0.1:9/slow", ModelHandler.REMOTE)
    thread = threading.Thread(target=load_handler, args=(slow,))
    thread.start()
    assert asked.wait(30)
    assert isinstance(load_handler(configured("here", ModelHandler.STAND_IN)), StandInHandler)
    answered.set()
    thread.join()
    release_handler(slow)


def test_a_released_model_is_freed_once_nobody_holds_it(configured: Configured) -> None:
    config = configured("released", ModelHandler.STAND_IN)
    seen = weakref.ref(load_handler(config))
    release_handler(configured("released", ModelHandler.STAND_IN, image_batch_size=3))
    gc.collect()
    assert seen() is None
    assert isinstance(load_handler(config), ImageHandler), "and may be loaded again"


def test_a_released_model_that_somebody_holds_is_taken_up_again(configured: Configured) -> None:
    config = configured("held", ModelHandler.STAND_IN)
    held = load_handler(config)
    release_handler(config)
    assert load_handler(config) is held
    release_handler(config)
    release_handler(config)
    assert load_handler(config) is held


def test_a_model_that_was_never_loaded_may_be_released(configured: Configured) -> None:
    release_handler(configured("never", ModelHandler.STAND_IN))
