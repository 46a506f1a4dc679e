"""One look at both sides of a collection: what made it, what it holds, and the source beside it."""

from __future__ import annotations

import collections
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import CollectionMismatch, ModelUnavailable, OperationalError
from connector.origin import FORMAT, check_declared
from connector.report import Report
from connector.rows import Source, open_rows
from connector.schema.schema import Schema, definition_of
from connector.stages.delete import DELETED_AT_ONCE
from connector.stages.parse import Parser
from connector.store.points import payload_indexes, schema_name
from connector.sync import SyncOptions, check_deletion
from connector.transformation import ModelHandler
from connector.verify.audit import Audit, Finding, Kind, OnFinding, Tally
from connector.verify.comparison import Comparison, in_batches
from connector.verify.inventory import Inventory, Mark, faults

if TYPE_CHECKING:
    from connector.connector import Connector
    from connector.store.store import Store

SCANNED_AT_ONCE = 256  # points with their vectors, some 10 KB each


class Examination:
    """One look at both sides: what made the collection, what it holds, and the source beside it."""

    def __init__(
        self,
        connector: Connector[Any],
        schema: type[Schema] | None,
        on_finding: OnFinding | None,
        *,
        pictures: bool,
    ) -> None:
        self.connector = connector
        self.schema = schema
        self._collection = connector._collection
        self._entry = connector._entry(schema)
        self._schemas = connector.space.schemas if self._entry is None else (self._entry.schema,)
        self._tally = Tally(on_finding)
        self._pictures = pictures
        self._stored: collections.Counter[str] = collections.Counter()  # points by schema
        self._started = time.perf_counter()
        self._comparison: Comparison | None = None
        self.mismatch: OperationalError | None = (
            None  # why what made the collection is not, or may not be, this model
        )

    def audit(self) -> Audit:
        """What was found."""
        seconds = time.perf_counter() - self._started
        return self._tally.audit(self._stored.total(), pictures=self._pictures, seconds=seconds)

    def look_at_indexes(self) -> None:
        """Find fields that conditions may be about and that no payload index is for."""
        if self._collection.metadata() is None or (there := self._collection.store.indexed()) is None:
            return
        lacking = payload_indexes(self.connector.space.schemas).keys() - there
        for schema in self._schemas:
            for name in definition_of(schema).all:
                if name in lacking:
                    self._tally.add(_unindexed(schema.__name__, name))

    def run(self, rows: Source, base: Path | str | None) -> None:
        """Read both sides and compare them."""
        connector = self.connector
        with (
            open_rows(rows, self._entry or connector.space.entries[0], base) as source,
            connector._fetcher(source.base) as fetcher,
        ):
            made_by = self._collection.metadata()
            store = None if made_by is None else self._collection.store
            inventory = Inventory()
            self._comparison = Comparison(
                store,
                inventory,
                self._schemas,
                connector._embedder,
                fetcher,
                self._tally,
                pictures=self._pictures,
            )
            if made_by is not None:
                self._look_at_model(made_by)
                self._look_at_points(
                    self._comparison, inventory, self._collection.store, int(made_by["length"])
                )
            inventory.seal()
            parser = Parser(connector.space, self._entry)
            self._comparison.read(parser.parse(enumerate(source)))
        self._tally.unidentified = parser.unidentified
        if parser.broken is not None:
            raise parser.broken
        self._comparison.conclude()

    def _look_at_model(self, made_by: Mapping[str, Any]) -> None:
        """Compare what made the collection with the model, where it is loaded, quickly loaded, or named otherwise."""
        space, embedder = self.connector.space, self.connector._embedder
        try:
            same = check_declared(self._collection.name, space, made_by)
            if not same or space.model_handler is ModelHandler.STAND_IN or embedder.counts != (0, 0):
                self._collection.check_model(embedder.engine)
        except CollectionMismatch as error:
            if made_by.get("format") != FORMAT:
                raise
            self.mismatch = error
            self._tally.add(Finding(Kind.WRONG_MODEL, None, None, None, str(error)))
        except ModelUnavailable as error:
            self.mismatch = error
            told = f"Collection '{self._collection.name}' was made by a model of another name than {space.model!r}"
            self._tally.add(
                Finding(Kind.WRONG_MODEL, None, None, None, f"{told}, which cannot be compared: {error}")
            )

    def _look_at_points(
        self, comparison: Comparison, inventory: Inventory, store: Store, length: int
    ) -> None:
        """Take stock, and find what is wrong with points whatever the source says."""
        asked = {schema.__name__ for schema in self._schemas}
        names = self.connector._embedder.names
        words = {
            entry.schema.__name__: entry.description.name
            for entry in self.connector.space.entries
            if entry.description is not None
        }
        for point in store.scan(vectors=True, batch=SCANNED_AT_ONCE):
            schema = schema_name(point)
            if schema is not None and schema not in asked:
                continue
            marks = Mark(0)
            if schema is None:
                marks = Mark.UNOWNED
            else:
                self._stored[schema] += 1
            for kind, what in faults(point, names, length):
                marks |= Mark.FAULTY
                self._tally.add(comparison.about(point, kind, f": {what}"))
            inventory.add(point, marks, words.get(schema or ""))

    def differing(self) -> tuple[set[int], list[str]]:
        """The rows to write again, and the ids of points to delete before that."""
        assert self._comparison is not None  # run() came before
        return self._comparison.differing()

    def remove_extra(self, store: Store, options: SyncOptions) -> int:
        """Delete what no row has, of the schemas asked about; how many records that were."""
        assert self._comparison is not None  # run() came before
        extra = collections.Counter(schema_name(point) for point in self._comparison.extra())
        seen = Report(read=self._tally.rows)
        allowed = {
            schema
            for schema, gone in extra.items()
            if schema is not None
            and check_deletion(gone, self._stored[schema], seen, self._tally.unidentified, options)
        }
        # A point of no schema may be another schema's half-written one, which that schema's own repair writes again.
        made_by = self._collection.metadata() or {}
        everything = set(made_by.get("schemas", {})) <= {schema.__name__ for schema in self._schemas}
        version = self._collection.next_version(self.connector._clock()) if allowed else 0
        deleted = 0
        for points in in_batches(self._comparison.extra(), DELETED_AT_ONCE):
            for schema in allowed:
                if ids := [point.id for point in points if schema_name(point) == schema]:
                    store.bury(ids, schema=schema, version=version)
                    deleted += len(ids)
            if everything and (ids := [point.id for point in points if schema_name(point) is None]):
                store.delete(ids)
        return deleted


def _unindexed(schema: str, field: str) -> Finding:
    reason = f"{schema}.{field} has no payload index, so conditions on it are slow. Repair, or any sync, makes one."
    return Finding(Kind.UNINDEXED, schema, None, None, reason)
