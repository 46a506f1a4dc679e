"""`connector search`: its page of hits, and what may be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import ingest, run


def test_a_gallery_page_holds_its_pictures_and_nothing_from_elsewhere(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest()
    arguments = [
        "search",
        target,
        "<b>mug & co</b>",
        "--image",
        "p3.png",
        "--handler",
        "stand-in",
        "--html",
        "hits.html",
    ]
    assert run(*arguments, "--limit", "5") == 0
    page = Path("hits.html").read_text(encoding="utf-8")
    assert page.count("<li>") == 5
    assert page.count("src='data:image/jpeg;base64,") == 6
    assert "&lt;b&gt;mug &amp; co&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert "Wrote hits.html" in capsys.readouterr().err


def test_a_path_that_is_typed_may_be_read_wherever_it_is(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest()
    elsewhere = tmp_path / "query.png"
    elsewhere.write_bytes(Path("p3.png").read_bytes())
    capsys.readouterr()
    assert run("search", target, "--image", str(elsewhere), "--handler", "stand-in", "--limit", "1") == 0
    assert "  a3  " in capsys.readouterr().out


def test_like_weights_and_paging(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    ingest()
    capsys.readouterr()
    assert (
        run(
            "search",
            target,
            "red",
            "--like",
            "a3",
            "--weights",
            "1,-0.5",
            "--offset",
            "1",
            "--limit",
            "3",
            "--handler",
            "stand-in",
        )
        == 0
    )
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    assert "  a3  " not in out
