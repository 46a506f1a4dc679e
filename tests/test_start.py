"""What a command imports before it can answer: nothing that it does not need."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from connector import Connector
from tests.conftest import SPACE, Shop

SCHEMA = """
from connector import Blob, Id, ImageSpace, Schema, Text

class Thing(Schema):
    key: Id
    photo: Blob
    title: Text

space = ImageSpace(Thing.photo + Thing.title, model="demo")
"""
LIBRARIES = (
    "transformers", "sentence_transformers", "open_clip", "timm", "torchvision", "qdrant_client", "grpc", "huggingface_hub",
    "fastapi", "starlette", "uvicorn", "pandas", "pyarrow", "sklearn", "scipy",
)  # fmt: skip


def after(*commands: list[str], folder: Path) -> set[str]:
    """Run commands in one fresh process; the top-level modules that it has loaded in the end."""
    code = f"""
import sys
from connector.cli import main
codes = [main(command) for command in {list(commands)!r}]
print("loaded:", *sorted({{name.partition(".")[0] for name in sys.modules}}))
sys.exit(any(codes))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two things in a collection, and what the run that stored them loaded."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "things.py").write_text(SCHEMA, encoding="utf-8")
    for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        Image.new("RGB", (90, 70), colour).save(folder / f"{name}.png")
    rows = [
        f'{{"key": "{name}", "photo": "{name}.png", "title": "{name} mug"}}\n' for name in ("red", "blue")
    ]
    (folder / "feed.jsonl").write_text("".join(rows), encoding="utf-8")
    loaded = after(["ingest", "things:space", "feed.jsonl", "--quiet"], folder=folder)
    assert "torch" in loaded
    assert not loaded & {*LIBRARIES} - {"pyarrow"}
    return folder


def test_searches_with_the_demo_model_import_no_model_library(stocked: Path) -> None:
    queries = [["red mug"], ["--image", "red.png"], ["a mug", "--image", "blue.png"]]
    loaded = after(*(["search", "things:space", *query] for query in queries), folder=stocked)
    assert "torch" in loaded
    assert not loaded & {*LIBRARIES}


def test_what_embeds_nothing_imports_no_torch(stocked: Path) -> None:
    loaded = after(
        ["--help"],
        ["search", "--help"],
        ["count", "things:space"],
        ["get", "things:space", "red"],
        ["remove", "things:space", "nobody"],
        ["search", "things:space", "--like", "red"],
        ["ingest", "things:space", "feed.jsonl"],
        ["sync", "things:space", "feed.jsonl"],
        ["sync", "things:space", "feed.jsonl", "--dry-run"],
        ["verify", "things:space", "feed.jsonl"],
        folder=stocked,
    )
    assert not loaded & {"torch", *LIBRARIES}


def test_a_search_by_words_opens_no_picture_library(stocked: Path) -> None:
    assert "PIL" not in after(["search", "things:space", "red mug"], folder=stocked)


def test_the_first_search_after_an_ingest_does_not_look_at_the_probes_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr("connector.collection.check", lambda name, *_: looked.append(name))
    now = dt.datetime.now(dt.UTC)
    with Connector(SPACE, shop.folder / "store") as connector:
        connector.ingest(shop.rows(2), base=shop.folder)
    with Connector(SPACE, shop.folder / "store", clock=lambda: now + dt.timedelta(hours=20)) as connector:
        assert connector.search("red mug")
        assert looked == []
    with Connector(SPACE, shop.folder / "store", clock=lambda: now + dt.timedelta(hours=30)) as connector:
        assert connector.search("red mug")
        assert looked == ["product"]
