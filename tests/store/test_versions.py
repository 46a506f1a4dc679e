"""Newer data wins whatever the order it arrives in, and what was deleted stays deleted; wherever Qdrant is."""

from __future__ import annotations

import dataclasses
import random
import uuid

import numpy as np
import pytest

from connector.errors import PointError, StoreUnavailable, Superseded
from connector.store.opening import open_store
from connector.store.points import point_id
from connector.store.retry import Retries
from connector.store.store import Point, Store, Where
from tests.store.qdrant_server import body, reset, running_server, status
from tests.store.samples import VECTORS, points, spec, thing, thing_point, vector


@pytest.fixture
def made(store: Store) -> Store:
    """A store with an empty collection."""
    store.create(spec())
    return store


def versioned(key: str, version: int, seed: int = 0) -> Point:
    """A point that says which run wrote it; its stock is the version, too."""
    point = thing_point(thing(key, stock=version), seed)
    return dataclasses.replace(point, payload={**point.payload, "_version": version})


def version_of(store: Store, key: str) -> object:
    found = store.get([point_id("Thing", key)])
    return found[point_id("Thing", key)].payload["stock"] if found else None


def test_an_older_version_is_superseded_and_its_neighbours_are_not(made: Store) -> None:
    made.upsert([versioned("a", 5)])
    first, second = made.upsert([versioned("a", 4), versioned("b", 4)])
    assert isinstance(first, Superseded)
    assert "newer run" in str(first)
    assert first.code == "superseded"
    assert second is None
    assert (version_of(made, "a"), version_of(made, "b")) == (5, 4)


def test_equal_versions_and_points_without_one_are_written_over(made: Store) -> None:
    plain = thing_point(thing("a", stock=0))
    for point in (plain, versioned("a", 3, 1), versioned("a", 3, 2), versioned("a", 4), plain):
        assert made.upsert([point]) == [None]
    assert version_of(made, "a") == 0


def test_within_one_call_the_newest_version_wins(made: Store) -> None:
    order = [2, 7, 7, 5]
    outcome = made.upsert([versioned("a", version, seed) for seed, version in enumerate(order)])
    assert [error is None for error in outcome] == [True, True, True, False]
    assert isinstance(outcome[3], Superseded)
    (found,) = made.get([point_id("Thing", "a")], vectors=True).values()
    np.testing.assert_allclose(found.vectors["fused"], versioned("a", 7, 2).vectors["fused"], atol=1e-6)


@pytest.mark.parametrize("version", [-1, 2**53, 1.5, True, "7"])
def test_a_version_that_qdrant_could_not_compare_is_refused(made: Store, version: object) -> None:
    point = dataclasses.replace(points(1)[0], payload={"_version": version})
    for outcome in (made.upsert([point]), made.overwrite([point])):
        assert isinstance(outcome[0], PointError)
        assert "not a whole number below 2**53" in str(outcome[0])
    assert made.count() == 0


def test_the_largest_versions_are_told_apart(made: Store) -> None:
    largest = 2**53 - 1
    made.upsert([versioned("a", largest)])
    assert isinstance(made.upsert([versioned("a", largest - 1)])[0], Superseded)
    assert version_of(made, "a") == largest


def test_shuffled_writes_end_with_the_newest(made: Store) -> None:
    writes = [(f"k{n % 6}", version) for n in range(6) for version in range(1, 6)]
    random.Random(1).shuffle(writes)
    for key, version in writes:
        made.upsert([versioned(key, version)])
    assert [version_of(made, f"k{n}") for n in range(6)] == [5] * 6


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_writes_through_faults_end_with_the_newest(retries: Retries, seed: int) -> None:
    draw = random.Random(seed)
    troubles = [
        status(500, applied=True),
        status(503),
        status(429),
        status(429, retry_after="1"),
        reset(applied=True),
        reset(),
        body(b"{", applied=True),
    ]
    faults = [draw.choice(troubles) if draw.random() < 0.4 else None for _ in range(60)]
    writes = [(f"k{n}", version) for n in range(6) for version in range(1, 6)]
    draw.shuffle(writes)
    with running_server(faults=faults) as server:
        store = open_store(server.url, "things", retries=retries)
        store.create(spec())
        newest: dict[str, int] = {}
        for key, version in writes:
            (outcome,) = store.upsert([versioned(key, version)])
            assert isinstance(outcome, Superseded) == (version < newest.get(key, 0))
            newest[key] = max(version, newest.get(key, 0))
        assert [version_of(store, f"k{n}") for n in range(6)] == [5] * 6
        assert store.count() == 6
        store.close()


def test_overwriting_keeps_vectors_and_replaces_the_payload_whole(made: Store) -> None:
    before = versioned("a", 1, seed=4)
    made.upsert([before])
    after = Point(before.id, {}, {"_schema": "Thing", "key": "a", "price": 2.0, "_version": 2})
    assert made.overwrite([after]) == [None]
    (found,) = made.get([before.id], vectors=True).values()
    assert found.payload == after.payload
    assert set(found.vectors) == set(VECTORS)
    for name in VECTORS:
        np.testing.assert_allclose(found.vectors[name], before.vectors[name], atol=1e-6)
    (hit,) = made.query(before.vectors["image"], using="image", limit=1)
    assert (hit.point.payload["price"], round(hit.score, 5)) == (2.0, 1.0)


def test_overwriting_is_guarded_and_makes_nothing(made: Store) -> None:
    made.upsert([versioned("newer", 5), versioned("older", 1), versioned("gone", 1)])
    made.bury([point_id("Thing", "gone")], schema="Thing", version=2)
    keys = ["newer", "older", "gone", "never"]
    outcome = made.overwrite([dataclasses.replace(versioned(key, 3), vectors={}) for key in keys])
    assert [type(error) for error in outcome] == [Superseded, type(None), Superseded, Superseded]
    assert [version_of(made, key) for key in keys] == [5, 3, None, None]
    assert made.count() == 2


def test_overwriting_refuses_a_bad_payload_alone(made: Store) -> None:
    written = points(5)
    made.upsert(written)
    changed = [Point(point.id, {}, {**point.payload, "price": 9.0}) for point in written]
    changed[2] = Point(written[2].id, {}, {"price": float("nan")})
    outcome = made.overwrite(changed)
    refused = outcome.pop(2)
    assert isinstance(refused, PointError)
    assert "nan has no JSON" in str(refused)
    assert outcome == [None] * 4
    assert made.overwrite([]) == []
    prices = [made.get([point.id])[point.id].payload.get("price") for point in written]
    assert prices == [9.0, 9.0, None, 9.0, 9.0]


def test_more_payloads_than_fit_into_one_call(made: Store) -> None:
    written = points(600)
    made.upsert(written)
    changed = [Point(point.id, {}, {**point.payload, "stock": -1}) for point in written]
    assert made.overwrite(changed) == [None] * 600
    assert {point.payload["stock"] for point in made.scan(keys=["stock"])} == {-1}


def test_a_tombstone_is_nowhere_to_be_seen(made: Store) -> None:
    made.upsert([versioned(f"k{n}", 1, n) for n in range(4)])
    buried = point_id("Thing", "k0")
    made.bury([buried, point_id("Thing", "never")], schema="Thing", version=2)
    assert made.count() == made.count(Where(("Thing",))) == 3
    assert buried not in {point.id for point in made.scan()}
    assert buried not in {point.id for point in made.scan(Where(("Thing",)), keys=[])}
    assert buried not in {hit.point.id for hit in made.query(vector(1), using="fused", limit=50)}
    assert made.get([buried]) == {}
    assert made.get([buried], keys=["brand"]) == {}
    (stone,) = made.get([buried], tombstones=True, vectors=True).values()
    assert stone.payload == {"_schema": "Thing", "_version": 2, "_deleted": True}
    assert stone.vectors == {}


def test_an_older_run_brings_nothing_back_and_a_newer_one_does(made: Store) -> None:
    made.upsert([versioned("a", 1)])
    made.bury([point_id("Thing", "a")], schema="Thing", version=5)
    assert isinstance(made.upsert([versioned("a", 4)])[0], Superseded)
    assert version_of(made, "a") is None
    assert made.upsert([versioned("a", 6)]) == [None]
    assert version_of(made, "a") == 6
    made.bury([point_id("Thing", "a")], schema="Thing", version=5)
    assert version_of(made, "a") == 6


def test_a_purge_removes_old_tombstones_only(made: Store) -> None:
    made.upsert([versioned("kept", 1)])
    for key, version in (("a", 2), ("b", 3), ("c", 4)):
        made.bury([point_id("Thing", key)], schema="Thing", version=version)
    assert made.purge(2) == 0
    assert made.purge(4) == 2
    assert made.purge(4) == 0
    left = made.get([point_id("Thing", key) for key in "abc"], tombstones=True)
    assert set(left) == {point_id("Thing", "c")}
    assert made.count() == 1


def test_deleting_by_condition_leaves_tombstones(made: Store) -> None:
    made.upsert([versioned("a", 1), versioned("b", 1)])
    made.bury([point_id("Thing", "a")], schema="Thing", version=2)
    made.delete_where(Where())
    assert made.count() == 0
    assert set(made.get([point_id("Thing", key) for key in "ab"], tombstones=True)) == {
        point_id("Thing", "a")
    }


def test_more_tombstones_than_fit_into_one_call(made: Store) -> None:
    many = [str(uuid.UUID(int=n)) for n in range(1, 1201)]
    made.bury(many, schema="Thing", version=1)
    assert len(made.get(many, tombstones=True)) == 1200
    assert (made.count(), made.purge(2)) == (0, 1200)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_writes_ends_as_its_versions_say(made: Store, seed: int) -> None:
    draw = random.Random(seed)
    versions: dict[str, tuple[int, bool]] = {}
    for _ in range(150):
        key, version, act = f"k{draw.randrange(8)}", draw.randrange(1, 12), draw.choice("uuob")
        there, alive = versions.get(key, (0, False))
        wins = version >= there
        if act == "u":
            (outcome,) = made.upsert([versioned(key, version)])
            assert (outcome is None) == wins
            if wins:
                versions[key] = version, True
        elif act == "o":
            (outcome,) = made.overwrite([dataclasses.replace(versioned(key, version), vectors={})])
            assert (outcome is None) == (wins and alive)
            if wins and alive:
                versions[key] = version, True
        else:
            made.bury([point_id("Thing", key)], schema="Thing", version=version)
            if wins:
                versions[key] = version, False
    found = {point.payload["key"]: point.payload["stock"] for point in made.scan()}
    assert found == {key: version for key, (version, alive) in versions.items() if alive}
    assert all(len(point.vectors) == 3 for point in made.scan(vectors=True))


def test_only_the_keys_asked_for_are_read(made: Store) -> None:
    made.upsert(points(3))
    ids = [point.id for point in points(3)]
    found = made.get([*ids, str(uuid.uuid4())], keys=["brand", "stock", "unknown"])
    assert {id: dict(point.payload) for id, point in found.items()} == {
        point.id: {key: point.payload[key] for key in ("brand", "stock")} for point in points(3)
    }
    assert {len(point.payload) for point in made.get(ids, keys=[]).values()} == {0}
    assert [dict(point.payload) for point in made.scan(keys=["_schema"], batch=2)] == [
        {"_schema": "Thing"}
    ] * 3
    assert {len(point.payload) for point in made.scan(keys=[])} == {0}
    (whole,) = made.get(ids[:1], keys=[], vectors=True).values()
    assert set(whole.vectors) == set(VECTORS)


def test_renewed_metadata_is_merged_into_what_is_there(made: Store) -> None:
    made.renew({"last_version": 1, "probes": {"a": [1.0]}})
    made.renew({"last_version": 2})
    assert made.describe() == {"made_by": "tests", "last_version": 2, "probes": {"a": [1.0]}}


def test_there_is_no_metadata_without_a_collection(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="There is no collection"):
        store.renew({"last_version": 1})
    assert store.describe() is None


def test_a_server_too_old_to_guard_is_refused_before_it_loses_data(retries: Retries) -> None:
    with running_server() as server:
        store = open_store(server.url, "things", retries=retries)
        store.create(spec())
        server.release = "1.15.4"
        with pytest.raises(StoreUnavailable, match=r"version 1\.15\.4.*Upgrade it to 1\.16 or newer"):
            store.upsert([versioned("a", 1)])
        assert server.upserts == []
        assert store.upsert(points(1)) == [None]
        store.close()
