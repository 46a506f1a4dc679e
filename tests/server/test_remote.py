"""`ModelHandler.REMOTE` against the real server: one model, here and there."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector import Connector, EmbeddingEngineConfig, ImageSpace, ModelHandler
from connector.engine import Engine, load_handler
from connector.engine.handlers import remote
from connector.errors import EmbeddingError, ModelUnavailable
from connector.space import ImageEmbeddingConfig
from connector.testing import StandInHandler
from tests.conftest import SPACE, Product, Shop
from tests.server.conftest import WRITE_KEY, Live, OpenLive

TEXTS = ["a red mug", "two blue hats", "", "赤い", "x" * 5000, "\ud83d half"]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Handlers that nobody holds any more close their sockets."""
    yield
    gc.collect()


def _loaded(live: Live, model: str, key: str | None = None) -> Any:
    engine = EmbeddingEngineConfig(remote_key=key)
    return remote.load(ImageEmbeddingConfig(f"{live.url}/{model}", ModelHandler.REMOTE, None, engine))


def _pictures(count: int, size: tuple[int, int] = (90, 64)) -> list[Image.Image]:
    noise = np.random.default_rng(8)
    return [Image.fromarray(noise.integers(0, 256, (*size[::-1], 3), np.uint8)) for _ in range(count)]


def test_the_stand_ins_vectors_are_the_same_to_the_last_bit(live: Live) -> None:
    there, here = _loaded(live, "stand-in"), StandInHandler()
    assert (there.identity, there.frame, there.length) == (here.identity, here.frame, here.length)
    np.testing.assert_array_equal(there.embed_images(_pictures(40)), here.embed_images(_pictures(40)))
    np.testing.assert_array_equal(there.embed_texts(TEXTS[:5]), here.embed_texts(TEXTS[:5]))


def test_the_demo_models_vectors_are_the_same(live: Live) -> None:
    config = ImageEmbeddingConfig("demo", ModelHandler.SENTENCE_TRANSFORMERS, None, EmbeddingEngineConfig())
    there, here = _loaded(live, "demo"), load_handler(config)
    assert there.identity == here.identity
    assert (there.frame, there.length) == (here.frame, here.length)
    pictures = _pictures(5, (101, 64))
    for made, expected in (
        (there.embed_images(pictures), here.embed_images(pictures)),
        (there.embed_texts(TEXTS[:5]), here.embed_texts(TEXTS[:5])),  # type: ignore[attr-defined]
    ):
        norms = np.linalg.norm(made, axis=1) * np.linalg.norm(expected, axis=1)
        assert ((made * expected).sum(axis=1) / norms).min() >= 0.99999
        np.testing.assert_allclose(np.linalg.norm(made, axis=1), np.linalg.norm(expected, axis=1), rtol=1e-4)


def test_one_bad_input_is_alone(live: Live) -> None:
    engine = Engine(_loaded(live, "stand-in"))
    pictures = [*_pictures(3), Image.new("RGB", (64, 64), (255, 0, 255)), *_pictures(1)]
    images = engine.embed_images([(str(at), each) for at, each in enumerate(pictures)])
    assert [isinstance(each, EmbeddingError) for each in images] == [False, False, False, True, False]
    assert "magenta" in str(images[3])
    texts = engine.embed_texts(["a mug", "unembeddable", "a hat"])
    assert [isinstance(each, EmbeddingError) for each in texts] == [False, True, False]


def test_a_collection_is_written_here_and_synced_there_and_back(
    live: Live, shop: Shop, tmp_path: Path
) -> None:
    far = ImageSpace(Product.photo + Product.title, f"{live.url}/stand-in", ModelHandler.REMOTE)
    rows = shop.rows(6)
    for number, (first, second) in enumerate(((SPACE, far), (far, SPACE))):
        with Connector(first, tmp_path / str(number)) as written:
            assert written.ingest(rows[:4], base=shop.folder).new == 4
        with Connector(second, tmp_path / str(number)) as synced:
            report = synced.sync(rows, base=shop.folder)
            assert (report.new, report.unchanged, report.rejected) == (2, 4, 0)
            assert synced.count() == 6
            theirs = [(hit.id, hit.score) for hit in synced.search("red mug")]
        with Connector(first, tmp_path / str(number)) as written:
            assert [(hit.id, hit.score) for hit in written.search("red mug")] == theirs


def test_a_server_with_keys_asks_for_one(open_live: OpenLive) -> None:
    live = open_live(read_keys=("reads-only-0123456789",), write_keys=(WRITE_KEY,))
    assert _loaded(live, "stand-in", "reads-only-0123456789").embed_texts(["a mug"]).shape == (1, 64)
    for key in (None, "wrong-key-wrong-key"):
        with pytest.raises(ModelUnavailable, match=r"refuses the key \(401") as raised:
            _loaded(live, "stand-in", key)
        assert "wrong-key" not in str(raised.value)


def test_an_unknown_model_is_told_with_those_that_are_known(live: Live) -> None:
    with pytest.raises(ModelUnavailable, match=r"has no model 'nothing'. It offers: .*demo.*stand-in"):
        _loaded(live, "nothing")


def test_a_picture_too_large_for_the_server_is_that_pictures_error(open_live: OpenLive) -> None:
    live = open_live(max_body_bytes=100_000)
    handler = _loaded(live, "stand-in")
    small, large = _pictures(1)[0], _pictures(1, (300, 200))[0]
    outcomes = Engine(handler).embed_images([("small", small), ("large", large), ("again", small)])
    assert [isinstance(each, EmbeddingError) for each in outcomes] == [False, True, False]
    assert "413" in str(outcomes[1])
