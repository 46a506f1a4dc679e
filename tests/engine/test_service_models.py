"""vitrivr's three models, equal to that service's arithmetic as it is written down, on tiny models of random weights."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from connector.blobs.as_sent import decode_as_sent
from connector.blobs.policy import BlobPolicy
from connector.engine import TextHandler, load_handler
from connector.engine.fusion import unit
from connector.engine.service_models import SERVICE_MODELS, ServiceModel
from connector.space import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler
from tests.engine import primitives
from tests.engine.models import WORDS, clip_224, dinov2_518, open_clip_multilingual

BUILDERS = {
    "clip-vit-large-patch14": clip_224,
    "open-clip-vit-b32": open_clip_multilingual,
    "dino-v2-vits14": dinov2_518,
}
TEXTS = ["a red mug", "two old blue hat on the striped canvas", "shoe", "", "mug  " * 120, "赤い of mug"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model of random weights in place of each of the three."""
    root, folders = tmp_path_factory.mktemp("service"), {}
    for name, build in BUILDERS.items():
        torch.manual_seed(0)
        folders[name] = build(root / name)
    return folders


def _handler(model: ServiceModel, folder: Path) -> Any:
    return load_handler(
        ImageEmbeddingConfig(
            str(folder),
            model.handler,
            None,
            EmbeddingEngineConfig(device="cpu", precision="float32", offline=True),
        )
    )


def _vectors(model: ServiceModel, folder: Path, pictures: list[Image.Image]) -> NDArray[np.float32]:
    """What our server answers: decoded as sent, embedded, brought to length one where the service does so."""
    decoded = [
        decode_as_sent(_png(picture), BlobPolicy(), model.frame, resized_first=model.resized_first).image
        for picture in pictures
    ]
    rows: NDArray[np.float32] = _handler(model, folder).embed_images(decoded)
    return unit(rows) if model.normalised else rows


def _png(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _stacked(rows: list[Tensor]) -> NDArray[np.float32]:
    stacked: NDArray[np.float32] = torch.stack(rows).numpy()
    return stacked


def _distance(rows: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float64]:
    difference = np.linalg.norm(rows.astype(np.float64) - expected, axis=1)
    return np.asarray(difference / np.linalg.norm(expected, axis=1), np.float64)


def test_the_three_are_there_by_the_services_names() -> None:
    assert set(SERVICE_MODELS) == set(BUILDERS)
    assert {name: model.length for name, model in SERVICE_MODELS.items()} == {
        "clip-vit-large-patch14": 768,
        "open-clip-vit-b32": 512,
        "dino-v2-vits14": 384,
    }
    assert SERVICE_MODELS["dino-v2-vits14"].tasks == {"image-embedding"}
    assert all(model.as_sent for model in SERVICE_MODELS.values())


def test_they_run_in_float32_like_the_service_whatever_the_device_prefers() -> None:
    model = SERVICE_MODELS["clip-vit-large-patch14"]
    config = model.embedding_config(Path("cache"), EmbeddingEngineConfig(revision="of another model"))
    assert config.embedding_engine_config == EmbeddingEngineConfig(precision="float32")
    assert (config.model, config.model_cache_dir) == ("openai/clip-vit-large-patch14", Path("cache"))
    asked = model.embedding_config(engine=EmbeddingEngineConfig(precision="float16"))
    assert asked.embedding_engine_config.precision == "float16"


@torch.inference_mode()
def test_clip_pictures(tiny: dict[str, Path], pictures: list[Image.Image]) -> None:
    """Shortest side 224 bicubic (Pillow), crop, OpenAI's mean and deviation, class token, projection, length one."""
    model, folder = SERVICE_MODELS["clip-vit-large-patch14"], tiny["clip-vit-large-patch14"]
    weights = primitives.weights_of(folder)
    rows = _vectors(model, folder, pictures)
    expected = _stacked([primitives.clip_image(primitives.clip_pixels(each), weights) for each in pictures])
    assert _distance(rows, expected).max() < 2e-6
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert _distance(rows[:1], expected[2:3]).max() > 0.05, "the model tells pictures apart"


@torch.inference_mode()
def test_clip_texts(tiny: dict[str, Path]) -> None:
    """Cut to 77 tokens, pooled at the end of text, projected, length one; neighbours and their padding change nothing."""
    folder = tiny["clip-vit-large-patch14"]
    handler = _handler(SERVICE_MODELS["clip-vit-large-patch14"], folder)
    assert isinstance(handler, TextHandler)
    weights = primitives.weights_of(folder)
    expected = _stacked([primitives.clip_text(_ids(text, WORDS), weights) for text in TEXTS])
    assert _distance(unit(handler.embed_texts(TEXTS)), expected).max() < 5e-6


@torch.inference_mode()
def test_open_clip_pictures(tiny: dict[str, Path], pictures: list[Image.Image]) -> None:
    """The same preprocessing but for the crop's rounding; class token, ln_post, projection, length one."""
    model, folder = SERVICE_MODELS["open-clip-vit-b32"], tiny["open-clip-vit-b32"]
    weights = primitives.weights_of(folder, "open_clip_model.safetensors")
    rows = _vectors(model, folder, pictures)
    seen = [primitives.clip_pixels(each, round) for each in pictures]
    expected = _stacked([primitives.open_clip_image(each, weights) for each in seen])
    assert _distance(rows, expected).max() < 2e-6


@torch.inference_mode()
def test_open_clip_texts_are_the_multilingual_towers(tiny: dict[str, Path]) -> None:
    """Padded and cut to 77 tokens; mean of those that are no padding, an MLP of two layers, length one."""
    folder = tiny["open-clip-vit-b32"]
    handler = _handler(SERVICE_MODELS["open-clip-vit-b32"], folder)
    assert isinstance(handler, TextHandler)
    weights = primitives.weights_of(folder, "open_clip_model.safetensors")
    known = ["<s>", "<pad>", "</s>", "<unk>", *WORDS[3:-1]]
    padded = [(_ids(text, known) + [1] * 77)[:77] for text in TEXTS]
    expected = _stacked([primitives.xlm_roberta_text(ids, weights) for ids in padded])
    rows = handler.embed_texts(TEXTS)
    assert _distance(rows, expected).max() < 5e-6
    unmasked = _stacked([primitives.xlm_roberta_text(ids, weights, pad=-1) for ids in padded[:3]])
    assert _distance(rows[:3], unmasked).min() > 0.01, "the mask makes a difference"


@torch.inference_mode()
def test_open_clip_resizes_a_transparent_picture_before_it_drops_the_transparency(
    tiny: dict[str, Path],
) -> None:
    model, folder = SERVICE_MODELS["open-clip-vit-b32"], tiny["open-clip-vit-b32"]
    noise = np.random.default_rng(3).integers(0, 256, (300, 400, 4), np.uint8)
    picture = Image.fromarray(noise, "RGBA")
    resized = picture.resize((298, 224), Image.Resampling.BICUBIC).convert("RGB")
    weights = primitives.weights_of(folder, "open_clip_model.safetensors")
    expected = _stacked([primitives.open_clip_image(primitives.clip_pixels(resized), weights)])
    assert _distance(_vectors(model, folder, [picture]), expected).max() < 2e-6
    other = _stacked([primitives.open_clip_image(primitives.clip_pixels(picture.convert("RGB")), weights)])
    assert _distance(_vectors(model, folder, [picture]), other).max() > 1e-3


def _ids(text: str, known: list[str]) -> list[int]:
    """The tiny tokenizer's ids, cut to 77 with both ends kept."""
    words = [known.index(word) if word in known else known.index("<unk>") for word in text.lower().split()]
    return [known.index("<s>"), *words[:75], known.index("</s>")]


@torch.inference_mode()
def test_dinov2_pictures(tiny: dict[str, Path], pictures: list[Image.Image]) -> None:
    """244 bilinear antialiased on the tensor, crop 224, mean = deviation = 0.5, class token, not of length one."""
    model, folder = SERVICE_MODELS["dino-v2-vits14"], tiny["dino-v2-vits14"]
    weights = primitives.weights_of(folder)
    positions = primitives.hub_positions(weights["embeddings.position_embeddings"], 16)
    odd = [*pictures, pictures[0].resize((245, 311)), Image.effect_noise((1, 1), 9).convert("RGB")]
    rows = _vectors(model, folder, odd)
    expected = _stacked(
        [primitives.dinov2_image(primitives.vitrivr_pixels(each), weights, positions) for each in odd]
    )
    assert _distance(rows, expected).max() < 2e-6
    assert np.linalg.norm(rows, axis=1).min() > 1.5
    usual = _stacked(
        [
            primitives.dinov2_image(primitives.vitrivr_pixels(each, resize=256), weights, positions)
            for each in pictures
        ]
    )
    assert _distance(rows[: len(pictures)], usual).max() > 0.05, "the size makes a difference"


def test_the_two_recipes_of_dinov2_are_two_handlers() -> None:
    assert SERVICE_MODELS["dino-v2-vits14"].handler is ModelHandler.VITRIVR_DINOV2
    assert not ModelHandler.VITRIVR_DINOV2.reads_text
