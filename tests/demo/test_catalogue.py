"""The catalogue: rows and pictures agree, it is the same every time, and a second run changes no file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector.demo.catalogue import BRANDS, SIDE, title, write_catalogue
from connector.demo.drawings import PALETTE
from connector.demo.scene import COLOURS, PATTERNS, THINGS, Scene
from connector.demo.words import KNOWN_WORDS, plural, tokens

COUNT = 48


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("shop"), COUNT)


def rows_of(feed: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in feed.read_text(encoding="utf-8").splitlines()]


def test_a_row_has_what_a_product_has(feed: Path) -> None:
    rows = rows_of(feed)
    assert len(rows) == COUNT
    assert len({row["sku"] for row in rows}) == COUNT
    for row in rows:
        assert list(row) == ["sku", "photo", "title", "brand", "category", "price", "in_stock"]
        assert row["brand"] in BRANDS
        assert 1 < row["price"] < 1000
        assert round(row["price"], 2) == row["price"]
        assert isinstance(row["in_stock"], bool)
    assert {row["category"] for row in rows} == {
        "kitchen", "clothing", "outdoor", "home", "vehicles", "animals", "nature", "fun",
    }  # fmt: skip


def test_every_photo_is_a_picture_beside_the_feed_and_nothing_else_is_there(feed: Path) -> None:
    photos = {feed.parent / row["photo"] for row in rows_of(feed)}
    assert photos == set((feed.parent / "pictures").iterdir())
    for photo in photos:
        with Image.open(photo) as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (SIDE, SIDE), "RGB")


def test_a_title_and_its_picture_are_of_one_scene(feed: Path) -> None:
    for row in rows_of(feed):
        with Image.open(feed.parent / row["photo"]) as picture:
            drawn = picture.info["comment"].decode().split(": ")[1].split(",")[0]
        thing, colour, pattern, backdrop, copies, size = drawn.split("/")
        assert row["title"] == title(Scene(thing, colour, pattern, backdrop, int(copies), size))


def test_titles_use_words_the_model_knows_and_name_a_thing_and_a_colour(feed: Path) -> None:
    things = [*THINGS, *map(plural, THINGS)]
    for row in rows_of(feed):
        assert set(tokens(row["title"])) <= KNOWN_WORDS | {"t"}
        assert row["title"].split()[-1].lower() in things
        assert sum(colour in row["title"].lower().split() for colour in COLOURS) == 1


def test_a_title_tells_the_colour_of_its_picture(feed: Path) -> None:
    for row in rows_of(feed):
        colour = next(c for c in COLOURS if c in row["title"].lower().split())
        with Image.open(feed.parent / row["photo"]) as picture:
            pixels = np.asarray(picture).astype(int)
        near = (np.abs(pixels - np.array(PALETTE[colour])).max(axis=-1) < 26).mean()
        assert near > 0.005, row["title"]


def test_the_shop_is_varied_and_no_look_comes_twice(feed: Path) -> None:
    titles = [row["title"].lower().split() for row in rows_of(feed)]
    named = Counter(thing for words in titles for thing in THINGS if words[-1] in (thing, plural(thing)))
    assert set(named.values()) == {COUNT // len(THINGS)}
    assert len({c for words in titles for c in COLOURS if c in words}) >= 10
    assert {p for words in titles for p in PATTERNS[1:] if p in words} == set(PATTERNS[1:])
    looks = {
        (*(word for word in words[:-1] if word not in ("two", "three")), words[-1].rstrip("s"))
        for words in titles
    }
    assert len(looks) == COUNT


def test_a_second_run_touches_no_file(feed: Path) -> None:
    files = [feed, *sorted((feed.parent / "pictures").iterdir())]
    for file in files:
        os.utime(file, (1, 1))
    assert write_catalogue(feed.parent, COUNT) == feed
    assert {file.stat().st_mtime for file in files} == {1}


def test_another_folder_and_process_get_the_same_bytes(feed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "connector.demo.catalogue", str(tmp_path), "--count", "5"]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": "9"}
    )
    assert told.stdout == f"5 products in {tmp_path / 'feed.jsonl'}\n"
    assert rows_of(tmp_path / "feed.jsonl") == rows_of(feed)[:5]
    for row in rows_of(tmp_path / "feed.jsonl"):
        assert (tmp_path / row["photo"]).read_bytes() == (feed.parent / row["photo"]).read_bytes()


def test_a_missing_damaged_or_foreign_picture_is_drawn_again(tmp_path: Path) -> None:
    write_catalogue(tmp_path, 3)
    first, second, third = sorted((tmp_path / "pictures").iterdir())
    right = [file.read_bytes() for file in (first, second, third)]
    first.unlink()
    second.write_bytes(b"no picture")
    Image.new("RGB", (8, 8)).save(third)
    write_catalogue(tmp_path, 3)
    assert [file.read_bytes() for file in (first, second, third)] == right


def test_another_seed_is_another_shop_in_the_same_folder(tmp_path: Path) -> None:
    before = write_catalogue(tmp_path, 3).read_text(encoding="utf-8")
    picture = (tmp_path / "pictures" / "p0001.jpg").read_bytes()
    assert write_catalogue(tmp_path, 3, seed=8).read_text(encoding="utf-8") != before
    assert (tmp_path / "pictures" / "p0001.jpg").read_bytes() != picture


def test_a_catalogue_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0 products cannot be written. Give a count from 1"):
        write_catalogue(tmp_path, 0)


def test_titles_count_and_leave_plain_unsaid() -> None:
    assert title(Scene("bird", "grey", "checked", copies=3)) == "Three grey checked birds"
    assert title(Scene("t-shirt", "white")) == "White t-shirt"


def test_it_needs_no_torch() -> None:
    code = (
        "import sys, connector.demo.catalogue; print('torch' in sys.modules, 'qdrant_client' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]
