"""A query's rows are streamed as they are, nothing is written, and no message shows a password."""

import datetime as dt
import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from connector import Blob, Connector, Field, Id, ImageSpace, ModelHandler, Schema, Text, field
from connector.errors import DataError, RecordError, SourceUnavailable
from connector.rows import Rows
from connector.schema.schema import parse
from connector.sources import open_source
from connector.sources.sql import _scrubbed
from tests.conftest import Shop


class Item(Schema):
    sku: Id
    photo: Blob[str | bytes]
    title: Text[str | None]
    price: Field[float | None]
    in_stock: Field[bool] = field(default=True)
    added: Field[dt.date | None]
    tags: Field[list[str]] = field(default=[])


ITEMS = ImageSpace(Item.photo + Item.title, model_handler=ModelHandler.STAND_IN)
ALL = "SELECT * FROM items ORDER BY sku"
Ask = Callable[..., Rows]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A small shop in SQLite."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE items (sku, photo, title, price NUMERIC, in_stock INT, added TEXT, tags TEXT)"
        )
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                ("a", "p0.png", "Größe 100% 'rot'", 1.5, 1, "2026-03-01", '["new", "red"]'),
                ("b", b"\x89PNG", None, None, 0, None, None),
            ],
        )
    connection.close()
    return path


@pytest.fixture
def ask(database: Path) -> Ask:
    """Ask that shop a query."""

    def open_it(query: str | None = ALL, **options: Any) -> Rows:
        rows = open_source(f"sqlite:///{database}", ITEMS.entries[0], query=query, **options)
        assert rows is not None
        return rows

    return open_it


def test_a_query_gives_its_rows_by_column_name(ask: Ask, database: Path) -> None:
    with ask() as rows:
        assert rows.base == database.parent
        assert list(rows) == [
            {
                "sku": "a",
                "photo": "p0.png",
                "title": "Größe 100% 'rot'",
                "price": 1.5,
                "in_stock": 1,
                "added": "2026-03-01",
                "tags": ["new", "red"],
            },
            {"sku": "b", "photo": b"\x89PNG", "in_stock": 0},
        ]


def test_its_rows_fit_the_schema(ask: Ask) -> None:
    with ask() as rows:
        first, second = (parse(Item, row) for row in rows if not isinstance(row, RecordError))
    assert first.added == dt.date(2026, 3, 1)
    assert (second.in_stock, second.tags, second.price) == (False, [], None)


def test_relative_pictures_start_where_the_caller_says(ask: Ask, tmp_path: Path) -> None:
    with ask(base=tmp_path / "elsewhere") as rows:
        assert rows.base == tmp_path / "elsewhere"


def test_rows_are_read_as_they_are_needed(ask: Ask) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS sku FROM n"
    with ask(endless) as rows:
        assert list(itertools.islice(rows, 3)) == [{"sku": 1}, {"sku": 2}, {"sku": 3}]


def test_the_query_reaches_the_database_as_it_was_written(ask: Ask) -> None:
    """Neither `:name` nor `%` in it is taken for a parameter."""
    with ask("SELECT sku, ':x 10:30 %s' AS title FROM items WHERE title LIKE 'Gr%'") as rows:
        assert list(rows) == [{"sku": "a", "title": ":x 10:30 %s"}]


def test_text_that_is_no_utf_8_is_that_row_alone(ask: Ask) -> None:
    with ask("SELECT sku, CAST(x'61ff' AS TEXT) AS title, 'p.png' AS photo FROM items") as rows:
        row = next(iter(rows))
    with pytest.raises(RecordError, match="surrogates"):
        parse(Item, row)  # type: ignore[arg-type]  # a mapping, as the test above shows


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FROM itmes", "no such table: itmes"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("DELETE FROM items", "readonly"),
        ("SELECT sku, sku FROM items", "two columns named 'sku'"),
        ("PRAGMA foreign_keys = ON", "no rows"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused_and_changes_nothing(
    query: str, words: str, ask: Ask, database: Path
) -> None:
    before = database.read_bytes()
    with pytest.raises(DataError, match=words):
        ask(query)
    assert database.read_bytes() == before


def test_an_error_half_way_is_the_sources(ask: Ask) -> None:
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
        "SELECT i AS sku, CASE WHEN i = 150 THEN json('{') END AS x FROM n"
    )
    with ask(query) as rows:
        iterator = iter(rows)
        assert len(list(itertools.islice(iterator, 64))) == 64
        with pytest.raises(DataError, match="malformed JSON"):
            list(iterator)


def test_a_database_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"gone\.db' was not found"):
        open_source(f"sqlite:///{tmp_path}/gone.db", ITEMS.entries[0], query=ALL)
    assert not (tmp_path / "gone.db").exists()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("no database" * 100)
    with pytest.raises(SourceUnavailable, match="not a database"):
        open_source(f"sqlite:///{tmp_path}/shop.db", ITEMS.entries[0], query=ALL)


def test_a_database_without_a_query_and_a_query_without_a_database_are_refused(ask: Ask) -> None:
    with pytest.raises(DataError, match="--query 'SELECT"):
        ask(None)
    with pytest.raises(DataError, match="--query 'SELECT"):
        ask("  ")
    with pytest.raises(DataError, match="no database URL"):
        open_source("feed.jsonl", ITEMS.entries[0], query=ALL)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite://me:hunter2@host/shop.db", SourceUnavailable),
        ("postgres://me:hunter2@host/shop", DataError),
        ("postgresql://me:hunter2@host:port/shop", DataError),
        ("postgresql+nosuchdriver://me:hunter2@host/shop?sslpassword=hunter2", DataError),
    ],
)
def test_a_url_that_cannot_be_opened_is_refused_without_its_password(
    url: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        open_source(url, ITEMS.entries[0], query=ALL)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None  # so that no traceback shows it either


def test_what_a_driver_says_is_shown_without_what_the_url_keeps_secret() -> None:
    url = sqlalchemy.make_url("postgresql://me:h%40nter2@host/shop?sslpassword=other&sslmode=require")
    words = 'cannot connect with "h@nter2", "h%40nter2", PWD=x1;UID=me and other to host (sslmode require)'
    assert _scrubbed(OSError(words), url) == (
        'cannot connect with "***", "***", PWD=***;UID=me and *** to host (sslmode require)'
    )


def test_a_query_is_ingested_with_the_pictures_beside_the_database(shop: Shop) -> None:
    rows = shop.rows(4)
    path = shop.folder / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE items (sku, photo, title)")
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?)", [(row["sku"], row["photo"], row["title"]) for row in rows]
        )
    connection.close()
    opened = open_source(f"sqlite:///{path}", ITEMS.entries[0], query="SELECT * FROM items")
    assert opened is not None
    with Connector(ITEMS) as connector, opened:
        report = connector.ingest(
            [row for row in opened if not isinstance(row, RecordError)], base=opened.base
        )
    assert (report.new, report.rejected) == (4, 0)
