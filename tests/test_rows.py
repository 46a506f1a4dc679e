"""What is no path passes through as it comes; what is no source is refused with the cure."""

import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connector.errors import DataError, SourceUnavailable
from connector.rows import open_rows
from tests.sources.wares import ENTRY, ROWS


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    rows = open_rows("-", ENTRY)
    assert list(rows) == ROWS
    assert rows.base == Path.cwd()


def test_iterables_pass_through_and_are_not_read_ahead() -> None:
    def rows() -> Iterator[Mapping[str, Any]]:
        yield ROWS[0]
        raise AssertionError("read too far")

    assert next(iter(open_rows(rows(), ENTRY))) == ROWS[0]


def test_a_missing_source_says_where_it_was_looked_for() -> None:
    with pytest.raises(SourceUnavailable, match=r"'no/such.jsonl' was not found.*start from"):
        open_rows("no/such.jsonl", ENTRY)


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feed.xlsx").touch()
    with pytest.raises(DataError, match=r"unknown kind.*\.jsonl, \.csv or \.parquet"):
        open_rows(tmp_path / "feed.xlsx", ENTRY)


@pytest.mark.parametrize("source", [{"sku": "a"}, 5])
def test_what_is_no_source_is_refused_with_the_cure(source: Any) -> None:
    with pytest.raises(DataError, match="Pass a list of rows"):
        open_rows(source, ENTRY)
