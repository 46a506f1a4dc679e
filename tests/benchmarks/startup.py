"""Whole processes from start to end: commands against an interpreter that only imports torch."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from connector.demo.catalogue import write_catalogue
from tests.benchmarks.measure import Effort, Row, Rows, row

ROOT = Path(__file__).parents[2]
TARGET = "schemas.product:space"


def startup(work: Path, effort: Effort) -> Rows:
    """A search from a cold start with the demo model, and the commands that need no model, all in turn."""
    feed = write_catalogue(work / "startup", effort.of(300, 60))
    there = ("--qdrant", str(work / "startup" / "shop.qdrant"))
    connector = ("-m", "connector")
    call(*connector, "ingest", TARGET, str(feed), "--model", "demo", *there)
    processes = {
        "nothing": ("-c", "pass"),
        "torch": ("-c", "import torch"),
        "import": ("-c", "import connector"),
        "search": (*connector, "search", TARGET, "a red mug", "--model", "demo", *there),
        "help": (*connector, "--help"),
        "count": (*connector, "count", TARGET, *there),
        "get": (*connector, "get", TARGET, "p0003", *there),
        # Of a record that is not there: what is, could be removed only once.
        "remove": (*connector, "remove", TARGET, "nowhere", *there),
    }
    seconds = in_turn_processes(processes, effort.of(7, 2))
    imports = [a - b for a, b in zip(seconds["import"], seconds["nothing"], strict=True)]
    rows = [_against_torch("connector search, demo model, cold start", seconds, "search", 1.5)]
    rows += [
        _against_torch(f"connector {name}", seconds, key)
        for name, key in (("--help", "help"), ("count", "count"), ("get", "get"), ("remove", "remove"))
    ]
    return [
        *rows,
        row("import connector, beyond a bare interpreter", f"{1000 * statistics.median(imports):.0f} ms"),
    ]


def in_turn_processes(
    processes: Mapping[str, tuple[str, ...]], rounds: int, run: Callable[..., float] | None = None
) -> dict[str, list[float]]:
    """Seconds of each whole process, A B C A B C …, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for turn in range(rounds + 1):
        for name, arguments in processes.items():
            took = (run or call)(*arguments)
            if turn:
                seconds[name].append(took)
    return seconds


def call(*arguments: str) -> float:
    """Seconds of one process of this Python."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, cwd=ROOT, env=dict(os.environ), check=False
    )
    took = time.perf_counter() - start
    assert done.returncode == 0, done.stderr.decode()
    return took


def _against_torch(what: str, seconds: dict[str, list[float]], name: str, bar: float | None = None) -> Row:
    ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds["torch"], strict=True))
    ours, torch = statistics.median(seconds[name]), statistics.median(seconds["torch"])
    told = f"{1000 * ours:,.0f} ms", f"{1000 * torch:,.0f} ms, import torch"
    return row(f"{what}, whole process", *told, ratio, bar=bar, at_most=True, seconds=seconds[name])
