"""The command line as a whole: what it prints where, what it imports, how it is interrupted, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connector import cli
from tests.commands.conftest import ingest, run, target
from tests.conftest import Shop, until

__all__ = ["target"]  # a fixture of another folder's


def test_ingest_then_search_get_count_remove(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ingest() == 0
    assert capsys.readouterr().out.startswith("20 read: 20 new, 0 changed, 0 unchanged, 0 rejected in ")
    assert Path("connector.qdrant", "product").is_dir()

    assert run("search", target, "blue hat 10", "--handler", "stand-in", "--limit", "2") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "a10  blue hat 10  brand=Acme  price=10.0" in first
    assert second

    assert run("get", target, "a3") == 0
    assert "title: yellow mug 3\n" in capsys.readouterr().out
    assert run("count", target, "--where", "price < 5 and brand in ('Acme', 'Nobody')") == 0
    assert capsys.readouterr().out == "3\n"
    assert run("remove", target, "a3", "a4", "nobody") == 0
    assert capsys.readouterr().out == "2\n"
    assert run("count", target) == 0
    assert capsys.readouterr().out == "18\n"


def test_json_everywhere(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*arguments: str) -> Any:
        assert run(*arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    report = printed("ingest", target, "feed.jsonl", "--handler", "stand-in")
    assert set(report) == {"read", "new", "changed", "unchanged", "rejected", "deleted", "seconds"}
    hits = printed("search", target, "--image", "p7.png", "--handler", "stand-in", "--limit", "1")
    assert [(hit["id"], hit["schema"], hit["record"]["title"]) for hit in hits] == [
        ("a7", "Product", "purple mug 7")
    ]
    assert hits[0]["parts"]["image"] == pytest.approx(1.0, abs=1e-4)
    assert printed("get", target, "a3")["price"] == 3.0
    assert printed("count", target) == {"count": 20}
    assert printed("remove", target, "a3") == {"removed": 1}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_standard_output_cannot_write_is_escaped_and_json_stays_json(
    target: str, shop: Shop, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    def printed(*arguments: str) -> str:
        written = io.BytesIO()
        with io.TextIOWrapper(written, encoding) as out, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            assert run(*arguments) == 0
            out.flush()
            return written.getvalue().decode(encoding)

    title = "赤い 🎩, café"
    Path("feed.jsonl").write_text(json.dumps(shop.row(0, title=title)) + "\n", encoding="utf-8")
    assert ingest() == 0
    get, search = ("get", target, "a0"), ("search", target, title, "--handler", "stand-in")
    assert json.loads(printed(*get, "--json"))["title"] == title
    assert json.loads(printed(*search, "--json"))[0]["record"]["title"] == title
    escaped = title.encode(encoding, "backslashreplace").decode(encoding)
    assert f"title: {escaped}\n" in printed(*get)
    assert f"  {escaped}  " in printed(*search)


WRONG: list[tuple[list[str], str]] = [
    (["count", "myshop"], "module:attribute"),
    (["count", "nomodule:space"], "no module 'nomodule'"),
    (["count", "myshop:spaec"], "Did you mean myshop:space?"),
    (["count", "myshop:number"], "is a int, not an ImageSpace"),
    (["count", "myshop:space", "--where", "prcie < 5"], "price"),
    (["count", "myshop:space", "--qdrant", "ftp://x"], "cannot be opened"),
    (["count", "myshop:space", "--collection", "a/b"], "cannot name a collection"),
    (["search", "myshop:space", "--handler", "stand-in"], "nothing to search for"),
    (
        ["search", "myshop:space", "x", "--handler", "stand_off"],
        "Use one of sentence-transformers, open-clip, dinov2, ",
    ),
    (["search", "myshop:space", "x", "--weights", "1", "--handler", "stand-in"], "two numbers"),
    (["ingest", "myshop:space", "feed.xlsx", "--handler", "stand-in"], "unknown kind"),
    (["ingest", "myshop:space", "feed.jsonl", "--report", "no/such/folder.json"], "Create it first"),
    (["ingest", "myshop:space", "feed.jsonl", "--rejects", "no/such/folder.jsonl"], "cannot be written"),
    (["ingest", "myshop:space"], "Missing argument"),
    (["search", "myshop:space", "x", "--limit", "0"], "limit"),
    (["unheard-of"], "No such command"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_a_wrong_command_exits_with_2_and_says_what_to_write(
    target: str, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    Path("feed.xlsx").touch()
    assert run(*arguments) == 2
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert told in err
    assert "Traceback" not in err


UNREACHABLE: list[tuple[list[str], str]] = [
    (["ingest", "myshop:space", "gone.jsonl", "--handler", "stand-in"], "'gone.jsonl' was not found"),
    (["search", "myshop:space", "mug", "--handler", "stand-in"], "There is no collection 'product'"),
    (["ingest", "myshop:space", "feed.jsonl", "--model", "./no-such-model"], "no-such-model"),
]


@pytest.mark.parametrize(("arguments", "told"), UNREACHABLE, ids=[told for _, told in UNREACHABLE])
def test_what_cannot_be_reached_exits_with_3(
    target: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert run(*arguments) == 3
    assert told in capsys.readouterr().err


def test_a_folder_that_another_process_has_open_exits_with_3(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from connector import Connector, ModelHandler
    from tests.conftest import SPACE

    ingest()
    with Connector(SPACE.with_model(model_handler=ModelHandler.STAND_IN), "connector.qdrant") as holder:
        assert holder.count() == 20
        code = "import sys; from connector.cli import main; sys.exit(main(['count', 'myshop:space']))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=_environment()
        )
    assert done.returncode == 3
    assert "another process" in done.stderr or "locked" in done.stderr.lower()


def test_a_module_that_fails_to_import_shows_its_own_error(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken_shop.py").write_text("import no_such_library\n", encoding="utf-8")
    assert run("count", "broken_shop:space") == 3
    assert "No module named 'no_such_library'" in capsys.readouterr().err


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}


def _module(code: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    "command",
    [["--help"], ["count", "myshop:space"], ["get", "myshop:space", "a1"], ["remove", "myshop:space", "a1"]],
)
def test_commands_that_embed_nothing_never_import_torch(target: str, command: list[str]) -> None:
    ingest()
    done = _module(f"""
import sys
from connector.cli import main
code = main({command!r})
print("heavy:", [name for name in ("torch", "transformers", "qdrant_client", "open_clip", "sentence_transformers") if name in sys.modules], code)
""")
    assert "heavy: [] 0" in done.stdout


def test_the_stand_in_ingests_without_torch(target: str) -> None:
    done = _module("""
import sys
from connector.cli import main
code = main(["ingest", "myshop:space", "feed.jsonl", "--handler", "stand-in"])
print("heavy:", [name for name in ("torch", "transformers", "qdrant_client") if name in sys.modules], code)
""")
    assert "heavy: [] 0" in done.stdout


def test_the_echo_of_a_sigterm_is_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = SimpleNamespace(sleep=lambda seconds: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(cli, "time", echo)
    signal.signal(signal.SIGTERM, cli._terminate)
    with pytest.raises(cli.Terminated):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_cleanly_and_the_next_one_finishes_it(
    target: str, shop: Shop, number: signal.Signals, code: int
) -> None:
    """The feed comes through a pipe that stays open, so the run is surely not over when the signal comes."""
    arguments = [sys.executable, "-m", "connector", "ingest", target, "-", "--handler", "stand-in"]
    files = ["--report", "report.json", "--rejects", "rejects.jsonl"]
    process = subprocess.Popen(
        [*arguments, *files], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()
    )
    assert process.stdin is not None
    for line in Path("feed.jsonl").read_text(encoding="utf-8").splitlines() * 30:
        process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()
    collection = Path("connector.qdrant", "product", "collection.json")
    until(lambda: collection.exists() or process.poll() is not None)
    begun = collection.exists()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert begun, err
    assert process.returncode == code, err
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert report["read"] == report["new"] + report["changed"] + report["unchanged"] + report["rejected"]
    assert ingest() == 0
    assert run("count", target, "--json") == 0
