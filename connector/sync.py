"""The difference between the rows and the collection: what a sync may skip, must stop at, and may delete."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from connector.errors import DataError, DeletionRefused, SourceUnavailable, TooManyRejections
from connector.report import Report
from connector.rows import Row

log = logging.getLogger("connector")

ENOUGH_TO_JUDGE = 100  # rows before a share of them says anything


@dataclasses.dataclass(frozen=True)
class SyncOptions:
    """What a sync may do.

    Attributes:
        delete_missing: remove stored records that the source no longer has.
        max_delete: the largest share of the stored records that may go, from 0 to 1.
        dry_run: report what would happen; embed and write nothing.
        limit: take no more rows than this (nothing is deleted then).
        verify_bytes: read every picture, also where its source says it has not changed.
        only_rejected: a rejects file of an earlier run over the same source: take only its rows (nothing is deleted then).
        max_rejects: stop when more rows than this are rejected: a number from 1, or a share below 1.
        wait: seconds to wait for another sync of the collection to end.
        afresh: ids of points that are written again whatever they say of themselves.
    """

    delete_missing: bool = False
    max_delete: float = 0.2
    dry_run: bool = False
    limit: int | None = None
    verify_bytes: bool = False
    only_rejected: Path | str | None = None
    max_rejects: float | None = None
    wait: float = 0.0
    afresh: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.max_delete <= 1:
            raise DataError(
                f"max_delete is {self.max_delete!r}. Give a share from 0 to 1; 1 allows everything."
            )
        if self.limit is not None and self.limit < 1:
            raise DataError(f"limit is {self.limit!r}. Give a number of rows from 1.")
        if self.max_rejects is not None and self.max_rejects < 0:
            raise DataError(
                f"max_rejects is {self.max_rejects!r}. Give a number of rows, or a share below 1."
            )

    @property
    def deletes(self) -> bool:
        """Whether this run sees the whole source and may delete what is not in it."""
        return self.delete_missing and self.limit is None and self.only_rejected is None

    def rows(self, rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
        """The rows to take, numbered by their position in the source."""
        wanted = None if self.only_rejected is None else rejected_rows(Path(self.only_rejected))
        taken = 0
        for number, row in enumerate(rows):
            if wanted is not None and number not in wanted:
                continue
            if self.limit is not None and taken >= self.limit:
                return
            taken += 1
            yield number, row

    def check_rejections(self, report: Report) -> None:
        """Stop a run that has gone wrong.

        Raises:
            TooManyRejections: more rows than allowed were rejected.
        """
        if self.max_rejects is None:
            return
        most = self.max_rejects
        if most < 1:
            if report.read < ENOUGH_TO_JUDGE:
                return
            most *= report.read
        if report.rejected > most:
            raise TooManyRejections(
                f"{report.rejected} of {report.read} rows were rejected, more than max_rejects allows. "
                "What was stored stays stored; look at the rejects, mend the source, and run it again."
            )


def rejected_rows(path: Path) -> set[int]:
    """The row numbers in a rejects file.

    Raises:
        SourceUnavailable: it cannot be read.
        DataError: it is no rejects file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceUnavailable(f"Rejects file '{path}' could not be read: {error.strerror}.") from error
    try:
        return {int(json.loads(line)["row"]) for line in lines if line.strip()}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{path}' is no rejects file: each line must be a JSON object with a \"row\"."
        ) from error


def check_deletion(gone: int, stored: int, report: Report, unidentified: int, options: SyncOptions) -> bool:
    """Whether `gone` of `stored` records may be deleted after this run.

    Returns:
        False where rows could not be identified, so that a record may only seem to be missing.

    Raises:
        DeletionRefused: the source was empty, or more would go than `max_delete` allows.
    """
    if not gone:
        return False
    if unidentified:
        log.warning(
            "%d rows have no id that could be read, so any of %d records may only seem to be missing. Nothing was deleted.",
            unidentified,
            gone,
        )
        return False
    if report.read == 0 and options.max_delete < 1:
        raise DeletionRefused(
            f"The source has no rows, and all {stored} records would be deleted. Nothing was. "
            "If that is meant, insist: max_delete=1 (--max-delete 100%)."
        )
    if gone > options.max_delete * stored:
        raise DeletionRefused(
            f"{gone} of {stored} records are no longer in the source, more than {options.max_delete:.0%} of them. "
            f"Nothing was deleted. If that is meant, insist: max_delete={min(1.0, _share(gone, stored)):.2f} "
            f"(--max-delete {min(100, round(100 * _share(gone, stored)))}%)."
        )
    return True


def _share(gone: int, stored: int) -> float:
    """A share that lets `gone` of `stored` pass, rounded up to a hundredth."""
    return -(-100 * gone // stored) / 100
