"""A schema with a field of every kind, records of it with gaps, and points made of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import random
import uuid
from typing import Any, Literal

import numpy as np

from connector.schema.fields import Blob, BlobSource, Field, Id, Text
from connector.schema.schema import Schema
from connector.store.points import payload_indexes, to_point
from connector.store.store import CollectionSpec, FloatVector, Point

LENGTH = 8
VECTORS = ("fused", "image", "text")
AT = dt.datetime(2026, 11, 1, 12, 0, tzinfo=dt.UTC)
WORDS = (
    "red",
    "RED",
    "Canvas",
    "shoe",
    "größe",
    "42",
    "shoe_lace",
    "in",
    "ŞİK",
    "naïve",
    "漢字",
    "x",
    "Ελλάδα",
)


class Colour(enum.Enum):
    """An Enum of strings."""

    RED = "red"
    BLUE = "blue"


class Grade(enum.Enum):
    """An Enum of numbers."""

    LOW = 1
    HIGH = 2


class Thing(Schema):
    """A field of every kind, nearly all optional."""

    key: Id
    photo: Blob[BlobSource | None, Any]
    title: Text[str | None, Any]
    brand: Field[str | None]
    price: Field[float | None]
    stock: Field[int | None]
    new: Field[bool | None]
    seen: Field[dt.datetime | None]
    day: Field[dt.date | None]
    batch: Field[uuid.UUID | None]
    colour: Field[Colour | None]
    grade: Field[Grade | None]
    size: Field[Literal["S", "M", "L"] | None]
    tags: Field[list[str] | None]
    sizes: Field[list[int] | None]
    ratings: Field[list[float] | None]
    days: Field[list[dt.date] | None]


class Other(Schema):
    """Another schema in the same collection."""

    key: Id
    title: Text


def spec(name: str = "things", **metadata: object) -> CollectionSpec:
    """A collection for both schemas, with few payload indexes: on a busy disk each takes its time."""
    return CollectionSpec(
        name=name,
        length=LENGTH,
        vectors=VECTORS,
        indexes={"_schema": "keyword", "title": "text"},
        metadata={"made_by": "tests", **metadata},
    )


def full_spec() -> CollectionSpec:
    """A collection with every payload index of both schemas."""
    return dataclasses.replace(spec(), indexes=payload_indexes([Thing, Other]))


def vector(seed: int, length: int = LENGTH) -> FloatVector:
    """A float32 vector of length one."""
    values = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    return values / np.float32(np.linalg.norm(values))


def thing_point(record: Thing, seed: int = 0) -> Point:
    """The point of a record with all three vectors."""
    vectors = {name: vector(seed * 3 + place) for place, name in enumerate(VECTORS)}
    return to_point(record, vectors, references={"photo": None}, picture="d1", at=AT)


def thing(key: str | int, **values: object) -> Thing:
    """A Thing with what is given, and gaps."""
    gaps = dict.fromkeys(name for name in Thing.__definition__.all if name != "key")
    return Thing(key=key, **{**gaps, **values})  # type: ignore[arg-type]  # checked at run time


def points(count: int, start: int = 0) -> list[Point]:
    """Points of plain Things."""
    return [thing_point(thing(f"k{n}", stock=n, brand=f"b{n % 3}"), n) for n in range(start, start + count)]


def random_things(count: int, seed: int) -> list[Thing]:
    """Things with about a third of their values missing, from few values so that conditions hit."""
    draw = random.Random(seed)
    moment = dt.datetime(2026, 5, 1, 10, 0, 0, 123456, tzinfo=dt.UTC)

    def some(values: list[Any]) -> list[Any]:
        return draw.sample(values, draw.randint(0, len(values)))

    choices: dict[str, Any] = {
        "photo": lambda: draw.choice([b"bytes", "photo.jpg"]),
        "title": lambda: " ".join(["x", *draw.choices(WORDS, k=3)]),
        "brand": lambda: draw.choice(["Acme", "Bolt & Co", "", "acme", "Acme shoe"]),
        "price": lambda: draw.choice([0.0, 0.1, 0.30000000000000004, 0.3, 59.0, -1.5]),
        "stock": lambda: draw.choice([0, 1, -1, 5, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]),
        "new": lambda: draw.choice([True, False]),
        "seen": lambda: moment + draw.choice([-1, 0, 1]) * dt.timedelta(microseconds=1),
        "day": lambda: moment.date() + dt.timedelta(days=draw.randint(-1, 1)),
        "batch": lambda: uuid.UUID(int=draw.randint(0, 2)),
        "colour": lambda: draw.choice(list(Colour)),
        "grade": lambda: draw.choice(list(Grade)),
        "size": lambda: draw.choice(["S", "M", "L"]),
        "tags": lambda: some(["a", "b", "c d"]),
        "sizes": lambda: some([1, 2, 2**53 + 1]),
        "ratings": lambda: some([0.5, 1.0, 0.1]),
        "days": lambda: some([moment.date(), dt.date(1999, 12, 31)]),
    }
    return [
        thing(
            n if n % 2 else str(n),
            **{name: make() for name, make in choices.items() if draw.random() > 0.35},
        )
        for n in range(count)
    ]
