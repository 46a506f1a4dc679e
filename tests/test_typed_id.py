"""An id as typed: text first, then the number or the UUID of the same characters."""

from __future__ import annotations

import uuid

from connector import Blob, Connector, Field, Id, ImageSpace, ModelHandler, Schema, Text
from connector.typed_id import existing_id
from tests.conftest import Opened, Shop


class Tagged(Schema):
    """A schema whose ids are UUIDs."""

    key: Id[uuid.UUID]
    photo: Blob[str | bytes | None]
    title: Text[str | None]
    note: Field[str | None]


def test_text_comes_before_a_number_and_a_number_only_where_it_is_stored(opened: Opened, shop: Shop) -> None:
    connector = opened()
    rows = [shop.row(0, sku=sku, photo=None) for sku in ("1", 1, 2, "03")]
    assert connector.ingest(rows).new == 4
    assert existing_id(connector, "1") == "1"
    assert existing_id(connector, "2") == 2
    assert existing_id(connector, "3") == "3"
    assert existing_id(connector, "03") == "03"
    for typed in ("", "--5", " 2", "2 ", "+2", "²", "1_0", "9" * 5000, "a\0b", "zz"):
        assert existing_id(connector, typed) == typed


def test_a_uuid_is_found_by_its_text() -> None:
    space = ImageSpace(Tagged.photo + Tagged.title, model_handler=ModelHandler.STAND_IN)
    key = uuid.UUID("0b2c6f1e-8d5a-4c53-9f0e-2f6d1a7b9c11")
    with Connector(space, ":memory:") as connector:
        assert connector.ingest([{"key": key, "title": "red mug"}]).new == 1
        assert existing_id(connector, str(key)) == key
        found = connector.get(existing_id(connector, str(key)))
        assert found is not None
        assert found.title == "red mug"
