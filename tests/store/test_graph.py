"""A folder's search graph: built by another process on a copy, whole or not at all, when it is worth it."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connector import Blob, Connector, Id, ImageSpace, ModelHandler, Schema, Text
from connector.errors import StoreUnavailable
from connector.store import edge, graph, place
from connector.store.edge import EdgeStore
from connector.store.folder import FILE
from connector.store.graph import outside
from connector.store.opening import open_store
from connector.store.store import CollectionSpec, Point, Quantization
from tests.store.samples import points, spec, vector

LENGTH = 64


@pytest.fixture(autouse=True)
def _nothing_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "WORTH_IT", 1_000)
    monkeypatch.setattr(place, "SHORT", 0)


def long_points(count: int, start: int = 0) -> list[Point]:
    return [
        dataclasses.replace(point, vectors={"fused": vector(start + n, LENGTH)})
        for n, point in enumerate(points(count, start))
    ]


def opened(folder: Path) -> EdgeStore:
    store = open_store(folder, "things")
    assert isinstance(store, EdgeStore)
    return store


def made(folder: Path, quantization: Quantization | None = None) -> EdgeStore:
    store = opened(folder)
    store.create(CollectionSpec("things", LENGTH, ("fused",), spec().indexes, {"a": 1}, quantization))
    return store


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "things").iterdir()} - {FILE}


def test_optimizing_keeps_every_point_and_lets_it_be_searched(tmp_path: Path) -> None:
    store, many = made(tmp_path), long_points(600)
    store.upsert(many)
    store.optimize()
    assert files(tmp_path) == {"shard-2"}
    assert store.upsert(long_points(5, start=600)) == [None] * 5
    store.renew({"b": 2})
    store.close()
    again = opened(tmp_path)
    assert again.describe() == {"a": 1, "b": 2}
    assert again.count() == 605
    found = again.get([many[7].id], vectors=True)[many[7].id]
    assert found.payload == many[7].payload
    np.testing.assert_allclose(found.vectors["fused"], many[7].vectors["fused"], atol=1e-6)
    (hit,) = again.query(many[7].vectors["fused"], using="fused", limit=1)
    assert hit.point.id == many[7].id
    again.optimize()
    again.close()
    assert files(tmp_path) == {"shard-3"}


def test_a_load_builds_in_the_end_where_it_is_worth_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = made(tmp_path)
    with caplog.at_level(logging.INFO, "connector"):
        with store.loading():
            store.upsert(long_points(10))
        assert files(tmp_path) == {"shard"}
        assert caplog.messages == []
        with store.loading():
            store.upsert(long_points(100))
            assert files(tmp_path) == {"shard"}
    assert files(tmp_path) == {"shard-2"}
    assert caplog.messages[0] == "Building the search graph of 100 points of 'things'."
    assert caplog.messages[-1].startswith("The search graph of 100 points was built in ")
    assert store.count() == 100
    store.close()


def test_a_load_that_is_broken_off_builds_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    store = made(tmp_path)

    def broken_off() -> None:
        with store.loading():
            store.upsert(long_points(100))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert files(tmp_path) == {"shard"}
    assert len(store.query(vector(1, LENGTH), using="fused")) == 10
    with store.loading():
        pass
    assert files(tmp_path) == {"shard-2"}
    store.close()


def test_searches_go_on_and_writes_wait_while_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(tmp_path)
    store.upsert(long_points(100))
    waiting = threading.Thread(target=store.upsert, args=(long_points(1, start=100),))
    seen: list[int] = []

    def meanwhile(*arguments: Any) -> None:
        waiting.start()
        waiting.join(0.2)
        seen.extend([waiting.is_alive(), len(store.query(vector(1, LENGTH), using="fused")), store.count()])
        real(*arguments)

    real = graph.build
    monkeypatch.setattr(place, "build", meanwhile)
    store.optimize()
    waiting.join(30)
    assert seen == [True, 10, 100]
    assert store.count() == 101
    store.close()
    store = opened(tmp_path)
    assert store.count() == 101
    store.close()


@pytest.mark.parametrize("program", ["raise ValueError('no such thing')", "import os; os._exit(9)"])
def test_a_builder_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, program: str
) -> None:
    monkeypatch.setattr(graph, "_BUILD", program)
    store = made(tmp_path)
    with store.loading():
        store.upsert(long_points(100))
    assert "was not built" in caplog.text
    assert "Searches work without it" in caplog.text
    with pytest.raises(
        StoreUnavailable, match=r"was not built: (ValueError: no such thing|the process died)"
    ):
        store.optimize()
    assert files(tmp_path) == {"shard"}
    assert store.upsert(long_points(1, start=100)) == [None]
    assert store.count() == 101
    store.close()


def test_a_full_disk_is_found_out_before_anything_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(tmp_path)
    store.upsert(long_points(100))
    monkeypatch.setattr("connector.store.folder.RESERVE", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000_000})())
    with pytest.raises(StoreUnavailable, match="nearly full: 0 MiB left"):
        store.optimize()
    assert files(tmp_path) == {"shard"}
    store.close()


KILLED = """
import os, sys
from connector.store import graph, place
from connector.store.opening import open_store

place.SHORT = 0
graph._waited_for = lambda child, started: (child.kill(), os._exit(9))
open_store(sys.argv[1], "things").optimize()
"""


def test_what_a_killed_process_left_of_a_copy_is_removed(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.upsert(long_points(100))
    store.close()
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, timeout=60)
    assert done.returncode == 9
    assert files(tmp_path) == {"shard", "shard-2"}
    store = opened(tmp_path)
    assert store.count() == 100
    assert files(tmp_path) == {"shard"}
    store.close()


def test_a_collection_whose_files_moved_is_refused_by_older_versions_only(tmp_path: Path) -> None:
    store = made(tmp_path)
    assert json.loads((tmp_path / "things" / FILE).read_text())["format"] == 1
    store.upsert(long_points(100))
    store.optimize()
    store.close()
    content = json.loads((tmp_path / "things" / FILE).read_text())
    assert (content["format"], content["files"]["name"]) == (2, "shard-2")


@pytest.mark.parametrize("quantization", ["scalar", "binary"])
def test_short_forms_find_what_the_vectors_would(tmp_path: Path, quantization: Quantization) -> None:
    store, many = made(tmp_path, quantization), long_points(300)
    store.upsert(many)
    store.optimize()
    store.close()
    store = opened(tmp_path)
    assert json.loads((tmp_path / "things" / FILE).read_text())["quantization"] == quantization
    for point in many[::30]:
        (hit,) = store.query(point.vectors["fused"], using="fused", limit=1)
        assert hit.point.id == point.id
        assert hit.score == pytest.approx(1.0, abs=1e-5)
    store.close()


def test_points_in_no_graph_are_counted_by_what_a_point_has_in_them() -> None:
    assert outside(points=100, indexed=0, each=None) == 100
    assert outside(points=100, indexed=200, each=2.0) == 0
    assert outside(points=150, indexed=200, each=2.0) == 50
    assert outside(points=90, indexed=200, each=2.0) == 0


class Words(Schema):
    """The least that can be embedded."""

    id: Id
    photo: Blob[str | None]
    title: Text


def test_a_connector_passes_on_short_forms_and_builds_what_its_runs_bring(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    space = ImageSpace(Words.photo + Words.title, model_handler=ModelHandler.STAND_IN)
    rows = [{"id": n, "photo": None, "title": f"number {n}"} for n in range(100)]
    with caplog.at_level(logging.INFO, "connector"):
        with Connector(space, tmp_path, "things", quantization="scalar") as connector:
            assert connector.ingest(rows).new == 100
            assert "Building the search graph of 100 points" in caplog.text
            (hit,) = connector.search("number 7", limit=1)
    assert hit.id == 7
    assert hit.parts.text == pytest.approx(1.0, abs=1e-5)
    assert hit.parts.image is None
    content = json.loads((tmp_path / "things" / FILE).read_text())
    assert (content["quantization"], content["files"]["name"]) == ("scalar", "shard-2")
