"""A batch on all cores of a processor: cut into small parts, each run by one thread from beginning to end.

PyTorch spreads each single operation over the cores, and they meet again after every one of some hundred operations,
waiting in a loop for the slowest. A part of its own for each core needs no meeting, stays in that core's cache, and
does not mind decoders and stores that work on the same cores.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")

PART = 8
"""Items in a part: enough for the kernels to be at their best, few enough to end at about the same time everywhere."""

FEW_CORES = 4
"""Up to so many, one item is run by one: reading the weights takes most of the time, and other work delays one core less
than several that wait for each other. Measured on two cores with ViT-B/32: a picture takes as long when they are quiet, a
text a quarter longer, and beside a busy process either takes a quarter of the time."""


def spread(
    embed: Callable[[Sequence[T]], NDArray[np.float32]], items: Sequence[T], device: str, part: int = PART
) -> NDArray[np.float32]:
    """Embed items: float32 (n, length), in order. On a GPU, or where there is too little to share, all at once.

    `embed` must bear being called from several threads.
    """
    cores = torch.get_num_threads()
    if device != "cpu" or cores < 2 or (len(items) <= 1 and cores > FEW_CORES):
        return embed(items)
    if len(items) <= 1:
        return alone(embed, items)
    size = max(1, min(part, -(-len(items) // cores)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    return np.concatenate(list(_streams(cores).map(embed, parts)))


def alone(work: Callable[[T], R], item: T) -> R:
    """Do something on one core, as a part of a batch is done."""
    return _streams(torch.get_num_threads()).submit(work, item).result()


@functools.cache
def _streams(count: int) -> ThreadPoolExecutor:
    """`count` threads that live as long as the process, for each of which torch uses no other."""
    before = torch.get_num_threads()
    all_there = threading.Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # or torch would take its number for new threads at their first operation
        torch.set_num_threads(1)
        all_there.wait(timeout=60)

    streams = ThreadPoolExecutor(count, thread_name_prefix="connector-stream")
    # As many as there are threads, each of which waits for the others: so each thread gets one.
    for done in [streams.submit(begin) for _ in range(count)]:
        done.result()
    # What a thread sets for itself, torch takes for every thread to come; those of the application keep what they had.
    torch.set_num_threads(before)
    return streams


if hasattr(os, "register_at_fork"):  # not on Windows; a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_streams.cache_clear)
