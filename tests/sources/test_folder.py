"""A folder of pictures gives one row per picture, and a sidecar that cannot be read is one rejection."""

from pathlib import Path

import pytest

from connector.errors import RecordError
from connector.rows import open_rows
from tests.sources.wares import ENTRY, read


def test_a_folder_of_pictures_with_sidecars(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "sub/c.webp", ".hidden.jpg", ".git/d.jpg", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a.txt").write_text("  a red mug\n", encoding="utf-8")
    (tmp_path / "b.jpg.txt").write_text("a blue mug", encoding="utf-8")
    (tmp_path / "b.json").write_text('{"price": 3}', encoding="utf-8")
    rows = open_rows(tmp_path, ENTRY)
    assert list(rows) == [
        {"sku": "a.PNG", "photo": "a.PNG", "title": "a red mug"},
        {"sku": "b.jpg", "photo": "b.jpg", "title": "a blue mug", "price": 3},
        {"sku": "sub/c.webp", "photo": "sub/c.webp"},
    ]
    assert rows.base == tmp_path
    assert rows.progress() == 1.0


@pytest.mark.parametrize("sidecar", [b"\xff\xfe\x00", b""], ids=["not UTF-8", "empty"])
def test_a_text_sidecar_that_cannot_be_read_is_one_rejection(tmp_path: Path, sidecar: bytes) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").touch()
    (tmp_path / "a.txt").write_bytes(sidecar)
    first, second = read(tmp_path)
    if sidecar:
        assert isinstance(first, RecordError)
        assert first.id == "a.jpg"
    else:
        assert first["title"] == ""
    assert second == {"sku": "b.jpg", "photo": "b.jpg"}


@pytest.mark.parametrize("text", ["[1]", "{", "3"])
def test_a_json_sidecar_that_is_no_object_is_one_rejection(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    (row,) = read(tmp_path)
    assert isinstance(row, RecordError)
    assert "sidecar of 'a.jpg'" in str(row)
