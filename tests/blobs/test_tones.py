"""Modes to RGB: nothing clipped, nothing lost, transparency on white."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from connector.blobs import BlobPolicy, decode
from connector.blobs.tones import scaled_grey, to_rgb
from tests.blobs.pictures import close_to, corners, fetched, saved

POLICY = BlobPolicy()
GREEN = (30, 200, 30)


def levels(image: Image.Image) -> int:
    return len(set(image.convert("L").get_flattened_data()))


@pytest.mark.parametrize("step", [256, 257])
def test_a_ramp_of_256_levels_in_16_bits_keeps_them(step: int) -> None:
    ramp = Image.fromarray((np.arange(256, dtype="uint16") * step).reshape(1, 256).repeat(4, axis=0))
    assert ramp.mode == "I;16"
    for image in (ramp, Image.fromarray(np.asarray(ramp).astype("int32"))):
        assert levels(to_rgb(image)) == 256
    for format_name in ("PNG", "TIFF"):
        picture = decode(fetched(saved(ramp, format_name)), POLICY)
        assert levels(picture.image) == 256
        assert picture.image.getpixel((255, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 65535], "uint16", [0, 255]),
        ([0, 255], "uint16", [0, 255]),
        ([0, 4095], "uint16", [0, 255]),
        ([0, 2048, 4095], "uint16", [0, 128, 255]),
        ([0, 4096], "uint16", [0, 16]),
        ([0, 0], "uint16", [0, 0]),
        ([-100, 0, 100], "int32", [0, 128, 255]),
        ([0, 1_000_000], "int32", [0, 255]),
        ([0, 65535], "int32", [0, 255]),
        ([0, 0.5, 1], "float32", [0, 128, 255]),
        ([0, 0.25], "float32", [0, 64]),
        ([0, 128, 255], "float32", [0, 128, 255]),
        ([0, 32768, 65535], "float32", [0, 128, 255]),
        ([-1, 0, 1], "float32", [0, 128, 255]),
        ([-5, -5], "float32", [0, 0]),
        ([float("nan"), 0, 1, float("inf"), float("-inf")], "float32", [0, 0, 255, 255, 0]),
        ([float("nan")], "float32", [0]),
        ([-3e38, 3e38], "float32", [0, 255]),
    ],
)
def test_greys_are_scaled_by_the_range_of_their_values(
    values: list[float], dtype: str, expected: list[int]
) -> None:
    image = Image.fromarray(np.array([values], dtype=dtype))
    assert list(scaled_grey(image).get_flattened_data()) == expected


def test_big_endian_16_bits() -> None:
    image = Image.frombytes("I;16B", (2, 1), b"\x00\x00\xff\xff")
    assert list(scaled_grey(image).get_flattened_data()) == [0, 255]


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "LA", "PA", "La", "RGBa", "RGBX"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    source = corners()
    for step in {"LA": ["LA"], "La": ["LA", "La"], "RGBa": ["RGBA", "RGBa"], "PA": ["RGBA", "PA"]}.get(
        mode, [mode]
    ):
        source = source.convert(step)
    image = to_rgb(source)
    assert image.mode == "RGB"
    assert image.size == (64, 48)
    if mode not in ("1", "L", "LA", "La"):
        assert close_to(image, 0.8, 0.2, GREEN, by=60)


def test_an_opaque_rgb_picture_is_not_copied() -> None:
    image = corners()
    assert to_rgb(image) is image


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa", "La", "PA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    image = Image.new("LA" if "L" in mode else "RGBA", (4, 4), (0, 0) if "L" in mode else (255, 0, 0, 0))
    half = Image.new("LA", (4, 4), (0, 128)) if "L" in mode else Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    if mode in ("RGBa", "La", "PA"):
        image, half = image.convert(mode), half.convert(mode)
    assert to_rgb(image).getpixel((0, 0)) == (255, 255, 255)
    pixel = to_rgb(half).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert abs(pixel[1] - 127) <= 2


def test_transparent_colours_of_palettes_and_greys_are_laid_on_white() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    grey = Image.new("L", (4, 4), 7)
    colour = Image.new("RGB", (4, 4), (1, 2, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for image, transparency in (
            (palette, 1),
            (palette, b"\xff\x00"),
            (grey, 7),
            (colour, (1, 2, 3)),
        ):
            data = saved(image, "PNG", transparency=transparency)
            assert decode(fetched(data), POLICY).image.getpixel((0, 0)) == (255, 255, 255)
        assert decode(fetched(saved(palette, "GIF", transparency=1)), POLICY).image.getpixel((0, 0)) == (
            255,
            255,
            255,
        )
        assert decode(fetched(saved(palette, "PNG", transparency=0)), POLICY).image.getpixel((0, 0)) == (
            200,
            0,
            0,
        )


@pytest.mark.parametrize(
    ("mode", "format_name"),
    [
        *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *(
            (mode, "TIFF")
            for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
        ),
        *((mode, "JPEG") for mode in ("L", "RGB", "CMYK", "YCbCr")),
        *((mode, "WEBP") for mode in ("L", "RGB", "RGBA")),
        *((mode, "GIF") for mode in ("1", "L", "P", "RGB", "RGBA")),
        *((mode, "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")),
        *((mode, "AVIF") for mode in ("L", "RGB", "RGBA")),
        *((mode, "ICO") for mode in ("L", "RGB", "RGBA", "P")),
    ],
)
def test_every_mode_of_every_format(mode: str, format_name: str) -> None:
    """White at the left, black at the right, whatever they are stored as."""
    grey = Image.new("L", (64, 48), 255)
    grey.paste(0, (32, 0, 64, 48))
    if mode in ("I;16", "I"):
        image = Image.fromarray(np.asarray(grey).astype("uint16") * 257)
        image = image if mode == "I;16" else Image.fromarray(np.asarray(image).astype("int32"))
    elif mode == "F":
        image = Image.fromarray(np.asarray(grey).astype("float32") / 255)
    elif mode in ("CMYK", "YCbCr", "LAB"):
        image = grey.convert("RGB").convert(mode)
    else:
        image = grey.convert(mode)
    result = decode(fetched(saved(image, format_name)), POLICY).image
    assert result.mode == "RGB"
    assert close_to(result, 0.2, 0.5, (255, 255, 255), by=6)
    assert close_to(result, 0.8, 0.5, (0, 0, 0), by=6) or (
        mode == "CMYK" and close_to(result, 0.8, 0.5, (0, 0, 0), by=40)
    )


def test_a_bitmap_icon_keeps_its_mask() -> None:
    see_through = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    see_through.paste((0, 0, 255, 255), (0, 0, 16, 32))
    data = saved(see_through, "ICO", bitmap_format="bmp", sizes=[(32, 32)])
    image = decode(fetched(data), POLICY).image
    assert image.getpixel((4, 16)) == (0, 0, 255)
    assert image.getpixel((28, 16)) == (255, 255, 255)
