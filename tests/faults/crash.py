"""Kill a run with SIGKILL at a random moment, run it again, and compare the collection with its source, exactly.

Each trial starts from nothing or from the shop's first state, and a process of its own takes the collection to the
second. It is killed up to `KILLS` times; after each kill no record may be half-written and nothing that was stored may
be gone; after the run that is left alone, the collection must hold what an untroubled run gives.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.faults.corpus import TARGET, Difference, Shop, Snapshot, difference, halves, held_in, same, wanted

ROOT: Final = Path(__file__).parents[2]
KILLS: Final = 3  # at most, in one trial
ENOUGH_SECONDS: Final = 300.0  # for a run that is left alone: it guards against hanging, and asserts nothing
_BETWEEN_BATCHES: Final = 0.02  # seconds: longer than a batch takes to be written
AT_ONCE: Final = min(4, os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        words: `ingest` or `sync`, with the options that belong to it.
        deletes: whether it deletes what the source no longer has.
    """

    words: tuple[str, ...]
    deletes: bool = False

    def process(
        self, shop: Shop, location: str | Path, *more: str, pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start it over the shop's feed."""
        name, *options = *self.words, *more
        always = ("--handler", "stand-in", "--qdrant", str(location), "--quiet")
        return subprocess.Popen(
            [sys.executable, "-m", "connector", name, TARGET, str(shop.feed), *options, *always],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            pass_fds=pass_fds,
        )

    def run(self, shop: Shop, location: str | Path, *more: str) -> None:
        """Run it to its end."""
        with self.process(shop, location, *more) as process:
            _, told = process.communicate(timeout=ENOUGH_SECONDS)
        assert process.returncode == (1 if shop.flaws else 0), told.decode()[-2000:]


INGEST: Final = Command(("ingest",))
SYNC: Final = Command(("sync", "--delete-missing", "--max-delete", "100%"), deletes=True)
COMMANDS: Final = {"ingest": INGEST, "sync": SYNC}


@dataclasses.dataclass(frozen=True)
class Moment:
    """When to kill: so many seconds after so many rejections were told, or after the start."""

    seconds: float
    rejections: int = 0


@dataclasses.dataclass(frozen=True)
class Window:
    """When a process works, in seconds from its start: before, it imports."""

    start: float
    end: float

    def moment(self, chance: random.Random, rejections: int) -> Moment:
        """Most often while it writes, which is a small part of its time; else while it opens, closes, or imports."""
        if chance.random() < 0.7:
            return Moment(chance.uniform(0.0, _BETWEEN_BATCHES), chance.randint(1, rejections))
        return Moment(chance.uniform(0.0 if chance.random() < 0.2 else self.start, self.end))


@dataclasses.dataclass(frozen=True)
class Trial:
    """What one trial found.

    Attributes:
        kills: processes that were killed while they ran.
        midway: kills after which the collection was neither as it had been nor as it should be.
        difference: between the collection and its source, after the run that was left alone.
        gone: records that had been stored and were not after a kill.
        torn: records that were held as no state has them, after a kill.
    """

    seed: int
    kills: int
    midway: int
    difference: Difference
    gone: int
    torn: int


@dataclasses.dataclass(frozen=True)
class Drill:
    """Trials of one command over one shop.

    Attributes:
        command: what is killed.
        shop: in its second state.
        template: a store that holds the shop's first state; each trial copies it.
        first, second: what must be held of the shop in each state (the second with what stays of the first).
        windows: when an untroubled process works, from nothing and from the first state.
    """

    command: Command
    work: Path
    shop: Shop
    template: Path
    first: Snapshot
    second: Snapshot
    from_nothing: Snapshot
    windows: tuple[Window, Window]

    def trial(self, seed: int) -> Trial:
        """Kill, look, and kill again, in a folder; then let it run, and compare."""
        fresh = random.Random(f"start {seed}").random() < 1 / 3
        location = self.work / f"trial-{seed}.qdrant"
        if not fresh:
            copy_sparse(self.template, location)
        trial = self.trial_at(location, seed, lambda: self.command.run(self.shop, location), fresh=fresh)
        shutil.rmtree(location)
        return trial

    def trial_at(
        self, location: str | Path, seed: int, finish: Callable[[], object], *, fresh: bool = True
    ) -> Trial:
        """The same wherever the store is: with nothing in it, or with the shop's first state."""
        chance = random.Random(f"crash {seed}")
        before, after = ({}, self.from_nothing) if fresh else (self.first, self.second)
        window = self.windows[0 if fresh else 1]
        kills = midway = gone = torn = 0
        stored: set[str] = set(before.keys() & after.keys())
        for _ in range(chance.randint(1, KILLS)):
            if not self._killed(location, window.moment(chance, self.shop.flaws)):
                break
            kills += 1
            found = held_in(location)
            gone += len(stored - {id for id, _ in found})
            stored |= {id for id, _ in found} & after.keys()
            torn += halves(found, before, after)
            midway += not (same(found, before) or same(found, after))
        finish()
        return Trial(seed, kills, midway, difference(after, held_in(location), before), gone, torn)

    def _killed(self, location: str | Path, moment: Moment) -> bool:
        """Start a run and kill it at this moment; whether it was still at work then."""
        reading, writing = os.pipe()
        try:
            rejects = ("--rejects", f"/dev/fd/{writing}")
            with self.command.process(self.shop, location, *rejects, pass_fds=[writing]) as process:
                os.close(writing)
                told = 0
                while told < moment.rejections and (lines := os.read(reading, 4096)):
                    told += lines.count(b"\n")
                try:
                    process.wait(moment.seconds)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    return True
            return False
        finally:
            os.close(reading)

    def until(self, kills: int, *, seed: int = 0) -> Iterator[Trial]:
        """Trials, some at once, until so many processes have been killed."""
        done = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while done < kills:
                for trial in pool.map(self.trial, range(seed, seed + 2 * AT_ONCE)):
                    done += trial.kills
                    yield trial
                seed += 2 * AT_ONCE


def prepared(command: Command, work: Path, *, size: int = 200) -> Drill:
    """A shop, a store of its first state, and when an untroubled process works."""
    shop = Shop(work / "shop", size, flawed=True)
    template = work / "template.qdrant"
    command.run(shop, template)
    first = wanted(shop, work / "first.qdrant")
    shop.change()
    second = wanted(shop, work / "second.qdrant")
    kept = {} if command.deletes else {id: first[id] for id in shop.removed}
    from_nothing, from_first = work / "timed-1.qdrant", work / "timed-2.qdrant"
    copy_sparse(template, from_first)
    windows = (_window(command, shop, from_nothing), _window(command, shop, from_first))
    assert not any(dataclasses.astuple(difference({**second, **kept}, held_in(from_first), first)))
    return Drill(command, work, shop, template, first, {**second, **kept}, second, windows)


def _window(command: Command, shop: Shop, location: Path) -> Window:
    report = location.with_suffix(".json")
    started = time.perf_counter()
    command.run(shop, location, "--report", str(report))
    end = time.perf_counter() - started
    return Window(max(0.0, end - json.loads(report.read_bytes())["seconds"] - 0.1), end)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a folder without its holes: an engine's log is preallocated, and nearly all of it is none."""
    target.mkdir(parents=True)
    for path in sorted(source.rglob("*")):
        copied = target / path.relative_to(source)
        if path.is_dir():
            copied.mkdir()
        else:
            _copy_file(path, copied)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        size = os.fstat(reading.fileno()).st_size
        os.truncate(writing.fileno(), size)
        place = 0
        while place < size:
            try:
                start = os.lseek(reading.fileno(), place, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole from here on
                return
            place = os.lseek(reading.fileno(), start, os.SEEK_HOLE)
            reading.seek(start)
            writing.seek(start)
            writing.write(reading.read(place - start))
