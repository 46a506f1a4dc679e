"""Preprocessing to the same pixels as transformers, and settings that are left to it."""

# mypy: disable-error-code="no-untyped-call"
# (transformers leaves its processors without types)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor

from connector.engine import frames, pixels
from connector.engine.blocks import byte_product

SIZES = [
    (640, 480),
    (479, 641),
    (32, 32),
    (33, 47),
    (47, 33),
    (16, 9),
    (1, 1),
    (5, 900),
    (900, 5),
    (40, 40),
    (64, 40),
]


def _noise(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values)


def _both(folder: Path, **settings: Any) -> tuple[pixels.Pixels, CLIPImageProcessor]:
    processor = CLIPImageProcessor(**settings)
    processor.save_pretrained(folder)
    ours = pixels.read(folder)
    assert ours is not None
    return ours, processor


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
        {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "resample": 2},
        {"size": 41, "crop_size": 32, "image_mean": [0.5] * 3, "image_std": [0.25, 0.5, 1.0]},
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "rescale_factor": 0.01},
    ],
    ids=["clip", "bilinear, cropped", "numbers", "scale"],
)
def test_pixels_are_transformers_own(settings: dict[str, Any], tmp_path: Path) -> None:
    ours, processor = _both(tmp_path, **settings)
    for size in SIZES:
        picture = _noise(size)
        for given in (picture, frames.resized(picture, ours.frame)):
            theirs = processor(images=[given], return_tensors="np")["pixel_values"][0]
            np.testing.assert_array_equal(ours.normalised(ours.cut([given]))[0].numpy(), theirs, str(size))
    assert frames.summary(ours.settings) == frames.summary(processor)
    assert frames.from_processor(processor) == ours.frame


@pytest.mark.parametrize("crop", [32, 40])
def test_resizing_beforehand_changes_nothing(crop: int, tmp_path: Path) -> None:
    ours, _ = _both(tmp_path, size=40, crop_size=crop)
    for size in SIZES:
        resized = ours.resized(_noise(size))
        assert min(resized.size) == 40
        assert ours.resized(resized) is resized
        np.testing.assert_array_equal(ours.cut([resized]), ours.cut([_noise(size)]), str(size))


@pytest.mark.parametrize("scale", [1 / 255, 0.01])
def test_normalising_may_be_part_of_a_layers_weights(scale: float, tmp_path: Path) -> None:
    ours, _ = _both(
        tmp_path,
        size=32,
        crop_size=32,
        rescale_factor=scale,
        image_mean=[0.5, 0.1, 0.9],
        image_std=[0.25, 0.5, 1.0],
    )
    squares = ours.cut([_noise(size) for size in SIZES])
    weight = torch.randn(5, 32 * 32 * 3, generator=torch.Generator().manual_seed(0))
    wanted = ours.normalised(squares).permute(0, 2, 3, 1).flatten(1).double() @ weight.double().T
    made = byte_product(ours.of_bytes(weight), precision="float32", device="cpu")(squares.flatten(1))
    assert (made.double() - wanted).norm() / wanted.norm() < 1e-6


def test_a_processor_beside_a_tokenizer_is_found(tmp_path: Path) -> None:
    nested = {
        "image_processor": {"size": {"shortest_edge": 48}, "crop_size": 48},
        "processor_class": "CLIPProcessor",
    }
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 32, "crop_size": 32}))
    found = pixels.read(tmp_path)
    assert found is not None
    assert found.size == 48


@pytest.mark.parametrize(
    "settings",
    [
        {"image_processor_type": "SiglipImageProcessor"},
        {"size": {"height": 32, "width": 32}},
        {"size": {"shortest_edge": 32, "longest_edge": 64}},
        {"size": 32, "crop_size": 64},
        {"crop_size": {"height": 32, "width": 24}},
        {"resample": 1},
        {"do_normalize": False},
        {"do_center_crop": False},
        {"default_to_square": True},
        {"do_pad": True},
        {"image_mean": [0.5]},
        {"sharpen": 2},
    ],
    ids=str,
)
def test_anything_else_is_left_to_the_library(settings: dict[str, Any], tmp_path: Path) -> None:
    plain = {"image_processor_type": "CLIPImageProcessor", "size": 48, "crop_size": 48}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(plain))
    assert pixels.read(tmp_path) is not None
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(plain | settings))
    assert pixels.read(tmp_path) is None


def test_a_folder_without_any_is_left_to_the_library(tmp_path: Path) -> None:
    assert pixels.read(tmp_path) is None
