"""Runs through a failing proxy end as if nothing had failed: the same collection, the same report, few requests more."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connector import Connector
from connector.errors import StoreUnavailable
from connector.stages import embed, parse
from connector.store.opening import open_store
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.corpus import COLLECTION, SPACE, Shop, listed
from tests.faults.mix import RUNS, Life, Run, gives_back_the_lock, live, stood_in
from tests.faults.proxy import Choice, Clock, Plan, Seen, faulty_proxy, once
from tests.store.qdrant_server import running_server

RATE = 0.2
MOST_REQUESTS = 1.6  # times those of the run without faults

Untroubled = Callable[[str], Life]


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Rows wait for their batch however slow the machine is, so that requests can be counted."""
    with pytest.MonkeyPatch.context() as patched:
        for stage in (parse, embed):
            patched.setattr(stage, "PATIENCE", float("inf"))
        yield


@pytest.fixture(scope="module")
def untroubled(tmp_path_factory: pytest.TempPathFactory) -> Untroubled:
    """The life of a collection without faults, of each command once."""

    @functools.cache
    def lived(command: str) -> Life:
        return live(tmp_path_factory.mktemp("untroubled") / "shop", RUNS[command], lambda seen: None)

    return lived


def first_of_each_kind(name: str) -> Choice:
    """The first request to each path, with each method, meets this fault."""
    met: set[tuple[str, str]] = set()

    def choose(seen: Seen) -> Fault | None:
        if (seen.method, seen.path) in met:
            return None
        met.add((seen.method, seen.path))
        return FAULTS[name]

    return choose


def check(life: Life, clean: Life) -> None:
    """Nothing tells this life from one without faults, but for its requests."""
    assert not life.hurried
    assert all(report.balances for report in life.reports)
    assert life.counts == clean.counts
    assert dict(life.held) == dict(clean.held)
    assert len(life.held) == len(clean.held)


def test_without_faults_the_reports_say_what_was_done(untroubled: Untroubled) -> None:
    first, second, third = untroubled("ingest").reports
    assert (first.new, second.new, second.changed, second.unchanged) == (70, 7, 28, 35)
    assert (third.unchanged, third.embedded_images, third.embedded_texts) == (70, 0, 0)
    assert len(untroubled("ingest").held) == 77


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_met_by_each_kind_of_request(fault: str, tmp_path: Path, untroubled: Untroubled) -> None:
    clean = untroubled("sync")  # it makes every kind of request that an ingest makes
    life = live(tmp_path / "shop", RUNS["sync"], first_of_each_kind(fault))
    check(life, clean)
    assert len(life.met) >= 5
    # Two more where a collection that was made without our hearing of it has to be looked at.
    assert len(life.events) <= len(clean.events) + len(life.met) + 2


@pytest.mark.parametrize("command", RUNS)
@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_the_requests_meets_some_fault(
    seed: int, command: str, tmp_path: Path, untroubled: Untroubled
) -> None:
    mixed(seed, RUNS[command], tmp_path, untroubled(command))


@pytest.mark.slow
@pytest.mark.parametrize("command", RUNS)
@pytest.mark.parametrize("seed", range(100, 150))
def test_a_fifth_of_the_requests_meets_some_fault_fifty_times(
    seed: int, command: str, tmp_path: Path, untroubled: Untroubled
) -> None:
    mixed(seed, RUNS[command], tmp_path, untroubled(command))


def mixed(seed: int, run: Run, folder: Path, clean: Life) -> None:
    life = live(folder / "shop", run, Plan(RATE, seed))
    check(life, clean)
    assert life.met
    assert len(life.events) <= MOST_REQUESTS * len(clean.events)


@pytest.mark.parametrize("command", RUNS)
def test_a_server_that_is_down_for_a_while_is_waited_for(
    command: str, tmp_path: Path, untroubled: Untroubled
) -> None:
    def choose(seen: Seen) -> Fault | None:
        return FAULTS["reset"] if 20 <= seen.number < 27 else None

    life = live(tmp_path / "shop", RUNS[command], choose)
    check(life, untroubled(command))
    assert len(life.met) == 7
    assert sum(life.naps) > 1.0


@pytest.mark.parametrize("command", RUNS)
@pytest.mark.parametrize("down_from", [0, 3, 14, 16, 17])
def test_a_server_that_stays_away_ends_the_run_and_the_next_one_goes_on(
    down_from: int, command: str, tmp_path: Path, untroubled: Untroubled
) -> None:
    """What had been acknowledged is there; what the source holds is there after the next run."""
    shop, clock = Shop(tmp_path / "shop", 70), Clock()

    def choose(seen: Seen) -> Fault | None:
        return FAULTS["503"] if seen.number >= down_from and not over else None

    over: list[bool] = []
    with running_server() as server, faulty_proxy(server.url, choose, clock) as proxy:
        with stood_in(clock), Connector(SPACE, proxy.url) as connector:
            with pytest.raises(StoreUnavailable, match="nothing is lost; run it again"):
                RUNS[command](connector, shop.feed)
        over.append(True)
        with stood_in(clock), Connector(SPACE, proxy.url) as connector:
            report = RUNS[command](connector, shop.feed)
            assert report.balances
            assert report.read == 70
            assert report.rejected == 0
        store = open_store(server.url, COLLECTION)
        assert {id for id, _ in listed(store)} == {row["sku"] for row in shop.rows}
        store.close()


@pytest.mark.parametrize("fault", ["503", "reset", "429, seconds"])
def test_a_lock_is_given_back_although_the_first_try_fails(fault: str, tmp_path: Path) -> None:
    shop, clock = Shop(tmp_path / "shop", 10), Clock()
    choose = once(fault, gives_back_the_lock)
    with running_server() as server, faulty_proxy(server.url, choose, clock) as proxy:
        for _ in range(2):
            with stood_in(clock), Connector(SPACE, proxy.url) as connector:
                assert connector.sync(shop.feed).balances


def test_rows_of_more_than_a_server_takes_at_once_are_split_by_their_bytes(tmp_path: Path) -> None:
    """24 rows of 1.5 MB, to a server that takes 32 MB; none of the requests is too large."""
    shop = Shop(tmp_path / "shop", 24)
    rows = [{**row, "title": f"{row['title']} {'w' * 1_500_000}"} for row in shop.rows]
    with running_server() as server, faulty_proxy(server.url, lambda seen: None) as proxy:
        with Connector(SPACE, proxy.url) as connector:
            report = connector.ingest(rows, base=shop.folder)
            assert (report.new, report.rejected) == (24, 0)
        assert all(seen.size < 32 * 2**20 for seen in server.requests)
        assert sum(seen.size for seen in server.upserts) > 32 * 2**20
        assert len(server.upserts) <= 8
        assert not proxy.met
