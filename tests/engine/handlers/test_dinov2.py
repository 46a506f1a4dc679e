"""DINOv2, equal to its own reference use; pictures only."""

# mypy: disable-error-code="no-untyped-call"
# (transformers leaves its processors without types)

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import (
    AutoImageProcessor,
    AutoModel,
    BitImageProcessor,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
)

from connector.engine import ImageHandler, TextHandler, load_handler
from connector.engine.frames import resized
from connector.errors import ModelUnavailable
from connector.space import ImageEmbeddingConfig, ModelHandler, PictureFrame
from tests.engine.conftest import cosines
from tests.engine.models import lively

Configured = Callable[..., ImageEmbeddingConfig]
Folders = dict[str, Path]

DINOV2 = ModelHandler.DINOV2


@torch.inference_mode()
def _reference(folder: Path, pictures: list[Image.Image]) -> NDArray[np.float32]:
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    rows: NDArray[np.float32] = model(**processor(images=pictures, return_tensors="pt")).pooler_output.numpy()
    return rows


def test_vectors_equal_the_models_pooled_output(
    folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    rows = load_handler(configured(folders["dinov2"], DINOV2)).embed_images(pictures)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, _reference(folders["dinov2"], pictures), atol=1e-5)
    assert cosines(rows[:1].repeat(2, 0), rows[2:4]).max() < 0.99, "the model tells pictures apart"


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_vectors_equal_sentence_transformers_when_it_pools_the_class_token(
    folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    tower = Transformer(str(folders["dinov2"]))
    library = SentenceTransformer(modules=[tower, Pooling(24, "cls")], device="cpu")
    rows = load_handler(configured(folders["dinov2"], DINOV2)).embed_images(pictures)
    assert cosines(rows, np.asarray(library.encode(pictures))).min() >= 0.99999


def test_a_picture_resized_to_the_frame_has_the_vector_of_the_whole_picture(
    folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    handler = load_handler(configured(folders["dinov2"], DINOV2))
    frame = PictureFrame(40)
    assert handler.frame == frame
    large = [picture for picture in pictures if min(picture.size) > 2 * frame.size]
    rows = handler.embed_images([resized(picture, frame) for picture in large])
    assert cosines(rows, _reference(folders["dinov2"], large)).min() >= 0.99999


def test_it_reads_pictures_and_has_no_method_for_texts(folders: Folders, configured: Configured) -> None:
    handler = load_handler(configured(folders["dinov2"], DINOV2))
    assert isinstance(handler, ImageHandler)
    assert not isinstance(handler, TextHandler)


def test_the_variant_with_registers_is_a_dinov2(
    configured: Configured, pictures: list[Image.Image], tmp_path: Path
) -> None:
    settings = Dinov2WithRegistersConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=32, patch_size=8
    )
    model = Dinov2WithRegistersModel(settings)
    lively(model)
    model.save_pretrained(tmp_path)
    BitImageProcessor(size={"shortest_edge": 40}, crop_size=32).save_pretrained(tmp_path)
    rows = load_handler(configured(tmp_path, DINOV2)).embed_images(pictures)
    assert cosines(rows, _reference(tmp_path, pictures)).min() >= 0.99999


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_gives_float32_vectors_close_to_the_exact_ones(
    precision: str, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    half = load_handler(configured(folders["dinov2"], DINOV2, precision=precision)).embed_images(pictures)
    assert half.dtype == np.float32
    assert cosines(half, _reference(folders["dinov2"], pictures)).min() >= 0.99


def test_weights_that_lack_a_part_of_the_model_are_refused(
    folders: Folders, configured: Configured, tmp_path: Path
) -> None:
    file = shutil.copytree(folders["dinov2"], tmp_path / "copy") / "model.safetensors"
    weights = load_file(file)
    del weights["layernorm.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"layernorm\.weight"):
        load_handler(configured(tmp_path / "copy", DINOV2))


def test_a_model_of_another_family_is_refused(folders: Folders, configured: Configured) -> None:
    with pytest.raises(ModelUnavailable, match="'clip', not a DINOv2"):
        load_handler(configured(folders["clip"], DINOV2))
