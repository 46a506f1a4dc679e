"""The command line: what it prints where, its files, and its exit codes."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(autouse=True)
def _undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("CONNECTOR_", "QDRANT_")):
            monkeypatch.delenv(name)


@pytest.fixture
def target(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's own in the working directory, and the feed beside it."""
    (shop.folder / "myshop.py").write_text(SHOP_MODULE, encoding="utf-8")
    rows = shop.rows(20)
    (shop.folder / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "myshop:space"
    sys.modules.pop("myshop", None)


def run(*arguments: str) -> int:
    return main(arguments)


def ingest(*more: str) -> int:
    return run("ingest", "myshop:space", "feed.jsonl", "--handler", "stand-in", *more)


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


def test_one_schema_of_several_is_named(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("ingest", "myshop:both", "feed.jsonl", "--handler", "stand-in", "--schema", "Product")
    assert run(*arguments) == 0
    assert run("count", "myshop:both", "--schema", "Article") == 0
    assert capsys.readouterr().out.endswith("\n0\n")
    assert run("count", "myshop:both", "--where", "price < 3") == 2
    assert run("count", "myshop:both", "--schema", "Nothing") == 2
    assert "the space holds Product, Article" in capsys.readouterr().err


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


def test_get_of_a_record_that_is_not_there_exits_with_1(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("get", target, "nobody") == 1
    assert "There is no record 'nobody'" in capsys.readouterr().err


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
    deadline = time.monotonic() + 60
    while not Path("connector.qdrant", "product", "collection.json").exists() and time.monotonic() < deadline:
        os.sched_yield()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert report["read"] == report["new"] + report["changed"] + report["unchanged"] + report["rejected"]
    assert ingest() == 0
    assert run("count", target, "--json") == 0
