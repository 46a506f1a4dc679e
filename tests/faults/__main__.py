"""`python -m tests.faults`: kill runs, put a failing proxy before them, and print what that did to the collection.

python -m tests.faults                 50 kills and 10 seeds of each command, in a few minutes
python -m tests.faults --trials 200    as many kills of each command

Exit code 1 where anything was lost, written twice, left stale, or half-written.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.corpus import Difference, difference
from tests.faults.crash import COMMANDS, prepared
from tests.faults.mix import RUNS, live
from tests.faults.proxy import Plan

RATE = 0.2


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a table, and whether it is as it should be."""

    cells: Sequence[object]
    good: bool


def crashes(work: Path, kills: int) -> Iterable[Line]:
    """Each command killed so many times."""
    for name, command in COMMANDS.items():
        done = midway = gone = trials = 0
        sum_ = Difference()
        for trial in prepared(command, work / f"crash-{name}").until(kills):
            trials += 1
            done, midway = done + trial.kills, midway + trial.midway
            gone += trial.gone
            sum_ += trial.difference + Difference(half_written=trial.torn)
        lost = sum_.lost + gone
        good = not lost and not any(dataclasses.astuple(sum_))
        yield Line((name, done, midway, trials, lost, sum_.duplicate, sum_.stale, sum_.half_written), good)


def mixes(work: Path, seeds: int) -> Iterable[Line]:
    """Each command with a fifth of its requests failing, with so many seeds."""
    for name, run in RUNS.items():
        clean = live(work / f"clean-{name}", run, lambda seen: None)
        met = requests = unequal = hurried = 0
        for seed in range(seeds):
            life = live(work / f"mix-{name}-{seed}", run, Plan(RATE, seed))
            met, requests = met + len(life.met), requests + len(life.events)
            found = difference(dict(clean.held), life.held, {})
            unequal += sum(dataclasses.astuple(found)) + (life.counts != clean.counts)
            hurried += len(life.hurried)
        times = requests / (seeds * len(clean.events))
        yield Line((name, seeds, met, requests, f"{times:.2f}", unequal, hurried), not unequal + hurried)


def show(head: Sequence[str], lines: Iterable[Line]) -> bool:
    """Print a table as it grows; whether all of it is as it should be."""
    widths = [max(9, len(word)) for word in head]
    print("  ".join(word.rjust(width) for word, width in zip(head, widths, strict=True)))
    good = True
    for line in lines:
        cells = zip(line.cells, widths, strict=True)
        print("  ".join(str(cell).rjust(width) for cell, width in cells), flush=True)
        good = good and line.good
    print()
    return good


def main() -> int:
    """Run both drills and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=50, metavar="N", help="kills of each command (50)")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="seeds of the fault mix (10)")
    asked = parser.parse_args()
    logging.getLogger("connector").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as work:
        print("Processes killed with SIGKILL at random moments, and the collection after the next run:")
        head = ("command", "kills", "midway", "trials", "lost", "duplicate", "stale", "half-written")
        good = show(head, crashes(Path(work), asked.trials))
        print(f"{RATE:.0%} of requests meet a fault: the collection and the reports beside those without:")
        columns = ("command", "seeds", "faults met", "requests", "times", "differences", "too soon")
        good &= show(columns, mixes(Path(work), asked.seeds))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
