"""One writer at a time, wherever Qdrant is; whoever comes second is told who was first."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.errors import StoreLocked, StoreUnavailable
from connector.store.folder import WRITER
from connector.store.lock import Clock, moment
from connector.store.opening import open_store
from connector.store.store import Store, Where
from tests.store.conftest import Place
from tests.store.samples import points, spec, vector


@dataclasses.dataclass
class Hands:
    """A clock moved by hand: sleeping moves it, and does whatever else is to happen meanwhile."""

    seconds: float = 1_800_000_000.0
    meanwhile: Callable[[], None] = lambda: None

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, elapsed=lambda: self.seconds, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.meanwhile()


def refusal(store: Store, holder: str = "bob", wait: float = 0.0) -> str:
    with pytest.raises(StoreLocked) as refused, store.lock(holder, wait=wait):
        pytest.fail("the lock was given twice")
    return str(refused.value)


def test_the_second_is_told_who_is_first_and_what_to_do(place: Place) -> None:
    first, second = place.open(), place.open()
    first.create(spec())
    with first.lock("build-7, process 41"):
        told = refusal(second)
        assert re.search(r"locked by build-7, process 41 since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", told)
        assert "wait=…" in told
        assert first.upsert(points(2)) == [None, None]
    if place.kind == "folder":
        first.close()
    with second.lock("bob"):
        assert second.count() == 2


def test_threads_of_one_store_take_turns(place: Place) -> None:
    store = place.open()
    store.create(spec())
    told: list[str] = []
    with store.lock("alice"):
        thread = threading.Thread(target=lambda: told.append(refusal(store)))
        thread.start()
        thread.join(30)
        assert "locked by alice" in told[0]
    with store.lock("bob"):
        assert store.upsert(points(1)) == [None]


def test_a_lock_taken_before_there_is_a_collection_holds_once_there_is(place: Place) -> None:
    first, second = place.open(), place.open()
    with first.lock("alice"):
        assert first.describe() is None
        first.create(spec())
        assert "locked by alice" in refusal(second)
        first.upsert(points(3))
        assert first.count() == 3
    assert first.count() == 3


def test_nothing_of_a_lock_is_seen_among_the_points(place: Place) -> None:
    store = place.open()
    store.create(spec())
    with store.lock("alice"):
        store.upsert(points(2))
        assert store.count() == store.count(Where(("Thing",))) == 2
        assert len(list(store.scan())) == len(store.query(vector(1), using="fused")) == 2
        store.purge(2**53 - 1)
        store.delete_where(Where())
        if place.kind != "folder":
            assert "locked by alice" in refusal(place.open())
        assert store.count() == 0


def test_a_failed_block_gives_the_lock_back(place: Place) -> None:
    store = place.open()
    store.create(spec())
    with pytest.raises(ZeroDivisionError), store.lock("alice"):
        _ = 1 / 0
    with store.lock("bob"):
        assert store.count() == 0


def test_waiting_ends_when_the_lock_is_given_back(tmp_path: Path) -> None:
    first = open_store(tmp_path, "things")
    first.create(spec())
    hands = Hands()
    second = open_store(tmp_path, "things", clock=hands.clock)
    holding = first.lock("alice")
    holding.__enter__()

    def end() -> None:
        if hands.seconds >= 1_800_000_002:
            holding.__exit__(None, None, None)
            first.close()
            hands.meanwhile = lambda: None

    hands.meanwhile = end
    with second.lock("bob", wait=10):
        assert 2 <= hands.seconds - 1_800_000_000 < 3
    second.close()


def test_waiting_ends_in_time(tmp_path: Path) -> None:
    first = open_store(tmp_path, "things")
    first.create(spec())
    hands = Hands()
    second = open_store(tmp_path, "things", clock=hands.clock)
    with first.lock("alice"):
        assert "locked by alice" in refusal(second, wait=10)
    assert hands.seconds == pytest.approx(1_800_000_010)
    first.close()
    second.close()


def test_a_closed_store_gives_no_lock(place: Place) -> None:
    store = place.open()
    store.close()
    with pytest.raises(StoreUnavailable, match="was closed"), store.lock("alice"):
        pytest.fail("it was given")


def test_who_only_reads_is_told_who_writes(tmp_path: Path) -> None:
    first, second = open_store(tmp_path, "things"), open_store(tmp_path, "things")
    first.create(spec())
    with first.lock("alice"), pytest.raises(StoreLocked, match="locked by alice"):
        second.count()
    with pytest.raises(StoreLocked, match="open in another process"):
        second.count()
    first.close()
    assert second.count() == 0
    second.close()


HOLD = """
import sys
from connector.store.opening import open_store
store = open_store(sys.argv[1], "things")
with store.lock("the dead one"):
    store.renew({"seen": 1})
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_dead_process_holds_no_folder(tmp_path: Path) -> None:
    store = open_store(tmp_path, "things")
    store.create(spec())
    store.close()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        store = open_store(tmp_path, "things")
        assert "locked by the dead one" in refusal(store)
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
    assert (tmp_path / "things" / WRITER).exists()
    with store.lock("bob"):
        assert (store.describe() or {})["seen"] == 1
    assert not (tmp_path / "things" / WRITER).exists()
    store.close()


def test_a_moment_that_makes_no_sense_is_no_obstacle() -> None:
    assert moment(0) == "1970-01-01 00:00:00 UTC"
    assert moment(float("inf")) == moment(float("nan")) == moment(1e300) == "an unknown moment"
