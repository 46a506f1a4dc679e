"""What a verification finds: each finding, and the audit that counts them."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

from connector.report import Rejection, Report

KEPT = 100  # findings and rejections that an audit keeps; a callback gets all


class Kind(enum.StrEnum):
    """In which way the collection differs from its source, or from what it should be made of."""

    MISSING = "missing"  # in the source, not stored
    EXTRA = "extra"  # stored, not in the source
    STALE = "stale"  # stored otherwise than the source has it
    WRONG_MODEL = "wrong_model"  # other weights made the vectors, or one of them is not there
    ZERO_VECTOR = "zero_vector"
    NAN_VECTOR = "nan_vector"
    NOT_UNIT = "not_unit"  # a vector whose length is not one
    DUPLICATE_VECTOR = "duplicate_vector"  # a vector that is another record's
    HALF_WRITTEN = "half_written"  # what the connector writes beside a record is not whole
    UNINDEXED = "unindexed"  # a field that conditions may be about has no payload index


@dataclasses.dataclass(frozen=True)
class Finding:
    """One difference.

    Attributes:
        kind: which kind of difference.
        schema: the record's schema, None where it is about the whole collection or nobody can tell.
        id: the record's id, likewise.
        point: the id of its point, None where there is none.
        parts: of a stale record, which of "picture", "words" and "values" differ.
        reason: one sentence for a person: what was found, on what, what to do.
    """

    kind: Kind
    schema: str | None
    id: str | int | None
    point: str | None
    reason: str
    parts: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line of JSON, always ASCII so that any terminal and any tool can hold it."""
        return json.dumps(dataclasses.asdict(self))


OnFinding: TypeAlias = Callable[[Finding], object]


@dataclasses.dataclass(frozen=True)
class Audit:
    """What a verification found.

    Attributes:
        rows: rows read from the source.
        stored: records in the collection, of the schemas that were asked about.
        rejected: rows that no run could take (they do not fit, or their picture cannot be had), so that nothing is
            known about their records.
        counts: findings by kind, those that occurred.
        findings: the first hundred.
        rejections: the first hundred.
        pictures: whether the source's pictures were read, and not only its words and values.
        seconds: wall-clock time.
    """

    rows: int
    stored: int
    rejected: int
    counts: Mapping[Kind, int]
    findings: tuple[Finding, ...]
    rejections: tuple[Rejection, ...]
    pictures: bool
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether nothing was found. Rejected rows are the source's fault and no finding about the collection."""
        return not self.counts

    @property
    def found(self) -> int:
        """How many findings there are."""
        return sum(self.counts.values())

    def to_dict(self) -> dict[str, object]:
        """The audit as JSON has it: a number for every kind, and the findings and rejections that were kept."""
        return {
            "clean": self.clean,
            "rows": self.rows,
            "stored": self.stored,
            "rejected": self.rejected,
            **{kind.value: self.counts.get(kind, 0) for kind in Kind},
            "pictures": self.pictures,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "rejections": [dataclasses.asdict(rejection) for rejection in self.rejections],
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in self.counts.items())
        told = (
            f"{self.rows} rows, {self.stored} stored, {self.rejected} rejected: {counts or 'nothing found'}"
        )
        return f"{told} in {self.seconds:.1f} s"


class Tally:
    """Findings and rejections as they come, counted."""

    def __init__(self, on_finding: OnFinding | None = None) -> None:
        self.rows = 0
        self.rejected = 0
        self.unidentified = 0
        self._counts: collections.Counter[Kind] = collections.Counter()
        self._findings: list[Finding] = []
        self._rejections: list[Rejection] = []
        self._on_finding = on_finding

    def add(self, finding: Finding) -> None:
        """Count one finding."""
        self._counts[finding.kind] += 1
        if len(self._findings) < KEPT:
            self._findings.append(finding)
        if self._on_finding is not None:
            self._on_finding(finding)

    def reject(self, rejection: Rejection) -> None:
        """Count one rejected row."""
        self.rejected += 1
        if len(self._rejections) < KEPT:
            self._rejections.append(rejection)

    def audit(self, stored: int, *, pictures: bool, seconds: float) -> Audit:
        """The whole, in the order of the kinds."""
        counts = {kind: self._counts[kind] for kind in Kind if self._counts[kind]}
        findings, rejections = tuple(self._findings), tuple(self._rejections)
        return Audit(self.rows, stored, self.rejected, counts, findings, rejections, pictures, seconds)


def summary(audit: Audit, shown: int = 10) -> list[str]:
    """What `connector verify` says to a person: the counts, then an example or more of what was found."""
    lines = [str(audit), *(f"  {finding.reason}" for finding in audit.findings[:shown])]
    if audit.found > shown:
        lines.append(f"  … and {audit.found - shown} more.")
    if audit.rejections:
        first = audit.rejections[0]
        lines.append(
            f"  {audit.rejected} rows could not be compared, for example row {first.row}: {first.reason}"
        )
    return lines


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What `connector verify` did: what it found, and where it repaired, what it wrote and what is left.

    Attributes:
        audit: what was found first.
        report: what was written and removed; None where nothing was to be repaired.
        left: what a second look found after that; None likewise.
    """

    audit: Audit
    report: Report | None = None
    left: Audit | None = None

    @property
    def exit_code(self) -> int:
        """0 where nothing is found, or nothing is left to find, and every row could be taken; 1 otherwise."""
        last = self.left or self.audit
        return 0 if last.clean and not last.rejected else 1

    def lines(self) -> list[str]:
        """It all, to a person."""
        lines = summary(self.audit)
        if self.report is not None and self.left is not None:
            lines += [f"Repaired: {self.report}", *summary(self.left)]
        return lines

    def to_dict(self) -> dict[str, object]:
        """It all, to a program: the audit, and under "repaired" and "left" what came after it (null where nothing did)."""
        report = None if self.report is None else dict(self.report.to_dict())
        left = None if self.left is None else self.left.to_dict()
        return {**self.audit.to_dict(), "repaired": report, "left": left}
