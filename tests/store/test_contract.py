"""What every store promises, wherever Qdrant is: a folder, memory, a server over REST, a real server."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import re
import uuid
from collections.abc import Callable

import numpy as np
import pytest

from connector.errors import CollectionMismatch, DataError, PointError, StoreUnavailable
from connector.schema.nodes import Condition
from connector.store.opening import open_store
from connector.store.points import point_id, to_point, to_record
from connector.store.store import Point, Store, Where
from tests.store.samples import (
    AT,
    LENGTH,
    VECTORS,
    Colour,
    Grade,
    Other,
    Thing,
    full_spec,
    points,
    random_things,
    spec,
    thing,
    thing_point,
    vector,
)


@pytest.fixture
def made(store: Store) -> Store:
    """A store with an empty collection."""
    store.create(spec(model="m1"))
    return store


def test_nothing_there_is_described_as_none_and_not_created(store: Store) -> None:
    assert store.describe() is None
    with pytest.raises(StoreUnavailable, match=r"There is no collection.* Ingest something first"):
        store.count()
    with pytest.raises(StoreUnavailable, match="There is no collection"):
        store.query(vector(1), using="fused")
    with pytest.raises(StoreUnavailable, match="There is no collection"):
        store.upsert(points(1))
    assert store.describe() is None


def test_metadata_comes_back_and_creating_again_adds_to_it(made: Store) -> None:
    made.upsert(points(3))
    made.create(spec(nested={"space": ["a", 1, None]}))
    assert made.describe() == {"made_by": "tests", "model": "m1", "nested": {"space": ["a", 1, None]}}
    assert made.count() == 3


def test_another_shape_is_a_mismatch_and_changes_nothing(made: Store) -> None:
    for other in (
        dataclasses.replace(spec(), length=LENGTH + 1),
        dataclasses.replace(spec(), vectors=("fused",)),
    ):
        with pytest.raises(CollectionMismatch, match=r"things.* holds vectors fused, image, text of 8"):
            made.create(other)
    assert made.describe() == {"made_by": "tests", "model": "m1"}


def test_upserted_points_come_back_whole(made: Store) -> None:
    written = points(5)
    assert made.upsert(written) == [None] * 5
    found = made.get([point.id for point in written] + [str(uuid.uuid4())], vectors=True)
    assert set(found) == {point.id for point in written}
    for point in written:
        assert found[point.id].payload == point.payload
        assert set(found[point.id].vectors) == set(VECTORS)
        for name in VECTORS:
            values = found[point.id].vectors[name]
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, point.vectors[name], atol=1e-6)
    assert made.get([written[0].id])[written[0].id].vectors == {}


def test_upsert_replaces_the_whole_point(made: Store) -> None:
    old = thing_point(thing("a", brand="Acme", price=1.0))
    new = to_point(thing("a", brand="Bolt"), {"text": vector(9)}, at=AT)
    made.upsert([old])
    made.upsert([new])
    (found,) = made.get([old.id], vectors=True).values()
    assert found.payload == new.payload
    assert set(found.vectors) == {"text"}
    assert made.count() == 1


def test_of_two_points_with_one_id_the_later_wins(made: Store) -> None:
    versions = [thing_point(thing("a", stock=n), n) for n in range(40)]
    assert made.upsert(versions) == [None] * 40
    assert made.get([versions[0].id])[versions[0].id].payload["stock"] == 39


def test_more_points_than_fit_into_one_call(made: Store) -> None:
    many = points(1300)
    assert made.upsert(many) == [None] * 1300
    assert made.count() == 1300
    assert len(made.get([point.id for point in many])) == 1300
    made.delete([point.id for point in many[:1200]])
    assert {point.id for point in made.scan(batch=30)} == {point.id for point in many[1200:]}


def test_forty_megabytes_are_split_by_bytes(made: Store) -> None:
    large = [
        dataclasses.replace(point, payload={**point.payload, "notes": "n" * 1_000_000})
        for point in points(40)
    ]
    assert made.upsert(large) == [None] * 40
    assert made.count() == 40


def _bad_points() -> dict[str, tuple[Point, str]]:
    good = points(1)[0]

    def with_payload(value: object) -> Point:
        return dataclasses.replace(good, payload={**good.payload, "brand": value})

    def with_vector(values: object) -> Point:
        return dataclasses.replace(good, vectors={"fused": values})  # type: ignore[dict-item]  # wrong on purpose

    nested: list[object] = []
    for _ in range(300):
        nested = [nested]
    overflowing = np.full(LENGTH, 3e38, dtype=np.float32)
    return {
        "id is no uuid": (dataclasses.replace(good, id="a1"), "'a1' is no point id"),
        "id is a number": (dataclasses.replace(good, id=-1), "-1 is no point id"),  # type: ignore[arg-type]
        "no vectors": (dataclasses.replace(good, vectors={}), "has no vector"),
        "unknown vector": (
            dataclasses.replace(good, vectors={"smell": vector(1)}),
            "no vector named 'smell'",
        ),
        "short vector": (with_vector(vector(1)[:4]), r"has shape \(4,\)"),
        "double vector": (with_vector(vector(1).astype(np.float64)), "no float32 array"),
        "list vector": (with_vector([1.0] * LENGTH), "no float32 array"),
        "NaN vector": (with_vector(np.full(LENGTH, np.nan, np.float32)), "NaN"),
        "infinite vector": (with_vector(np.full(LENGTH, np.inf, np.float32)), "infinity"),
        "overflowing vector": (with_vector(overflowing), "too large"),
        "NaN payload": (with_payload(float("nan")), "nan has no JSON"),
        "infinite payload": (with_payload([float("-inf")]), "-inf has no JSON"),
        "numpy scalar": (with_payload(np.float32(1)), r"numpy\.float32 is not a JSON value"),
        "bytes": (with_payload(b"x"), r"builtins\.bytes is not a JSON value"),
        "lone surrogate": (with_payload("a\ud800"), "half a character"),
        "surrogate key": (with_payload({"\udfff": 1}), "half a character"),
        "number as key": (with_payload({1: 1}), "a key is of type int"),
        "too deep": (with_payload(nested), "nested deeper than 64"),
        "huge number": (with_payload(2**64), "64 bits"),
    }


def test_a_bad_point_is_refused_alone(made: Store) -> None:
    for round_, (case, (bad, message)) in enumerate(_bad_points().items(), start=1):
        batch = points(32, start=32 * round_)
        batch[13] = bad
        outcome = made.upsert(batch)
        refused = outcome.pop(13)
        assert isinstance(refused, PointError), case
        assert re.search(message, str(refused)), case
        assert outcome == [None] * 31, case
        assert made.count() == 31 * round_, case


def test_values_at_the_edge_of_what_is_stored_survive(made: Store) -> None:
    good = points(1)[0]
    payload = {
        "text": 'naïve 漢字 \U0001f600 \x00 \u202e "quoted" \\ \n',
        "whole": [2**63 - 1, -(2**63), 2**53 + 1],
        "real": [0.1, 1e300, -1e-300, 5e-324],
        "nested": {"a": {"b": [None, True, {"": []}]}},
    }
    assert made.upsert([dataclasses.replace(good, payload=payload)]) == [None]
    assert made.get([good.id])[good.id].payload == payload


def test_zero_vectors_are_stored_and_score_nothing(made: Store) -> None:
    point = dataclasses.replace(points(1)[0], vectors={"fused": np.zeros(LENGTH, np.float32)})
    assert made.upsert([point]) == [None]
    assert [hit.score for hit in made.query(vector(1), using="fused")] == [0.0]


def test_delete_by_id_passes_over_what_is_not_there(made: Store) -> None:
    written = points(4)
    made.upsert(written)
    made.delete([written[0].id, str(uuid.uuid4())])
    made.delete([])
    assert made.count() == 3


def test_delete_and_count_by_condition(made: Store) -> None:
    made.upsert(points(9))
    made.upsert([to_point(Other(key="k0", title="other"), {"text": vector(5)}, at=AT)])
    assert made.count(Where(("Other",))) == 1
    assert made.count(Where(("Thing", "Other"))) == 10
    where = Where(("Thing",), Thing.brand == "b1")
    assert made.count(where) == 3
    made.delete_where(where)
    assert (made.count(where), made.count()) == (0, 7)
    made.delete_where(Where())
    assert made.count() == 0


def test_scan_yields_everything_once_in_the_order_of_ids(made: Store) -> None:
    written = {point.id: point for point in points(257)}
    made.upsert(list(written.values()))
    found = list(made.scan(batch=50, vectors=True))
    assert [point.id for point in found] == sorted(written)
    assert all(point.payload == written[point.id].payload for point in found)
    assert all(set(point.vectors) == set(VECTORS) for point in found)
    some = list(made.scan(Where(("Thing",), Thing.brand == "b2"), batch=7))
    assert {point.payload["brand"] for point in some} == {"b2"}
    assert len(some) == 85
    assert some[0].vectors == {}


def test_query_finds_the_nearest_by_the_named_vector(made: Store) -> None:
    written = points(60)
    made.upsert(written)
    for name in VECTORS:
        wanted = vector(999)
        scores = {point.id: float(point.vectors[name] @ wanted) for point in written}
        expected = sorted(scores, key=lambda id_: (-scores[id_], id_))
        hits = made.query(wanted, using=name, limit=10)
        assert [hit.point.id for hit in hits] == expected[:10]
        np.testing.assert_allclose([hit.score for hit in hits], [scores[i] for i in expected[:10]], atol=1e-5)
        following = made.query(wanted, using=name, limit=10, offset=10)
        assert [hit.point.id for hit in following] == expected[10:20]


def test_query_returns_payload_always_and_vectors_when_asked(made: Store) -> None:
    made.upsert(points(3))
    (plain,) = made.query(vector(1), using="fused", limit=1)
    (full,) = made.query(vector(1), using="fused", limit=1, with_vectors=True)
    assert plain.point.vectors == {}
    assert set(full.point.vectors) == set(VECTORS)
    assert plain.point.payload == full.point.payload
    assert plain.point.payload["_schema"] == "Thing"


def test_query_compares_the_other_vectors_that_are_named(made: Store) -> None:
    point = points(1)[0]
    lacking = dataclasses.replace(points(2)[1], vectors={"fused": vector(7)})
    made.upsert([point, lacking])
    wanted = point.vectors["fused"]
    first, second = made.query(wanted, using="fused", also=["image", "text"])
    assert first.also == pytest.approx(
        {name: float(wanted @ point.vectors[name]) for name in ("image", "text")}, abs=1e-6
    )
    assert second.also == {}
    assert first.point.vectors == second.point.vectors == {}
    (whole,) = made.query(wanted, using="fused", also=["image"], with_vectors=True, limit=1)
    assert (set(whole.also), set(whole.point.vectors)) == ({"image"}, set(VECTORS))


def test_query_passes_over_points_without_the_vector(made: Store) -> None:
    made.upsert([to_point(thing("words"), {"text": vector(1)}, at=AT)])
    made.upsert([to_point(thing("picture"), {"image": vector(1), "fused": vector(1)}, at=AT)])
    assert [hit.point.payload["key"] for hit in made.query(vector(1), using="text")] == ["words"]
    assert [hit.point.payload["key"] for hit in made.query(vector(1), using="image")] == ["picture"]


def test_query_keeps_the_condition(made: Store) -> None:
    made.upsert(points(30))
    hits = made.query(vector(1), using="fused", where=Where(("Thing",), Thing.brand == "b1"), limit=50)
    assert len(hits) == 10
    assert {hit.point.payload["brand"] for hit in hits} == {"b1"}


def test_min_score_keeps_what_reaches_it_zero_and_below_included(made: Store) -> None:
    axis = np.eye(LENGTH, dtype=np.float32)
    for key, values in (("same", axis[0]), ("apart", axis[1]), ("against", -axis[0])):
        made.upsert([to_point(thing(key), {"fused": values}, at=AT)])

    def found(min_score: float | None) -> list[object]:
        hits = made.query(axis[0], using="fused", min_score=min_score)
        return [hit.point.payload["key"] for hit in hits]

    assert found(None) == ["same", "apart", "against"]
    assert found(-1.0) == ["same", "apart", "against"]
    assert found(-0.5) == found(0.0) == ["same", "apart"]
    assert found(0.1) == found(1.0) == ["same"]
    assert found(1.1) == []


def test_equal_scores_are_ordered_by_id(made: Store) -> None:
    made.upsert([to_point(thing(f"k{n}"), {"fused": vector(7)}, at=AT) for n in range(20)])
    ids = [hit.point.id for hit in made.query(vector(7), using="fused", limit=20)]
    assert ids == sorted(ids)


def test_a_query_that_cannot_be_compared_is_refused(made: Store) -> None:
    with pytest.raises(CollectionMismatch, match=r"no vector named 'smell'\. It has: fused, image, text"):
        made.query(vector(1), using="smell")
    with pytest.raises(CollectionMismatch, match=r"shape \(4,\), the collection's vectors have shape \(8,\)"):
        made.query(vector(1)[:4], using="fused")
    with pytest.raises(DataError, match="NaN or infinity"):
        made.query(np.full(LENGTH, np.nan, np.float32), using="fused")


def test_closing_twice_is_fine_and_use_afterwards_says_so(made: Store) -> None:
    made.flush()
    made.optimize()
    made.close()
    made.close()
    uses: list[Callable[[], object]] = [made.describe, made.count, lambda: made.upsert(points(1)), made.flush]
    for use in uses:
        with pytest.raises(StoreUnavailable, match="was closed"):
            use()


def test_records_come_back_equal(made: Store) -> None:
    things = [one for one in random_things(60, seed=3) if not isinstance(one.photo, bytes)]
    made.upsert(
        [to_point(one, {"fused": vector(1)}, references={"photo": str(one.photo)}, at=AT) for one in things]
    )
    found = made.get([point_id("Thing", one.key) for one in things])
    for one in things:
        back = to_record(found[point_id("Thing", one.key)], Thing)
        assert back.key == one.key
        assert back.photo == str(one.photo)
        rest = set(Thing.__definition__.all) - {"photo"}
        assert {name: getattr(back, name) for name in rest} == {name: getattr(one, name) for name in rest}


MOMENT = dt.datetime(2026, 5, 1, 10, 0, 0, 123456, tzinfo=dt.UTC)
ELSEWHERE = MOMENT.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))
DAY = MOMENT.date()
CONDITIONS: dict[str, Condition] = {
    "id text": Thing.key == "4",
    "id number": Thing.key == 5,
    "id in": Thing.key.in_(["4", 5, 6, "7"]),
    "id not": Thing.key != "4",
    "text ==": Thing.brand == "Acme",
    "text empty": Thing.brand == "",
    "text !=": Thing.brand != "Acme",
    "text in": Thing.brand.in_(["acme", "Bolt & Co"]),
    "text not in": Thing.brand.not_in(["acme", ""]),
    "float ==": Thing.price == 0.3,
    "float == other": Thing.price == 0.1,
    "float == 0": Thing.price == 0.0,
    "float !=": Thing.price != 0.3,
    "float in": Thing.price.in_([0.1, 59.0]),
    "float <": Thing.price < 0.30000000000000004,
    "float <=": Thing.price <= 0.3,
    "float >": Thing.price > 0.3,
    "float >=": Thing.price >= 59,
    "int ==": Thing.stock == 1,
    "int == huge": Thing.stock == 2**53 + 1,
    "int == huge neighbour": Thing.stock == 2**53,
    "int == largest": Thing.stock == 2**63 - 1,
    "int == smallest": Thing.stock == -(2**63),
    "int in": Thing.stock.in_([0, 2**53, 7]),
    "int <": Thing.stock < 1,
    "int <=": Thing.stock <= 1,
    "int >": Thing.stock > 0,
    "int >= largest exact": Thing.stock >= 2**53 - 1,
    "bool ==": Thing.new == True,  # noqa: E712  # a condition, not a truth value
    "bool == False": Thing.new == False,  # noqa: E712  # as above
    "bool !=": Thing.new != True,  # noqa: E712  # as above
    "bool in": Thing.new.in_([True, False]),
    "moment ==": Thing.seen == MOMENT,
    "moment == elsewhere": Thing.seen == ELSEWHERE,
    "moment <": Thing.seen < MOMENT,
    "moment <=": Thing.seen <= MOMENT,
    "moment >": Thing.seen > MOMENT,
    "moment >=": Thing.seen >= ELSEWHERE,
    "moment in": Thing.seen.in_([MOMENT, MOMENT + dt.timedelta(microseconds=1)]),
    "day ==": Thing.day == DAY,
    "day <": Thing.day < DAY,
    "day >=": Thing.day >= DAY,
    "day in": Thing.day.in_([DAY, dt.date(1999, 1, 1)]),
    "uuid ==": Thing.batch == uuid.UUID(int=1),
    "uuid in": Thing.batch.in_([uuid.UUID(int=1), uuid.UUID(int=2)]),
    "enum ==": Thing.colour == Colour.RED,
    "enum in": Thing.colour.in_([Colour.RED, Colour.BLUE]),
    "enum of numbers": Thing.grade == Grade.HIGH,
    "literal": Thing.size == "M",
    "literal in": Thing.size.in_(["S", "L"]),
    "list contains": Thing.tags.contains("a"),
    "list contains spaced": Thing.tags.contains("c d"),
    "list of int contains": Thing.sizes.contains(2**53 + 1),
    "list of float contains": Thing.ratings.contains(0.1),
    "list of dates contains": Thing.days.contains(DAY),
    "words": Thing.title.matches("red"),
    "words in any order and case": Thing.title.matches("SHOE canvas"),
    "word is whole": Thing.title.matches("sho"),
    "word beside underscore": Thing.title.matches("lace"),
    "words beyond ASCII": Thing.title.matches("GRÖSSE größe"),
    "word umlaut": Thing.title.matches("GRÖßE"),
    "word accent": Thing.title.matches("Naïve"),
    "word number": Thing.title.matches("42"),
    "word of one letter": Thing.title.matches("X"),
    "word stop": Thing.title.matches("in"),
    "word ideographs": Thing.title.matches("漢字"),
    "word Greek": Thing.title.matches("ΕΛΛΆΔΑ"),
    "words with punctuation": Thing.title.matches("red, (shoe)!"),
    "words in a field": Thing.brand.matches("ACME"),
    "words in a field, two": Thing.brand.matches("co bolt"),
    "and": (Thing.price > 0) & (Thing.new == True),  # noqa: E712  # as above
    "or": (Thing.price > 1) | Thing.tags.contains("b"),
    "not and": ~((Thing.price > 0) & (Thing.stock < 5)),
    "not or": ~((Thing.price > 0) | Thing.brand.is_none()),
    "not not": ~~(Thing.price > 0),
    "nested": ((Thing.price > 0) | ~(Thing.new == True)) & ~(Thing.title.matches("red") & (Thing.stock != 1)),  # noqa: E712
    **{f"{name} is none": getattr(Thing, name).is_none() for name in Thing.__definition__.all},
    **{f"{name} is not none": ~getattr(Thing, name).is_none() for name in Thing.__definition__.all},
}


def test_every_condition_means_what_matches_means(made: Store) -> None:
    made.create(full_spec())
    things = random_things(300, seed=11)
    assert made.upsert([thing_point(one, n) for n, one in enumerate(things)]) == [None] * 300
    assert made.upsert([to_point(Other(key="o", title="red shoe"), {"text": vector(1)}, at=AT)]) == [None]
    wrong = {}
    for name, condition in CONDITIONS.items():
        where = Where(("Thing",), condition)
        found = {point.id for point in made.scan(where)}
        expected = {point_id("Thing", one.key) for one in things if condition.matches(one)}
        if found != expected:
            wrong[name] = (len(found), len(expected))
        assert made.count(where) == len(found), name
    assert wrong == {}


def test_the_conditions_tried_are_neither_trivial_nor_few() -> None:
    things = random_things(300, seed=11)
    hits = [sum(condition.matches(one) for one in things) for condition in CONDITIONS.values()]
    assert len(hits) > 90
    assert sum(0 < found < 300 for found in hits) > 85


@pytest.mark.server
@pytest.mark.skipif(
    "QDRANT_URL" not in os.environ, reason="QDRANT_URL names no server to run this file on as well"
)
def test_a_real_server_answers() -> None:
    store = open_store(os.environ["QDRANT_URL"], "never-made", api_key=os.environ.get("QDRANT_API_KEY"))
    assert store.describe() is None
    store.close()
