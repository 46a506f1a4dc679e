"""Peak memory over rows, and how fast rows pass, with the stand-in model in a process of its own."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import process
from tests.benchmarks.measure import Effort, Rows, row

BAR = 1.1


def memory(work: Path, effort: Effort) -> Rows:
    """Ten times as many rows against the memory they should not take."""
    few = effort.of(10_000, 1_000)
    many, rows = 10 * few, Rows()
    for server, told in (
        (True, "to a server"),
        (False, "into a folder"),
    ):
        small, large = (process.memory(work, count, server=server) for count in (few, many))
        # What is mapped of a folder's files the system takes back when it wants to: only the rest must be flat.
        for key, kind in (
            ("peak", "peak memory, mapped files included"),
            ("anon", "its own memory at the end"),
        ):
            if key not in large:
                continue
            rows.append(
                row(
                    f"{kind}: {many:,} rows {told}",
                    f"{large[key]:.0f} MiB",
                    f"{small[key]:.0f} MiB, {few:,} rows",
                    large[key] / small[key],
                    bar=BAR if not effort.quick and (server or key == "anon") else None,
                    at_most=True,
                )
            )
    return rows
