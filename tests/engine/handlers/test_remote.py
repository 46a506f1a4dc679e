"""A model behind a server: vectors, errors and patience, over real sockets, against both servers of the jobs API."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector import Connector, EmbeddingEngineConfig, ImageSpace, ModelHandler
from connector.engine import Engine, ImageHandler, TextHandler, load_handler, remote_wire, vector_length
from connector.engine.handlers import remote
from connector.errors import (
    CollectionMismatch,
    EmbeddingError,
    InvalidSpaceParamException,
    ModelUnavailable,
)
from connector.space import ImageEmbeddingConfig, PictureFrame
from connector.testing import StandInHandler
from tests.conftest import Product, Shop
from tests.engine.conftest import Serve, Sleeps, cosines
from tests.engine.jobs_server import JobsServer, Reply, served

REMOTE = ModelHandler.REMOTE
TEXTS = ["a red mug", "two blue hats", "", "赤い", "x" * 5000]
MAGENTA = Image.new("RGB", (64, 64), (255, 0, 255))


def _loaded(server: JobsServer, model: str = "stand-in", **engine: Any) -> Any:
    # Not through `load_handler`, which would keep it, and its sockets, until the end of all tests.
    return remote.load(_config(f"{server.url}/{model}", **engine))


def _config(url: str, **engine: Any) -> ImageEmbeddingConfig:
    return ImageEmbeddingConfig(url, REMOTE, None, EmbeddingEngineConfig(**engine))


def _pictures(count: int) -> list[Image.Image]:
    noise = np.random.default_rng(5)
    return [Image.fromarray(noise.integers(0, 256, (64, 96, 3), np.uint8)) for _ in range(count)]


# vectors


@pytest.mark.parametrize("kind", ["ours", "original"])
def test_vectors_are_the_handlers_own_to_the_last_bit(kind: Any, serve: Serve) -> None:
    server = serve(kind)
    handler, local = _loaded(server), StandInHandler()
    assert isinstance(handler, TextHandler)
    pictures = _pictures(5)
    np.testing.assert_array_equal(handler.embed_images(pictures), local.embed_images(pictures))
    np.testing.assert_array_equal(handler.embed_texts(TEXTS), local.embed_texts(TEXTS))
    assert handler.embed_images(pictures).dtype == np.float32
    assert server.inputs[-1] == 5, "one job for all of them"


def test_the_demo_models_vectors_are_those_it_gives_here(serve: Serve, pictures: list[Image.Image]) -> None:
    local = load_handler(
        ImageEmbeddingConfig("demo", ModelHandler.SENTENCE_TRANSFORMERS, None, EmbeddingEngineConfig())
    )
    assert isinstance(local, TextHandler)
    handler = _loaded(serve("ours", demo=local), "demo")
    assert handler.identity == local.identity
    assert (handler.frame, handler.length) == (local.frame, local.length)
    assert cosines(handler.embed_images(pictures), local.embed_images(pictures)).min() >= 0.99999
    assert cosines(handler.embed_texts(TEXTS), local.embed_texts(TEXTS)).min() >= 0.99999


def test_our_server_says_what_its_model_is(serve: Serve) -> None:
    handler = _loaded(serve("ours"))
    assert handler.identity == StandInHandler().identity
    assert handler.frame == PictureFrame(64)
    assert handler.length == 64


def test_of_the_original_only_the_three_models_are_known(serve: Serve) -> None:
    server = serve("original", clip_vit_large_patch14=StandInHandler(), other=StandInHandler())
    known, unknown = _loaded(server, "clip_vit_large_patch14"), _loaded(server, "other")
    assert (known.length, known.frame) == (768, PictureFrame(224))
    assert known.identity["weights"] == "clip-vit-large-patch14"
    assert known.identity["handler"] == "vitrivr"
    assert (unknown.length, unknown.frame) == (64, None), "found out with one picture"
    assert unknown.identity["weights"] == "other"


def test_a_models_length_is_asked_of_its_server(serve: Serve) -> None:
    config = _config(f"{serve('ours').url}/stand-in")
    assert vector_length(config) == 64


def test_a_model_without_words_is_refused_as_a_local_one_is(serve: Serve) -> None:
    class Pictures:
        length, frame, identity = 64, None, StandInHandler().identity

        def embed_images(self, pictures: Any) -> Any:
            return StandInHandler().embed_images(pictures)

    handler = _loaded(serve("ours", eyes=Pictures()), "eyes")
    assert isinstance(handler, ImageHandler)
    assert not isinstance(handler, TextHandler)
    with pytest.raises(InvalidSpaceParamException, match="reads pictures only"):
        Engine(handler).embed_texts(["a"])


# batches


def test_large_batches_are_several_jobs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_INPUTS", 4)
    server = serve("ours")
    handler = _loaded(server)
    rows = handler.embed_images(_pictures(9))
    np.testing.assert_array_equal(rows, StandInHandler().embed_images(_pictures(9)))
    assert server.inputs == [4, 4, 1]


def test_a_job_is_no_larger_than_a_server_takes(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_TEXT", 60_000)  # a picture of noise takes 25,000
    server = serve("ours")
    _loaded(server).embed_images(_pictures(5))
    assert server.inputs == [2, 2, 1]
    monkeypatch.setattr(remote, "MAX_TEXT", 10)
    server.inputs.clear()
    _loaded(server).embed_images(_pictures(2))
    assert server.inputs == [1, 1], "one alone is sent, whatever its size"


# one bad picture


@pytest.mark.parametrize("kind", ["ours", "original"])
def test_a_bad_picture_is_alone_and_its_neighbours_are_embedded(kind: Any, serve: Serve) -> None:
    pictures = [*_pictures(4), MAGENTA, *_pictures(2)]
    outcomes = Engine(_loaded(serve(kind))).embed_images(
        [(str(at), each) for at, each in enumerate(pictures)]
    )
    assert [at for at, each in enumerate(outcomes) if isinstance(each, EmbeddingError)] == [4]
    assert "a magenta picture, which the stand-in refuses" in str(outcomes[4])
    expected = StandInHandler().embed_images([pictures[6]])[0]
    np.testing.assert_array_equal(np.asarray(outcomes[6]), expected)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_at_once_is_that_pictures_error(status: int, serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [("POST", Reply(status, {"detail": "'image' is damaged"}))]
    (outcome,) = Engine(handler).embed_images([("a", _pictures(1)[0])])
    assert isinstance(outcome, EmbeddingError)
    assert f"({status}: 'image' is damaged)" in str(outcome)


def test_a_bad_text_is_alone_too(serve: Serve) -> None:
    good, bad, last = Engine(_loaded(serve("ours"))).embed_texts(
        ["a mug", "unembeddable", "\ud83d half a smile"]
    )
    assert isinstance(bad, EmbeddingError)
    assert isinstance(good, np.ndarray)
    assert isinstance(last, np.ndarray), (
        "half a character is sent as an escape; what becomes of it the model says"
    )


def test_the_originals_not_a_number_is_that_pictures_error(serve: Serve) -> None:
    """It cannot write one as JSON, answers 500 in plain text, and the result is gone."""
    server = serve("original")
    handler = _loaded(server)
    server.planned = [("GET /api/tasks", Reply(500, "Internal Server Error"))]
    (outcome,) = Engine(handler).embed_images([("a", _pictures(1)[0])])
    assert isinstance(outcome, EmbeddingError)


# trying again


def test_a_server_that_is_busy_is_waited_for_as_long_as_it_says(serve: Serve, sleeps: Sleeps) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [("POST", Reply(429, {"detail": "the queue is full"}, {"Retry-After": "7"}))] * 8
    rows = handler.embed_images(_pictures(1))
    np.testing.assert_array_equal(rows, StandInHandler().embed_images(_pictures(1)))
    waits = [pause for pause in sleeps.pauses if pause >= 1]
    assert len(waits) == 8
    assert all(7 <= pause <= 8 for pause in waits)


def test_a_model_that_is_still_loading_is_waited_for(serve: Serve) -> None:
    server = serve("ours")
    loading = Reply(503, {"detail": "the model is loading"}, {"Retry-After": "1"})
    server.planned = [("GET /api/models/stand-in", loading)] * 30
    assert _loaded(server).length == 64


def test_patience_has_an_end(serve: Serve, sleeps: Sleeps) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [("POST", Reply(429, {"detail": "full"}, {"Retry-After": "99999"}))] * 100
    with pytest.raises(ModelUnavailable, match=r"overloaded \(429: full\)\. Nothing is lost"):
        handler.embed_images(_pictures(1))
    assert 600 <= sum(sleeps.pauses) <= 700
    assert max(sleeps.pauses) <= 61, "no server makes us wait for days"


@pytest.mark.parametrize(
    "fault", [Reply(200, cut=True), Reply(502, "bad gateway"), Reply(503, {"detail": "draining"}), Reply(504)]
)
@pytest.mark.parametrize("where", ["POST", "GET /api/tasks"])
def test_a_passing_fault_passes(fault: Reply, where: str, serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [(where, fault), (where, fault)]
    np.testing.assert_array_equal(
        handler.embed_images(_pictures(2)), StandInHandler().embed_images(_pictures(2))
    )


def test_a_job_that_was_taken_is_not_done_twice(serve: Serve) -> None:
    """The answer to the first request broke off after the server had taken the job."""
    server = serve("ours")
    handler = _loaded(server)
    answer = server.answer

    def cut(*given: Any) -> Reply:
        reply = answer(*given)
        server.answer = answer  # type: ignore[method-assign]
        return dataclasses.replace(reply, cut=True)

    server.answer = cut  # type: ignore[method-assign, assignment]
    handler.embed_images(_pictures(1))
    assert server.inputs == [1]


@pytest.mark.parametrize("kind", ["ours", "original"])
def test_a_lost_job_is_posted_again(kind: Any, serve: Serve) -> None:
    server = serve(kind)
    handler = _loaded(server)
    server.planned = [
        ("GET /api/tasks", Reply(404 if kind == "ours" else 500, {"detail": "Job not found"}))
    ] * 2
    np.testing.assert_array_equal(
        handler.embed_images(_pictures(2)), StandInHandler().embed_images(_pictures(2))
    )
    assert server.inputs[-3:] == [2, 2, 2]


def test_a_job_that_is_lost_again_and_again_is_given_up(serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [("GET /api/tasks", Reply(404, {"detail": "no such job"}))] * 3
    with pytest.raises(ModelUnavailable, match="lost the same job 3 times"):
        handler.embed_images(_pictures(1))


def test_a_job_that_never_ends_has_a_deadline(serve: Serve, sleeps: Sleeps) -> None:
    """The original says "starting" for ever where a model cannot be loaded."""
    server = serve("original", clip_vit_large_patch14=StandInHandler())
    handler = _loaded(server, "clip-vit-large-patch14")
    server.looks = 10**9
    with pytest.raises(ModelUnavailable, match=r"did not finish a job in 600 s \(it is 'running'\)"):
        handler.embed_images(_pictures(1))
    assert max(sleeps.pauses) <= 1


def test_a_server_that_is_down_is_said_to_be_so_within_seconds(sleeps: Sleeps) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(
        ModelUnavailable, match=rf"server at {url} cannot be reached \(ConnectError.*Nothing is lost"
    ):
        load_handler(_config(f"{url}/demo"))
    assert len(sleeps.pauses) == 3
    assert sum(sleeps.pauses) < 5


def test_a_server_that_goes_away_in_the_middle_stops_the_run_and_not_its_pictures(sleeps: Sleeps) -> None:
    with served(JobsServer("ours", stand_in=StandInHandler())) as server:
        handler = _loaded(server)
        handler.embed_images(_pictures(1))
        server.planned = [("", Reply(200, cut=True))] * 100
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            Engine(handler).embed_images([("a", _pictures(2)[1])])


# refusals


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ("vectors", "str for 2 inputs"),
        (None, "NoneType for 2 inputs"),
        ([{"embedding": [1.0] * 64}], "1 results for 2 inputs"),
        ([{"embedding": [1.0] * 64}, {"embedding": [1.0] * 63}], "a vector of 63 numbers, not 64"),
        ([{"embedding": [1.0] * 64}, {}], "a result without a vector"),
        ([{"embedding": [1.0] * 64}, {"embedding": ["1"] * 64}], "something else than numbers"),
        ([{"embedding": [1.0] * 64}, {"embedding": [None] * 64}], "something else than numbers"),
        ([{"embedding": [1.0] * 64}, [1.0] * 64], "a result without a vector"),
    ],
)
def test_an_answer_that_is_no_vectors_is_refused(result: object, why: str, serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [("GET /api/tasks", Reply(200, {"status": "complete", "result": result}))]
    with pytest.raises(ModelUnavailable, match=f"not the vectors that were asked for .*{why}"):
        handler.embed_images(_pictures(2))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e300", "1" + "0" * 400])
def test_a_number_that_is_none_is_that_pictures_error(number: str, serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    answer = f'{{"status": "complete", "result": [{{"embedding": [{", ".join([number] * 64)}]}}]}}'
    server.planned = [("GET /api/tasks", Reply(200, answer))]
    (outcome,) = Engine(handler).embed_images([("a", _pictures(1)[0])])
    assert isinstance(outcome, EmbeddingError)
    assert "not finite" in str(outcome)


@pytest.mark.parametrize(
    ("where", "reply"),
    [
        ("POST", Reply(200, "<html>a login page</html>")),
        ("POST", Reply(200, {"status": "starting"})),
        ("POST", Reply(200, {"id": "../../admin", "status": "starting"})),
        ("POST", Reply(500, {"detail": "Error while creating job: 'stand-in'"})),
        ("POST", Reply(307, "", {"Location": "http://127.0.0.1:9/"})),
        ("POST", Reply(404, {"detail": "there is no such model"})),
        ("GET /api/tasks", Reply(200, "{")),
        ("GET /api/tasks", Reply(200, "[" * 100_000)),
        ("GET /api/tasks", Reply(200, {"status": "sleeping"})),
        ("GET /api/tasks", Reply(200, ["complete"])),
        ("GET /api/tasks", Reply(418, {"detail": "a teapot"})),
    ],
)
def test_an_answer_of_something_else_is_refused(where: str, reply: Reply, serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [(where, reply)]
    with pytest.raises(
        ModelUnavailable, match=rf"does not answer like the jobs API \({where.split()[0]} .*{reply.status}"
    ):
        handler.embed_images(_pictures(1))


def test_an_answer_without_end_is_not_read_to_its_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_wire, "MAX_ANSWER", 10_000)
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [("GET /api/tasks", Reply(200, "x" * 1_000_000))]
    with pytest.raises(ModelUnavailable, match="more than 10,000 bytes, which are no vectors"):
        handler.embed_images(_pictures(1))


@pytest.mark.parametrize("code", ["model_unavailable", "deadline", "unavailable"])
def test_a_failure_of_the_server_is_no_failure_of_the_picture(code: str, serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    failed = {"status": "failed", "result": None, "reason": "the model cannot be loaded", "code": code}
    server.planned = [("GET /api/tasks", Reply(200, failed))]
    with pytest.raises(ModelUnavailable, match="could not do a job: the model cannot be loaded"):
        Engine(handler).embed_images([("a", _pictures(1)[0])])


@pytest.mark.parametrize("kind", ["ours", "original"])
def test_an_unknown_model_is_told_with_those_that_are_known(kind: Any, serve: Serve) -> None:
    with pytest.raises(ModelUnavailable, match=r"has no model 'nothing'. It offers: demo, stand-in\."):
        _loaded(serve(kind, demo=StandInHandler(), stand_in=StandInHandler()), "nothing")


def test_what_is_no_server_of_models_is_told_so(serve: Serve) -> None:
    server = serve("ours")
    server.planned = [("", Reply(404, "nothing here"))] * 3
    with pytest.raises(ModelUnavailable, match="It offers: nothing that is of the jobs API"):
        _loaded(server)


def test_a_model_of_words_alone_is_refused(serve: Serve) -> None:
    server = serve("original", e5=StandInHandler())
    server.planned = [("/tasks", Reply(200, ["text-embedding", "text-query-embedding"]))]
    with pytest.raises(ModelUnavailable, match=r"embeds no pictures \(it does: text-embedding, text-query"):
        _loaded(server, "e5")


def test_a_prefix_before_the_models_name_is_kept(serve: Serve) -> None:
    server = serve("ours")
    server.planned = [
        ("/behind/a/proxy/api/models/stand-in", server.answer("GET", "/api/models/stand-in", {}, None))
    ]
    remote.load(_config(f"{server.url}/behind/a/proxy/stand-in/"))
    assert server.requests[-1] == "GET /behind/a/proxy/api/models/stand-in"


# one model, here and there


def test_another_model_under_the_same_name_is_noticed(serve: Serve, sleeps: Sleeps) -> None:
    server = serve("ours")
    handler = _loaded(server)
    changed = StandInHandler()
    changed.identity |= {"library": "newer", "precision": "float16"}
    server.models["stand-in"] = changed
    sleeps.now += 61
    handler.embed_images(_pictures(1))
    changed.identity["weights"] = "others"
    sleeps.now += 61
    with pytest.raises(ModelUnavailable, match=r"is another one than before \(weights changed\)"):
        handler.embed_images(_pictures(1))


def test_a_restarted_servers_model_is_looked_at_before_a_lost_job_is_posted_again(serve: Serve) -> None:
    server = serve("ours")
    handler = _loaded(server)
    server.planned = [("GET /api/tasks", Reply(404, {"detail": "no such job"}))]
    changed = StandInHandler()
    changed.identity["weights"] = "others"
    server.models["stand-in"] = changed
    with pytest.raises(ModelUnavailable, match="weights changed"):
        handler.embed_images(_pictures(1))


def _space(server: JobsServer, model: str = "stand-in") -> ImageSpace[Product]:
    return ImageSpace(Product.photo + Product.title, f"{server.url}/{model}", REMOTE)


def test_a_collection_is_written_here_and_synced_there_and_back(
    serve: Serve, shop: Shop, tmp_path: Path
) -> None:
    local = ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN)
    remote_space, rows, where = _space(serve("ours")), shop.rows(6), tmp_path / "store"
    for number, (first, second) in enumerate(((local, remote_space), (remote_space, local))):
        with Connector(first, where / str(number)) as written:
            assert written.ingest(rows[:4], base=shop.folder).new == 4
        with Connector(second, where / str(number)) as synced:
            report = synced.sync(rows, base=shop.folder)
            assert (report.new, report.unchanged, report.rejected) == (2, 4, 0)
            here = [(hit.id, hit.score) for hit in synced.search("red mug")]
        with Connector(first, where / str(number)) as written:
            assert [(hit.id, hit.score) for hit in written.search("red mug")] == here


def test_vectors_of_the_original_are_kept_apart(serve: Serve, shop: Shop, tmp_path: Path) -> None:
    ours, original = _space(serve("ours")), _space(serve("original"))
    with Connector(original, tmp_path / "store") as written:
        assert written.ingest(shop.rows(2), base=shop.folder).new == 2
    with (
        Connector(ours, tmp_path / "store") as other,
        pytest.raises(CollectionMismatch, match="handler is 'stand_in'"),
    ):
        other.ingest(shop.rows(3), base=shop.folder)


def test_a_rejected_record_is_the_same_whether_the_model_is_here_or_there(
    serve: Serve, shop: Shop, tmp_path: Path
) -> None:
    rows = shop.rows(5)
    rows[2]["title"] = "an unembeddable mug"
    Image.new("RGB", (64, 64), (255, 0, 255)).save(shop.folder / "p3.png")
    seen = []
    for number, space in enumerate(
        (
            ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN),
            _space(serve("ours")),
        )
    ):
        rejections: list[Any] = []
        with Connector(space, tmp_path / str(number)) as connector:
            connector.ingest(rows, base=shop.folder, on_rejection=rejections.append)
        seen.append([(each.row, each.id, each.field, each.code) for each in rejections])
    assert seen[0] == seen[1]
    assert [row for row, *_ in seen[0]] == [2, 3]


def test_the_pictures_that_are_sent_are_no_larger_than_the_model_wants_them(
    serve: Serve, shop: Shop, tmp_path: Path
) -> None:
    server = serve("ours")
    Image.effect_noise((1200, 900), 50).save(shop.folder / "p0.png")
    with Connector(_space(server), tmp_path / "store") as connector:
        connector.ingest([shop.row(0)], base=shop.folder)
    assert server.pictures[-1].size == (85, 64)
