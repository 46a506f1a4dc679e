"""Frame arithmetic: the sizes torchvision and transformers compute, and strips that stay small."""

from __future__ import annotations

import pytest
from PIL import Image

from connector.blobs.frames import framed, within
from connector.space import PictureFrame


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (298, 224)),
        ((480, 640), (224, 298)),
        ((4000, 3000), (298, 224)),
        ((224, 224), (224, 224)),
        ((300, 200), (336, 224)),
        ((10, 10), (224, 224)),
        ((1001, 777), (288, 224)),
    ],
)
def test_shortest_side_rounds_the_long_one_down(size: tuple[int, int], expected: tuple[int, int]) -> None:
    target = framed(size, PictureFrame(size=224))
    assert target.size == expected
    assert target.box == (0, 0, *size)


def test_squash_and_filters() -> None:
    assert framed((640, 480), PictureFrame(size=256, fit="squash")).size == (256, 256)
    assert framed((4, 3), PictureFrame(size=2)).resample is Image.Resampling.BICUBIC
    assert framed((4, 3), PictureFrame(size=2, resample="bilinear")).resample is Image.Resampling.BILINEAR
    assert framed((4, 3), PictureFrame(size=2, resample="lanczos")).resample is Image.Resampling.LANCZOS


@pytest.mark.parametrize("size", [(1, 4000), (1, 50_000_000), (3, 10_001), (7, 7001), (2, 4097)])
def test_the_middle_of_a_strip_is_where_the_centre_crop_looks(size: tuple[int, int]) -> None:
    frame = PictureFrame(size=32)
    upright, lying = framed(size, frame), framed((size[1], size[0]), frame)
    width, height = upright.size
    assert width == 32
    assert height <= 16 * 32 + 4
    assert lying.size == (height, width)
    assert lying.box == (upright.box[1], upright.box[0], upright.box[3], upright.box[2])
    whole = int(32 * size[1] / size[0])
    cut = (whole - height) // 2
    assert whole - 2 * cut == height
    assert round((whole - 32) / 2) == cut + round((height - 32) / 2)  # torchvision's centre crop
    assert (whole - 32) // 2 == cut + (height - 32) // 2  # transformers'
    assert upright.box[1] == pytest.approx(cut * size[1] / whole)


def test_within_a_square() -> None:
    assert within((1000, 500), 256).size == (256, 128)
    assert within((500, 1000), 256).size == (128, 256)
    assert within((100, 50), 256).size == (100, 50)
    assert within((4000, 1), 256).size == (256, 1)
