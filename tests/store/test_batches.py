"""Batches by count and by bytes, and the search for the point that spoils one."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from connector.store.batches import MAX_BYTES, BatchRefused, upsert_in_batches
from connector.store.checks import check_point
from connector.store.shape import Shape
from connector.store.spelling import to_client
from connector.store.store import Point
from tests.store.samples import LENGTH, VECTORS, points, random_things, thing_point

SHAPE = Shape(LENGTH, VECTORS)


class Engine:
    """Takes batches, except those with a point that is poison."""

    def __init__(self, poison: set[str] | None = None) -> None:
        self.poison = poison or set()
        self.batches: list[list[Point]] = []
        self.kept: list[str] = []

    def __call__(self, batch: list[Point]) -> set[str]:
        self.batches.append(batch)
        if self.poison & {point.id for point in batch}:
            raise BatchRefused("poison")
        self.kept += [point.id for point in batch]
        return set()


def test_batches_are_full_and_in_order() -> None:
    engine, many = Engine(), points(1100)
    assert upsert_in_batches(many, SHAPE, engine) == [None] * 1100
    assert [len(batch) for batch in engine.batches] == [512, 512, 76]
    assert engine.kept == [point.id for point in many]
    assert upsert_in_batches([], SHAPE, engine) == []


def test_batches_end_before_they_grow_too_large() -> None:
    engine, many = Engine(), points(10)
    size = max(check_point(point, SHAPE) for point in many)
    upsert_in_batches(many, SHAPE, engine, max_bytes=3 * size)
    assert {len(batch) for batch in engine.batches} <= {3, 1}
    assert len(engine.kept) == 10


def test_a_point_larger_than_a_batch_goes_alone() -> None:
    engine = Engine()
    upsert_in_batches(points(3), SHAPE, engine, max_bytes=1)
    assert [len(batch) for batch in engine.batches] == [1, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_exactly_the_poisoned_points_are_refused(seed: int) -> None:
    many = points(64)
    poison = {point.id for point in random.Random(seed).sample(many, seed)}
    engine = Engine(poison)
    outcome = upsert_in_batches(many, SHAPE, engine)
    assert {many[n].id for n, error in enumerate(outcome) if error} == poison
    assert sorted(engine.kept) == sorted({point.id for point in many} - poison)
    assert len(engine.batches) <= 1 + 2 * 6 * len(poison)


def test_trouble_that_is_not_about_a_point_stops_everything() -> None:
    def down(_: list[Point]) -> set[str]:
        raise ConnectionError("down")

    with pytest.raises(ConnectionError):
        upsert_in_batches(points(3), SHAPE, down)


def test_a_later_version_that_cannot_be_stored_leaves_the_earlier_one() -> None:
    first, other = points(2)
    bad = dataclasses.replace(first, payload={"x": b"bytes"})
    engine = Engine()
    outcome = upsert_in_batches([first, other, bad], SHAPE, engine)
    assert [error is None for error in outcome] == [True, True, False]
    assert engine.kept == [first.id, other.id]


def test_a_version_that_was_never_sent_shares_the_fate_of_the_one_that_was() -> None:
    first, other = points(2)
    outcome = upsert_in_batches([first, other, first], SHAPE, Engine({first.id}))
    assert [error is None for error in outcome] == [False, True, False]


def test_the_estimate_is_never_below_the_body_that_is_sent() -> None:
    texts = ["plain", 'quotes " and \\ back', "\n\t\x00\x1f" * 50, "naïve 漢字 \U0001f600", "\u2028", ""]
    for number, record in enumerate(random_things(60, seed=5)):
        point = thing_point(record, number)
        point = dataclasses.replace(
            point, payload={**point.payload, "notes": texts[number % 6], "more": {"a": [1, None, 2.5, texts]}}
        )
        body = to_client(point).model_dump_json()
        assert len(body.encode()) <= check_point(point, SHAPE) < MAX_BYTES
        assert len(json.dumps(json.loads(body)).encode()) >= 100
