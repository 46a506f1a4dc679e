"""Ids that never change, digests, and the way from a record to a point and back."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from connector.schema.fields import Blob, BlobSource, Field, Id, Text
from connector.schema.schema import Schema
from connector.store.points import (
    Digests,
    digest_payload,
    digest_text,
    digests,
    payload_indexes,
    point_id,
    rfc3339,
    schema_name,
    stored_values,
    to_point,
    to_record,
)
from tests.store.samples import AT, Other, Thing, thing, vector


def test_ids_are_the_same_for_ever() -> None:
    assert point_id("Product", "a1") == "246ee0c1-f005-54f1-ae3a-bd7384dd75e8"
    assert point_id("Product", 1) == "52060246-6938-5409-9daf-c0ae27169f42"
    assert point_id("Product", uuid.UUID(int=1)) == "1f235155-ae21-53ee-a049-7afa2317b087"


def test_ids_do_not_collide() -> None:
    keys: list[object] = [1, "1", -1, 2**64, "", "\x00", "a", "A", "b:c", "x" * 10_000, '"', "\ud800"]
    keys += [uuid.UUID(int=1), str(uuid.UUID(int=1)), '", "str', "größe", "gro\u0308ße"]
    schemas = ["a", "a:b", "A", 'a", "str', ""]
    ids = {point_id(schema, key) for schema in schemas for key in keys}
    assert len(ids) == len(keys) * len(schemas)
    assert all(str(uuid.UUID(one)) == one and uuid.UUID(one).version == 5 for one in ids)


def test_a_hundred_thousand_keys_give_as_many_ids() -> None:
    assert len({point_id("Product", key) for n in range(50_000) for key in (n, str(n))}) == 100_000


@pytest.mark.parametrize("key", [True, 1.0, None, b"a", ("a",)])
def test_other_keys_are_refused(key: object) -> None:
    with pytest.raises(TypeError, match="an int, a str or a UUID"):
        point_id("Product", key)


def test_digests_tell_contents_apart() -> None:
    assert digest_text("red") == digest_text("red")
    assert len(digest_text("red")) == 32
    assert digest_text("red") != digest_text("Red")
    assert digest_text("\ud800") != digest_text("?")
    assert digest_payload({"a": 1, "b": [1, 2]}) == digest_payload({"b": [1, 2], "a": 1})
    contents: list[dict[str, object]] = [
        {"a": 1},
        {"a": 1.0},
        {"a": "1"},
        {"a": True},
        {"a": [1]},
        {"b": 1},
        {},
    ]
    assert len({digest_payload(content) for content in contents}) == len(contents)


def test_a_point_carries_its_record_and_what_it_was_made_of() -> None:
    record = thing("a", title="Red shoe", brand="Acme", tags=[], photo="shoe.jpg")
    point = to_point(
        record, {"fused": vector(1)}, references={"photo": "data/shoe.jpg"}, picture="p1", text="t1", at=AT
    )
    values = {"key": "a", "title": "Red shoe", "brand": "Acme", "tags": [], "photo": "data/shoe.jpg"}
    assert point.id == point_id("Thing", "a")
    assert stored_values(record, {"photo": "data/shoe.jpg"}) == values
    assert point.payload == {
        **values,
        "_schema": "Thing",
        "_payload": digest_payload(values),
        "_picture": "p1",
        "_text": "t1",
        "_at": "2026-11-01T12:00:00.000000Z",
        "_present": ["tags"],
    }
    assert digests(point) == Digests("p1", "t1", digest_payload(values))
    assert schema_name(point) == "Thing"


def test_a_picture_without_reference_is_present_all_the_same() -> None:
    point = to_point(thing("a", photo=b"bytes"), {"fused": vector(1)}, references={"photo": None}, at=AT)
    assert point.payload["_present"] == ["photo"]
    assert "photo" not in point.payload
    assert digests(point).picture is None


def test_a_record_comes_back_as_its_class() -> None:
    record = thing("a", title="Red shoe", price=1.5, seen=AT, tags=["a"], photo="x.jpg")
    back = to_record(to_point(record, {}, references={"photo": "x.jpg"}, at=AT), Thing)
    assert back == record
    assert to_record(to_point(Other(key=7, title="t"), {}, at=AT), Other) == Other(key=7, title="t")


def test_moments_are_written_in_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=2))
    assert rfc3339(dt.datetime(2026, 1, 1, 1, 0, tzinfo=east)) == "2025-12-31T23:00:00.000000Z"
    assert rfc3339(dt.datetime(2026, 1, 1, 1, 0)) == "2026-01-01T01:00:00.000000Z"


def test_payload_indexes_come_from_the_types() -> None:
    assert payload_indexes([Thing]) == {
        "_schema": "keyword",
        "_present": "keyword",
        "_version": "integer",
        "_deleted": "bool",
        "key": "keyword",
        "title": "text",
        "brand": "keyword",
        "price": "float",
        "stock": "integer",
        "new": "bool",
        "seen": "datetime",
        "day": "datetime",
        "batch": "uuid",
        "colour": "keyword",
        "grade": "integer",
        "size": "keyword",
        "tags": "keyword",
        "sizes": "integer",
        "ratings": "float",
        "days": "datetime",
    }


def test_one_name_with_two_types_gets_no_index() -> None:
    class Poster(Schema):
        key: Id
        photo: Blob[BlobSource | None, Any]
        price: Field[str]
        title: Text

    found = payload_indexes([Thing, Poster])
    assert "price" not in found
    assert found["title"] == "text"
