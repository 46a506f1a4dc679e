"""Outlines: what the polygon builders promise."""

from __future__ import annotations

import numpy as np
import pytest

from connector.demo.drawings import SHAPES
from connector.demo.geometry import bar, box, ellipse, flipped, mirrored, outward, ribbon, soft, spline
from connector.demo.scene import THINGS


def test_every_thing_has_a_shape_inside_its_square() -> None:
    assert set(SHAPES) == set(THINGS)
    for thing, shape in SHAPES.items():
        parts = shape()
        assert any(part.paint == "body" for part in parts), thing
        for part in parts:
            assert part.points.shape[1] == 2
            assert -0.03 <= part.points.min() <= part.points.max() <= 1.07, (thing, part.paint)


def test_an_arc_keeps_its_ends_and_a_whole_ellipse_does_not_repeat_its_start() -> None:
    arc = ellipse(0.5, 0.5, 0.2, 0.1, 0, 90)
    assert arc[0] == pytest.approx((0.7, 0.5))
    assert arc[-1] == pytest.approx((0.5, 0.6))
    whole = ellipse(0.5, 0.5, 0.2, 0.1)
    assert not np.allclose(whole[0], whole[-1])


def test_rounded_corners_stay_within_the_sharp_ones() -> None:
    rounded = box(0.1, 0.2, 0.9, 0.8, 0.1)
    assert rounded.min(axis=0) == pytest.approx((0.1, 0.2))
    assert rounded.max(axis=0) == pytest.approx((0.9, 0.8))
    assert not (np.abs(rounded - (0.1, 0.2)).max(axis=1) < 1e-6).any()


def test_a_corner_of_radius_nothing_stays_sharp() -> None:
    assert soft([(0, 0), (1, 0), (0, 1)], 0).tolist() == [[0, 0], [1, 0], [0, 1]]


def test_a_spline_goes_through_its_knots() -> None:
    knots = [(0.1, 0.1), (0.5, 0.9), (0.9, 0.2)]
    curve = spline(knots, closed=False)
    for knot in knots:
        assert np.hypot(*(curve - knot).T).min() < 1e-9


def test_a_mirrored_outline_is_its_own_mirror_image() -> None:
    whole = mirrored(np.array([(0.5, 0.1), (0.8, 0.4), (0.5, 0.9)]))
    assert sorted(map(tuple, flipped(whole).round(9).tolist())) == sorted(map(tuple, whole.round(9).tolist()))


def test_a_ribbon_is_as_wide_as_asked() -> None:
    band = bar((0.2, 0.5), (0.8, 0.5), 0.1)
    assert np.ptp(band[:, 1]) == pytest.approx(0.1)
    assert np.ptp(band[:, 0]) == pytest.approx(0.7, abs=0.01)
    tapered = ribbon(np.array([(0.0, 0.0), (0.5, 0.0), (1.0, 0.0)]), 0.2, 0.0)
    assert np.abs(tapered[tapered[:, 0] > 0.99]).max() == pytest.approx(1.0)


def test_outward_moves_every_edge_of_a_square_by_one() -> None:
    square = np.array([(0, 0), (1, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
    moved = square + outward(square) * 0.1
    assert np.ptp(moved, axis=0) == pytest.approx((1.2, 1.2))
    assert moved[1] == pytest.approx(moved[2])
