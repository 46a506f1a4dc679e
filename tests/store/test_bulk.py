"""First loads on a server: no search graphs while they last, and never any switched off for good."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from connector.store.bulk import THRESHOLD
from connector.store.opening import open_store
from connector.store.retry import Retries
from connector.store.store import Store
from tests.store.qdrant_server import QdrantServer, running_server, status
from tests.store.samples import points, spec

USUAL = 20_000


@pytest.fixture
def server() -> Iterator[QdrantServer]:
    with running_server() as found:
        yield found


def opened(server: QdrantServer, retries: Retries) -> Store:
    store = open_store(server.url, "things", retries=retries)
    store.create(spec())
    return store


def standing(server: QdrantServer, store: Store) -> tuple[int, object]:
    """What the server has now, and what the collection remembers of before."""
    return server.thresholds.get("things", USUAL), (store.describe() or {}).get(THRESHOLD)


def test_an_empty_collection_is_filled_without_graphs(server: QdrantServer, retries: Retries) -> None:
    store = opened(server, retries)
    with store.loading():
        assert standing(server, store) == (0, USUAL)
        store.upsert(points(3))
        assert len(store.query(points(1)[0].vectors["fused"], using="fused")) == 3
    assert standing(server, store) == (USUAL, None)
    store.close()


def test_a_lock_is_no_point(server: QdrantServer, retries: Retries) -> None:
    store = opened(server, retries)
    with store.lock("me"), store.loading():
        assert standing(server, store) == (0, USUAL)
    assert standing(server, store) == (USUAL, None)
    store.close()


def test_later_loads_change_nothing(server: QdrantServer, retries: Retries) -> None:
    store = opened(server, retries)
    store.upsert(points(3))
    with store.loading():
        assert standing(server, store) == (USUAL, None)
    assert server.thresholds == {}
    store.close()


def test_whatever_ends_a_load_switches_them_on_again(server: QdrantServer, retries: Retries) -> None:
    store = opened(server, retries)

    def interrupted() -> None:
        with store.loading():
            store.upsert(points(3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert standing(server, store) == (USUAL, None)
    store.close()


def test_the_next_load_switches_on_what_a_killed_one_left_off(server: QdrantServer, retries: Retries) -> None:
    store = opened(server, retries)
    killed = store.loading()
    killed.__enter__()
    store.upsert(points(3))
    assert standing(server, store) == (0, USUAL)
    following = open_store(server.url, "things", retries=retries)
    assert len(following.query(points(1)[0].vectors["fused"], using="fused")) == 3
    with following.loading():
        assert standing(server, store) == (USUAL, None)
    assert standing(server, store) == (USUAL, None)
    following.close()
    store.close()


def test_a_server_that_goes_away_in_the_end_is_told_about(
    server: QdrantServer, retries: Retries, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(server, retries)
    server._faulty = lambda seen: seen.method == "PATCH"
    with caplog.at_level(logging.WARNING, "connector"):
        with store.loading():
            store.upsert(points(3))
            server.faults = [status(503)] * 8
    assert "Qdrant builds no search graphs until the next run" in caplog.text
    assert standing(server, store) == (0, USUAL)
    with store.loading():
        pass
    assert standing(server, store) == (USUAL, None)
    store.close()


def test_what_its_owner_switched_off_stays_off(server: QdrantServer, retries: Retries) -> None:
    store = opened(server, retries)
    server.thresholds["things"] = 0
    with store.loading():
        store.upsert(points(3))
    assert standing(server, store) == (0, None)
    store.close()


def test_where_there_is_nothing_there_is_nothing_to_switch(server: QdrantServer, retries: Retries) -> None:
    store = open_store(server.url, "nothing", retries=retries)
    with store.loading():
        pass
    assert store.describe() is None
    store.close()


def test_of_blocks_within_one_another_the_outermost_counts(server: QdrantServer, retries: Retries) -> None:
    store = opened(server, retries)
    with store.loading():
        for batch in (points(3), points(6)):
            with store.loading():
                store.upsert(batch)
            assert standing(server, store) == (0, USUAL)
    assert standing(server, store) == (USUAL, None)
    store.close()
