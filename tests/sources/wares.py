"""The schema and the rows that tests of sources read."""

import json
from pathlib import Path
from typing import Any

from connector.rows import open_rows
from connector.schema.fields import Blob, Field, Id, Text, field
from connector.schema.schema import Schema
from connector.space import ImageSpace, SpaceEntry


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text[str | None]
    price: Field[float | None]
    tags: Field[list[str]] = field(default=[])


ENTRY: SpaceEntry = ImageSpace(Product.photo + Product.title).entries[0]
ROWS: list[dict[str, Any]] = [
    {"sku": "a", "photo": "a.jpg", "title": 'Größe, 3 "Stück"', "price": 1.5},
    {"sku": "b", "photo": "b.jpg", "title": "zwei\nZeilen", "price": 2.0},
]


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(source: Any, **options: Any) -> list[Any]:
    return list(open_rows(source, ENTRY, **options))
