"""The wire to a remote model: what a request costs at most, and where its key does not appear."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from connector import EmbeddingEngineConfig, ImageSpace, ModelHandler
from connector.engine import load_handler, remote_wire
from connector.engine.remote_wire import Wire
from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.space import ImageEmbeddingConfig
from tests.conftest import Product
from tests.engine.conftest import Serve, Sleeps
from tests.engine.jobs_server import JobsServer, Reply

KEY = "s3cret-key"


@pytest.fixture
def server(serve: Serve) -> JobsServer:
    """A server of ours."""
    return serve("ours")


@pytest.fixture
def wire(server: JobsServer, sleeps: Sleeps) -> Iterator[Wire]:
    """A wire to it, with a key."""
    wire = Wire(server.url, KEY, remote_wire.PACE)
    yield wire
    wire.close()


def test_a_request_brings_its_status_and_its_json(wire: Wire) -> None:
    assert (wire.ask("GET", "/api/models").status, wire.ask("GET", "/api/models").body) == (200, ["stand-in"])
    missing = wire.ask("GET", "/api/models/nothing")
    assert (missing.status, missing.said) == (404, "there is no such model")


def test_what_a_server_says_is_one_line_without_the_key(wire: Wire, server: JobsServer) -> None:
    server.planned = [("GET", Reply(500, f"a\n\tlong \x1b[31mstory about {KEY} " + "and so on " * 100))]
    said = wire.ask("GET", "/").said
    assert said.startswith("a long [31mstory about … and so on")
    assert len(said) == 300


def test_pauses_between_tries_grow(wire: Wire, server: JobsServer, sleeps: Sleeps) -> None:
    server.planned = [("GET", Reply(503, {"detail": "not now"}))] * 3
    assert wire.ask("GET", "/api/models").status == 200
    for pause, least in zip(sleeps.pauses, (0.5, 1.0, 2.0), strict=True):
        assert least <= pause <= least + 0.25


def test_a_date_as_retry_after_is_as_good_as_none(wire: Wire, server: JobsServer, sleeps: Sleeps) -> None:
    later = {"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"}
    server.planned = [("GET", Reply(503, {"detail": "not now"}, later))] * 10
    with pytest.raises(ModelUnavailable, match=r"overloaded \(503: not now\)"):
        wire.ask("GET", "/api/models")
    assert len(sleeps.pauses) == 3


def test_a_redirect_is_an_answer_and_the_key_does_not_follow_it(
    wire: Wire, server: JobsServer, serve: Serve
) -> None:
    other = serve("ours")
    server.planned = [("POST", Reply(307, "", {"Location": f"{other.url}/api/models"}))]
    assert wire.ask("POST", "/", {}).status == 307
    assert other.requests == []


def test_an_answer_that_trickles_in_is_not_waited_for(wire: Wire, server: JobsServer, sleeps: Sleeps) -> None:
    server.planned = [("GET", Reply(200, "x" * 1000))] * 10
    ticks = iter(range(0, 100_000, 200))
    sleeps.clock = lambda: float(next(ticks))  # type: ignore[method-assign]
    slow = Wire(server.url, None, remote_wire.Pace(clock=sleeps.clock, sleep=sleeps.sleep))
    with pytest.raises(ModelUnavailable, match="answers too slowly"):
        slow.ask("GET", "/")
    slow.close()


def test_the_key_is_sent_and_shown_nowhere(
    wire: Wire, server: JobsServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.key = KEY
    assert wire.ask("GET", "/api/models").status == 200
    assert server.keys == [f"Bearer {KEY}"]
    engine = EmbeddingEngineConfig(remote_key=KEY)
    space = ImageSpace(
        Product.photo, f"{server.url}/stand-in", ModelHandler.REMOTE, embedding_engine_config=engine
    )
    shown = [repr(wire), repr(engine), repr(space), repr(space.transformation_config)]
    server.key = "another"
    with pytest.raises(
        ModelUnavailable, match=r"refuses the key \(401: a key is needed, not Bearer …\)"
    ) as raised:
        wire.ask("GET", "/api/models")
    shown += [str(raised.value), caplog.text]
    assert "s3cret" not in "".join(shown)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_tried_again(
    status: int, wire: Wire, server: JobsServer, sleeps: Sleeps
) -> None:
    server.planned = [("GET", Reply(status, {"detail": "no"}))]
    with pytest.raises(ModelUnavailable, match=r"remote_key=…"):
        wire.ask("GET", "/api/models")
    assert sleeps.pauses == []


@pytest.mark.parametrize("key", ["", "  ", "schlüssel", "a\nb"])
def test_a_key_that_http_cannot_carry_is_refused_unseen(key: str) -> None:
    config = ImageEmbeddingConfig(
        "http://127.0.0.1:9/demo", ModelHandler.REMOTE, None, EmbeddingEngineConfig(remote_key=key)
    )
    with pytest.raises(InvalidSpaceParamException, match="remote_key is no key") as raised:
        load_handler(config)
    assert "schlüssel" not in str(raised.value)


def test_the_environments_proxies_are_not_used(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, server: JobsServer, serve: Serve
) -> None:
    proxy = serve("ours")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    direct = Wire(server.url, KEY, remote_wire.PACE)
    assert direct.ask("GET", "/api/models").status == 200
    direct.close()
    assert proxy.requests == []
