"""Pictures beneath an object store's prefix are rows; what is listed is fresh, and a listing that fails ends the run."""

import io
import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import fsspec.core
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from connector.blobs.policy import BlobPolicy
from connector.connector import Connector
from connector.errors import DataError, RecordError, SourceUnavailable
from connector.rows import Rows
from connector.sources import open_source
from tests.conftest import SPACE

ENTRY = SPACE.entries[0]


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (seed, 0, 7)).save(buffer, "PNG")
    return buffer.getvalue()


class Bucket:
    """A prefix of an object store, whichever it is, that a test fills."""

    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            system, path = fsspec.core.url_to_fs(f"{self.url}{name}")
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.pipe_file(path, data)

    def rows(self, **options: Any) -> Rows:
        rows = open_source(self.url, ENTRY, **options)
        assert rows is not None
        return rows


@pytest.fixture(params=["memory", "folder"])
def bucket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """A bucket in fsspec's memory, and one whose `s3://` is a folder of this machine."""
    if request.param == "memory":
        yield Bucket(f"memory://{uuid.uuid4().hex}/shop/")
        MemoryFileSystem.store.clear()
        return

    class FolderStore(DirFileSystem):  # type: ignore[misc]  # fsspec is untyped
        protocol = "s3"

        def __init__(self) -> None:
            super().__init__(str(tmp_path), LocalFileSystem(), skip_instance_cache=True)

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path.removeprefix("s3://").strip("/")

    # fsspec has no call that takes a registration back, and another test asks what happens without one.
    monkeypatch.setitem(sys.modules["fsspec.registry"].__dict__["_registry"], "s3", FolderStore)
    yield Bucket("s3://bucket/shop/")


def test_one_row_per_picture_in_order_with_its_sidecars(bucket: Bucket) -> None:
    bucket.put(
        {
            "b.PNG": picture(1),
            "a/cat.jpg": picture(2),
            "a/cat.txt": b"\xef\xbb\xbf a cat \n",
            "a/cat.jpg.json": json.dumps({"price": 3, "sku": "c1"}).encode(),
            "a/deep/er/x.webp": picture(3),
            "a/notes.txt": b"no picture's",
            ".hidden.png": picture(4),
            ".trash/x.png": picture(4),
            "readme.md": b"x",
        }
    )
    with bucket.rows() as rows:
        assert list(rows) == [
            {"sku": "b.PNG", "photo": f"{bucket.url}b.PNG"},
            {"sku": "c1", "photo": f"{bucket.url}a/cat.jpg", "title": "a cat", "price": 3},
            {"sku": "a/deep/er/x.webp", "photo": f"{bucket.url}a/deep/er/x.webp"},
        ]


def test_the_prefix_may_be_written_without_its_slash(bucket: Bucket) -> None:
    bucket.put({"a.png": picture(1)})
    bucket.url = bucket.url.rstrip("/")
    with bucket.rows() as rows:
        assert list(rows) == [{"sku": "a.png", "photo": f"{bucket.url}/a.png"}]


def test_a_sidecar_that_cannot_be_read_is_one_rejection(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.sources.objects.SIDECAR_LIMIT", 20)
    bucket.put(
        {
            "a.png": picture(1),
            "a.json": b"[1]",
            "b.png": picture(1),
            "b.txt": b"\xff\xfe",
            "c.png": picture(1),
            "c.txt": b"x" * 21,
            "d.png": picture(1),
        }
    )
    with bucket.rows() as rows:
        read = list(rows)
    assert [type(row) for row in read] == [RecordError, RecordError, RecordError, dict]
    assert [row.id for row in read if isinstance(row, RecordError)] == ["a.png", "b.png", "c.png"]


def test_rows_are_read_as_they_are_needed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put({f"f{number}/p.png": picture(1) for number in range(9)})
    listed: list[str] = []
    system = type(fsspec.core.url_to_fs(bucket.url)[0])
    ls = system.ls

    def watched(self: Any, path: str, detail: bool = True, **options: Any) -> Any:
        listed.append(path)
        return ls(self, path, detail=detail, **options)

    monkeypatch.setattr(system, "ls", watched)
    with bucket.rows() as rows:
        next(iter(rows))
    assert len(listed) == 2  # the prefix, and the first folder beneath it


@pytest.mark.parametrize(
    "error", [PermissionError("no"), TimeoutError("slow"), RuntimeError("botocore says")]
)
def test_a_folder_that_cannot_be_listed_ends_the_run(
    error: Exception, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that took it for an empty one would delete what is in it."""
    bucket.put({"a/p.png": picture(1), "b/p.png": picture(1), "c/p.png": picture(1)})
    system = type(fsspec.core.url_to_fs(bucket.url)[0])
    ls = system.ls

    def broken(self: Any, path: str, detail: bool = True, **options: Any) -> Any:
        if path.endswith("/b"):
            raise error
        return ls(self, path, detail=detail, **options)

    monkeypatch.setattr(system, "ls", broken)
    with bucket.rows() as rows:
        iterator = iter(rows)
        assert next(iterator)
        with pytest.raises(SourceUnavailable, match=r"/shop' (is refused|could not be read)"):
            next(iterator)


def test_a_sidecar_that_vanished_since_the_listing_is_as_if_it_was_not_there(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put({"a.png": picture(1), "a.txt": b"words"})
    system = type(fsspec.core.url_to_fs(bucket.url)[0])

    def gone(self: Any, path: str, *rest: Any, **options: Any) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(system, "cat_file", gone)
    with bucket.rows() as rows:
        assert list(rows) == [{"sku": "a.png", "photo": f"{bucket.url}a.png"}]


def test_a_prefix_with_nothing_beneath_it_was_not_found(bucket: Bucket) -> None:
    with pytest.raises(SourceUnavailable, match=r"was not found\. Check the bucket and the prefix"):
        bucket.rows()


def test_one_object_is_no_folder_of_pictures() -> None:
    bucket = Bucket(f"memory://{uuid.uuid4().hex}/")
    bucket.put({"a.png": picture(1)})
    bucket.url += "a.png"
    with pytest.raises(DataError, match="is one object"):
        bucket.rows()


@pytest.mark.parametrize(
    "url",
    [
        "s3://me:hunter2@bucket/x/",
        "s3://bucket::file:///etc/",
        "s3://bucket/../other/",
        "s3://bucket/*/",
        "s3://b?x=1",
    ],
)
def test_a_url_that_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(DataError, match="no plain object URL") as raised:
        open_source(url, ENTRY)
    assert "hunter2" not in str(raised.value)


def test_a_tar_in_an_object_store_is_streamed(bucket: Bucket, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        member = tarfile.TarInfo("cat.png")
        member.size = len(picture(1))
        tar.addfile(member, io.BytesIO(picture(1)))
    bucket.put({"x.tar": (tmp_path / "x.tar").read_bytes()})
    bucket.url += "x.tar"
    with bucket.rows() as rows:
        assert list(rows) == [{"sku": "cat", "photo": picture(1)}]
    bucket.url = bucket.url.replace("x.tar", "y.tar")
    with pytest.raises(SourceUnavailable, match="was not found"):
        bucket.rows()


def test_a_prefix_is_ingested() -> None:
    bucket = Bucket(f"memory://{uuid.uuid4().hex}/shop/")
    bucket.put({f"{number}.png": picture(number) for number in range(3)})
    with (
        Connector(SPACE, blob_policy=BlobPolicy(object_prefixes=(bucket.url,))) as connector,
        bucket.rows() as rows,
    ):
        report = connector.ingest([row for row in rows if not isinstance(row, RecordError)])
    assert (report.new, report.rejected) == (3, 0)
