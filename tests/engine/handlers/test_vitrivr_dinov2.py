"""DINOv2 with vitrivr's preprocessing: what it refuses, and that it is never taken for DINOv2 with its own.

Its vectors are compared with the written arithmetic in `test_service_models.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from connector import Connector, ImageSpace, ModelHandler
from connector.engine import ImageHandler, TextHandler, load_handler, vector_length
from connector.errors import CollectionMismatch, InvalidSpaceParamException, ModelUnavailable
from connector.space import ImageEmbeddingConfig
from tests.conftest import Product, Shop
from tests.engine.conftest import cosines
from tests.engine.models import dinov2_518

Configured = Callable[..., ImageEmbeddingConfig]

VITRIVR = ModelHandler.VITRIVR_DINOV2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2 of random weights, with the real one's table of positions."""
    torch.manual_seed(0)
    return dinov2_518(tmp_path_factory.mktemp("dinov2") / "tiny")


def test_its_vectors_are_not_those_of_the_models_own_preprocessing(
    folder: Path, configured: Configured, pictures: list[Image.Image]
) -> None:
    ours, usual = (load_handler(configured(folder, handler)) for handler in (VITRIVR, ModelHandler.DINOV2))
    assert cosines(ours.embed_images(pictures), usual.embed_images(pictures)).min() < 0.99
    differ = {key for key in ours.identity if ours.identity[key] != usual.identity[key]}
    assert differ == {"handler", "preprocess", "library"}


def test_a_collection_of_one_recipe_refuses_the_other(folder: Path, shop: Shop) -> None:
    rows, where = shop.rows(2), shop.folder / "store"
    for first, second in ((VITRIVR, ModelHandler.DINOV2), (ModelHandler.DINOV2, VITRIVR)):
        written = ImageSpace(Product.photo, str(folder), first)
        with Connector(written, where / first.value) as connector:
            assert connector.ingest(rows, base=shop.folder).new == 2
        with Connector(written.with_model(model_handler=second), where / first.value) as other:
            with pytest.raises(CollectionMismatch, match="handler is"):
                other.ingest(shop.rows(3), base=shop.folder)


def test_it_reads_pictures_only(folder: Path, configured: Configured) -> None:
    handler = load_handler(configured(folder, VITRIVR))
    assert isinstance(handler, ImageHandler)
    assert not isinstance(handler, TextHandler)
    assert handler.frame is None
    with pytest.raises(InvalidSpaceParamException, match="embeds pictures only"):
        ImageSpace(Product.photo + Product.title, str(folder), VITRIVR)


def test_a_picture_in_a_batch_has_the_vector_it_has_alone(
    folder: Path, configured: Configured, pictures: list[Image.Image]
) -> None:
    handler = load_handler(configured(folder, VITRIVR))
    alone = np.concatenate([handler.embed_images([picture]) for picture in pictures])
    np.testing.assert_allclose(handler.embed_images(pictures), alone, atol=1e-5)


@pytest.mark.parametrize("size", [(200_000, 1), (1, 200_000), (9, 4001)])
def test_a_strip_costs_no_more_memory_than_it_must(
    size: tuple[int, int], folder: Path, configured: Configured
) -> None:
    """At 244 pixels a side, 1 x 200,000 would be 146 gigabytes of numbers."""
    row = load_handler(configured(folder, VITRIVR)).embed_images([Image.new("RGB", size, (200, 30, 30))])
    plain = load_handler(configured(folder, VITRIVR)).embed_images(
        [Image.new("RGB", (300, 300), (200, 30, 30))]
    )
    np.testing.assert_allclose(row, plain, atol=1e-4)


def test_its_length_is_known_without_loading_it(folder: Path, configured: Configured, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(folder / "config.json", bare)
    assert vector_length(configured(bare, VITRIVR)) == 24
    assert vector_length(configured("facebook/dinov2-small", VITRIVR)) == 384


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_gives_float32_vectors_close_to_the_exact_ones(
    precision: str, folder: Path, configured: Configured, pictures: list[Image.Image]
) -> None:
    exact, half = (
        load_handler(configured(folder, VITRIVR, precision=each)).embed_images(pictures)
        for each in ("float32", precision)
    )
    assert half.dtype == np.float32
    assert cosines(half, exact).min() >= 0.99


def test_models_of_other_families_are_refused(
    folders: dict[str, Path], configured: Configured, tmp_path: Path
) -> None:
    settings = Dinov2WithRegistersConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14
    )
    Dinov2WithRegistersModel(settings).save_pretrained(tmp_path / "registers")
    for other, family in ((tmp_path / "registers", "dinov2_with_registers"), (folders["clip"], "clip")):
        with pytest.raises(ModelUnavailable, match=f"'{family}', and vitrivr's service runs a plain"):
            load_handler(configured(other, VITRIVR))
