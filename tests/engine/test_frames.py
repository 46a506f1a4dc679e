"""Frames: what a picture may be resized to before the model's own preprocessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import (
    BitImageProcessor,
    CLIPImageProcessor,
    ConvNextImageProcessor,
    Siglip2ImageProcessor,
    SiglipImageProcessor,
    ViTImageProcessor,
)

from connector.engine import frames
from connector.space import PictureFrame


@pytest.mark.parametrize(
    ("processor", "frame"),
    [
        (CLIPImageProcessor(), PictureFrame(224)),
        (CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=336), PictureFrame(336)),
        (BitImageProcessor(size={"shortest_edge": 256}), PictureFrame(256)),
        (SiglipImageProcessor(), PictureFrame(224, "squash")),
        (ViTImageProcessor(), PictureFrame(224, "squash", "bilinear")),
        (CLIPImageProcessor(resample=Image.Resampling.LANCZOS), PictureFrame(224, resample="lanczos")),
        (ViTImageProcessor(size={"height": 20, "width": 30}), None),
        (CLIPImageProcessor(do_resize=False, do_center_crop=False), None),
        (CLIPImageProcessor(resample=Image.Resampling.NEAREST), None),
        (Siglip2ImageProcessor(), None),
        (ConvNextImageProcessor(), None),
        (None, None),
    ],
)
def test_a_processors_frame_is_read_and_proven(processor: Any, frame: PictureFrame | None) -> None:
    assert frames.from_processor(processor) == frame


@pytest.mark.parametrize(
    ("settings", "frame"),
    [
        ({"size": 32}, PictureFrame(32)),
        ({"size": (32, 32), "interpolation": "bilinear"}, PictureFrame(32, resample="bilinear")),
        ({"size": (32, 32), "resize_mode": "squash"}, PictureFrame(32, "squash")),
        ({"size": (32, 32), "resize_mode": "longest"}, None),
        ({"size": (32, 48)}, None),
    ],
)
def test_an_open_clip_models_frame_is_read_and_proven(
    settings: dict[str, Any], frame: PictureFrame | None
) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transform: Any = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    assert frames.from_open_clip(settings, transform) == frame


def test_a_frame_that_the_preprocessing_does_not_keep_to_is_dropped() -> None:
    transform = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
    claimed = PictureFrame(40)
    assert (
        frames.proven(claimed, lambda picture: transform(images=[picture])["pixel_values"][0].numpy()) is None
    )


@pytest.mark.parametrize(
    ("size", "frame", "expected"),
    [
        ((640, 480), PictureFrame(224), (298, 224)),
        ((480, 640), PictureFrame(224), (224, 298)),
        ((10, 10), PictureFrame(224), (224, 224)),
        ((640, 480), PictureFrame(224, "squash"), (224, 224)),
    ],
)
def test_resized_to_a_frame(size: tuple[int, int], frame: PictureFrame, expected: tuple[int, int]) -> None:
    assert frames.resized(Image.new("RGB", size), frame).size == expected


def test_a_summary_is_one_stable_line() -> None:
    assert frames.summary(CLIPImageProcessor()) == (
        "size=shortest_edge:224 crop_size=height:224,width:224 resample=3 "
        "image_mean=0.4815,0.4578,0.4082 image_std=0.2686,0.2613,0.2758"
    )
    assert frames.summary({"size": (32, 32), "mean": (0.5,), "fill_color": 0}) == "size=32,32 mean=0.5"
    assert "crop_size" not in frames.summary(CLIPImageProcessor(do_center_crop=False))


def test_the_filter_of_a_frame_is_pillows() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    expected = picture.resize((20, 20), Image.Resampling.BILINEAR)
    assert frames.resized(picture, PictureFrame(20, "squash", "bilinear")).tobytes() == expected.tobytes()
