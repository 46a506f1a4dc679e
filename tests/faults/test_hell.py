"""Rows from hell: each is stored and comes back equal, or is rejected with a code; none is lost, none hurts another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector import Connector
from connector.report import Rejection
from tests.conftest import Opened
from tests.faults.hell import IDS, SPACE, TEXTS, Case, Thing, cases, deep, rows
from tests.faults.mix import RUNS

CASES = cases()
FIELDS = ("words", "note", "number", "count", "flag", "notes", "numbers")


def equal(row: dict[str, Any], record: Thing) -> bool:
    """Whether the record is what the row says, to the last bit."""
    return all(repr(getattr(record, name)) == repr(row.get(name)) for name in FIELDS)


def check(connector: Connector[Any], rejected: list[Rejection], wanted: list[Case]) -> None:
    """Every row is accounted for, and every one that was taken comes back."""
    codes = {rejection.row: rejection.code for rejection in rejected}
    assert codes == {row: case.code for row, case in enumerate(wanted) if case.code is not None}
    for case, row in zip(wanted, rows(wanted), strict=True):
        if case.code is None:
            record = connector.get(row["key"])
            assert record is not None, case.name
            assert (type(record.key), record.key) == (type(row["key"]), row["key"]), case.name
            assert equal(row, record), case.name
    assert connector.count() == sum(case.code is None for case in wanted)


@pytest.mark.parametrize("command", RUNS)
def test_each_is_taken_and_read_back_equal_or_rejected_with_a_code(opened: Opened, command: str) -> None:
    connector, rejected = opened(SPACE), list[Rejection]()
    report = getattr(connector, command)(rows(CASES), on_rejection=rejected.append)
    assert report.balances
    assert report.read == len(CASES)
    assert report.new == sum(case.code is None for case in CASES)
    check(connector, rejected, CASES)
    assert all(rejection.reason.isprintable() and len(rejection.reason) < 2000 for rejection in rejected), (
        "a reason is one line that a terminal can show"
    )
    assert all(json.loads(rejection.to_json())["code"] for rejection in rejected)


@pytest.mark.parametrize("command", RUNS)
def test_a_second_run_finds_all_of_them_unchanged(opened: Opened, command: str) -> None:
    connector = opened(SPACE)
    getattr(connector, command)(rows(CASES))
    again = getattr(connector, command)(rows(CASES))
    taken = sum(case.code is None for case in CASES)
    assert (again.new, again.changed, again.unchanged) == (0, 0, taken)
    assert again.balances
    # The one that the model refuses is tried again, and nothing else is.
    assert (again.embedded_images, again.embedded_texts) in ((0, 0), (0, 1))


def test_each_alone_meets_the_same_end(opened: Opened) -> None:
    connector = opened(SPACE)
    for case, row in zip(CASES, rows(CASES), strict=True):
        report = connector.ingest([row])
        assert (report.new, report.rejected) == ((1, 0) if case.code is None else (0, 1)), case.name
        assert list(report.codes) == ([] if case.code is None else [case.code]), case.name


def test_a_value_deeper_than_python_goes_is_one_rejection(opened: Opened) -> None:
    connector = opened(SPACE)
    report = connector.ingest(
        [{"key": "deep", "words": "w", "notes": deep(20_000)}, {"key": 1, "words": "w"}]
    )
    assert (report.new, report.rejected) == (1, 1)


def test_ids_that_look_alike_are_different_records(opened: Opened) -> None:
    connector = opened(SPACE)
    wanted = list(IDS.values())
    assert connector.ingest([{"key": key, "words": f"words {n}"} for n, key in enumerate(wanted)]).new == len(
        wanted
    )
    for number, key in enumerate(wanted):
        record = connector.get(key)
        assert record is not None
        assert record.words == f"words {number}"
    assert connector.remove(1) == 1
    assert connector.get("1") is not None
    assert connector.count() == len(wanted) - 1


def test_texts_are_found_again_by_themselves(opened: Opened) -> None:
    connector = opened(SPACE)
    short = {name: text for name, text in TEXTS.items() if len(text) < 1000}
    connector.ingest([{"key": name, "words": f"{text} {name}"} for name, text in short.items()])
    for name, text in short.items():
        assert connector.search(f"{text} {name}", limit=1)[0].id == name
        assert connector.count(Thing.words.matches("nothing of the kind")) == 0


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if len(text) < 1000])
def test_values_are_found_again_by_a_condition(opened: Opened, name: str) -> None:
    connector, text = opened(SPACE), TEXTS[name]
    connector.ingest([{"key": "it", "words": "some", "note": text}, {"key": "other", "words": "some"}])
    assert [hit.id for hit in connector.search("some", where=Thing.note == text)] == ["it"]


def test_json_lines_from_hell_are_read_like_rows(opened: Opened, tmp_path: Path) -> None:
    """What JSON can say: no bytes and no objects, but NaN, and half characters as escapes."""

    def plain(value: object) -> bool:
        return value is None or (isinstance(value, (str, int, float, list)) and not isinstance(value, bool))

    wanted = [
        case
        for case in CASES
        if all(plain(value) for value in case.row.values())
        and "deep" not in case.name
        and "much too" not in case.name
        and "numpy" not in case.name
    ]
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(row) + "\n" for row in rows(wanted)), encoding="ascii")
    connector, rejected = opened(SPACE), list[Rejection]()
    report = connector.ingest(feed, on_rejection=rejected.append)
    assert report.balances
    assert report.read == len(wanted)
    # Why a row cannot be taken may be found out sooner here, by the reader of JSON; that it cannot must not change.
    assert {rejection.row for rejection in rejected} == {
        row for row, case in enumerate(wanted) if case.code is not None
    }
    for case, row in zip(wanted, rows(wanted), strict=True):
        if case.code is None:
            record = connector.get(row["key"])
            assert record is not None, case.name
            assert equal(row, record), case.name
