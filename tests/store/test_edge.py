"""A folder: what survives, who may open it, and what is said when it cannot be used."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from connector.errors import StoreLocked, StoreUnavailable
from connector.store import making
from connector.store.folder import FILE, FORMAT, write_spec
from connector.store.opening import open_store
from connector.store.store import CollectionSpec, Store, Where
from tests.store.samples import Thing, points, spec, vector


def opened(folder: Path, collection: str = "things") -> Store:
    return open_store(folder, collection)


def filled(folder: Path, count: int = 10) -> None:
    store = opened(folder)
    store.create(spec(model="m1"))
    assert store.upsert(points(count)) == [None] * count
    store.close()


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )


def test_looking_makes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path / "new.qdrant")
    assert store.describe() is None
    store.flush()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_reopening_keeps_everything(tmp_path: Path) -> None:
    filled(tmp_path / "a" / "b")
    store = opened(tmp_path / "a" / "b")
    assert store.describe() == {"made_by": "tests", "model": "m1"}
    assert store.count(Where(("Thing",), Thing.brand == "b1")) == 3
    assert len(store.query(vector(3), using="image", limit=20)) == 10
    store.close()


def test_creating_again_adds_indexes_and_metadata_to_what_is_there(tmp_path: Path) -> None:
    store = opened(tmp_path)
    full = spec(model="m1")
    store.create(spec())
    store.upsert(points(3))
    store.create(
        type(full)(full.name, full.length, full.vectors, {**full.indexes, "late": "integer"}, {"model": "m1"})
    )
    assert store.describe() == {"made_by": "tests", "model": "m1"}
    assert store.count() == 3
    store.close()
    assert "late" in json.loads((tmp_path / "things" / FILE).read_text())["indexes"]


def test_one_folder_holds_several_collections(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"not ours")
    one, two = opened(tmp_path, "one"), opened(tmp_path, "two")
    one.create(spec("one"))
    two.create(spec("two"))
    one.upsert(points(2))
    two.upsert(points(5))
    assert (one.count(), two.count()) == (2, 5)
    one.close()
    two.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["holiday.jpg", "one", "two"]


def test_a_second_opener_is_told_that_it_is_locked(tmp_path: Path) -> None:
    filled(tmp_path)
    first, second = opened(tmp_path), opened(tmp_path)
    assert first.count() == 10
    assert second.describe() == {"made_by": "tests", "model": "m1"}
    with pytest.raises(StoreLocked, match=r"things is open in another process.*use a Qdrant server"):
        second.count()
    first.close()
    assert second.count() == 10
    second.close()


COUNT = """
import sys
from connector.store.opening import open_store
try:
    print(open_store(sys.argv[1], "things").count())
except Exception as error:
    print(type(error).__name__)
"""


def test_another_process_is_told_that_it_is_locked(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    store.count()
    assert run(COUNT, str(tmp_path)).stdout == "StoreLocked\n"
    store.close()
    assert run(COUNT, str(tmp_path)).stdout == "10\n"


WRITE = """
import sys
from connector.store.opening import open_store
from tests.store.samples import points, spec
store = open_store(sys.argv[1], "things")
store.create(spec())
for start in range(0, 100_000, 100):
    assert store.upsert(points(100, start)) == [None] * 100
    print(start + 100, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(7)][-1]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    store = opened(tmp_path)
    found = store.get([point.id for point in points(acknowledged)], vectors=True)
    assert len(found) == acknowledged >= 700
    assert all(len(point.vectors) == 3 and point.payload["_schema"] == "Thing" for point in found.values())
    assert store.count() - acknowledged in (0, 100)
    store.close()


def test_remains_of_an_interrupted_creation_are_no_collection_and_no_obstacle(tmp_path: Path) -> None:
    remains = tmp_path / ".things.creating"
    (remains / "shard" / "wal").mkdir(parents=True)
    (remains / "shard" / "wal" / "half").write_bytes(b"\x00" * 10)
    store = opened(tmp_path)
    assert store.describe() is None
    store.create(spec())
    assert not remains.exists()
    store.close()


CREATE = """
import sys
from connector.store.opening import open_store
from tests.store.samples import spec
try:
    open_store(sys.argv[1], "things").create(spec())
except Exception as error:
    print(type(error).__name__)
"""


DIES = """
import os, signal, sys
from connector.store import making
from connector.store.opening import open_store
from tests.store.samples import spec
making.write_spec = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
open_store(sys.argv[1], "things").create(spec())
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL on this system")
def test_a_creation_that_was_killed_leaves_no_lock_that_somebody_holds(tmp_path: Path) -> None:
    assert run(DIES, str(tmp_path)).returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == [".things.creating", ".things.creating.lock"]
    filled(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["things"]


def test_who_makes_what_another_is_making_takes_nothing_away_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, go_on = threading.Event(), threading.Event()

    def write_slowly(path: Path, made: CollectionSpec) -> None:
        if not closed.is_set():
            closed.set()
            assert go_on.wait(120)
        write_spec(path, made)

    monkeypatch.setattr(making, "write_spec", write_slowly)
    first, second = opened(tmp_path), opened(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(first.create, spec())
        try:
            assert closed.wait(60)
            with pytest.raises(StoreLocked, match=r"is making .*things at this moment\. Run it again\."):
                second.create(spec())
            assert run(CREATE, str(tmp_path)).stdout == "StoreLocked\n"
        finally:
            go_on.set()
        creating.result()
    assert [path.name for path in tmp_path.iterdir()] == ["things"]
    second.create(spec())
    assert second.upsert(points(3)) == [None] * 3
    second.close()


def test_a_lock_that_was_given_back_while_it_was_being_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes a collection removes the lock's file in the end; another may have opened it just before."""
    taken: list[BinaryIO] = []
    lock = making._lock

    def lock_late(file: BinaryIO) -> None:
        if not taken:
            (tmp_path / ".things.creating.lock").unlink()
        taken.append(file)
        lock(file)

    monkeypatch.setattr(making, "_lock", lock_late)
    filled(tmp_path)
    assert len(taken) == 2
    assert all(file.closed for file in taken)
    assert [path.name for path in tmp_path.iterdir()] == ["things"]


def test_a_collection_that_was_made_just_before_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = making._lock

    def lock_late(file: BinaryIO) -> None:
        monkeypatch.setattr(making, "_lock", lock)
        shutil.copytree(tmp_path / "elsewhere" / "things", tmp_path / "things")
        lock(file)

    filled(tmp_path / "elsewhere")
    monkeypatch.setattr(making, "_lock", lock_late)
    store = opened(tmp_path)
    with pytest.raises(StoreUnavailable, match=r"made .*things at this moment\. Run it again\."):
        store.create(spec())
    assert store.count() == 10
    store.close()


def test_who_is_reading_when_the_store_is_closed_is_waited_for(tmp_path: Path) -> None:
    """As a stage is that Ctrl-C left behind."""
    filled(tmp_path, 2000)
    store, ids = opened(tmp_path), [point.id for point in points(2000)]
    begun = threading.Event()

    def read() -> None:
        while True:
            store.get(ids)
            begun.set()

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        assert begun.wait(60)
        store.close()
        for reader in readers:
            with pytest.raises(StoreUnavailable):
                reader.result(60)
    again = opened(tmp_path)
    assert again.count() == 2000
    again.close()


def test_a_folder_with_other_files_is_never_taken_for_a_collection(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    picture = tmp_path / "things" / "shoe.jpg"
    picture.write_bytes(b"mine")
    store = opened(tmp_path)
    assert store.describe() is None
    with pytest.raises(
        StoreUnavailable, match=r"things holds other files, and no collection.*another collection"
    ):
        store.create(spec())
    assert picture.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["things"]


def test_an_empty_folder_may_become_a_collection(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    filled(tmp_path)


def test_a_file_in_the_folders_place_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("a file")
    store = opened(tmp_path / "shop")
    with pytest.raises(StoreUnavailable, match="not in a folder but in a file"):
        store.describe()
    with pytest.raises(StoreUnavailable):
        store.create(spec())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"format": 1}', b"\xff\xfe", b'{"format": "x"}']
)
def test_a_damaged_collection_file_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    filled(tmp_path, 1)
    (tmp_path / "things" / FILE).write_bytes(content)
    store = opened(tmp_path)
    for use in (store.describe, store.count, lambda: store.create(spec())):
        with pytest.raises(
            StoreUnavailable, match=r"collection\.json is damaged.*delete .*things and ingest again"
        ):
            use()


def test_a_newer_format_is_not_guessed_at(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    file = tmp_path / "things" / FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": FORMAT + 1}))
    with pytest.raises(StoreUnavailable, match="newer version of this package"):
        opened(tmp_path).describe()


def test_lost_engine_files_are_reported_with_the_engines_reason(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / "things" / "shard").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match=r"could not be opened: .*does not exist"):
        opened(tmp_path).count()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreUnavailable, match=r"could not be created: Permission denied\. Check"):
            opened(tmp_path / "new").create(spec())
    finally:
        tmp_path.chmod(0o700)


def test_a_disk_that_fails_while_creating_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match=r"could not be created: No space left on device"):
        opened(tmp_path).create(spec())
    assert list(tmp_path.iterdir()) == []


def _count_in_child(store: Store, told: multiprocessing.Queue[str]) -> None:
    try:
        told.put(str(store.count()))
    except StoreUnavailable as error:
        told.put(str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_to_open_its_own(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    store = opened(tmp_path)
    store.count()
    context = multiprocessing.get_context("fork")
    told: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=_count_in_child, args=(store, told))
    child.start()
    assert "before this process was forked" in told.get(timeout=30)
    child.join(30)
    assert store.count() == 1
    store.close()


def test_a_nearly_full_disk_stops_writing_before_the_engine_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    free = 100 * 1024 * 1024
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(
        StoreUnavailable, match=r"nearly full: 100 MiB left, 128 MiB are needed\. Free some space"
    ):
        store.upsert(points(3, start=100))
    with pytest.raises(StoreUnavailable, match="nearly full"):
        opened(tmp_path, "second").create(spec("second"))
    assert store.count() == 10
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["things"]
