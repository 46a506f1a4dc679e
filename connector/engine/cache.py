"""The vectors embedded most recently, so that the same bytes or words are not embedded again."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

ENTRIES = 4096
BYTES = 64 * 2**20


class RecentVectors:
    """Keeps up to 4,096 vectors or 64 MiB of them, whichever is less; the least recently used go first.

    Vectors are shared, so they are made read-only. Safe to use from several threads.
    """

    def __init__(self, length: int, *, entries: int = ENTRIES, max_bytes: int = BYTES) -> None:
        self._room = max(1, min(entries, max_bytes // (4 * length)))
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the vector kept under a key, or None."""
        with self._lock:
            if key in self._vectors:
                self._vectors.move_to_end(key)
            return self._vectors.get(key)

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        """Keep a vector under a key."""
        vector.setflags(write=False)
        with self._lock:
            self._vectors[key] = vector
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._room:
                self._vectors.popitem(last=False)
