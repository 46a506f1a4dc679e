"""What is stored of a record, and the record that comes back."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import UUID

import pytest

from connector.errors import RecordError
from connector.schema.fields import Blob, Field, Id, Text, field
from connector.schema.schema import Schema, from_payload, parse, to_payload
from tests.schema.catalogue import BARE, Everything

FULL: dict[str, object] = BARE | {
    "note": "n",
    "word": "w",
    "count": 7,
    "price": 59,
    "sold": True,
    "when": dt.datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=dt.UTC),
    "day": dt.date(2026, 1, 31),
    "serial": UUID(int=5),
    "colour": "red",
    "season": "winter",
    "level": 2,
    "tags": ["a", "b"],
    "sizes": (42, 43),
}


def test_a_payload_is_json_without_blobs() -> None:
    payload = to_payload(parse(Everything, FULL))
    assert payload == {
        "key": "k",
        "title": "A thing",
        "note": "n",
        "word": "w",
        "count": 7,
        "price": 59.0,
        "sold": True,
        "when": "2026-01-31T12:00:00.000005Z",
        "day": "2026-01-31",
        "serial": "00000000-0000-0000-0000-000000000005",
        "colour": "red",
        "season": "winter",
        "level": 2,
        "tags": ["a", "b"],
        "sizes": [42, 43],
    }
    assert json.loads(json.dumps(payload)) == payload


def test_what_is_none_is_left_out() -> None:
    assert to_payload(parse(Everything, BARE)) == {"key": "k", "title": "A thing", "tags": []}


@pytest.mark.parametrize("row", [BARE, FULL])
def test_a_record_comes_back_equal(row: dict[str, object]) -> None:
    record = parse(Everything, row)
    stored = json.loads(json.dumps(to_payload(record))) | {"photo": "p.jpg"}
    assert from_payload(Everything, stored) == record


def test_a_blob_comes_back_as_the_reference_that_is_stored() -> None:
    assert from_payload(Everything, {"key": 1, "title": "t", "photo": "a.jpg"}).photo == "a.jpg"
    assert from_payload(Everything, {"key": 1, "title": "t"}).photo is None


def test_a_field_added_later_takes_its_default_and_never_fails() -> None:
    class Grown(Schema):
        key: Id
        photo: Blob
        stock: Field[int] = field(default=5)
        size: Field[int]
        note: Text[str | None]

    record: Any = from_payload(Grown, {"key": 1, "_schema": "Grown", "gone": 3})
    assert (record.stock, record.size, record.note) == (5, None, None)


def test_a_value_of_another_type_says_which_and_what_to_do() -> None:
    with pytest.raises(
        RecordError, match=r"^Everything 1: the stored count is 'many', but the schema now wants a whole"
    ):
        from_payload(Everything, {"key": 1, "count": "many"})
