"""Files: regular ones beneath allowed roots, and nothing else, without ever waiting."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from connector.blobs import BlobFetcher, BlobPolicy
from connector.blobs.files import Files, path_of_file_url
from connector.errors import BlobError, BlobForbidden, BlobNotFound, BlobTooLarge
from tests.blobs.files import needs_nanoseconds, stand_elsewhere

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """base/ may be read, outside/ may not."""
    stand_elsewhere(tmp_path, monkeypatch)
    (tmp_path / "base/deep/er").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "base/a.bin").write_bytes(b"inside")
    (tmp_path / "base/deep/er/b.bin").write_bytes(b"deep")
    (tmp_path / "outside/secret.bin").write_bytes(b"secret")
    return tmp_path


def read(tree: Path, path: str, policy: BlobPolicy | None = None) -> bytes:
    read = Files(policy or BlobPolicy(), tree / "base").read(path, f"'{path}'")
    assert read is not None
    return read[0]


@pytest.mark.parametrize(
    "path", ["a.bin", "./a.bin", "deep/../a.bin", "deep/er/../../a.bin", "../base/a.bin", ".//deep/..//a.bin"]
)
def test_relative_paths_start_from_the_base(tree: Path, path: str) -> None:
    assert read(tree, path) == b"inside"


def test_absolute_paths_beneath_a_root(tree: Path) -> None:
    assert read(tree, str(tree / "base/deep/er/b.bin")) == b"deep"
    allowed = BlobPolicy(roots=(tree / "outside",))
    assert read(tree, str(tree / "outside/secret.bin"), allowed) == b"secret"
    assert read(tree, "../outside/secret.bin", allowed) == b"secret"


def test_the_working_directory_is_allowed_and_the_default_base(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree / "outside")
    read_here = Files(BlobPolicy(), None).read("secret.bin", "''")
    assert read_here is not None
    assert read_here[0] == b"secret"
    assert read(tree, str(tree / "outside/secret.bin")) == b"secret"


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret.bin",
        "deep/../../outside/secret.bin",
        "/etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
        "..",
        "../missing",
    ],
)
def test_outside_the_roots_is_forbidden_whether_it_exists_or_not(tree: Path, path: str) -> None:
    with pytest.raises(BlobForbidden, match=r"lies outside the allowed folders .*BlobPolicy\(roots=\[…\]\)"):
        read(tree, path)


@posix
def test_links_are_followed_within_roots_and_nowhere_else(tree: Path) -> None:
    base = tree / "base"
    (base / "good").symlink_to("a.bin")
    (base / "folder").symlink_to(base / "deep/er")
    (base / "escape").symlink_to(tree / "outside/secret.bin")
    (base / "escape_folder").symlink_to("../outside")
    (base / "chain").symlink_to("escape")
    (base / "circle").symlink_to("circle")
    (base / "dangling").symlink_to("nothing")
    assert read(tree, "good") == b"inside"
    assert read(tree, "folder/b.bin") == b"deep"
    for path in ("escape", "escape_folder/secret.bin", "chain", "circle"):
        with pytest.raises(BlobForbidden):
            read(tree, path)
    with pytest.raises(BlobNotFound):
        read(tree, "dangling")


@posix
def test_a_link_swapped_in_after_the_check_is_not_followed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tree / "base"
    (base / "swapped").symlink_to(tree / "outside/secret.bin")
    (base / "swapped_folder").symlink_to(tree / "outside")
    monkeypatch.setattr(
        os.path, "realpath", lambda path: str(path)
    )  # as if the check had come before the swap
    for path in ("swapped", "swapped_folder/secret.bin"):
        with pytest.raises(BlobError) as caught:
            read(tree, path)
        assert isinstance(caught.value, (BlobForbidden, BlobNotFound))
    assert read(tree, "deep/er/b.bin") == b"deep"


@posix
def test_no_folders_pipes_sockets_devices(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tree / "base"
    os.mkfifo(base / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        with monkeypatch.context() as here:
            here.chdir(base)  # a socket's address holds a hundred characters, a path may have more
            listening.bind("sock")
        for path in ("pipe", "sock", "deep", "."):
            with pytest.raises(BlobForbidden, match=r"a pipe|a socket|a folder"):
                read(tree, path)
    with pytest.raises(BlobForbidden, match="a device, not a regular file"):
        read(tree, "/dev/zero", BlobPolicy(roots=(Path("/dev"),)))


@pytest.mark.parametrize(
    "path",
    ["", "a\0.bin", "a.bin\0", "a" * 300, "x" * 5000, "a/" * 1_000_000, "\ud800.jpg", "a.bin/b", "missing"],
)
def test_what_cannot_be_there_is_not_found(tree: Path, path: str) -> None:
    with pytest.raises(BlobNotFound):
        read(tree, path)


def test_the_message_says_where_paths_start(tree: Path) -> None:
    with BlobFetcher(base=tree / "base") as blobs, pytest.raises(BlobNotFound) as caught:
        blobs.fetch("shoe.jpg")
    assert str(caught.value) == (
        f"'shoe.jpg' was not found. Paths are relative to {tree / 'base'}; pass an absolute path or a URL."
    )


@posix
def test_names_that_are_no_utf8(tree: Path) -> None:
    name = os.fsdecode(b"caf\xe9.bin")
    (tree / "base" / name).write_bytes(b"latin")
    assert read(tree, name) == b"latin"


def test_unreadable_files_say_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("connector.blobs.files._open_beneath", refuse)
    with pytest.raises(BlobForbidden, match="may not be read by this user"):
        read(tree, "a.bin")


def test_size_limit_to_the_byte(tree: Path) -> None:
    assert read(tree, "a.bin", BlobPolicy(max_bytes=6)) == b"inside"
    with pytest.raises(BlobTooLarge, match=r"'a\.bin' is larger than 5 bytes"):
        read(tree, "a.bin", BlobPolicy(max_bytes=5))


def test_a_file_that_grows_while_read_meets_the_limit(tree: Path) -> None:
    path = tree / "base/a.bin"
    needs_nanoseconds(tree)

    def grow(seconds: float) -> None:
        path.write_bytes(b"inside and out")

    def read_growing(limit: int) -> tuple[bytes, str | None] | None:
        path.write_bytes(b"in")
        changed = path.stat().st_mtime_ns
        growing = Files(BlobPolicy(max_bytes=limit), tree / "base", clock=lambda: changed, sleep=grow)
        return growing.read("a.bin", "'a.bin'")

    assert read_growing(14) == (b"inside and out", None)
    with pytest.raises(BlobTooLarge):
        read_growing(13)


def open_below(folder: Path) -> int:
    """How many descriptors of this process lead below a folder; other threads' have no part in it."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, as that of this list is
            found += link.readlink().is_relative_to(folder)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux")
def test_no_descriptor_is_left_open(tree: Path) -> None:
    with (tree / "base/a.bin").open():
        assert open_below(tree.resolve()) == 1
    for path in ("a.bin", "deep", "missing", "deep/missing/x", "../outside/secret.bin"):
        with contextlib.suppress(BlobError):
            read(tree, path)
    assert open_below(tree.resolve()) == 0


def test_files_can_be_switched_off(tree: Path) -> None:
    for path in ("a.bin", "missing", "/etc/passwd"):
        with pytest.raises(BlobForbidden, match="files are not allowed here"):
            read(tree, path, BlobPolicy(allow_files=False))


@posix
@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a/b.jpg", "/a/b.jpg"),
        ("FILE:///a/b.jpg", "/a/b.jpg"),
        ("file://localhost/a/b.jpg", "/a/b.jpg"),
        ("file://LOCALHOST/a", "/a"),
        ("file:///a%20b/%C3%A9.jpg", "/a b/é.jpg"),
        ("file:///caf%E9", os.fsdecode(b"/caf\xe9")),
        ("file:///a:b.jpg", "/a:b.jpg"),
        ("file:///%2525", "/%25"),
        ("file:a.jpg", None),
        ("file:/a.jpg", None),
        ("file:", None),
        ("file://", None),
        ("file://a.jpg", None),
        ("file://example.com/a.jpg", None),
        ("file://127.0.0.1/a.jpg", None),
        ("file://user@localhost/a", None),
        ("file:///a.jpg?x=1", None),
        ("file:///a.jpg#x", None),
        ("file:///..%2f..%2Fetc/passwd", None),
        ("file:////" + "a" * 20_000, None),
    ],
)
def test_file_urls(url: str, path: str | None) -> None:
    if path is None:
        with pytest.raises(BlobForbidden):
            path_of_file_url(url, "'x'")
    else:
        assert path_of_file_url(url, "'x'") == path


@posix
@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "file:///%2e%2e/etc/passwd", "file:///dev/zero", "file:///a%00b"]
)
def test_file_urls_meet_the_same_roots(tree: Path, url: str) -> None:
    with BlobFetcher(base=tree / "base") as blobs, pytest.raises((BlobForbidden, BlobNotFound)):
        blobs.fetch(url)
