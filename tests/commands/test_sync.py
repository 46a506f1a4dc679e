"""`connector sync`: what a dry run tells."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import SHOP_MODULE, ingest, run


def test_a_dry_run_shows_what_the_schema_would_change(
    target: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync_with(before: str, after: str) -> tuple[int, str]:
        Path("myshop.py").write_text(SHOP_MODULE.replace(before, after), encoding="utf-8")
        sys.modules.pop("myshop", None)
        importlib.invalidate_caches()
        code = run("sync", target, "feed.jsonl", "--handler", "stand-in", "--dry-run")
        return code, capsys.readouterr().err

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of one module within a second
    assert ingest() == 0
    capsys.readouterr()
    code, told = sync_with("price: Field[float | None]", "colour: Field[str | None]")
    assert code == 0
    assert "Product.colour (Field[str]) is new, with a payload index (keyword)" in told
    assert "Product.price (Field[float]) is dropped" in told
    code, told = sync_with("price: Field[float | None]", "price: Field[str | None]")
    assert code == 3
    assert "Cannot be applied: Product.price is Field[str], was Field[float]" in told
