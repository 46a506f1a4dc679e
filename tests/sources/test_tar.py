"""WebDataset tars are read in one pass; hostile members are never read; a damaged tar never looks like a shorter one."""

import io
import itertools
import json
import logging
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from connector import Connector
from connector.errors import DataError, RecordError, SourceUnavailable
from connector.rows import Rows
from connector.sources import open_source
from tests.conftest import SPACE

ENTRY = SPACE.entries[0]


def write(path: Path, members: list[tuple[str, bytes]], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            add(tar, name, data)
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", **header: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in header.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(data))


def opened(source: Path | str, **options: Any) -> Rows:
    rows = open_source(str(source), ENTRY, **options)
    assert rows is not None
    return rows


def read(source: Path | str) -> list[Any]:
    with opened(source) as rows:
        return list(rows)


SAMPLES = [
    ("a/cat.jpg", b"JPEG"),
    ("a/cat.txt", b"\xef\xbb\xbfa cat\n"),
    ("a/cat.json", json.dumps({"price": 3, "tags": ["x"]}).encode()),
    ("a/dog.left.PNG", b"PNG"),
    ("b/bird.cls", b"7"),
    ("b/fish.json", json.dumps({"sku": "f1", "photo": "https://example.com/f.jpg"}).encode()),
]
ROWS = [
    {"sku": "a/cat", "photo": b"JPEG", "title": "a cat", "price": 3, "tags": ["x"]},
    {"sku": "a/dog", "photo": b"PNG"},
    {"sku": "f1", "photo": "https://example.com/f.jpg"},
]


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")],
)
def test_members_of_one_key_are_one_row(suffix: str, mode: str, tmp_path: Path) -> None:
    assert read(write(tmp_path / f"shard.{suffix}", SAMPLES, mode)) == ROWS


def test_a_range_of_tars_is_read_in_its_order(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"s-{number:03d}.tar", [(f"p{number}.jpg", b"x")])
    rows = read(tmp_path / "s-{000..011}.tar")
    assert [row["sku"] for row in rows] == [f"p{number}" for number in range(12)]
    assert [row["sku"] for row in read(tmp_path / "s-{00..01}{0..1}.tar")] == ["p0", "p1", "p10", "p11"]


def test_a_range_with_a_tar_missing_is_unavailable(tmp_path: Path) -> None:
    write(tmp_path / "s-0.tar", [("p.jpg", b"x")])
    with opened(tmp_path / "s-{0..1}.tar") as rows:
        iterator = iter(rows)
        assert next(iterator)
        with pytest.raises(SourceUnavailable, match=r"s-1\.tar' was not found"):
            next(iterator)
    with pytest.raises(DataError, match="smaller number first"):
        opened(tmp_path / "s-{5..1}.tar")


def test_a_tar_that_is_not_there_is_unavailable_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="was not found"):
        opened(tmp_path / "gone.tar")


def test_links_devices_and_folders_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "folder", type=tarfile.DIRTYPE)
        add(tar, "a.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "b.jpg", type=tarfile.LNKTYPE, linkname="c.jpg")
        add(tar, "d.jpg", type=tarfile.CHRTYPE)
        add(tar, "e.jpg", type=tarfile.FIFOTYPE)
        add(tar, "c.jpg", b"JPEG")
    with caplog.at_level(logging.WARNING, "connector"):
        assert read(path) == [{"sku": "c", "photo": b"JPEG"}]
    assert "4 links, devices or sparse files" in caplog.text


def test_a_sparse_file_that_claims_to_be_large_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        sparse = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.map": "0,1",
            "GNU.sparse.size": "9" * 12,
        }
        add(tar, "a.jpg", b"x", pax_headers=sparse)
        add(tar, "c.jpg", b"JPEG")
    assert read(path) == [{"sku": "c", "photo": b"JPEG"}]


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", "x\\..\\a.jpg"])
def test_a_name_that_leads_out_is_one_rejection(name: str, tmp_path: Path) -> None:
    first, second = read(write(tmp_path / "x.tar", [(name, b"x"), ("b.jpg", b"x")]))
    assert isinstance(first, RecordError)
    assert "leads out of its tar" in str(first)
    assert second == {"sku": "b", "photo": b"x"}


def test_hidden_files_and_a_leading_dot_slash_are_no_keys(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.tar", [("./a.jpg", b"x"), ("./._a.jpg", b"y"), ("./a.txt", b"words"), ("README", b"z")]
    )
    assert read(path) == [{"sku": "a", "photo": b"x", "title": "words"}]


def test_what_cannot_be_read_of_a_sample_is_one_rejection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.sources.tar.MEMBER_LIMIT", 10)
    members = [
        ("a.jpg", b"x" * 11),
        ("a.txt", b"fine"),
        ("b.jpg", b"x"),
        ("b.json", b"[1]"),
        ("c.jpg", b"x"),
        ("c.txt", b"\xff\xfe"),
        ("d.jpg", b"x"),
    ]
    rows = read(write(tmp_path / "x.tar", members))
    assert [type(row) for row in rows] == [RecordError, RecordError, RecordError, dict]
    assert [row.id for row in rows[:3]] == ["a", "b", "c"]
    assert "'a.jpg' could not be taken: it is larger than" in str(rows[0])


def test_a_second_picture_of_a_key_is_a_second_row(tmp_path: Path) -> None:
    """The run then names both rows; neither is lost in silence."""
    path = write(tmp_path / "x.tar", [("a.jpg", b"1"), ("a.txt", b"one"), ("a.jpg", b"2")])
    assert read(path) == [{"sku": "a", "photo": b"1", "title": "one"}, {"sku": "a", "photo": b"2"}]


def test_a_tar_cut_anywhere_is_never_a_shorter_tar(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.tar", SAMPLES).read_bytes()
    end = whole.rstrip(b"\x00")
    size = -(-len(end) // 512) * 512  # where the end mark begins
    path = tmp_path / "cut.tar"
    for cut in [*range(0, size, 128), size]:
        path.write_bytes(whole[:cut])
        with pytest.raises(SourceUnavailable, match="could not be read"):
            read(path)
    path.write_bytes(whole[: size + 512])  # one block of zeros is an end that tar accepts
    assert read(path) == ROWS


def test_a_damaged_header_is_never_the_end(tmp_path: Path) -> None:
    whole = bytearray(write(tmp_path / "whole.tar", SAMPLES).read_bytes())
    for block in range(0, len(SAMPLES) * 2):
        damaged = bytearray(whole)
        damaged[block * 512 + 150] ^= 0xFF  # in a header this is its checksum
        path = tmp_path / "damaged.tar"
        path.write_bytes(damaged)
        if block % 2 == 0:
            with pytest.raises(SourceUnavailable):
                read(path)


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_compressed_tar_that_was_cut_is_unavailable(mode: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"x.tar.{mode}", [(f"{n}.jpg", bytes([n]) * 999) for n in range(50)], f"w:{mode}")
    data = path.read_bytes()
    for part in (0.0, 0.3, 0.6, 0.9):
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(SourceUnavailable):
            read(path)


@pytest.mark.parametrize("data", [b"no tar at all", b"\x00" * 10_000 + b"x", b"\x1f\x8b" + b"x" * 500])
def test_what_is_no_tar_is_unavailable_or_empty(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    if data.startswith(b"\x00"):
        assert read(tmp_path / "x.tar") == []  # an end mark and nothing before it is an empty tar
    else:
        with pytest.raises(SourceUnavailable):
            read(tmp_path / "x.tar")


def test_a_header_that_claims_to_be_large_is_not_read_into_memory(tmp_path: Path) -> None:
    import gzip

    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 200 * 2**20
    with gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(200):
            file.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(SourceUnavailable, match="too long"):
        read(tmp_path / "x.tar.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20


def test_headers_of_headers_end_in_an_error(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 0
    (tmp_path / "x.tar").write_bytes(header.tobuf(tarfile.USTAR_FORMAT) * 5000)
    with pytest.raises(SourceUnavailable):
        read(tmp_path / "x.tar")


def test_a_tar_is_streamed(tmp_path: Path) -> None:
    """Three thousand members of 10 kB pass in the memory of a few, and a reader may stop at any of them."""
    path = write(tmp_path / "x.tar", [(f"p{number}.jpg", bytes(10_000)) for number in range(3000)])
    with opened(path) as rows:
        tracemalloc.start()
        assert sum(1 for _ in rows) == 3000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 * 2**20
    with opened(path) as rows:
        assert [row["sku"] for row in itertools.islice(rows, 2) if isinstance(row, dict)] == ["p0", "p1"]


def test_a_tar_is_ingested(tmp_path: Path) -> None:
    def picture(seed: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16), (seed, 0, 7)).save(buffer, "PNG")
        return buffer.getvalue()

    path = write(
        tmp_path / "x.tar", [(f"{n}.png", picture(n)) for n in range(3)] + [("3.png", b"no picture")]
    )
    with Connector(SPACE) as connector, opened(path) as rows:
        report = connector.ingest([row for row in rows if not isinstance(row, RecordError)])
    assert (report.new, report.rejected) == (3, 1)
