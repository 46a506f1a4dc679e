"""What is sent to a server: the very values, whatever the array they are in, and whether short forms are asked for."""

from __future__ import annotations

import dataclasses
import json
from types import MappingProxyType

import numpy as np
import orjson
import pytest
from qdrant_client import models

from connector.store.checks import check_point, quiet
from connector.store.opening import open_store
from connector.store.retry import Retries
from connector.store.sending import _varint, _vector, rest_body
from connector.store.shape import Shape
from connector.store.spelling import only_not_newer
from connector.store.store import Quantization
from tests.store.qdrant_server import running_server
from tests.store.samples import points, spec

RANDOM = np.random.default_rng(3)
HARD = np.array([0.1, -1.1754944e-38, 1e-45, 16777217.0, -0.0, 1 / 3, 9.999999e-5, 123456.79], np.float32)


def sent(**vectors: np.ndarray) -> models.PointsList:
    (point,) = points(1)
    body = rest_body([dataclasses.replace(point, vectors=vectors)], None)
    return models.PointsList.model_validate_json(body)


@pytest.mark.parametrize(
    "values",
    [HARD, HARD[::2], HARD[::-1], np.asfortranarray(np.stack([HARD, HARD]))[1]],
    ids=["plain", "with gaps", "backwards", "a column"],
)
def test_values_arrive_exactly(values: np.ndarray) -> None:
    (arrived,) = sent(fused=values).points
    assert isinstance(arrived.vector, dict)
    np.testing.assert_array_equal(np.asarray(arrived.vector["fused"], np.float32), values)
    np.testing.assert_array_equal(np.array(_vector(values).dense.data, np.float32), values)


def test_a_body_is_what_the_client_itself_would_send() -> None:
    written = [dataclasses.replace(point, payload=MappingProxyType(point.payload)) for point in points(3)]
    body = json.loads(rest_body(written, only_not_newer(5)))
    for mine, point in zip(body["points"], written, strict=True):
        assert (mine["id"], mine["payload"]) == (point.id, dict(point.payload))
    assert body["update_filter"] == only_not_newer(5).model_dump(mode="json", exclude_none=True)  # type: ignore[union-attr]
    models.PointsList.model_validate(body)


def test_a_body_is_never_larger_than_it_was_taken_for() -> None:
    random = RANDOM.standard_normal(512).astype(np.float32) * np.float32(1e-38)
    with quiet():
        for point in points(3):
            large = dataclasses.replace(point, vectors={"fused": -np.abs(random)})
            size = check_point(large, Shape(512, ("fused",)))
            assert len(orjson.dumps(json.loads(rest_body([point], None)))) <= size
            assert len(rest_body([large], None)) <= size


@pytest.mark.parametrize(
    ("number", "written"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (2048, b"\x80\x10")]
)
def test_numbers_as_protobuf_writes_them(number: int, written: bytes) -> None:
    assert _varint(number) == written


@pytest.mark.parametrize("kind", ["scalar", "binary", None])
def test_short_forms_are_asked_for_once_and_used_by_every_search(
    kind: Quantization | None, retries: Retries
) -> None:
    with running_server() as server:
        store = open_store(server.url, "things", retries=retries)
        store.create(dataclasses.replace(spec(), quantization=kind))
        store.upsert(points(3))
        store.query(points(1)[0].vectors["fused"], using="fused")
        asked = server.quantizations["things"]
        assert (None if asked is None else next(iter(asked.model_dump(exclude_none=True)))) == kind
        params = server.searches[-1].params
        rescored = None if params is None or params.quantization is None else params.quantization.rescore
        assert rescored is (None if kind is None else True)
        store.close()
