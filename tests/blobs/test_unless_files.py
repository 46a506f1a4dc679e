"""Files asked for with `unless`: read when they changed in any way that shows, refused as ever, else left alone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.blobs import BlobFetcher, BlobPolicy
from connector.blobs.fetch import Fetched, digest
from connector.blobs.files import Files
from connector.blobs.stamps import file_stamp
from connector.errors import BlobForbidden, BlobNotFound, BlobTooLarge, BlobUnreadable
from tests.blobs.files import LONG_AGO, needs_nanoseconds, stand_elsewhere, twin

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """base/ may be read, outside/ may not; its file is one that base/a.bin could be taken for."""
    needs_nanoseconds(tmp_path)
    stand_elsewhere(tmp_path, monkeypatch)
    (tmp_path / "base/deep/er").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for name in ("base/a.bin", "base/deep/er/b.bin"):
        (tmp_path / name).write_bytes(b"inside")
        os.utime(tmp_path / name, ns=(0, LONG_AGO))
    for name in ("a.bin", "b.bin"):
        twin(tmp_path / "base/a.bin", tmp_path / "outside" / name, b"secret")
    return tmp_path


def fetcher(tree: Path, **policy: object) -> BlobFetcher:
    return BlobFetcher(BlobPolicy(**policy), base=tree / "base")  # type: ignore[arg-type]


def stamp_of(tree: Path, path: str) -> str:
    """The stamp a run before this one kept."""
    with fetcher(tree) as blobs:
        stamp = blobs.fetch(path).stamp
    assert stamp is not None
    return stamp


@pytest.mark.parametrize("path", ["a.bin", "./a.bin", "deep/../a.bin", "deep/er/b.bin", "../base/a.bin"])
def test_an_untouched_file_is_not_read(tree: Path, path: str) -> None:
    stamp = stamp_of(tree, path)
    assert stamp == f"6-{LONG_AGO}"
    absolute = tree / "base" / path
    with fetcher(tree) as blobs:
        for source in (path, Path(path), absolute, str(absolute), absolute.resolve().as_uri()):
            assert blobs.fetch(source, unless=stamp) is None
        assert (blobs.fetched, blobs.unmodified) == (0, 5)


def test_it_is_not_even_opened_once_its_folder_is_known(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise AssertionError(args)

    stamp = stamp_of(tree, "a.bin")
    (tree / "base/link").symlink_to("deep/er/link")
    (tree / "base/deep/er/link").symlink_to("../../a.bin")
    with fetcher(tree) as blobs:
        assert blobs.fetch("a.bin", unless=stamp) is None
        monkeypatch.setattr("connector.blobs.files._open_beneath", refuse)
        for path in ("a.bin", str(tree / "base/a.bin"), "deep/../a.bin", "link"):
            assert blobs.fetch(path, unless=stamp) is None
        with pytest.raises(AssertionError):
            blobs.fetch("deep/er/b.bin", unless=stamp)


def rewrite(path: Path) -> None:
    path.write_bytes(b"other!")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"other!")
    other.replace(path)


def change_the_time(path: Path) -> None:
    os.utime(path, ns=(0, LONG_AGO + 1))


def change_the_time_back(path: Path) -> None:
    os.utime(path, ns=(0, LONG_AGO - 10**9))


def change_the_size(path: Path) -> None:
    path.write_bytes(b"more than before")
    os.utime(path, ns=(0, LONG_AGO))


@pytest.mark.parametrize(
    "change", [rewrite, replace, change_the_time, change_the_time_back, change_the_size, Path.touch]
)
@pytest.mark.parametrize("known", [False, True])
def test_a_changed_file_is_read_and_stamped_anew(
    tree: Path, change: Callable[[Path], None], known: bool
) -> None:
    stamp = stamp_of(tree, "a.bin")
    with fetcher(tree) as blobs:
        if known:
            assert blobs.fetch("a.bin", unless=stamp) is None
        change(tree / "base/a.bin")
        fetched = blobs.fetch("a.bin", unless=stamp)
        assert fetched is not None
        assert fetched.data == (tree / "base/a.bin").read_bytes()
        assert fetched.stamp not in (None, stamp)
        assert blobs.fetch("a.bin", unless=fetched.stamp) is None
        assert (blobs.fetched, blobs.unmodified) == (1, 1 + known)


@pytest.mark.parametrize("stamp", ["", "6", "6-", '"abc"', f"6-{LONG_AGO}0", f"-{LONG_AGO}", "etag:0"])
def test_a_stamp_of_something_else_has_the_file_read(tree: Path, stamp: str) -> None:
    with fetcher(tree) as blobs:
        for _ in range(2):
            fetched = blobs.fetch("a.bin", unless=stamp)
            assert fetched is not None
            assert fetched.data == b"inside"


@pytest.mark.parametrize("same_run", [False, True])
def test_a_link_that_now_leads_outside_is_refused_however_like_its_target_is(
    tree: Path, same_run: bool
) -> None:
    """The file outside has the same size and time, so its stamp is the one that is asked with."""
    base = tree / "base"
    (base / "link").symlink_to("a.bin")
    (base / "folder").symlink_to("deep/er")
    (base / "over").symlink_to("folder")
    paths = ["link", "folder/b.bin", "over/b.bin", str(base / "link"), str(base / "over/b.bin")]
    stamp = f"6-{LONG_AGO}"
    with fetcher(tree) as blobs:
        for path in paths if same_run else ():
            assert blobs.fetch(path, unless=stamp) is None
            assert blobs.fetch(path, unless=stamp) is None
        for name, target in (("link", "outside/a.bin"), ("folder", "outside")):
            (base / name).unlink()
            (base / name).symlink_to(tree / target)
        for path in paths:
            with pytest.raises(BlobForbidden, match="outside the allowed folders"):
                blobs.fetch(path, unless=stamp)


@pytest.mark.parametrize("moved", ["deep", "deep/er"])
def test_a_folder_that_was_moved_outside_is_refused(tree: Path, moved: str) -> None:
    stamp = stamp_of(tree, "deep/er/b.bin")
    (tree / "base" / moved).rename(tree / "outside/moved")
    (tree / "base" / moved).symlink_to(tree / "outside/moved")
    with fetcher(tree) as blobs, pytest.raises(BlobForbidden):
        blobs.fetch("deep/er/b.bin", unless=stamp)


def test_a_folder_moved_outside_during_a_run_is_forgotten(tree: Path) -> None:
    stamp = f"6-{LONG_AGO}"
    folder = tree / "base/deep/er"
    with fetcher(tree) as blobs:
        assert blobs.fetch("deep/er/b.bin", unless=stamp) is None
        known = folder.stat().st_ctime_ns
        give_up = time.monotonic() + 10
        while folder.stat().st_ctime_ns == known:  # a file system's clock has its ticks
            if time.monotonic() > give_up:
                pytest.skip("renaming a folder does not change its ctime in this file system")
            folder.rename(tree / "outside/moved")
            (tree / "outside/moved").rename(folder)
        folder.rename(tree / "outside/moved")
        folder.symlink_to(tree / "outside/moved")
        with pytest.raises(BlobForbidden):
            blobs.fetch("deep/er/b.bin", unless=stamp)


def test_what_is_no_file_any_more_is_refused(tree: Path) -> None:
    base = tree / "base"
    stamp = f"6-{LONG_AGO}"
    with fetcher(tree) as blobs:
        assert blobs.fetch("a.bin", unless=stamp) is None
        (base / "a.bin").unlink()
        with pytest.raises(BlobNotFound):
            blobs.fetch("a.bin", unless=stamp)
        os.mkfifo(base / "a.bin")
        with pytest.raises(BlobForbidden, match="a pipe"):
            blobs.fetch("a.bin", unless=stamp)
        (base / "a.bin").unlink()
        (base / "a.bin").mkdir()
        for path in ("a.bin", "a.bin/", "a.bin/.", ".", "deep/..", ""):
            with pytest.raises((BlobForbidden, BlobNotFound)):
                blobs.fetch(path, unless=stamp)
        with pytest.raises(BlobNotFound):
            blobs.fetch("a\0.bin", unless=stamp)
        with pytest.raises(BlobNotFound):
            blobs.fetch("\ud800.bin", unless=stamp)


def test_a_folder_is_no_file_whatever_its_stamp(tree: Path) -> None:
    for path in ("deep", "deep/er", "deep/", "deep/er/..", "."):
        with fetcher(tree) as blobs:
            for known in ("a.bin", "deep/er/b.bin"):
                assert blobs.fetch(known, unless=f"6-{LONG_AGO}") is None
            with pytest.raises(BlobForbidden, match="a folder"):
                blobs.fetch(path, unless=file_stamp((tree / "base" / path).stat()))


def test_a_link_in_a_known_folder_is_still_a_link(tree: Path) -> None:
    base = tree / "base"
    (base / "escape").symlink_to(tree / "outside/a.bin")
    (base / "over").symlink_to("escape")
    with fetcher(tree) as blobs:
        assert blobs.fetch("a.bin", unless=f"6-{LONG_AGO}") is None
        for path in ("escape", "over"):
            with pytest.raises(BlobForbidden, match="outside the allowed folders"):
                blobs.fetch(path, unless=f"6-{LONG_AGO}")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux")
def test_a_file_whose_size_is_not_what_it_holds_has_no_stamp(tree: Path) -> None:
    with fetcher(tree, roots=(Path("/proc"),)) as blobs:
        fetched = blobs.fetch("/proc/self/status")
    assert fetched.data
    assert fetched.stamp is None


def test_a_circle_of_links_ends(tree: Path) -> None:
    (tree / "base/circle").symlink_to("circle")
    with fetcher(tree) as blobs, pytest.raises(BlobForbidden, match="a link in a circle"):
        blobs.fetch("circle", unless=f"6-{LONG_AGO}")


def test_a_stamp_opens_nothing_that_the_policy_closes(tree: Path) -> None:
    stamp = f"6-{LONG_AGO}"
    with fetcher(tree, allow_files=False) as blobs, pytest.raises(BlobForbidden):
        blobs.fetch("a.bin", unless=stamp)
    with fetcher(tree, max_bytes=5) as blobs, pytest.raises(BlobTooLarge):
        blobs.fetch("a.bin", unless=stamp)
    with fetcher(tree) as blobs, pytest.raises(BlobForbidden):
        blobs.fetch(tree / "outside/a.bin", unless=stamp)
    (tree / "base/a.bin").write_bytes(b"")
    os.utime(tree / "base/a.bin", ns=(0, LONG_AGO))
    with fetcher(tree) as blobs, pytest.raises(BlobUnreadable, match="is empty"):
        blobs.fetch("a.bin", unless=f"0-{LONG_AGO}")


def test_a_file_that_vanishes_between_the_look_and_the_reading_is_not_found(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_and_remove(files: Files, path: str, unless: str) -> bool:
        (tree / "base" / path).unlink()
        return False

    monkeypatch.setattr(Files, "is_known_as", look_and_remove)
    with fetcher(tree) as blobs:
        with pytest.raises(BlobNotFound):
            blobs.fetch("a.bin", unless=f"5-{LONG_AGO}")
        assert (blobs.fetched, blobs.unmodified) == (0, 0)


def during_the_read(tree: Path, happens: Callable[[Path], None]) -> tuple[bytes, str | None]:
    """Read base/a.bin, and let something happen to it when it is open and its size is known."""
    path = tree / "base/a.bin"
    files = Files(BlobPolicy(), tree / "base", clock=lambda: LONG_AGO, sleep=lambda seconds: happens(path))
    read = files.read("a.bin", "'a.bin'")
    assert read is not None
    return read


def test_what_happens_to_a_file_while_it_is_read_leaves_no_stamp_that_lies(tree: Path) -> None:
    def shrink(path: Path) -> None:
        path.write_bytes(b"in")
        os.utime(path, ns=(0, LONG_AGO))

    assert during_the_read(tree, rewrite) == (b"other!", None)
    os.utime(tree / "base/a.bin", ns=(0, LONG_AGO))
    assert during_the_read(tree, shrink) == (b"in", None)


@pytest.mark.parametrize("happens", [replace, Path.unlink])
def test_what_was_open_is_read_whole_and_what_came_after_is_seen_next_time(
    tree: Path, happens: Callable[[Path], None]
) -> None:
    data, stamp = during_the_read(tree, happens)
    assert (data, stamp) == (b"inside", f"6-{LONG_AGO}")
    with fetcher(tree) as blobs:
        if happens is replace:
            fetched = blobs.fetch("a.bin", unless=stamp)
            assert fetched is not None
            assert fetched.data == b"other!"
        else:
            with pytest.raises(BlobNotFound):
                blobs.fetch("a.bin", unless=stamp)


def test_a_file_that_a_writer_lengthens_all_the_while(tree: Path) -> None:
    """Every reading is a beginning of the file, and a stamp given with it is that of just these bytes."""
    enough = threading.Event()
    path = tree / "base/growing.bin"
    path.write_bytes(b"0" * 1000)

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            for number in range(2000):
                file.write(b"%1d" % (number % 10) * 100)
                if enough.is_set():
                    return

    files = Files(BlobPolicy(), tree / "base", sleep=lambda seconds: None)
    writer = threading.Thread(target=write)
    writer.start()
    readings = [files.read("growing.bin", "''") for _ in range(40)]
    enough.set()
    writer.join()
    whole = path.read_bytes()
    for read in readings:
        assert read is not None
        data, stamp = read
        assert whole.startswith(data)
        assert stamp is None or stamp.startswith(f"{len(data)}-")
    with fetcher(tree) as blobs:
        last = blobs.fetch("growing.bin")
        assert last.data == whole
        assert last.digest == digest(whole)
        assert blobs.fetch("growing.bin", unless=last.stamp) is None


@pytest.mark.parametrize("years", [-50, -1, 0, 1, 50])
def test_the_machines_clock_decides_nothing(tree: Path, years: int) -> None:
    slept: list[float] = []
    clock = LONG_AGO + 10**9 + years * 365 * 86400 * 10**9
    files = Files(BlobPolicy(), tree / "base", clock=lambda: clock, sleep=slept.append)
    stamp = f"6-{LONG_AGO}"
    assert files.read("a.bin", "''") == (b"inside", stamp)
    assert files.read("a.bin", "''", stamp) is None
    os.utime(tree / "base/a.bin", ns=(0, LONG_AGO + 1))
    assert files.read("a.bin", "''", stamp) == (b"inside", f"6-{LONG_AGO + 1}")
    assert slept == []


def test_a_file_written_this_very_moment_is_read_when_a_further_change_must_show(tree: Path) -> None:
    slept: list[float] = []
    files = Files(BlobPolicy(), tree / "base", clock=lambda: LONG_AGO + 4_000_000, sleep=slept.append)
    assert files.read("a.bin", "''") == (b"inside", f"6-{LONG_AGO}")
    assert slept == [0.006]


def test_a_file_system_without_fractions_gets_a_stamp_two_seconds_later(tree: Path) -> None:
    whole = LONG_AGO // 10**9 * 10**9
    os.utime(tree / "base/a.bin", ns=(0, whole))
    now = [whole + 10**9]
    slept: list[float] = []
    files = Files(BlobPolicy(), tree / "base", clock=lambda: now[0], sleep=slept.append)
    assert files.read("a.bin", "''") == (b"inside", None)
    now[0] += 10**9
    assert files.read("a.bin", "''") == (b"inside", f"6-{whole}")
    assert slept == []


def test_content_itself_is_read_whatever_is_said_of_it() -> None:
    with BlobFetcher() as blobs:
        for _ in range(2):
            fetched = blobs.fetch(b"abc", unless="3-0")
            assert isinstance(fetched, Fetched)
            assert fetched.stamp is None
        assert (blobs.fetched, blobs.unmodified) == (2, 0)


def test_more_folders_than_are_remembered(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.blobs.files._MOST_FOLDERS", 1)
    stamp = f"6-{LONG_AGO}"
    with fetcher(tree) as blobs:
        for path in ("a.bin", "deep/er/b.bin") * 3:
            assert blobs.fetch(path, unless=stamp) is None
        assert blobs.unmodified == 6
