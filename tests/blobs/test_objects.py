"""Object stores: only what the policy names, through fsspec (its in-memory store stands for the others here)."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator

import fsspec
import pytest

from connector.blobs import BlobFetcher, BlobPolicy
from connector.errors import BlobForbidden, BlobNotFound, BlobTooLarge, BlobUnavailable, MissingExtra


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of its own for each test, with one object in it."""
    name = f"b{uuid.uuid4().hex}"
    store = fsspec.filesystem("memory")
    store.pipe(f"/{name}/photos/a.jpg", b"object")
    yield name
    store.rm(f"/{name}", recursive=True)


def test_objects_beneath_an_allowed_prefix(bucket: str) -> None:
    for prefix in (f"memory://{bucket}/", f"memory://{bucket}", f"memory://{bucket}/photos/"):
        with BlobFetcher(BlobPolicy(object_prefixes=(prefix,))) as blobs:
            fetched = blobs.fetch(f"memory://{bucket}/photos/a.jpg")
        assert fetched.data == b"object"
        assert fetched.reference == f"memory://{bucket}/photos/a.jpg"


@pytest.mark.parametrize(
    "prefixes",
    [(), ("",), ("s3://",), ("memory://other/",), ("memory://bucke",), ("memory://bucket/photosets",)],
)
def test_no_prefix_no_object(prefixes: tuple[str, ...]) -> None:
    cure = r"BlobPolicy\(object_prefixes=\['memory://bucket/'\]\)"
    policy = BlobPolicy(object_prefixes=prefixes)
    with BlobFetcher(policy) as blobs, pytest.raises(BlobForbidden, match=cure):
        blobs.fetch("memory://bucket/photos/a.jpg")


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "a/../../x",
        "a::file:///etc/passwd",
        "a\0",
        "a\nb",
        "a\\b",
        "./a",
        "*.jpg",
        "a/..",
        "a?versionId=1",
    ],
)
def test_keys_that_are_no_plain_key(key: str) -> None:
    with (
        BlobFetcher(BlobPolicy(object_prefixes=("memory://bucket/",))) as blobs,
        pytest.raises(BlobForbidden),
    ):
        blobs.fetch(f"memory://bucket/{key}")


def test_chained_file_systems_have_no_known_scheme() -> None:
    with BlobFetcher(BlobPolicy(object_prefixes=("s3://b/", "simplecache::s3://b/"))) as blobs:
        for url in ("simplecache::s3://b/k", "filecache::file:///etc/passwd", "local:///etc/passwd"):
            with pytest.raises((BlobForbidden, BlobNotFound)):
                blobs.fetch(url)


def test_missing_objects_and_large_ones(bucket: str) -> None:
    with BlobFetcher(BlobPolicy(object_prefixes=(f"memory://{bucket}/",), max_bytes=5)) as blobs:
        with pytest.raises(BlobNotFound):
            blobs.fetch(f"memory://{bucket}/none.jpg")
        with pytest.raises(BlobTooLarge):
            blobs.fetch(f"memory://{bucket}/photos/a.jpg")


def test_a_store_that_fails_is_unavailable(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("token=secret expired")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.open", fail)
    with (
        BlobFetcher(BlobPolicy(object_prefixes=(f"memory://{bucket}/",))) as blobs,
        pytest.raises(BlobUnavailable) as caught,
    ):
        blobs.fetch(f"memory://{bucket}/photos/a.jpg")
    assert "secret" not in str(caught.value)


def test_the_extra_is_asked_for_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with BlobFetcher(BlobPolicy(object_prefixes=("s3://bucket/",))) as blobs:
        monkeypatch.setitem(sys.modules, "s3fs", None)
        with pytest.raises(MissingExtra, match=r"pip install 'qdrant-image-connector\[s3\]'"):
            blobs.fetch("s3://bucket/a.jpg")
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(MissingExtra, match=r"qdrant-image-connector\[stores\]"):
            blobs.fetch("s3://bucket/a.jpg")
