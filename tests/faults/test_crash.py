"""Runs killed with SIGKILL at random moments: after the next run the collection is equal to its source, exactly."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from connector import Connector
from tests.faults.corpus import SPACE, Difference, Held, Shop, difference, halves
from tests.faults.crash import COMMANDS, Drill, Trial, copy_sparse, prepared
from tests.faults.mix import RUNS, stood_in
from tests.faults.proxy import Clock
from tests.store.qdrant_server import running_server

KILLS = 26  # of each of the two commands
MANY_KILLS = 100

Prepared = Callable[[str], Drill]


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The drill of a command, prepared once."""

    @functools.cache
    def drill_of(command: str) -> Drill:
        return prepared(COMMANDS[command], tmp_path_factory.mktemp(command))

    return drill_of


def check(trials: Sequence[Trial], kills: int) -> None:
    assert [trial for trial in trials if any(dataclasses.astuple(trial.difference))] == []
    assert [trial for trial in trials if trial.gone or trial.torn] == []
    assert sum(trial.kills for trial in trials) >= kills
    assert any(trial.midway for trial in trials), "no kill came while it wrote"


@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_killed_is_finished_by_the_next_run(command: str, drill: Prepared) -> None:
    check(list(drill(command).until(KILLS)), KILLS)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_killed_is_finished_by_the_next_run_many_times(command: str, drill: Prepared) -> None:
    check(list(drill(command).until(MANY_KILLS, seed=1000)), MANY_KILLS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_whose_client_was_killed_is_finished_by_the_next_run(command: str, drill: Prepared) -> None:
    """Also by a sync, whose lock the dead process still holds: that expires, here in no time."""
    prepared, trials = drill(command), list[Trial]()
    for seed in range(20):
        with running_server() as server:

            def finish(url: str = server.url) -> None:
                with stood_in(Clock()), Connector(SPACE, url) as connector:
                    assert RUNS[command](connector, prepared.shop.feed).balances

            trials.append(prepared.trial_at(server.url, seed, finish))
        # On a machine whose pace changes a process may end before its moment comes: then the next moment is tried.
        if sum(trial.kills for trial in trials) >= 2 and any(trial.midway for trial in trials):
            break
    check(trials, 2)


# The drill itself: it would see what it is there to see.


def held(title: str, number: float = 0.0) -> Held:
    return Held(title, {"fused": np.array([number, 1.0], dtype=np.float32)})


def test_a_difference_tells_what_is_wrong() -> None:
    before = {"kept": held("k"), "edited": held("old", 1), "removed": held("r")}
    wanted = {"kept": held("k"), "edited": held("new", 2), "added": held("a")}
    right = [("kept", held("k")), ("edited", held("new", 2)), ("added", held("a"))]
    assert difference(wanted, right, before) == Difference()
    assert difference(wanted, right[:2], before) == Difference(lost=1)
    assert difference(wanted, [*right, ("removed", held("r"))], before) == Difference(duplicate=1)
    assert difference(wanted, [*right, right[0]], before) == Difference(duplicate=1)
    stale = [right[0], ("edited", held("old", 1)), right[2]]
    assert difference(wanted, stale, before) == Difference(stale=1)
    torn = [right[0], ("edited", held("new", 1)), right[2]]
    assert difference(wanted, torn, before) == Difference(half_written=1)
    assert (halves(torn, before, wanted), halves(stale, before, wanted)) == (1, 0)
    assert Difference(1, 2, 3, 4) + Difference(lost=1) == Difference(2, 2, 3, 4)


def test_vectors_may_differ_by_rounding_and_no_more() -> None:
    assert held("a", 1.0) == held("a", 1.0 + 1e-6)
    assert held("a", 1.0) != held("a", 1.001)
    assert held("a") != Held("a", {})
    assert held("a") != "a"


def test_the_shop_changes_as_it_says(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", 20)
    before = {row["sku"]: row for row in shop.rows}
    pictures = {name: (shop.folder / f"p{name}.png").read_bytes() for name in range(20)}
    shop.change()
    after = {row["sku"]: row for row in shop.rows}
    assert before.keys() - after.keys() == set(shop.removed) == {"a4", "a14"}
    assert after.keys() - before.keys() == {"a20", "a21"}
    repainted = {n for n in pictures if (shop.folder / f"p{n}.png").read_bytes() != pictures[n]}
    edited = {sku for sku in before.keys() & after.keys() if before[sku] != after[sku]}
    assert repainted == {0, 3, 10, 13}
    assert edited == {"a1", "a2", "a3", "a11", "a12", "a13"}


def test_a_store_is_copied_with_its_holes(tmp_path: Path) -> None:
    original = tmp_path / "original" / "deep"
    original.mkdir(parents=True)
    with (original / "log").open("wb") as file:
        file.write(b"start")
        file.seek(4_000_000)
        file.write(b"middle")
        file.truncate(8_000_000)
    (original / "empty").touch()
    copy_sparse(tmp_path / "original", tmp_path / "copy")
    copied = tmp_path / "copy" / "deep" / "log"
    assert copied.read_bytes() == (original / "log").read_bytes()
    assert (tmp_path / "copy" / "deep" / "empty").stat().st_size == 0
    if hasattr(os.stat_result, "st_blocks"):
        assert copied.stat().st_blocks * 512 < 4_000_000
