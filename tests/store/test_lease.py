"""A lock on a server: it lives as long as it is renewed, and outlives no process for long."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from connector.errors import StoreLocked, StoreUnavailable
from connector.store.client import ClientStore
from connector.store.lease import LEASE_ID, SECONDS, Lease, LeaseLock
from connector.store.opening import open_store
from connector.store.retry import Retries
from connector.store.store import Store
from tests.store.qdrant_server import QdrantServer, body, reset, running_server, status
from tests.store.samples import points, spec
from tests.store.test_lock import Hands, refusal


@pytest.fixture
def server() -> Iterator[QdrantServer]:
    """A server with an empty collection."""
    with running_server() as running:
        store = open_store(running.url, "things")
        store.create(spec())
        store.close()
        yield running


def opened(server: QdrantServer, hands: Hands) -> Store:
    retries = Retries(sleep=lambda _: None)
    return open_store(server.url, "things", retries=retries, clock=hands.clock)


def lease_of(store: Store) -> Lease:
    assert isinstance(store, ClientStore)
    assert isinstance(store._lock, LeaseLock)
    assert store._lock._lease is not None
    return store._lock._lease


def die(store: Store) -> None:
    """Take the lock and never renew it, nor give it back."""
    with store.lock("alice"):
        lease_of(store)._stop.set()


def test_an_expired_lease_is_taken_over_and_its_holder_writes_no_more(server: QdrantServer) -> None:
    dead, living = Hands(), Hands()
    first, second = opened(server, dead), opened(server, living)
    with first.lock("alice"):
        living.seconds += SECONDS - 1
        assert "should it have died, its lock expires at" in refusal(second)
        living.seconds += 2
        with second.lock("bob"):
            assert second.upsert(points(1)) == [None]
            dead.seconds = living.seconds
            for write in (
                lambda: first.upsert(points(2)),
                lambda: first.overwrite(points(2)),
                lambda: first.bury([points(1)[0].id], schema="Thing", version=1),
                lambda: first.delete([points(1)[0].id]),
                lambda: first.purge(5),
            ):
                with pytest.raises(StoreLocked, match=r"locked by bob.*its own lock expired\. Run it again"):
                    write()
            assert second.count() == 1
        # What ends last must not give back what is no longer its own.
        with second.lock("carol"):
            pass
    first.close()
    second.close()


def test_who_lost_the_lease_does_not_give_back_the_new_holders(server: QdrantServer) -> None:
    dead, living = Hands(), Hands()
    first, second, third = opened(server, dead), opened(server, living), opened(server, living)
    holding = first.lock("alice")
    holding.__enter__()
    living.seconds += SECONDS + 1
    with second.lock("bob"):
        holding.__exit__(None, None, None)
        assert "locked by bob" in refusal(third)
    for store in (first, second, third):
        store.close()


def test_a_renewed_lease_does_not_expire(server: QdrantServer) -> None:
    hands = Hands()
    first, second = opened(server, hands), opened(server, hands)
    with first.lock("alice"):
        for _ in range(5):
            hands.seconds += SECONDS - 5
            lease_of(first).renew()
            assert "locked by alice" in refusal(second)
    with second.lock("bob"):
        pass
    first.close()
    second.close()


def test_a_stalled_holder_whom_nobody_missed_goes_on(server: QdrantServer) -> None:
    hands = Hands()
    first, second = opened(server, hands), opened(server, hands)
    with first.lock("alice"):
        hands.seconds += 10 * SECONDS
        assert first.upsert(points(1)) == [None]
        assert "locked by alice" in refusal(second)
    first.close()
    second.close()


def test_waiting_for_a_dead_holder_ends_when_its_lease_does(server: QdrantServer) -> None:
    first = opened(server, Hands())
    die(first)
    hands = Hands()
    second = opened(server, hands)
    with second.lock("bob", wait=2 * SECONDS):
        assert SECONDS < hands.seconds - Hands().seconds < SECONDS + 3
    first.close()
    second.close()


@pytest.mark.parametrize("ahead", [24 * 3600.0, 3 * 365 * 24 * 3600.0])
def test_a_dead_holder_whose_clock_was_wrong_is_found_out_by_watching(
    server: QdrantServer, ahead: float
) -> None:
    first = opened(server, Hands(Hands().seconds + ahead))
    die(first)
    hands = Hands()
    second = opened(server, hands)
    assert "Its clock and ours differ: wait=120" in refusal(second)
    with second.lock("bob", wait=2 * SECONDS):
        assert hands.seconds - Hands().seconds > SECONDS
        assert second.upsert(points(1)) == [None]
    first.close()
    second.close()


def test_a_living_holder_whose_clock_is_wrong_is_left_alone(server: QdrantServer) -> None:
    ahead = Hands(Hands().seconds + 24 * 3600)
    first = opened(server, ahead)
    with first.lock("alice"):
        hands = Hands()

        def renew() -> None:
            ahead.seconds += 1
            lease_of(first).renew()

        hands.meanwhile = renew
        second = opened(server, hands)
        assert "locked by alice" in refusal(second, wait=3 * SECONDS)
        second.close()
    first.close()


def test_a_clock_that_jumps_back_keeps_the_lease(server: QdrantServer) -> None:
    hands = Hands()
    first, second = opened(server, hands), opened(server, Hands())
    with first.lock("alice"):
        hands.seconds -= 24 * 3600
        lease_of(first).renew()
        assert first.upsert(points(1)) == [None]
        assert lease_of(first).lost_to is None
    with second.lock("bob"):
        pass
    first.close()
    second.close()


@pytest.mark.parametrize(
    "fault", [status(500, applied=True), status(503), reset(applied=True), reset(), body(b"{", applied=True)]
)
def test_taking_it_through_faults_takes_it_once(server: QdrantServer, fault: object) -> None:
    server.faults = [fault, fault]  # type: ignore[list-item]  # any of them
    first, second = opened(server, Hands()), opened(server, Hands())
    with first.lock("alice"):
        assert "locked by alice" in refusal(second)
        assert len(server.upserts) == 4
    with second.lock("bob"):
        pass
    first.close()
    second.close()


def test_one_missed_beat_is_no_loss(server: QdrantServer) -> None:
    hands = Hands()
    first, second = opened(server, hands), opened(server, hands)
    with first.lock("alice"):
        hands.seconds += 20
        server.faults = [status(503)] * 4
        lease_of(first).renew()
        hands.seconds += 20
        lease_of(first).renew()
        hands.seconds += 50
        assert "locked by alice" in refusal(second)
    first.close()
    second.close()


def test_a_lease_that_cannot_be_given_back_says_when_it_ends(
    server: QdrantServer, caplog: pytest.LogCaptureFixture
) -> None:
    first = opened(server, Hands())
    with caplog.at_level(logging.WARNING, "connector"), first.lock("alice"):
        server._faulty = lambda seen: seen.path.endswith("/delete")
        server.faults = [status(503)] * 4
    assert "could not be given back and expires within 60 s" in caplog.text
    first.close()


def test_the_lease_is_one_point_that_goes_away(server: QdrantServer) -> None:
    store = opened(server, Hands())
    with store.lock("alice"):
        (found,) = store.get([LEASE_ID], tombstones=True).values()
        assert found.payload["_lock"] == "alice"
        assert "_schema" not in found.payload
        assert store.get([LEASE_ID]) == {}
    assert store.get([LEASE_ID], tombstones=True) == {}
    store.close()


def test_the_thread_that_renews_it_ends_with_it(server: QdrantServer) -> None:
    store = opened(server, Hands())
    with store.lock("alice"):
        thread = lease_of(store)._thread
        assert thread is not None
        assert thread.is_alive()
        assert thread.daemon
    thread.join(30)
    assert not thread.is_alive()
    store.close()


def test_a_server_too_old_gives_no_lock(server: QdrantServer) -> None:
    server.release = "1.15.0"
    store = opened(server, Hands())
    with pytest.raises(StoreUnavailable, match=r"Upgrade it to 1\.16 or newer"), store.lock("alice"):
        pytest.fail("it was given")
    store.close()


def test_closing_the_store_gives_the_lock_back(server: QdrantServer) -> None:
    first, second = opened(server, Hands()), opened(server, Hands())
    with first.lock("alice"):
        first.close()
        with second.lock("bob"):
            assert second.count() == 0
    second.close()


def test_two_creators_of_one_collection_end_with_one_holder(server: QdrantServer) -> None:
    first = open_store(server.url, "new", clock=Hands().clock)
    second = open_store(server.url, "new", clock=Hands().clock)
    with first.lock("alice"), second.lock("bob"):
        first.create(spec("new"))
        with pytest.raises(StoreLocked, match="locked by alice"):
            second.create(spec("new"))
        assert first.upsert(points(1)) == [None]
    first.close()
    second.close()
