"""A space's collection in its store: opened when first needed, created when first written to, and seen to be ours."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from connector.embedding import Embedder, FloatVector
from connector.errors import CollectionMismatch, DataError, StoreUnavailable
from connector.origin import check_declared, check_model, collection_spec, renewed_spec
from connector.probes.marks import due, marked
from connector.probes.probes import Drift, check, record
from connector.schema.conditions import Condition
from connector.schema.schema import Schema
from connector.space import ImageSpace
from connector.store.lock import holder
from connector.store.points import BASE, digests, point_id, schema_name, to_record
from connector.store.store import Where
from connector.sync import SyncOptions

if TYPE_CHECKING:
    from connector.engine.engine import Engine
    from connector.engine.handlers import ImageHandler
    from connector.store.aliases import Aliases
    from connector.store.store import Point, Quantization, Store


class StoredPicture(NamedTuple):
    """Where a record's picture was when it was stored, from which folder if that is relative, and its digest then."""

    place: str
    base: Path | None
    digest: str | None


class Collection:
    """One collection, and the records of a space's schemas in it. Safe to use from several threads."""

    def __init__(
        self,
        space: ImageSpace[Any],
        location: str,
        name: str,
        open_store: Callable[[str], Store],
        open_aliases: Callable[[], Aliases],
        clock: Callable[[], dt.datetime],
        quantization: Quantization | None = None,
    ) -> None:
        self.location = location
        self.name = name
        self._space = space
        self._open_store = open_store
        self._open_aliases = open_aliases
        self._on_server = location.startswith(("http://", "https://"))
        self._clock = clock
        self._quantization = quantization
        self._probes_checked: dict[str, str] | None = None
        self._opened: Store | None = None
        self._opening = threading.Lock()
        self._preparing = threading.Lock()

    @property
    def store(self) -> Store:
        """The store, opened on the first call."""
        with self._opening:
            if self._opened is None:
                self._opened = self._open_store(self._resolved())
            return self._opened

    def _resolved(self) -> str:
        """What the name stands for now, looked up once: after a migration an open connector still needs its own vectors."""
        if not self._on_server:  # a folder's store does so itself
            return self.name
        with contextlib.closing(self._open_aliases()) as aliases:
            return aliases.target(self.name) or self.name

    def metadata(self) -> Mapping[str, Any] | None:
        """What made the collection, None where there is none yet."""
        return self.store.describe()

    def prepare(self, embedder: Embedder) -> None:
        """Create the collection, or see that it is ours to write to, and bring its payload indexes up to date.

        Raises:
            CollectionMismatch: another schema, space, fusion or model made it.
        """
        with self._preparing:
            stored = self.metadata()
            if stored is None:
                self._create(embedder)
                return
            _check_current(self.name, stored)
            if not check_declared(self.name, self._space, stored):
                _ = embedder.engine  # loading it compares the model itself
            indexed = self.store.indexed()
            if renewed := renewed_spec(self.name, self._space, embedder.names, stored, indexed):
                self.store.create(renewed)

    def _create(self, embedder: Embedder) -> None:
        now = self._clock()
        probes = record(self._handler(), now)
        self._probes_checked = marked(
            None, now
        )  # the first search need not look again at what was made here just now
        spec = dataclasses.replace(
            collection_spec(self.name, self._space, embedder.names, embedder.engine, probes),
            quantization=self._quantization,
        )
        if not self._on_server:
            self.store.create(spec)
            return
        from connector.migration.switching import create_behind_alias

        with contextlib.closing(self._open_aliases()) as aliases:
            create_behind_alias(spec, self._space, aliases=aliases)
        with self._opening:
            if self._opened is not None:
                self._opened.close()
            self._opened = None  # to be opened under the name of its own

    @contextlib.contextmanager
    def opened_for_writing(
        self, embedder: Embedder, options: SyncOptions, *, locked: bool
    ) -> Iterator[Store | None]:
        """The store of a run: prepared, and locked against other syncs if asked; in a dry run None where there is none.

        Raises:
            CollectionMismatch: another schema, space, fusion or model made it.
            StoreLocked: another sync did not end within `options.wait` seconds.
        """
        if options.dry_run:
            stored = self.metadata()
            if stored is not None:
                check_declared(self.name, self._space, stored)
            yield None if stored is None else self.store
            return
        self.prepare(embedder)
        with contextlib.ExitStack() as stack:
            if locked:
                stack.enter_context(self.store.lock(holder(), wait=options.wait))
            stack.enter_context(self.store.loading())
            yield self.store

    def need(self, embedder: Embedder) -> Mapping[str, Any]:
        """See that there is a collection to search, and that it is ours; what made it.

        Raises:
            StoreUnavailable: there is none.
            CollectionMismatch: another schema, space or fusion made it.
        """
        stored = self.metadata()
        if stored is None:
            raise StoreUnavailable(
                f"There is no collection '{self.name}' in {self.location}. "
                "Ingest into it first, or check the location and the collection's name."
            )
        if not check_declared(self.name, self._space, stored):
            _ = embedder.engine  # loading it compares the model itself
        return stored

    def check_model(self, engine: Engine) -> None:
        """See that this engine makes the vectors that the collection holds: by what it says of itself, and once a day by probes.

        Raises:
            CollectionMismatch: it does not.
        """
        stored = self.metadata()
        if stored is None:
            return
        check_model(self.name, engine, stored)
        now = self._clock()
        marks = self._probes_checked or stored.get("probes_checked")
        if "probes" in stored and due(marks, now):
            check(self.name, self._handler(), stored["probes"])
            self._probes_checked = marked(marks, now)

    def check_probes(self) -> Drift | None:
        """Embed the stored probes again, whenever it was done last; None where the collection has none.

        Raises:
            CollectionMismatch: they have moved further than any change of precision or library moves them.
        """
        probes = (self.metadata() or {}).get("probes")
        return None if probes is None else check(self.name, self._handler(), probes)

    def _handler(self) -> ImageHandler:
        """The loaded model itself: an engine would answer from its cache, and pass any drift."""
        from connector.engine.handlers import load_handler

        return load_handler(self._space.transformation_config.embedding_config)

    def next_version(self, now: dt.datetime) -> int:
        """The number of a run that is about to write: larger than any before it, whatever the clock has done."""
        with self._preparing:
            last = (self.metadata() or {}).get("last_version", 0)
            version = max(int(now.timestamp() * 1000), int(last) + 1)
            checked = {} if self._probes_checked is None else {"probes_checked": self._probes_checked}
            self.store.renew({"last_version": version, **checked})
            return version

    def where(
        self,
        condition: Condition | None,
        schema: type[Schema] | None,
        stored: Mapping[str, Any] | None = None,
    ) -> Where:
        """The points of one schema, or of all of this space, that fulfil a condition.

        Where the collection, by what is `stored` of it, holds no other schema, none is named: a search that need not
        look at any payload is faster.
        """
        names = tuple(each.__name__ for each in self._asked(schema))
        if stored is not None and stored["schemas"].keys() <= set(names):
            names = ()
        return Where(names, condition)

    def points(self, id: str | int, schema: type[Schema] | None, *, vectors: bool = False) -> list[Point]:
        """The points of the record with this id: at most one of each schema."""
        if self.metadata() is None:
            return []
        wanted = [point_id(each.__name__, id) for each in self._asked(schema)]
        found = self.store.get(wanted, vectors=vectors)
        return [found[point] for point in wanted if point in found]

    def pictures(self, id: str | int, schema: type[Schema] | None) -> Iterator[StoredPicture]:
        """The pictures of the records with this id, without those that came as content and not as a place."""
        for point in self.points(id, schema):
            place = point.payload.get(self._space.entry(type(self.record(point))).blob.name)
            base = point.payload.get(BASE)
            if isinstance(place, str):
                yield StoredPicture(
                    place, Path(base) if isinstance(base, str) else None, digests(point).picture
                )

    def vector(
        self, id: str | int, schema: type[Schema] | None, using: str, part: str = "like"
    ) -> FloatVector:
        """The stored vector of a record, named as `part` of a query.

        Raises:
            DataError: there is no such record, or it has no such vector.
        """
        for point in self.points(id, schema, vectors=True):
            if using in point.vectors:
                return point.vectors[using]
        raise DataError(
            f"{part} is {id!r}, but there is no such record with a vector '{using}'. Check the id."
        )

    def record(self, point: Point) -> Schema:
        """A point's record, as its own class."""
        name = schema_name(point)
        schema = next(each for each in self._space.schemas if each.__name__ == name)
        return to_record(point, schema)

    def close(self) -> None:
        """Release the store."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()

    def _asked(self, schema: type[Schema] | None) -> tuple[type[Schema], ...]:
        return self._space.schemas if schema is None else (self._space.entry(schema).schema,)


def _check_current(name: str, stored: Mapping[str, Any]) -> None:
    """Refuse to write to what a migration has left behind, or is in the middle of changing."""
    if stored.get("superseded_by"):
        raise CollectionMismatch(
            f"Collection '{name}' has been migrated to {stored['superseded_by']} since it was opened. Open it again, "
            "with the model it has now."
        )
    if stored.get("fusing"):
        raise CollectionMismatch(
            f"The vectors of collection '{name}' are being fused again with other weights. Run the migration to its end."
        )


def default_name(space: ImageSpace[Any]) -> str:
    """The schemas' names in snake case, joined: `Product` → "product", `BlogPost` and `Photo` → "blog_post_photo"."""
    names = (re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", schema.__name__).lower() for schema in space.schemas)
    return "_".join(names)
