"""The arithmetic that makes one vector of several, in numpy alone.

A row of zeros means "nothing there": it stays as it is, and `is_empty` finds it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from connector.errors import EmbeddingError
from connector.transformation import Parts, Weights

Rows = NDArray[np.float32]

# Vectors that cancel leave rounding noise of about 1e-8; a direction read from that would be a random one.
_CANCELLED = 1e-6

AWAY = 0.5
"""How much what a query should not be like counts, beside the query."""


def unit(rows: ArrayLike) -> Rows:
    """Bring vectors to Euclidean length one.

    Args:
        rows: one vector (length,) or several (n, length), of any float type.

    Returns:
        float32 of the same shape; a vector of zeros stays as it is.
    """
    return _unit(np.asarray(rows, np.float64)).astype(np.float32)


def fuse(
    image: ArrayLike | None,
    text: ArrayLike | None,
    weights: Weights = Weights(),
    parts: Parts = "unit",
) -> Rows:
    """Make one vector for each record of its picture's and its description's.

    With `parts="unit"` this is `unit(w_image * unit(image) + w_text * unit(text))`; with `parts="raw"` the
    rows are not brought to length one first, which at equal weights is `unit(image + text)`, what Superlinked
    stores. A record that has only one of the two gets that one at length one, whatever its weight.

    Args:
        image: raw picture vectors (n, length), a row of zeros where a record has no picture; None if none has.
        text: raw description vectors, likewise.

    Returns:
        float32 (n, length), each row of length one, or all zeros where a record has neither, or where its two
        vectors cancel each other out (`is_empty` tells which rows; they must be rejected, not stored).

    Raises:
        ValueError: neither was given, or their shapes differ.
    """
    images, texts = _pair(image, text)
    alone = is_empty(images) | is_empty(texts)
    fused = _weighted(images, texts, weights, parts)
    fused[alone] = images[alone] + texts[alone]
    return _unit(fused).astype(np.float32)


def query_vector(image: ArrayLike | None, text: ArrayLike | None, weights: Weights = Weights()) -> Rows:
    """Make the vector to search with: the weighted mean of unit vectors, at length one.

    A negative weight means "but not that"; with one part alone it means the opposite direction.

    Args:
        image: one raw picture vector (length,), or None.
        text: one raw text vector (length,), or None.

    Returns:
        float32 (length,), of length one.

    Raises:
        EmbeddingError: the parts cancel each other out, or the only part given has weight 0.
        ValueError: neither was given, or their shapes differ.
    """
    images, texts = _pair(image, text)
    fused = _weighted(images, texts, weights, "unit")
    if is_empty(fused):
        raise EmbeddingError(
            f"Nothing is left to search with: at weights image={weights.image:g}, text={weights.text:g} "
            "the picture and the words cancel each other out. Change the weights, or give only one of the "
            "two."
        )
    return _unit(fused).astype(np.float32)


def away_from(query: ArrayLike | None, others: ArrayLike) -> Rows:
    """Turn a query away from what it should not be like: `unit(query - 0.5 * mean(others))`.

    Half of their mean: what is asked for still counts for more than what is not wanted. Without a query it is the
    direction opposite to their mean.

    Args:
        query: one vector of length one (length,), or None.
        others: vectors of length one (n, length), at least one.

    Returns:
        float32 (length,), of length one.

    Raises:
        EmbeddingError: nothing is left, because they cancel each other out.
    """
    mean = np.asarray(others, np.float64).mean(axis=0)
    turned = -mean if query is None else np.asarray(query, np.float64) - AWAY * mean
    if np.linalg.norm(turned) <= _CANCELLED:
        raise EmbeddingError(
            "Nothing is left to search with: what is wanted and what is not cancel each other out. "
            "Leave one of the unlike records out."
        )
    return _unit(turned).astype(np.float32)


def is_empty(rows: ArrayLike) -> NDArray[np.bool_]:
    """Say which vectors are all zeros: a bool for one (length,), an array (n,) for several (n, length)."""
    return np.asarray(~np.any(np.asarray(rows), axis=-1))


def _pair(image: ArrayLike | None, text: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if image is None and text is None:
        raise ValueError("fusing needs a picture's vectors, a text's vectors, or both")
    images = None if image is None else np.asarray(image, np.float64)
    texts = None if text is None else np.asarray(text, np.float64)
    images = np.zeros_like(texts) if images is None else images
    texts = np.zeros_like(images) if texts is None else texts
    if images.shape != texts.shape:
        raise ValueError(f"picture vectors have shape {images.shape}, text vectors {texts.shape}")
    return images, texts


def _weighted(
    images: NDArray[np.float64], texts: NDArray[np.float64], weights: Weights, parts: Parts
) -> NDArray[np.float64]:
    if parts == "unit":
        images, texts = _unit(images), _unit(texts)
    first, second = weights.image * images, weights.text * texts
    fused = first + second
    scale = np.linalg.norm(first, axis=-1, keepdims=True) + np.linalg.norm(second, axis=-1, keepdims=True)
    cancelled = np.linalg.norm(fused, axis=-1, keepdims=True) <= _CANCELLED * scale
    return np.where(cancelled, 0.0, fused)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(norms == 0, 1.0, norms)
