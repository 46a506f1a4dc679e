"""Does the collection equal its source? `verify` reads both sides and says where not; `repair` mends only that.

First the collection is read into an `Inventory`, then the source streams past it. Nothing is embedded, unless records of
different content share a vector: those are embedded again to see whether it is theirs (equal pixels in two files and
titles that differ in case only give equal vectors, and nothing is wrong then).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import DataError
from connector.report import Rejection, Report
from connector.rows import Row, Source
from connector.schema.schema import Schema
from connector.sync import SyncOptions
from connector.verify.audit import Audit, OnFinding, Outcome
from connector.verify.examination import Examination

if TYPE_CHECKING:
    from connector.connector import Connector


def verify(
    connector: Connector[Any],
    rows: Source,
    *,
    schema: type[Schema] | None = None,
    base: Path | str | None = None,
    bytes: bool = True,
    on_finding: OnFinding | None = None,
) -> Audit:
    """Compare the collection with the source that it should equal. Writes nothing.

    Holds about 60 bytes a stored record and 16 a row that differs; rows and points stream. Where somebody writes
    meanwhile, what is being written may be found; run it again.

    Args:
        connector: the collection.
        rows: the source, as `Connector.ingest` takes it.
        schema: which schema mappings are, where the space holds several; other schemas' records are left alone then.
        base: the folder relative picture paths start from.
        bytes: read every picture and compare its digest. Otherwise only those of records that are not stored are read,
            to tell what is missing from what no run could take.
        on_finding: called with each finding.

    Returns:
        An `Audit`. Rows that no run could take are its rejections, and their records neither missing nor stale. A record
        that the source names twice is right where it equals any of its rows. What only the model or Qdrant refuses is
        missing.

    Raises:
        CollectionMismatch: another library made the collection.
        OperationalError: the source or Qdrant cannot be read to its end.
    """
    examination = Examination(connector, schema, on_finding, pictures=bytes)
    examination.look_at_indexes()
    examination.run(rows, base)
    return examination.audit()


def repair(
    connector: Connector[Any],
    rows: Source,
    *,
    schema: type[Schema] | None = None,
    base: Path | str | None = None,
    bytes: bool = True,
    max_delete: float = 0.2,
    wait: float = 0.0,
    on_finding: OnFinding | None = None,
    on_rejection: Callable[[Rejection], object] | None = None,
    on_progress: Callable[[Report, float | None], object] | None = None,
) -> Report:
    """Mend what `verify` finds and touch nothing else; the source is read twice, so it must be one that can be.

    Args:
        connector, rows, schema, base, bytes, on_finding: as for `verify`.
        max_delete: the largest share of the stored records that may be removed as not in the source, from 0 to 1.
        wait: seconds to wait for a sync of the collection to end.
        on_rejection, on_progress: as for `Connector.ingest`, about the rows that are written again.

    Returns:
        A report of the rows that were written again, and of what was removed.

    Raises:
        DataError: the rows can be read only once.
        CollectionMismatch: another model made the collection; that is not mended here, but by a migration.
        ModelUnavailable: records must be embedded again and the model is not at hand; nothing was changed.
        DeletionRefused: more than `max_delete` of the records would go; everything else is mended.
    """
    examination = Examination(connector, schema, on_finding, pictures=bytes)
    options = SyncOptions(max_delete=max_delete, wait=wait)
    return _mend(examination, rows, base, options, on_rejection, on_progress)


def check(
    connector: Connector[Any],
    rows: Source,
    *,
    schema: type[Schema] | None = None,
    base: Path | str | None = None,
    bytes: bool = True,
    repair: bool = False,
    max_delete: float = 0.2,
    wait: float = 0.0,
    on_finding: OnFinding | None = None,
) -> Outcome:
    """What the command line does: verify, or repair and, where something was found, verify again.

    Arguments and errors are those of `verify` and of `repair`; `on_finding` hears of the first look only.
    """
    if not repair:
        return Outcome(verify(connector, rows, schema=schema, base=base, bytes=bytes, on_finding=on_finding))
    examination = Examination(connector, schema, on_finding, pictures=bytes)
    report = _mend(examination, rows, base, SyncOptions(max_delete=max_delete, wait=wait))
    if (audit := examination.audit()).clean:
        return Outcome(audit)
    return Outcome(audit, report, verify(connector, rows, schema=schema, base=base, bytes=bytes))


def _mend(
    examination: Examination,
    rows: Source,
    base: Path | str | None,
    options: SyncOptions,
    on_rejection: Callable[[Rejection], object] | None = None,
    on_progress: Callable[[Report, float | None], object] | None = None,
) -> Report:
    if rows == "-" or (isinstance(rows, Iterable) and iter(rows) is rows):
        raise DataError(
            "A repair reads its rows twice, and these can be read only once. Pass a list, or a feed's path."
        )
    started = time.perf_counter()
    connector = examination.connector
    examination.look_at_indexes()  # before they are mended, which opening for writing does
    with connector._collection.opened_for_writing(connector._embedder, options, locked=True) as store:
        assert store is not None  # it is no dry run
        examination.run(rows, base)
        if examination.mismatch is not None:
            raise examination.mismatch
        differing, untrusted = examination.differing()
        if untrusted:
            _ = connector._embedder.engine  # without a model nothing may be deleted that it has to make again
        report = Report()
        if differing:
            # What an untrusted point says of itself would pass for unchanged, so it is not asked.
            chosen = Chosen(numbers=frozenset(differing), afresh=frozenset(untrusted))
            schema = examination.schema
            opened = connector._opened(rows, schema, base, None)
            report = connector._run(opened, schema, chosen, on_rejection, on_progress, unique=False)
        report.deleted = examination.remove_extra(store, options)
        store.flush()
    report.seconds = time.perf_counter() - started
    return report


@dataclasses.dataclass(frozen=True)
class Chosen(SyncOptions):
    """A run over some rows of a source, by their position."""

    numbers: frozenset[int] = frozenset()

    def rows(self, rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
        """The chosen rows, numbered by their position in the source."""
        return ((number, row) for number, row in enumerate(rows) if number in self.numbers)
