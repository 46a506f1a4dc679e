"""The arithmetic of fusion."""

from __future__ import annotations

import numpy as np
import pytest

from connector.engine.fusion import fuse, is_empty, query_vector, unit
from connector.errors import EmbeddingError
from connector.space import Weights

IMAGE = np.array([[3.0, 0.0], [0.0, 0.0], [0.0, 2.0], [0.0, 0.0]], np.float32)
TEXT = np.array([[0.0, 10.0], [0.0, 5.0], [0.0, 0.0], [0.0, 0.0]], np.float32)
HALF = np.sqrt(0.5)


def test_unit_brings_rows_to_length_one_and_leaves_zeros() -> None:
    rows = unit(np.array([[3, 4], [0, 0]], np.float16))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, np.array([[0.6, 0.8], [0, 0]]), atol=1e-7)


def test_unit_takes_a_single_vector() -> None:
    np.testing.assert_allclose(unit([0.0, -2.0]), [0, -1])


def test_unit_survives_tiny_and_huge_float32() -> None:
    np.testing.assert_allclose(
        np.linalg.norm(unit(np.array([[1e-30, 1e-30], [1e30, 1e30]], np.float32)), axis=1), 1
    )


def test_both_parts_count_alike_whatever_their_norms() -> None:
    np.testing.assert_allclose(fuse(IMAGE, TEXT)[0], [HALF, HALF], atol=1e-7)


def test_a_record_with_one_part_gets_that_one_and_with_neither_gets_zeros() -> None:
    rows = fuse(IMAGE, TEXT)
    np.testing.assert_allclose(rows[1:], [[0, 1], [0, 1], [0, 0]], atol=1e-7)
    assert is_empty(rows).tolist() == [False, False, False, True]


def test_the_only_part_counts_even_at_weight_zero() -> None:
    np.testing.assert_allclose(fuse(IMAGE, TEXT, Weights(1, 0))[1], [0, 1])


def test_no_pictures_at_all() -> None:
    np.testing.assert_allclose(fuse(None, TEXT), unit(TEXT))
    np.testing.assert_allclose(fuse(IMAGE, None), unit(IMAGE))


def test_weights_shift_the_balance() -> None:
    np.testing.assert_allclose(fuse(IMAGE, TEXT, Weights(3, 4))[0], [0.6, 0.8], atol=1e-7)


def test_only_the_ratio_of_weights_matters() -> None:
    np.testing.assert_allclose(
        fuse(IMAGE, TEXT, Weights(0.5, 0.5)), fuse(IMAGE, TEXT, Weights(7, 7)), atol=1e-7
    )


def test_raw_parts_reproduce_the_sum_of_raw_outputs() -> None:
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(5, 8)) * 10, rng.normal(size=(5, 8))
    stored = (image + text) / np.linalg.norm(image + text, axis=1, keepdims=True)
    np.testing.assert_allclose(fuse(image, text, parts="raw"), stored, atol=1e-6)


def test_raw_parts_obey_weights_when_told() -> None:
    np.testing.assert_allclose(fuse(IMAGE, TEXT, Weights(10, 3), "raw")[0], [HALF, HALF], atol=1e-7)


def test_vectors_that_cancel_become_zeros_and_not_noise() -> None:
    vector = unit(np.random.default_rng(1).normal(size=(1, 512)))
    assert is_empty(fuse(vector, vector * np.float32(1.7), Weights(0.3, -0.3))).all()
    assert is_empty(fuse(vector, -vector, parts="raw")).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        fuse(IMAGE, TEXT[:, :1])
    with pytest.raises(ValueError, match="needs"):
        fuse(None, None)


def test_query_is_the_weighted_mean_of_unit_vectors() -> None:
    np.testing.assert_allclose(query_vector(IMAGE[0], TEXT[0]), [HALF, HALF], atol=1e-7)
    np.testing.assert_allclose(query_vector(IMAGE[0], TEXT[0], Weights(1, -1)), [HALF, -HALF], atol=1e-7)
    np.testing.assert_allclose(query_vector(None, TEXT[0]), [0, 1])


def test_a_lone_part_with_a_negative_weight_points_the_other_way() -> None:
    np.testing.assert_allclose(query_vector(None, TEXT[0], Weights(0, -1)), [0, -1])


@pytest.mark.parametrize("weights", [Weights(0.5, -0.5), Weights(1, -1)])
def test_query_whose_parts_cancel_is_refused(weights: Weights) -> None:
    with pytest.raises(EmbeddingError, match="cancel each other out"):
        query_vector(IMAGE[0], IMAGE[0] * 2, weights)


def test_query_whose_only_part_has_no_weight_is_refused() -> None:
    with pytest.raises(EmbeddingError):
        query_vector(IMAGE[0], None, Weights(0, 1))
