"""What users write, and what both type checkers must accept as it stands."""

from __future__ import annotations

import datetime as dt
import enum
from pathlib import Path
from typing import Literal, assert_type
from uuid import UUID

from connector import Blob, BlobSource, Condition, Connector, Field, Hit, Id, ImageSpace, Schema, Text, field


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text
    brand: Field[str]
    price: Field[float]


space = ImageSpace(Product.photo + Product.title, model="clip-ViT-B-32")
assert_type(space, ImageSpace[Product])
shop = Connector(space, qdrant="./shop.qdrant")
shop.ingest([{"sku": "a1", "photo": "shoe.jpg", "title": "Red canvas shoe", "brand": "Acme", "price": 59.0}])

shop.search("red canvas shoes")
shop.search(image="worn.jpg")
for hit in shop.search("in leather", image="worn.jpg", where=Product.price < 80):
    print(f"{hit.score:.2f}  {hit.record.title}")
    assert_type(hit, Hit[Product])
    assert_type(hit.record.price, float)
assert_type(shop.search("shoes"), list[Hit[Product]])


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shoe(Product, unknown="refuse"):
    """Every type a field may have, defaults, and what may be missing."""

    serial: Field[UUID]
    size: Field[int]
    added: Field[dt.datetime]
    colour: Field[Colour]
    season: Field[Literal["summer", "winter"]] = field(default="summer")
    sold_out: Field[bool] = field(default=False)
    tags: Field[list[str]] = field(default_factory=list)
    sizes: Field[tuple[int, ...] | None] = field(default=None)
    launch: Field[dt.date | None] = field(default=None)
    note: Text[str | None] = field(default=None)
    back: Blob[BlobSource | None] = field(default=None)


class Photo(Schema):
    id: Id[int]
    image: Blob
    description: Text[str | None] = field(default=None)


shoe = Shoe(
    sku=17,
    photo=Path("shoe.jpg"),
    title="Red canvas shoe",
    brand="Acme",
    price=59,
    serial=UUID(int=1),
    size=43,
    added=dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
    colour=Colour.RED,
)
assert_type(shoe.sku, str | int)
assert_type(shoe.photo, BlobSource)
assert_type(shoe.price, float)
assert_type(shoe.colour, Colour)
assert_type(shoe.note, str | None)
assert_type(shoe.back, BlobSource | None)
assert_type(shoe.tags, list[str])
assert_type(shoe.launch, dt.date | None)
assert_type(Photo(id=1, image=b"...").id, int)

assert_type(Shoe.photo, Blob[BlobSource, Shoe])
assert_type(Shoe.price, Field[float])
assert_type(ImageSpace(Shoe.photo + Shoe.note), ImageSpace[Shoe])
assert_type(ImageSpace(Shoe.note + Shoe.back), ImageSpace[Shoe])
assert_type(ImageSpace(Photo.image), ImageSpace[Photo])
assert_type(ImageSpace([Photo.image + Photo.description, None]), ImageSpace[Photo])
both: ImageSpace[Product | Photo] = ImageSpace([Product.photo + Product.title, Photo.image])
assert_type(Connector(both, qdrant=":memory:").search("a shoe"), list[Hit[Product | Photo]])

conditions: list[Condition] = [
    (Product.price > 20) & (Product.price <= 80.5),
    (Product.brand == "Acme") | (Product.brand != "Bolt"),
    ~Product.brand.in_(["Acme", "Bolt"]) & Product.brand.not_in({"Volt"}),
    Product.sku == "a1",
    Product.sku == 17,
    Photo.id.in_([1, 2, 3]),
    Product.title.matches("red shoe"),
    Product.brand.matches("acme"),
    Shoe.added >= dt.datetime(2026, 1, 1),
    Shoe.launch < dt.date(2026, 1, 1),
    Shoe.colour == Colour.RED,
    Shoe.season == "winter",
    Shoe.sold_out == False,  # noqa: E712
    Shoe.tags.contains("canvas") & Shoe.sizes.contains(43),
    Shoe.note.is_none() | ~Shoe.back.is_none(),
]
