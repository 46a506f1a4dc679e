"""Options and the environment: which one counts, and what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import run


def test_one_schema_of_several_is_named(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("ingest", "myshop:both", "feed.jsonl", "--handler", "stand-in", "--schema", "Product")
    assert run(*arguments) == 0
    assert run("count", "myshop:both", "--schema", "Article") == 0
    assert capsys.readouterr().out.endswith("\n0\n")
    assert run("count", "myshop:both", "--where", "price < 3") == 2
    assert run("count", "myshop:both", "--schema", "Nothing") == 2
    assert "the space holds Product, Article" in capsys.readouterr().err


def test_the_environment_gives_what_options_do_not(
    target: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", "./from-environment")
    monkeypatch.setenv("CONNECTOR_HANDLER", "stand-in")
    monkeypatch.setenv("CONNECTOR_COLLECTION", "things")
    assert run("ingest", target, "feed.jsonl") == 0
    assert Path("from-environment", "things").is_dir()
    assert run("count", target, "--qdrant", "./other") == 0
    assert capsys.readouterr().out.endswith("\n0\n")
    monkeypatch.setenv("CONNECTOR_MAX_BYTES", "lots")
    assert run("count", target) == 2
    assert "max_bytes" in capsys.readouterr().err
