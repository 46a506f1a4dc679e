"""`connector ingest`: its sources, and the files that it leaves behind."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import run
from tests.conftest import Shop


def test_report_and_rejects_files(target: str, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [shop.row(0), shop.row(1, photo="gone.png"), shop.row(2, price="cheap"), shop.row(3)]
    Path("bad.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows) + "not json\n", encoding="utf-8"
    )
    arguments = [
        "ingest",
        target,
        "bad.jsonl",
        "--handler",
        "stand-in",
        "--report",
        "report.json",
        "--rejects",
        "rejects.jsonl",
    ]
    assert run(*arguments) == 1
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert {key: value for key, value in report.items() if key != "seconds"} == {
        "read": 5, "new": 2, "changed": 0, "unchanged": 0, "rejected": 3, "deleted": 0,
    }  # fmt: skip
    rejects = [json.loads(line) for line in Path("rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [set(reject) for reject in rejects] == [{"row", "id", "field", "code", "reason"}] * 3
    assert [(r["row"], r["id"], r["field"], r["code"]) for r in rejects] == [
        (1, "a1", "photo", "blob_not_found"),
        (2, "a2", "price", "record_invalid"),
        (4, None, None, "record_invalid"),
    ]
    told = capsys.readouterr()
    assert "3 rejected" in told.out
    assert "2 × record_invalid, for example row 2: Product a2:" in told.err


def test_standard_input_and_a_folder_are_sources(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("feed.jsonl").read_bytes())))
    assert run("ingest", target, "-", "--handler", "stand-in") == 0
    assert run("ingest", target, ".", "--handler", "stand-in", "--collection", "folder") == 0
    assert run("search", target, "--image", "p3.png", "--handler", "stand-in", "--collection", "folder") == 0
