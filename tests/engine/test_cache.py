"""Vectors embedded most recently."""

from __future__ import annotations

import numpy as np

from connector.engine.cache import RecentVectors


def _vector(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def test_the_least_recently_used_is_forgotten_first() -> None:
    recent = RecentVectors(4, entries=2)
    recent.put("a", _vector(1))
    recent.put("b", _vector(2))
    assert recent.get("a") is not None
    recent.put("c", _vector(3))
    assert recent.get("b") is None
    assert len(recent) == 2


def test_bytes_bound_it_as_well_as_entries() -> None:
    recent = RecentVectors(4, entries=1000, max_bytes=4 * 4 * 3)
    for number in range(10):
        recent.put(str(number), _vector(number))
    assert len(recent) == 3


def test_shared_vectors_cannot_be_changed() -> None:
    recent = RecentVectors(4)
    recent.put("a", _vector(1))
    kept = recent.get("a")
    assert kept is not None
    assert not kept.flags.writeable
