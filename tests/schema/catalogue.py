"""Schemas that the tests of this folder share."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Literal
from uuid import UUID

from connector.schema.fields import Blob, BlobSource, Field, Id, Text, field
from connector.schema.schema import Schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text
    brand: Field[str]
    price: Field[float]


class Everything(Schema):
    """One field of every kind, all but three of them optional."""

    key: Id
    photo: Blob
    title: Text
    note: Text[str | None] = field(default=None)
    back: Blob[BlobSource | None] = field(default=None)
    word: Field[str | None] = field(default=None)
    count: Field[int | None] = field(default=None)
    price: Field[float | None] = field(default=None)
    sold: Field[bool | None] = field(default=None)
    when: Field[dt.datetime | None] = field(default=None)
    day: Field[dt.date | None] = field(default=None)
    serial: Field[UUID | None] = field(default=None)
    colour: Field[Colour | None] = field(default=None)
    season: Field[Literal["summer", "winter"] | None] = field(default=None)
    level: Field[Literal[1, 2, 3] | None] = field(default=None)
    tags: Field[list[str]] = field(default_factory=list)
    sizes: Field[tuple[int, ...] | None] = field(default=None)


PRODUCT: dict[str, object] = {
    "sku": "a1",
    "photo": "shoe.jpg",
    "title": "Red canvas shoe",
    "brand": "Acme",
    "price": 59.0,
}

BARE: dict[str, object] = {"key": "k", "photo": "p.jpg", "title": "A thing"}
