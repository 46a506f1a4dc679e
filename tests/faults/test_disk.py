"""A folder that cannot be written, a disk that is full, a process that is killed: a clear error, and nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector import Connector
from connector.errors import PointError, StoreUnavailable
from connector.store.folder import RESERVE
from connector.store.opening import open_store
from connector.store.store import Point
from tests.faults.corpus import SPACE, Held, Shop, held_in
from tests.faults.crash import COMMANDS, INGEST, ROOT
from tests.store.samples import points, spec, vector

MIB = 2**20


@contextlib.contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """A disk in memory of so many bytes, at this folder; skips where none can be mounted."""
    folder.mkdir(exist_ok=True)
    mount = shutil.which("mount")
    if mount is None or sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs Linux and root")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Take what is free on the disk, but for so many bytes."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(folder).free - left))
    return filler


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop to ingest."""
    return Shop(tmp_path / "shop", 40)


def test_a_full_disk_is_refused_before_anything_is_made(tmp_path: Path, shop: Shop) -> None:
    with mounted(tmp_path / "disk", 4 * MIB):
        with Connector(SPACE, tmp_path / "disk" / "store.qdrant") as connector:
            with pytest.raises(StoreUnavailable, match=r"nearly full: \d MiB left, 128 MiB are needed"):
                connector.ingest(shop.feed)
        assert not list((tmp_path / "disk").glob("store.qdrant/*"))


def test_a_disk_that_fills_up_ends_the_run_and_keeps_what_was_acknowledged(
    tmp_path: Path, shop: Shop
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, RESERVE + 256 * MIB):
        location = disk / "store.qdrant"
        with Connector(SPACE, location) as connector:
            connector.ingest(shop.feed)
        before = held_in(location)
        filler = fill(disk, left=RESERVE // 2)
        shop.change()
        with Connector(SPACE, location) as connector:
            with pytest.raises(StoreUnavailable, match=r"nearly full.*nothing acknowledged is lost"):
                connector.ingest(shop.feed)
        assert held_in(location) == before, "reading needs no room"
        filler.unlink()
        with Connector(SPACE, location) as connector:
            report = connector.ingest(shop.feed)
        assert (report.new, report.changed, report.unchanged) == (4, 16, 20)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_says_so_and_exits_with_3(command: str, tmp_path: Path, shop: Shop) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, 4 * MIB):
        for _ in range(2):  # the failed run leaves nothing that makes the next one fail otherwise
            with COMMANDS[command].process(shop, disk / "store.qdrant") as process:
                _, told = process.communicate(timeout=60)
            assert process.returncode == 3, told.decode()
            assert b"nearly full" in told
            assert b"Traceback" not in told


@pytest.mark.parametrize("option", ["--report", "--rejects"])
def test_a_report_or_rejects_that_cannot_be_written_are_no_success(
    option: str, tmp_path: Path, shop: Shop
) -> None:
    disk, location = tmp_path / "disk", tmp_path / "store.qdrant"
    with (shop.feed).open("a") as feed:
        feed.write("no row\n")
    with mounted(disk, 1 * MIB):
        fill(disk, left=0)
        with INGEST.process(shop, location, option, str(disk / "told.json")) as process:
            _, told = process.communicate(timeout=60)
        assert process.returncode in (2, 3), told.decode()
        assert b"Traceback" not in told
        assert b"told.json" in told


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing below the folder can be written; for root, who may write everything, by mounting it so."""
    if os.name == "posix" and os.geteuid() != 0:
        changed = [folder, *folder.rglob("*")]
        modes = {path: path.stat().st_mode for path in changed}
        for path in changed:
            path.chmod(modes[path] & ~0o222)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
        return
    mount = shutil.which("mount")
    bound = mount and subprocess.run([mount, "--bind", str(folder), str(folder)], capture_output=True)
    if mount is None or not bound or bound.returncode:
        pytest.skip("root may write everywhere, and nothing can be mounted read-only here")
    try:
        remount = [mount, "-o", "remount,ro,bind", str(folder)]
        done = subprocess.run(remount, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"root may write everywhere, and nothing turns read-only here: {done.stderr.strip()}")
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_folder_that_became_read_only_is_said_to_be(tmp_path: Path, shop: Shop) -> None:
    location = tmp_path / "store.qdrant"
    with Connector(SPACE, location) as connector:
        connector.ingest(shop.feed)
    before = held_in(location)
    shop.change()
    with read_only(location):
        with Connector(SPACE, location) as connector:
            with pytest.raises(StoreUnavailable, match=r"(?i)read-only|permission"):
                connector.ingest(shop.feed)
    assert held_in(location) == before
    with Connector(SPACE, location) as connector:
        assert connector.ingest(shop.feed).stored == 20


def test_nothing_is_made_in_a_folder_that_is_read_only(tmp_path: Path, shop: Shop) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with read_only(folder):
        with Connector(SPACE, folder / "store.qdrant") as connector:
            with pytest.raises(StoreUnavailable, match=r"(?i)read-only|permission"):
                connector.ingest(shop.feed)
    assert not list(folder.iterdir())


WRITER = """
    import sys
    from pathlib import Path
    from connector.store.opening import open_store
    from tests.store.samples import points, spec

    store = open_store(Path(sys.argv[1]), "things")
    store.create(spec())
    for number in range(1000):
        assert store.upsert(points(64, start=64 * number)) == [None] * 64
        print(number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 4, 16])
def test_what_a_killed_process_was_told_is_stored_is_there(acknowledged: int, tmp_path: Path) -> None:
    """The process is killed while it writes the next batch: that one is there whole, in part, or not at all."""
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert writer.stdout is not None
    with writer:
        for _ in range(acknowledged):
            assert writer.stdout.readline()
        writer.kill()
        told = acknowledged + len(writer.stdout.read().splitlines())
    assert writer.returncode == -signal.SIGKILL
    store = open_store(tmp_path / "store", "things")
    found = {point.id: point for point in store.scan(vectors=True)}
    for wanted in points(64 * told):
        assert same(found.pop(wanted.id), wanted)
    following = {point.id: point for point in points(64, start=64 * told)}
    assert found.keys() <= following.keys()
    assert all(same(point, following[id]) for id, point in found.items())
    assert store.upsert(points(64, start=64 * told)) == [None] * 64
    assert store.count() == 64 * (told + 1)
    store.close()


def same(found: Point, wanted: Point) -> bool:
    return Held(str(sorted(found.payload.items())), found.vectors) == Held(
        str(sorted(wanted.payload.items())), wanted.vectors
    )


def test_a_batch_that_is_torn_by_a_bad_point_keeps_its_good_ones(tmp_path: Path) -> None:
    good = points(9)
    for place in range(9):
        torn = [
            *good[:place],
            Point(good[place].id, {"nothing of the kind": vector(1)}, {}),
            *good[place + 1 :],
        ]
        store = open_store(tmp_path / f"store-{place}", "things")
        store.create(spec())
        outcome = store.upsert(torn)
        assert [isinstance(each, PointError) for each in outcome] == [n == place for n in range(9)]
        assert {point.id for point in store.scan()} == {point.id for point in good} - {good[place].id}
        store.close()


def test_a_log_that_is_torn_at_its_end_costs_what_was_not_acknowledged_at_most(tmp_path: Path) -> None:
    """The engine's log as a power cut may leave it: its last record cut short."""
    store = open_store(tmp_path / "store", "things")
    store.create(spec())
    store.upsert(points(64))
    store.flush()
    store.close()
    log = next(path for path in (tmp_path / "store").rglob("wal/open-*") if path.stat().st_size)
    with log.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        file.truncate(size - 1)
        file.truncate(size)
    store = open_store(tmp_path / "store", "things")
    assert store.count() == 64
    assert store.upsert(points(64, start=64)) == [None] * 64
    store.close()
    store = open_store(tmp_path / "store", "things")
    assert store.count() == 128
    store.close()
