"""Drawings: the same pixels for the same scene everywhere, and every scene can be drawn."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from connector.demo.drawings import BACKDROP_PAINTS, PALETTE, draw
from connector.demo.scene import BACKDROPS, COLOURS, COPIES, PATTERNS, SIZES, THINGS, Scene

SCENE = Scene("teapot", "blue", "checked", "mint", copies=2, size="large")
DIGEST = (
    "import hashlib; from connector.demo.drawings import draw; from connector.demo.scene import Scene; "
    "s = Scene('teapot', 'blue', 'checked', 'mint', copies=2, size='large'); "
    "print(hashlib.sha256(draw(s, 5).tobytes()).hexdigest())"
)


def test_one_scene_and_variant_give_the_same_pixels_in_another_process() -> None:
    expected = hashlib.sha256(draw(SCENE, 5).tobytes()).hexdigest()
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    told = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, env=environment
    )
    assert told.stdout.strip() == expected


def test_another_variant_is_another_drawing() -> None:
    assert draw(SCENE, 1).tobytes() != draw(SCENE, 2).tobytes()


@pytest.mark.parametrize("thing", THINGS)
def test_every_thing_is_drawn_in_its_colour_at_every_number_and_size(thing: str) -> None:
    for copies in COPIES:
        areas = []
        for size in SIZES:
            picture = draw(Scene(thing, "purple", "plain", "lemon", copies, size), side=96)
            assert (picture.mode, picture.size) == ("RGB", (96, 96))
            areas.append(_share_like(np.asarray(picture), PALETTE["purple"]))
        assert areas == sorted(areas)
        assert areas[0] > 0.005


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_leaves_the_colour_and_all_but_plain_bring_a_second_one(pattern: str) -> None:
    pixels = np.asarray(draw(Scene("t-shirt", "green", pattern, "pink", size="large"), side=160))
    assert _share_like(pixels, PALETTE["green"]) > 0.03
    assert (_share_like(pixels, (255, 250, 240)) > 0.02) == (pattern != "plain")


@pytest.mark.parametrize("backdrop", BACKDROPS)
def test_the_background_has_its_colour(backdrop: str) -> None:
    pixels = np.asarray(draw(Scene("key", "black", "plain", backdrop, size="small"), side=64))
    assert _share_like(pixels, BACKDROP_PAINTS[backdrop]) > 0.5


def test_every_colour_has_a_paint() -> None:
    assert set(PALETTE) == set(COLOURS)


def _share_like(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], colour: tuple[int, int, int]
) -> float:
    """The share of pixels within 24 of `colour` on every channel."""
    apart = np.abs(pixels.astype(int) - np.array(colour)).max(axis=-1)
    return float((apart <= 24).mean())
