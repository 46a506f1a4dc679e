"""The stand-in for a model."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from connector import Blob, BlobSource, Id, ImageSpace, Schema, Text
from connector.engine import Engine, ImageHandler, TextHandler, load_handler, vector_length
from connector.errors import EmbeddingError
from connector.space import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler, PictureFrame
from connector.testing import StandInHandler, memory_connector

TEXT_START = [0.06409948, -0.1734266, -0.02546648]
PICTURE_START = [-0.0380851, -0.1139133, -0.08856813]
CONFIG = ImageEmbeddingConfig("anything", ModelHandler.STAND_IN, None, EmbeddingEngineConfig())


def test_it_is_a_handler_of_pictures_and_words() -> None:
    handler = load_handler(CONFIG)
    assert isinstance(handler, StandInHandler)
    assert isinstance(handler, ImageHandler)
    assert isinstance(handler, TextHandler)
    assert handler.length == vector_length(CONFIG) == 64
    assert handler.frame == PictureFrame(64)


def test_vectors_are_float32_of_length_one() -> None:
    handler = StandInHandler()
    for rows in (handler.embed_texts(["a", ""]), handler.embed_images([Image.new("RGB", (3, 2))] * 2)):
        assert rows.dtype == np.float32
        assert rows.shape == (2, 64)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_the_vectors_are_the_same_for_ever() -> None:
    handler = StandInHandler()
    np.testing.assert_allclose(handler.embed_texts(["red mug"])[0, :3], TEXT_START, atol=1e-6)
    np.testing.assert_allclose(
        handler.embed_images([Image.new("RGB", (2, 2), "red")])[0, :3], PICTURE_START, atol=1e-6
    )


def test_pictures_that_differ_in_a_pixel_or_in_shape_have_vectors_of_their_own() -> None:
    one, other = Image.new("RGB", (6, 2)), Image.new("RGB", (6, 2))
    other.putpixel((0, 0), (0, 0, 1))
    rows = StandInHandler().embed_images([one, other, Image.new("RGB", (2, 6)), one.copy()])
    assert np.abs(np.triu(rows[:3] @ rows[:3].T, 1)).max() < 0.6
    np.testing.assert_array_equal(rows[0], rows[3])


def test_texts_that_share_words_lie_closer_together() -> None:
    query, near, far = StandInHandler().embed_texts(["RED shoes", "Red canvas shoes, new", "a blue mug"])
    assert query @ near > 0.5 > query @ far


def test_the_drills_fail_one_item_and_no_other() -> None:
    engine = Engine(StandInHandler())
    texts = engine.embed_texts(["a mug", "an Unembeddable mug"])
    plain, magenta = Image.new("RGB", (9, 9)), Image.new("RGB", (9, 9), "magenta")
    pictures = engine.embed_images([("a", plain), ("b", magenta)])
    for good, bad in (texts, pictures):
        assert isinstance(good, np.ndarray)
        assert isinstance(bad, EmbeddingError)


@pytest.mark.parametrize("module", ["connector.engine", "connector.engine.fusion", "connector.testing"])
def test_importing_it_imports_neither_torch_nor_pil_nor_a_model_library(module: str) -> None:
    heavy = "{'torch', 'transformers', 'sentence_transformers', 'open_clip', 'huggingface_hub', 'PIL'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_embedding_with_it_imports_no_torch() -> None:
    code = (
        "import sys; from connector.engine import *; from connector.space import *;"
        "c = ImageEmbeddingConfig('x', ModelHandler.STAND_IN, None, EmbeddingEngineConfig());"
        "print(len(Engine(load_handler(c)).embed_texts(['a'])[0]), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["64", "False"]


def test_a_connector_in_memory_needs_no_model_whatever_the_space_names() -> None:
    class Note(Schema):
        id: Id
        image: Blob[BlobSource | None]
        words: Text

    with memory_connector(ImageSpace(Note.image + Note.words, model="no-such-model")) as notes:
        assert notes.ingest([{"id": "a", "words": "red mug"}, {"id": "b", "words": "blue hat"}]).new == 2
        assert notes.search("mug", limit=1)[0].record == Note(id="a", image=None, words="red mug")
