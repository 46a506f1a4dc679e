"""CLIP without its library gives the library's own vectors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from connector.engine import clip, models
from connector.engine.handlers import clip as handler
from connector.engine.handlers.sentence_transformers import PictureAndTextModel, library_model
from connector.space import ImageEmbeddingConfig
from tests.engine import byte_pairs
from tests.engine.conftest import cosines
from tests.engine.models import clip_224

Configured = Callable[..., ImageEmbeddingConfig]
Folders = dict[str, Path]

TEXTS = [
    "a red mug", "and 12 hats", "", " ", "word " * 500, "café naïve", "赤いマグ", "a\nb\tc", "😀 smile",
    "RED MUG's don't 12345!!", "<|endoftext|> red", "<|STARTOFTEXT|> mug", "red </s> mug <pad>", "Ⅳ ½ ﬁ e\u0301",
    "https://example.com/mug.jpg", ".", "red " * 76, "\u200b\u00a0x",
]  # fmt: skip


@pytest.fixture(scope="module")
def family(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Where a model is, built when it is asked for."""
    root, built = tmp_path_factory.mktemp("clips"), dict(folders)
    builders = {**byte_pairs.LAYOUTS, "clip_224": clip_224}

    def find(name: str) -> str:
        if name in builders and name not in built:
            built[name] = builders[name](root / name)
        return str(built.get(name, name))

    return find


def lean(config: ImageEmbeddingConfig) -> handler.ClipModel:
    """The model without its library."""
    made = handler.load(models.find(config), config)
    assert made is not None
    return made


def by_the_library(config: ImageEmbeddingConfig) -> PictureAndTextModel:
    """The same with it."""
    made = library_model(models.find(config), config)
    assert isinstance(made, PictureAndTextModel)
    return made


@pytest.mark.parametrize(
    "name", ["demo", "clip", "clip_saved", "clip_legacy", "clip_224", *byte_pairs.LAYOUTS]
)
def test_vectors_identity_and_frame_are_the_librarys(
    name: str, family: Callable[[str], str], configured: Configured, pictures: list[Image.Image]
) -> None:
    config = configured(family(name), precision="float32")
    ours, theirs = lean(config), by_the_library(config)
    assert (ours.length, ours.frame) == (theirs.length, theirs.frame)
    assert {**ours.identity, "library": ""} == {**theirs.identity, "library": ""}
    assert ours.identity["library"].startswith("torch 2.")
    odd = [*pictures, *(Image.linear_gradient("L").resize(size).convert("RGB") for size in SIZES)]
    for one, other in (
        (ours.embed_images(odd), theirs.embed_images(odd)),
        (ours.embed_texts(TEXTS), theirs.embed_texts(TEXTS)),
    ):
        assert one.dtype == np.float32
        assert cosines(one, other).min() >= 0.999999
        np.testing.assert_allclose(one, other, atol=1e-5)


SIZES = [(32, 32), (33, 32), (1, 1), (7, 1300), (900, 11), (1601, 1203)]


def test_a_texts_vector_depends_on_nothing_it_is_embedded_with(
    family: Callable[[str], str], configured: Configured
) -> None:
    model = lean(configured(family("old"), precision="float32"))
    many = [" ".join(["red mug and hat"] * (at % 7)) for at in range(3 * handler.TEXTS + 1)]
    together = model.embed_texts(many)
    np.testing.assert_allclose(together[:7], [model.embed_texts([each])[0] for each in many[:7]], atol=1e-5)
    np.testing.assert_allclose(together[:7], together[7:14], atol=1e-5)


def test_a_search_by_words_needs_no_picture_tower(
    family: Callable[[str], str], configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr(clip, "VisionTransformer", refuse)
    model = lean(configured(family("clip")))
    assert model.embed_texts(["a red mug"]).shape == (1, model.length)
    with pytest.raises(AssertionError, match="built"):
        model.embed_images([Image.new("RGB", (8, 8))])


def test_several_threads_at_once_give_the_same_vectors(
    family: Callable[[str], str], configured: Configured, pictures: list[Image.Image]
) -> None:
    model, alone = (lean(configured(family("old"), precision="float32")) for _ in range(2))
    with ThreadPoolExecutor(4) as threads:
        texts = list(threads.map(model.embed_texts, [TEXTS] * 8))
        images = list(threads.map(model.embed_images, [pictures] * 8))
    for rows in texts:
        np.testing.assert_allclose(rows, alone.embed_texts(TEXTS), atol=1e-5)
    for rows in images:
        np.testing.assert_allclose(rows, alone.embed_images(pictures), atol=1e-5)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["demo", "clip_224"])
def test_half_precision_is_close(
    name: str,
    precision: str,
    family: Callable[[str], str],
    configured: Configured,
    pictures: list[Image.Image],
) -> None:
    exact, half = (lean(configured(family(name), precision=each)) for each in ("float32", precision))
    assert half.identity["precision"] == precision
    for one, other in (
        (half.embed_images(pictures), exact.embed_images(pictures)),
        (half.embed_texts(TEXTS), exact.embed_texts(TEXTS)),
    ):
        assert one.dtype == np.float32
        assert cosines(one, other).min() >= 0.999


def test_the_end_of_a_text_is_where_transformers_reads_it() -> None:
    blocks = clip.Blocks("", 8, 8, 1, 1, "gelu", 1e-5)
    named, highest = (clip.TextSettings(blocks, 30, 16, end, 4) for end in (20, 2))
    assert named.end_of([1, 5, 20, 25, 20]) == 2
    assert highest.end_of([1, 5, 20, 25, 25]) == 3
    assert named.end_of([1, 5]) == 0, "transformers takes the first where there is none"


def test_positions_and_words_are_read_in_the_towers_own_numbers() -> None:
    settings = clip.PictureSettings(clip.Blocks("v", 8, 16, 1, 2, "gelu", 1e-5), 32, 8, 4)
    assert settings.shapes["vision_model.embeddings.position_embedding.weight"] == (17, 8)
    assert settings.shapes["v.0.self_attn.q_proj.bias"] == (8,)
    assert torch.zeros(settings.shapes["v.0.mlp.fc2.weight"]).shape == (8, 16)
