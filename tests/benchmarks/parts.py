"""The parts of the benchmarks by name, and how one is run."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

from tests.benchmarks.measure import Effort, Rows

Part = Callable[[Path, Effort], Rows]

# Part → module and function, what it measures. Each is imported when its turn comes.
PARTS = {
    "ingest": (
        "ingest:ingest",
        "files to searchable points, against the user's loop and the bare model call",
    ),
    "open_clip": ("open_clip_loop:open_clip_rows", "the same, against open_clip's own loop"),
    "limit": ("limit:limit", "the share of the processor's matrix limit that an ingest reaches"),
    "trained": ("trained:trained", "what each precision costs in a trained model's vectors"),
    "decode": ("decode:decode", "JPEG files to pictures of the model's size"),
    "text": ("text:texts", "sentences to vectors"),
    "changes": ("changes:changes", "unchanged rows, a changed price, changed words, with the real model"),
    "recheck": ("recheck:recheck", "unchanged rows and changed prices of a large source"),
    "store": ("store:stores", "points into stores, and searches in them"),
    "search": ("search:search", "one search in a warm process"),
    "startup": ("startup:startup", "whole processes of the command line"),
    "memory": ("memory:memory", "memory over rows"),
    "jobs": ("jobs:jobs", "single-picture jobs of many clients over HTTP"),
    "load": ("load:load", "the server under load; only when it is named"),
}
DEFAULT = tuple(name for name in PARTS if name != "load")


def in_a_process(name: str, work: Path, effort: Effort, seconds: float) -> Rows:
    """Run a part in a process of its own: no model, no thread and no cache of one part is left to the next."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run_part, name, work, effort, seconds).result()


def run_part(name: str, work: Path, effort: Effort, seconds: float) -> Rows:
    """Run a part here; `load` alone is told how long."""
    _without_bars()
    return part(name)(work, effort) if name != "load" else _load(work, seconds)


def part(name: str) -> Part:
    """The function of a part."""
    module, _, function = PARTS[name][0].partition(":")
    made: Part = getattr(import_module(f"tests.benchmarks.{module}"), function)
    return made


def _load(work: Path, seconds: float) -> Rows:
    from tests.benchmarks.load import load

    return load(work, seconds=seconds)


def _without_bars() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore] # has no types
