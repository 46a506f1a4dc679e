"""A collection's folder: made whole or not at all, opened by one process at a time, locked by name.

`<folder>/<collection>/` holds `collection.json` and, in `shard/`, the engine's files (in `shard-2/` and so on after
their search graph was built on a copy; `collection.json` says which); `writer.json` says who holds the lock.
`<folder>/.<collection>.creating` and `.creating.lock` are there while one is made.
`<folder>/.<alias>.alias` is an alias: a file that holds a collection's name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import qdrant_edge as engine

from connector.errors import ConnectorError, StoreLocked, StoreUnavailable
from connector.store.batches import BatchRefused
from connector.store.folder import (
    Files,
    check_space,
    read_files,
    read_pointer,
    read_spec,
    read_writer,
    remove_other_files,
    remove_writer,
    shape_of,
    write_spec,
    write_writer,
)
from connector.store.graph import SHORT, build, outside
from connector.store.lock import Clock, Turn, locked, patiently
from connector.store.making import make
from connector.store.shape import Shape
from connector.store.shard import add_indexes, close_shard, translated
from connector.store.store import CollectionSpec, IndexKind


class Place:
    """Where one collection lies, and its shard while it is open. Nothing is made before `create`.

    Attributes:
        writing: held by whoever changes points. Taken before any other lock of this class.
    """

    def __init__(self, folder: Path, collection: str, clock: Clock) -> None:
        self._folder = folder
        self._collection = collection
        self._clock = clock
        self._turn = Turn(clock)
        self.writing = threading.RLock()
        self._lock = threading.RLock()
        self._opened: tuple[engine.EdgeShard, CollectionSpec] | None = None
        self._opened_path = folder / collection
        self._files = Files()
        self._holder: str | None = None
        self._process = 0
        self._closed = False

    @property
    def path(self) -> Path:
        """The collection's own folder: what an alias points to now, but as long as it is open the one that is."""
        if self._opened is not None:
            return self._opened_path
        return self._folder / (read_pointer(self._folder, self._collection) or self._collection)

    def read(self) -> CollectionSpec | None:
        """Return what the collection is made of, or None; reads small files, unless it is open: then nobody else can write."""
        self.check_open()
        opened = self._opened
        return read_spec(self.path) if opened is None else opened[1]

    def create(self, spec: CollectionSpec) -> None:
        """Make the collection, or add the payload indexes and metadata that the one there lacks."""
        self.check_open()
        with self.writing, self._lock, self.border("created"):
            path = self.path
            existing = read_spec(path)
            if existing is None:
                make(path, spec)
            else:
                shape_of(existing).check_spec(spec)
                self._extend(existing, spec)
            if self._holder is not None:
                self.open()
                self._sign()

    def renew(self, metadata: Mapping[str, object]) -> None:
        """Merge into the collection's metadata; no other process can do so at the same time."""
        with self._lock, self.border("written"):
            self.open()
            assert self._opened is not None  # opened in the line above, under the same lock
            shard, spec = self._opened
            renewed = dataclasses.replace(spec, metadata={**spec.metadata, **metadata})
            write_spec(self.path, renewed, self._files)
            self._opened = shard, renewed

    @contextlib.contextmanager
    def lock(self, holder: str, wait: float) -> Iterator[None]:
        """Be the one writer for as long as the block runs: other processes cannot open the folder meanwhile.

        Raises:
            StoreLocked: another process, or another thread, held it for longer than `wait` seconds.
        """
        deadline = self._clock.elapsed() + wait
        with self._turn.held(str(self.path), holder, wait):
            patiently(self._open_if_there, deadline - self._clock.elapsed(), self._clock)
            self._holder = holder
            try:
                with self.border("locked"):
                    self._sign()
                yield
            finally:
                self._holder = None
                if self._opened is not None and not self._closed:
                    remove_writer(self.path)

    def open(self) -> tuple[engine.EdgeShard, Shape]:
        """Return the opened shard, and what vectors it holds."""
        with self._lock:
            self.check_open()
            if self._opened is None:
                path = self.path
                spec = self._there(path)
                with self._named(path), self.border("opened"):
                    shard = self._load(path)
                # Read again: only from here on can no other process change it.
                self._opened = shard, read_spec(path) or spec
                self._opened_path = path
                self._process = os.getpid()
                remove_writer(path)  # left by one that died; who is alive would have kept us out
                remove_other_files(path, self._files)
            shard, spec = self._opened
            return shard, shape_of(spec)

    def unbuilt(self) -> int:
        """Return how many points are in no search graph yet."""
        shard, _ = self.open()
        with self.border("read"):
            info = shard.info()
        return outside(info.points_count, info.indexed_vectors_count, self._files.each)

    def build(self) -> None:
        """Build the search graph of all points; writes wait meanwhile, searches do not."""
        with self.writing, self.border("optimized"):
            shard, shape = self.open()
            path, old = self._opened_path, self._files
            check_space(path)
            if self.unbuilt() * shape.length * len(shape.vectors) <= SHORT:
                shard.optimize()
                return
            shard.flush()
            points = shard.info().points_count
            copy = old._replace(name=old.following())
            try:
                build(path / old.name, path / copy.name, self._spec(), points)
                self._exchange(copy)
            finally:
                unused = old if read_files(path).name == copy.name else copy
                shutil.rmtree(path / unused.name, ignore_errors=True)

    def flush(self) -> None:
        """Make what was acknowledged survive a power cut."""
        self.check_open()
        if self._opened is not None:
            with self.border("written"):
                self._opened[0].flush()

    def close(self) -> None:
        """Flush, and let other processes in."""
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, None
        if opened is not None and self._process == os.getpid():
            with self.border("closed"):
                if self._holder is not None:
                    remove_writer(self._opened_path)
                try:
                    opened[0].flush()
                finally:
                    close_shard(opened[0])

    def check_open(self) -> None:
        """Raise `StoreUnavailable` where the shard must not be used any more, or not by this process."""
        if self._closed:
            raise StoreUnavailable(f"The store of {self.path} was closed. Open it again to go on.")
        if self._opened is not None and self._process != os.getpid():
            raise StoreUnavailable(
                f"{self.path} was opened before this process was forked, and would hang here. "
                "Open the store in the child process, or start it with the spawn method."
            )

    def _load(self, path: Path) -> engine.EdgeShard:
        """Load the engine's files; others than were written down at first, where a process exchanged them just now."""
        while True:
            self._files = read_files(path)
            shard = engine.EdgeShard.load(str(path / self._files.name))
            if read_files(path).name == self._files.name:
                return shard
            shard.close()

    def _exchange(self, files: Files) -> None:
        """Put a copy of the engine's files in the place of those that are open.

        The old shard is not closed but let go: a search may be at it in another thread, and ends well.
        """
        with self._lock:
            self.check_open()
            spec = self._spec()
            shard = engine.EdgeShard.load(str(self.path / files.name))
            info = shard.info()
            files = files._replace(each=info.indexed_vectors_count / max(1, info.points_count) or None)
            try:
                write_spec(self.path, spec, files)
            finally:  # what is written there counts, also where Ctrl-C came just after it
                if read_files(self.path).name == files.name:
                    self._opened, self._files = (shard, spec), files

    def _spec(self) -> CollectionSpec:
        assert self._opened is not None  # called after `open`
        return self._opened[1]

    def _there(self, path: Path) -> CollectionSpec:
        spec = read_spec(path)
        if spec is None:
            raise StoreUnavailable(f"There is no collection in {path} yet. Ingest something first.")
        return spec

    def _open_if_there(self) -> None:
        # Where there is no collection there is nothing to protect yet; `create` opens it for whoever holds the lock.
        if self.read() is not None:
            self.open()

    def _sign(self) -> None:
        if self._opened is not None and self._holder is not None:
            write_writer(self.path, self._holder, self._clock.now())

    @contextlib.contextmanager
    def _named(self, path: Path) -> Iterator[None]:
        """Say who has the folder open, where that one wrote it down."""
        try:
            yield
        except StoreLocked as error:
            writer = read_writer(path)
            if writer is None:
                raise
            cure = "Wait for it to end (wait=…), or stop that process: its lock ends with it."
            raise locked(str(path), *writer, cure) from error

    def _extend(self, existing: CollectionSpec, spec: CollectionSpec) -> None:
        shard, _ = self.open()
        there = shard.info().payload_schema
        missing: dict[str, IndexKind] = {
            key: kind
            for key, kind in spec.indexes.items()
            if existing.indexes.get(key) != kind or key not in there
        }
        metadata = {**existing.metadata, **spec.metadata}
        if not missing and metadata == existing.metadata:
            return
        add_indexes(shard, missing.items())
        shard.flush()
        indexes = {**existing.indexes, **missing}
        renewed = dataclasses.replace(existing, indexes=indexes, metadata=metadata)
        write_spec(self.path, renewed, self._files)
        self._opened = shard, renewed

    @contextlib.contextmanager
    def border(self, done: str) -> Iterator[None]:
        """Translate what the engine and the disk raise."""
        try:
            yield
        except (ConnectorError, BatchRefused):
            raise
        except OSError as error:
            raise StoreUnavailable(
                f"The collection in {self.path} could not be {done}: {error.strerror or error}. "
                "Check the folder's permissions and the free space; nothing is lost."
            ) from error
        # A border: the engine raises bare exceptions, with nothing but a message.
        except Exception as error:
            if type(error) is not Exception:
                raise
            raise translated(error, self.path, done) from error
