"""`connector get`: ids as they are typed, and those of no record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import run
from tests.conftest import Shop


def test_a_number_typed_as_id_finds_the_number(
    target: str, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("numbers.jsonl").write_text(
        json.dumps(shop.row(0, sku=17)) + "\n" + json.dumps(shop.row(1, sku="18")) + "\n", encoding="utf-8"
    )
    assert run("ingest", target, "numbers.jsonl", "--handler", "stand-in") == 0
    assert run("get", target, "17") == 0
    assert run("get", target, "18") == 0
    assert "sku: 17\n" in capsys.readouterr().out
    assert run("remove", target, "17", "18") == 0
    assert capsys.readouterr().out == "2\n"


def test_get_of_a_record_that_is_not_there_exits_with_1(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("get", target, "nobody") == 1
    assert "There is no record 'nobody'" in capsys.readouterr().err
