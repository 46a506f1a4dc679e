"""The engine: once each, in order, one failure harms no other."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from connector.engine import Engine, transform
from connector.engine.batches import Outcome
from connector.engine.fusion import unit
from connector.errors import EmbeddingError, InvalidSpaceParamException
from connector.space import (
    EmbeddingEngineConfig,
    ImageData,
    ImageEmbeddingConfig,
    ModelHandler,
    PictureFrame,
    TransformationConfig,
    VectorAggregationConfig,
    Weights,
)
from connector.testing import StandInHandler


class Counting(StandInHandler):
    """A stand-in that remembers what it was given, and whether it was run twice at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[int] = []
        self.texts: list[list[str]] = []
        self.crowded = False
        self._busy = threading.Lock()

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        self.pictures.append(len(pictures))
        return super().embed_images(pictures)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.crowded = self.crowded or not self._busy.acquire(blocking=False)
        self.texts.append(list(texts))
        rows = super().embed_texts(texts)
        self._busy.release()
        return rows


class PicturesOnly:
    """A handler without a text tower."""

    length = 2
    frame: PictureFrame | None = None

    def __init__(self) -> None:
        self.identity = {"name": "seer"}

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.ones((len(pictures), 2), np.float32)


def _vectors(outcomes: list[Outcome]) -> NDArray[np.float32]:
    return np.stack([outcome for outcome in outcomes if isinstance(outcome, np.ndarray)])


def _picture(level: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (level, level, level))


def _keyed(*levels: int) -> list[tuple[str, Image.Image]]:
    return [(f"digest {level}", _picture(level)) for level in levels]


def test_the_same_bytes_and_words_are_embedded_once() -> None:
    handler = Counting()
    engine = Engine(handler)
    one, two, again = _vectors(engine.embed_images(_keyed(1, 2, 1)))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, two)
    engine.embed_images(_keyed(2, 3))
    engine.embed_texts(["mug", "hat", "mug"])
    engine.embed_texts(["hat", "shoe"])
    assert (engine.embedded_images, engine.embedded_texts) == (3, 3)
    assert handler.pictures == [2, 1]
    assert handler.texts == [["mug", "hat"], ["shoe"]]


def test_order_is_kept_though_texts_are_sorted_by_length_for_the_model() -> None:
    handler = Counting()
    texts = ["a much longer text", "mug", "a mug"]
    vectors = _vectors(Engine(handler).embed_texts(texts))
    assert handler.texts == [["mug", "a mug", "a much longer text"]]
    np.testing.assert_array_equal(vectors, StandInHandler().embed_texts(texts))


def test_batches_are_of_the_configured_size() -> None:
    handler = Counting()
    engine = Engine(handler, EmbeddingEngineConfig(image_batch_size=4, text_batch_size=3))
    engine.embed_images(_keyed(*range(10)))
    engine.embed_texts([f"text {number}" for number in range(7)])
    assert handler.pictures == [4, 4, 2]
    assert [len(texts) for texts in handler.texts] == [3, 3, 1]


def test_nothing_in_nothing_out_and_the_model_is_not_called() -> None:
    handler = Counting()
    engine = Engine(handler)
    assert engine.embed_images([]) == []
    assert engine.embed_texts([]) == []
    assert handler.pictures == []


def test_a_picture_that_breaks_the_model_is_refused_and_the_other_31_are_not() -> None:
    pictures = _keyed(*range(32))
    pictures[7] = ("bad", Image.new("RGB", (4, 4), "magenta"))
    outcomes = Engine(StandInHandler()).embed_images(pictures)
    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, EmbeddingError)] == [7]


def test_a_refusal_is_not_remembered() -> None:
    handler = Counting()
    engine = Engine(handler)
    engine.embed_texts(["unembeddable"])
    engine.embed_texts(["unembeddable"])
    assert len(handler.texts) == 2


def test_vectors_are_read_only_since_they_are_shared() -> None:
    (vector,) = Engine(StandInHandler()).embed_texts(["mug"])
    assert isinstance(vector, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1


def test_many_threads_get_right_vectors_and_the_model_runs_one_at_a_time() -> None:
    handler = Counting()
    engines = [Engine(handler), Engine(handler)]
    wrong: list[str] = []

    def work(number: int) -> None:
        for step in range(20):
            text = f"text {number} {step % 7}"
            (vector,) = _vectors(engines[step % 2].embed_texts([text]))
            if not np.array_equal(vector, StandInHandler().embed_texts([text])[0]):
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not handler.crowded


def test_a_model_without_words_says_so() -> None:
    engine = Engine(PicturesOnly())
    assert not engine.reads_text
    assert Engine(StandInHandler()).reads_text
    with pytest.raises(InvalidSpaceParamException, match="'seer' reads pictures only"):
        engine.embed_texts(["mug"])


def test_the_engine_passes_on_what_its_handler_says() -> None:
    engine = Engine(StandInHandler())
    assert engine.length == 64
    assert engine.frame == PictureFrame(64)
    assert engine.identity["handler"] == "stand_in"


def _space(weights: Weights = Weights()) -> TransformationConfig:
    config = ImageEmbeddingConfig("stand-in", ModelHandler.STAND_IN, None, EmbeddingEngineConfig())
    return TransformationConfig(config, VectorAggregationConfig(weights))


def test_transform_embeds_fuses_and_normalises() -> None:
    handler, picture = StandInHandler(), _picture(9)
    image, text = handler.embed_images([picture])[0], handler.embed_texts(["a mug"])[0]
    both = transform(_space(Weights(0.8, 0.2)), ImageData(picture, "a mug"))
    np.testing.assert_allclose(both.values, unit(0.8 * image + 0.2 * text), atol=1e-6)
    assert both.length == 64
    np.testing.assert_allclose(transform(_space(), ImageData(picture)).values, image, atol=1e-6)
    np.testing.assert_allclose(transform(_space(), ImageData(picture, "  ")).values, image, atol=1e-6)
    np.testing.assert_allclose(transform(_space(), ImageData(None, "a mug")).values, text, atol=1e-6)


def test_transform_of_nothing_is_all_zeros() -> None:
    assert not transform(_space(), ImageData()).values.any()


def test_transform_raises_what_the_model_refuses() -> None:
    with pytest.raises(EmbeddingError, match="unembeddable"):
        transform(_space(), ImageData(None, "unembeddable"))
