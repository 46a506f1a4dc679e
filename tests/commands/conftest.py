"""A shop as a user of the command line has it: a module of theirs in the working directory, and a feed beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from connector.cli import main
from tests.conftest import Shop

SHOP_MODULE = """
from connector import Blob, Field, Id, ImageSpace, Schema, Text, field


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text[str | None]
    brand: Field[str | None]
    price: Field[float | None]
    tags: Field[list[str]] = field(default=[])


class Article(Schema):
    slug: Id
    cover: Blob


space = ImageSpace(Product.photo + Product.title)
both = ImageSpace([Product.photo + Product.title, Article.cover])
number = 5
"""


@pytest.fixture
def target(shop: Shop, no_settings: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's own in the working directory, and the feed beside it."""
    (shop.folder / "myshop.py").write_text(SHOP_MODULE, encoding="utf-8")
    rows = shop.rows(20)
    (shop.folder / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "myshop:space"
    sys.modules.pop("myshop", None)


def run(*arguments: str) -> int:
    """Run a command; its exit code."""
    return main(arguments)


def ingest(*more: str) -> int:
    """Run `connector ingest` of the feed, without a model; its exit code."""
    return run("ingest", "myshop:space", "feed.jsonl", "--handler", "stand-in", *more)
