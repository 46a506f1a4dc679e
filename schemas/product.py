"""A product of a shop: `connector ingest schemas.product:space feed.jsonl`."""

from connector import Blob, Field, Id, ImageSpace, Schema, Text, field


class Product(Schema):
    """One product with its picture and its title, and what a shop filters by."""

    sku: Id
    photo: Blob
    title: Text
    brand: Field[str | None]
    category: Field[str | None]
    price: Field[float | None]
    in_stock: Field[bool] = field(default=True)
    tags: Field[list[str] | None]
    url: Field[str | None]


space = ImageSpace(Product.photo + Product.title)
