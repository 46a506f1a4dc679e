"""A server that fails: every fault once, over a real socket, with the requests counted and no real waiting."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable

import pytest

from connector.errors import CollectionMismatch, PointError, StoreUnavailable
from connector.store.connection import without_credentials
from connector.store.lease import INDEXES
from connector.store.opening import open_store
from connector.store.retry import Retries
from connector.store.store import Point, Store, Where
from tests.store.qdrant_server import Fault, QdrantServer, body, hang, reset, running_server, status
from tests.store.samples import points, spec, vector

SAVED_ONLY = json.dumps(
    {"result": {"operation_id": 1, "status": "wait_timeout"}, "status": "ok", "time": 0.0}
)

PASSING: dict[str, Fault] = {
    "408": status(408),
    "429 bare": status(429),
    "429 seconds": status(429, retry_after="3"),
    "429 zero": status(429, retry_after="0"),
    "429 date": status(429, retry_after="Wed, 21 Oct 2099 07:28:00 GMT"),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "503 seconds": status(503, retry_after="3"),
    "504": status(504),
    "cut": reset(),
    "web page": body(b"<html>log in here</html>"),
    "garbage": body(b"\xff\xfe\x00garbage"),
    "half an answer": body(b'{"result": {"operation_id": 1, "sta'),
    "empty answer": body(b"{}"),
    "null": body(b'{"result": null, "status": "ok", "time": 0}'),
    "applied, then 500": status(500, applied=True),
    "applied, then cut": reset(applied=True),
    "applied, then garbage": body(b"\xff", applied=True),
    "saved, not applied": body(SAVED_ONLY.encode(), applied=True),
}


def opened(server: QdrantServer, retries: Retries, **options: object) -> Store:
    store = open_store(server.url, "things", retries=retries, **options)  # type: ignore[arg-type]  # by name
    store.create(spec())
    return store


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_passing_trouble_costs_one_more_request(fault: Fault, retries: Retries, naps: list[float]) -> None:
    with running_server(faults=[None, fault]) as server:
        store = opened(server, retries)
        assert store.upsert(points(5)) == [None] * 5
        assert store.upsert(points(5, start=5)) == [None] * 5
        assert store.count() == 10
        assert (len(server.upserts), len(naps)) == (3, 1)
        store.close()


def test_silence_ends_at_the_deadline(retries: Retries, naps: list[float]) -> None:
    with running_server(faults=[hang()]) as server:
        store = opened(server, retries)
        store.close()
        store = open_store(server.url, "things", retries=retries, timeout=0.3)
        assert store.upsert(points(2)) == [None] * 2
        store.close()
        # On a busy machine the time-out may end more requests than the one that nobody answers.
        assert server.upserts[0].fault == hang()
        assert naps
        store = open_store(server.url, "things", retries=retries)
        assert store.count() == 2
        store.close()


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("3", 3, 4),
        ("0", 0, 1),
        ("86400", 60, 61),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 60, 61),
        ("soon", 0, 0.2),
    ],
)
def test_retry_after_is_honoured_and_capped(
    header: str, least: float, most: float, retries: Retries, naps: list[float]
) -> None:
    with running_server(faults=[status(429, retry_after=header)]) as server:
        store = opened(server, retries)
        store.upsert(points(1))
        store.close()
    assert least <= naps[0] <= most


def test_reads_are_tried_again_too(retries: Retries, naps: list[float]) -> None:
    with running_server(faulty=lambda _: True) as server:
        store = opened(server, retries)
        store.upsert(points(3))
        calls: list[Callable[[], object]] = [
            store.describe,
            store.count,
            lambda: store.get([points(1)[0].id]),
            lambda: store.query(vector(1), using="fused"),
            lambda: list(store.scan()),
            lambda: store.delete([points(1)[0].id]),
            lambda: store.delete_where(Where(("Thing",))),
        ]
        for number, call in enumerate(calls, start=1):
            server.faults = [status(503), reset()]
            call()
            assert len(naps) == 2 * number
        assert store.count() == 0
        store.close()


def test_a_server_that_stays_away_is_given_up_after_eight_tries(retries: Retries, naps: list[float]) -> None:
    with running_server(faults=[status(503)] * 8) as server:
        store = opened(server, retries)
        with pytest.raises(
            StoreUnavailable, match=r"did not answer as it should.*503 a planted fault.*run it again"
        ):
            store.upsert(points(3))
        assert (len(server.upserts), len(naps)) == (8, 7)
        assert store.upsert(points(3)) == [None] * 3
        store.close()


def test_nobody_listening(retries: Retries, naps: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        store = open_store(f"http://user:hunter2@127.0.0.1:{port}?token=s3cret", "things", retries=retries)
        with pytest.raises(StoreUnavailable) as caught:
            store.describe()
        store.close()
    message = str(caught.value)
    assert f"Qdrant at http://127.0.0.1:{port} did not answer" in message
    assert "hunter2" not in message
    assert "s3cret" not in message
    assert len(naps) == 7


def test_the_budget_of_seconds_ends_the_tries_too(naps: list[float]) -> None:
    impatient = Retries(seconds=2.0, sleep=naps.append)
    with running_server(faults=[status(429, retry_after="30")]) as server:
        store = opened(server, impatient)
        with pytest.raises(StoreUnavailable):
            store.upsert(points(1))
        assert (len(server.upserts), naps) == (1, [])
        store.close()


@pytest.mark.parametrize("given", [None, "wrong"])
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_a_missing_key_is_not_tried_twice_and_the_cure_is_named(
    given: str | None, retries: Retries, naps: list[float]
) -> None:
    with running_server(api_key="right") as server:
        store = open_store(server.url, "things", api_key=given, retries=retries)
        with pytest.raises(
            StoreUnavailable, match=r"does not let us in.*api_key, or set QDRANT_API_KEY"
        ) as caught:
            store.describe()
        assert "wrong" not in str(caught.value)
        assert (len(server.requests), naps) == (1, [])
        store.close()
        store = open_store(server.url, "things", api_key="right", retries=retries)
        assert store.describe() is None
        store.close()


@pytest.mark.parametrize("code", [403, 404, 409, 501])
def test_other_refusals_stop_the_run_and_blame_no_record(code: int, retries: Retries) -> None:
    with running_server(faults=[status(code)] * 8) as server:
        store = opened(server, retries)
        with pytest.raises(StoreUnavailable):
            store.upsert(points(3))
        assert len(server.upserts) == (8 if code >= 500 else 1)
        store.close()


def test_a_collection_that_vanished_is_said_to_be_missing(retries: Retries, naps: list[float]) -> None:
    with running_server() as server:
        store = opened(server, retries)
        server.engine.delete_collection("things")
        with pytest.raises(StoreUnavailable, match=r"There is no collection 'things' at http://127"):
            store.upsert(points(3))
        assert store.describe() is None
        assert naps == []
        store.create(spec())
        assert store.upsert(points(3)) == [None] * 3
        store.close()


def test_one_poisoned_point_in_32_costs_ten_more_requests(retries: Retries, naps: list[float]) -> None:
    with running_server(refuse=lambda point: (point.payload or {}).get("stock") == 13) as server:
        store = opened(server, retries)
        outcome = store.upsert(points(32))
        refused = outcome.pop(13)
        assert isinstance(refused, PointError)
        assert "400 Wrong input: one of the points is not to my liking" in str(refused)
        assert outcome == [None] * 31
        assert store.count() == 31
        assert len(server.upserts) <= 11
        assert naps == []
        store.close()


def test_all_poisoned_points_are_refused_one_by_one(retries: Retries) -> None:
    with running_server(refuse=lambda _: True) as server:
        store = opened(server, retries)
        assert all(isinstance(error, PointError) for error in store.upsert(points(8)))
        assert len(server.upserts) == 15
        store.close()


def _heavy(number: int, size: int) -> Point:
    point = points(1, start=number)[0]
    return dataclasses.replace(point, payload={**point.payload, "notes": "n" * size})


def test_a_point_too_large_for_the_server_is_refused_alone(retries: Retries) -> None:
    with running_server(max_bytes=100_000) as server:
        store = opened(server, retries)
        outcome = store.upsert([_heavy(n, 200_000 if n == 3 else 1_000) for n in range(8)])
        assert [n for n, error in enumerate(outcome) if error] == [3]
        assert "413 Payload too large" in str(outcome[3])
        assert store.count() == 7
        store.close()


def test_64_megabytes_of_payload_meet_no_413(retries: Retries) -> None:
    with running_server() as server:
        store = opened(server, retries)
        assert store.upsert([_heavy(n, 1_000_000) for n in range(64)]) == [None] * 64
        assert len(server.upserts) > 2
        assert max(seen.size for seen in server.upserts) <= 16 * 1024 * 1024
        store.close()


def test_a_write_larger_than_the_servers_whole_allowance_is_halved(retries: Retries) -> None:
    with running_server(max_points=10) as server:
        store = opened(server, retries)
        assert store.upsert(points(32)) == [None] * 32
        assert store.count() == 32
        store.close()


def test_creating_survives_an_answer_that_got_lost(retries: Retries) -> None:
    faulty = [status(500, applied=True), reset()]
    with running_server(
        faults=faulty, faulty=lambda seen: seen.method == "PUT" and seen.path == "/collections/things"
    ) as server:
        store = opened(server, retries)
        assert store.describe() == {"made_by": "tests"}
        assert server.faults == []
        store.close()


def test_payload_indexes_are_asked_for_before_the_first_point(retries: Retries) -> None:
    with running_server() as server:
        store = opened(server, retries)
        store.upsert(points(1))
        order = [seen.path.rpartition("/")[2] for seen in server.requests if seen.method == "PUT"]
        assert order == ["things"] + ["index"] * (len(spec().indexes) + len(INDEXES)) + ["points"]
        store.close()


def test_a_foreign_collection_is_no_collection_of_ours(retries: Retries) -> None:
    from qdrant_client import models

    with running_server() as server:
        unnamed = models.VectorParams(size=8, distance=models.Distance.COSINE)
        server.engine.create_collection("things", vectors_config=unnamed)
        store = open_store(server.url, "things", retries=retries)
        assert store.describe() == {}
        with pytest.raises(CollectionMismatch, match="was not made by this package"):
            store.upsert(points(1))
        store.close()


def test_urls_are_shown_without_what_is_secret() -> None:
    assert without_credentials("https://me:pw@q.example:6333/p?api_key=x#y") == "https://q.example:6333/p"
    assert without_credentials("http://localhost:6333") == "http://localhost:6333"
