"""What open_clip reads, equal to its own reference use and without its traps."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from open_clip import pretrained
from PIL import Image

from connector.engine import TextHandler, load_handler, models
from connector.engine.frames import resized
from connector.errors import ModelUnavailable
from connector.space import ImageEmbeddingConfig, ModelHandler, PictureFrame
from tests.engine.conftest import cosines
from tests.engine.hub import Hub, serve
from tests.engine.models import open_clip_model, open_clip_multilingual

Configured = Callable[..., ImageEmbeddingConfig]
Folders = dict[str, Path]

OPEN_CLIP = ModelHandler.OPEN_CLIP
FAMILIES = ["open_clip", "open_clip_words", "open_clip_squash"]
TEXTS = ["a red mug", "two old blue hat on the striped canvas", "shoe", "a", "", "word " * 500, "赤い"]


def _handler(config: ImageEmbeddingConfig) -> TextHandler:
    handler = load_handler(config)
    assert isinstance(handler, TextHandler)
    return handler


@torch.inference_mode()
def _reference(
    name: str, pictures: list[Image.Image], texts: list[str], **options: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lines of open_clip's own README."""
    create: Any = open_clip.create_model_from_pretrained
    model, preprocess = create(name, **options)
    model.eval()
    images = model.encode_image(torch.stack([preprocess(picture) for picture in pictures]), normalize=True)
    words = model.encode_text(open_clip.get_tokenizer(name)(texts), normalize=True)
    return images.numpy(), words.numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_equal_the_librarys_own(
    family: str, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    handler = _handler(configured(folders[family], OPEN_CLIP))
    images, texts = _reference(f"local-dir:{folders[family]}", pictures, TEXTS)
    made_images, made_texts = handler.embed_images(pictures), handler.embed_texts(TEXTS)
    for made, expected in ((made_images, images), (made_texts, texts)):
        assert made.dtype == np.float32
        assert cosines(made, expected).min() >= 0.99999
        np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
        assert cosines(made[:1], made[2:3]).max() < 0.99, "the model tells them apart"


@pytest.mark.parametrize(
    ("family", "frame"), [("open_clip", PictureFrame(32)), ("open_clip_squash", PictureFrame(32, "squash"))]
)
def test_a_picture_resized_to_the_frame_has_the_vector_of_the_whole_picture(
    family: str, frame: PictureFrame, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    handler = _handler(configured(folders[family], OPEN_CLIP))
    assert handler.frame == frame
    rows = handler.embed_images([resized(picture, frame) for picture in pictures])
    assert cosines(rows, _reference(f"local-dir:{folders[family]}", pictures, ["a"])[0]).min() >= 0.99999


def test_a_model_that_pads_has_no_frame_and_equals_the_library(
    configured: Configured, pictures: list[Image.Image], tmp_path: Path
) -> None:
    folder = open_clip_model(tmp_path / "longest", resize_mode="longest", fill_color=127)
    handler = _handler(configured(folder, OPEN_CLIP))
    assert handler.frame is None
    expected = _reference(f"local-dir:{folder}", pictures, ["a"])[0]
    assert cosines(handler.embed_images(pictures), expected).min() >= 0.99999


def test_the_models_own_mean_and_deviation_are_used(configured: Configured, tmp_path: Path) -> None:
    plain = open_clip_model(tmp_path / "plain")
    mobile = shutil.copytree(plain, tmp_path / "mobile")
    settings = json.loads((plain / "open_clip_config.json").read_text())
    settings["preprocess_cfg"] = {"mean": [0, 0, 0], "std": [1, 1, 1]}
    (mobile / "open_clip_config.json").write_text(json.dumps(settings))
    picture = [Image.radial_gradient("L").convert("RGB")]
    one, other = (load_handler(configured(folder, OPEN_CLIP)) for folder in (plain, mobile))
    assert cosines(one.embed_images(picture), other.embed_images(picture)).max() < 0.999
    assert one.identity["preprocess"] != other.identity["preprocess"]


def test_a_texts_vector_does_not_depend_on_its_neighbours(folders: Folders, configured: Configured) -> None:
    for family in FAMILIES:
        handler = _handler(configured(folders[family], OPEN_CLIP))
        alone = np.concatenate([handler.embed_texts([text]) for text in TEXTS])
        np.testing.assert_allclose(handler.embed_texts(TEXTS), alone, atol=1e-5)


def test_a_text_that_looks_like_a_picture_is_a_text(
    folders: Folders, configured: Configured, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "hat.png")
    texts = [str(tmp_path / "hat.png"), "http://127.0.0.1:9/mug.png"]
    rows = _handler(configured(folders["open_clip"], OPEN_CLIP)).embed_texts(texts)
    expected = _reference(f"local-dir:{folders['open_clip']}", [Image.new("RGB", (8, 8))], texts)[1]
    assert cosines(rows, expected).min() >= 0.99999


@pytest.mark.parametrize(("precision", "closeness"), [("float16", 0.999), ("bfloat16", 0.99)])
def test_half_precision_gives_float32_vectors_close_to_the_exact_ones(
    precision: str, closeness: float, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    exact = _handler(configured(folders["open_clip"], OPEN_CLIP))
    half = _handler(configured(folders["open_clip"], OPEN_CLIP, precision=precision))
    for one, other in (
        (half.embed_images(pictures), exact.embed_images(pictures)),
        (half.embed_texts(TEXTS), exact.embed_texts(TEXTS)),
    ):
        assert one.dtype == np.float32
        assert cosines(one, other).min() >= closeness
        assert not np.array_equal(one, other)


# loading


def test_a_folder_may_be_written_with_or_without_open_clips_prefix(
    folders: Folders, configured: Configured
) -> None:
    plain, prefixed = (
        load_handler(configured(name, OPEN_CLIP))
        for name in (folders["open_clip"], f"local-dir:{folders['open_clip']}")
    )
    assert plain.identity == prefixed.identity


def test_a_folder_without_weights_is_not_filled_with_random_numbers(
    folders: Folders, configured: Configured, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["open_clip"], tmp_path / "copy")
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="random numbers"):
        load_handler(configured(folder, OPEN_CLIP))


def test_weights_of_another_architecture_are_refused(
    folders: Folders, configured: Configured, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["open_clip"], tmp_path / "copy")
    shutil.copy(folders["clip"] / "model.safetensors", folder / "open_clip_model.safetensors")
    with pytest.raises(ModelUnavailable, match="cannot be loaded by OPEN_CLIP"):
        load_handler(configured(folder, OPEN_CLIP))


def test_a_tokenizer_that_comes_with_a_model_is_the_one_that_is_used(
    folders: Folders, configured: Configured
) -> None:
    # Ids of the built-in vocabulary would be far beyond this model's 21 words.
    assert np.isfinite(_handler(configured(folders["open_clip_words"], OPEN_CLIP)).embed_texts(["mug"])).all()


def test_a_tags_weights_run_with_the_activation_they_were_trained_with(
    configured: Configured, pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_clip_model(tmp_path / "tiny")
    tag = {"hf_hub": "org/tiny/", "quick_gelu": True}
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-B-32", {"tiny_tag": tag})
    with serve(Hub("org/tiny", {"main": folder}), monkeypatch):
        handler = _handler(configured("ViT-B-32/tiny_tag", OPEN_CLIP, cache=tmp_path / "cache"))
    images, texts = _reference(f"local-dir:{folder}", pictures, TEXTS, force_quick_gelu=True)
    wrong, _ = _reference(f"local-dir:{folder}", pictures, TEXTS)
    assert cosines(handler.embed_images(pictures), images).min() >= 0.99999
    assert cosines(handler.embed_texts(TEXTS), texts).min() >= 0.99999
    assert cosines(handler.embed_images(pictures), wrong).max() < 0.99999
    assert handler.identity["name"] == "ViT-B-32/tiny_tag"


# text towers of transformers'


@pytest.fixture
def multilingual(tmp_path: Path) -> Path:
    """A folder as a person may put it together: the tower's settings and tokenizer beside the model."""
    torch.manual_seed(0)
    return open_clip_multilingual(tmp_path / "multilingual")


@pytest.fixture
def bare(multilingual: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The real one's repositories: weights alone here, and the tower's settings and tokenizer there."""
    model, tower = tmp_path / "model", tmp_path / "tower"
    for folder, names in (
        (model, ["open_clip_model.safetensors"]),
        (tower, ["config.json", "tokenizer.json", "tokenizer_config.json"]),
    ):
        folder.mkdir()
        for name in names:
            shutil.copy(multilingual / name, folder)
    (tower / "model.safetensors").write_bytes(b"weights that nobody needs")
    settings = json.loads((multilingual / "open_clip_config.json").read_text())["model_cfg"]
    monkeypatch.setattr(
        models, "open_clip_architecture", lambda name: settings if name == "tiny-xlm" else None
    )
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-xlm", settings)
    tag = {"hf_hub": "org/tiny/", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-xlm", {"tag": tag})
    hub = Hub("org/tiny", {"main": model})
    hub.also = [Hub("xlm-roberta-base", {"main": tower})]
    return hub


def test_a_folder_with_its_text_tower_needs_no_hub(
    multilingual: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub("org/none", {})
    with serve(hub, monkeypatch):
        assert _handler(configured(multilingual, OPEN_CLIP)).embed_texts(["mug"]).shape == (1, 24)
    assert hub.requests == []


def test_weights_without_settings_are_those_of_their_tag(
    bare: Hub,
    multilingual: Path,
    configured: Configured,
    pictures: list[Image.Image],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve(bare, monkeypatch):
        handler = _handler(configured("tiny-xlm/tag", OPEN_CLIP, cache=tmp_path / "cache"))
    plain = _handler(configured(multilingual, OPEN_CLIP))
    np.testing.assert_allclose(handler.embed_texts(TEXTS), plain.embed_texts(TEXTS), atol=1e-6)
    assert handler.identity["weights"] == plain.identity["weights"]
    assert "mean=0.5,0.5,0.5" in handler.identity["preprocess"], "the tag's, not the library's usual one"
    assert cosines(handler.embed_images(pictures), plain.embed_images(pictures)).max() < 0.99999
    assert not any("model.safetensors" in each and "xlm-roberta" in each for each in bare.requests)
    assert not list((tmp_path / "cache").rglob("models--xlm-roberta-base/snapshots/*/model.safetensors"))


def test_what_was_fetched_once_is_enough_without_a_hub(
    bare: Hub, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    with serve(bare, monkeypatch):
        first = _handler(configured("tiny-xlm/tag", OPEN_CLIP, cache=cache))
    asked = len(bare.requests)
    again = _handler(configured("tiny-xlm/tag", OPEN_CLIP, cache=cache, offline=True))
    np.testing.assert_array_equal(again.embed_texts(TEXTS), first.embed_texts(TEXTS))
    assert len(bare.requests) == asked


def test_a_missing_text_tower_is_told_by_its_name(
    bare: Hub, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    with serve(bare, monkeypatch):
        bare.also[0].status = 401
        with pytest.raises(ModelUnavailable, match="'xlm-roberta-base' is not in the local cache"):
            load_handler(configured("tiny-xlm/tag", OPEN_CLIP, cache=cache))
    with pytest.raises(ModelUnavailable, match=r"'xlm-roberta-base' is not in .*switched off"):
        load_handler(configured("tiny-xlm/tag", OPEN_CLIP, cache=cache, offline=True))


def test_the_model_is_not_left_in_training(configured: Configured, tmp_path: Path) -> None:
    folder = open_clip_model(tmp_path / "tiny")
    settings = json.loads((folder / "open_clip_config.json").read_text())
    settings["model_cfg"]["vision_cfg"]["patch_dropout"] = 0.5
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    handler = load_handler(configured(folder, OPEN_CLIP))
    picture = [Image.radial_gradient("L").convert("RGB")]
    np.testing.assert_array_equal(handler.embed_images(picture), handler.embed_images(picture))


def test_loading_neither_prints_nor_warns_nor_gives_the_root_logger_a_terminal(
    folders: Folders,
    configured: Configured,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(folders["open_clip_words"], tmp_path / "copy")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_handler(configured(folder, OPEN_CLIP))
    assert logging.getLogger().handlers == []
    assert capfd.readouterr() == ("", "")
