"""The outcome of a run: what was read, what became of it, and what could not be taken."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

from connector.errors import BlobUnavailable


@dataclasses.dataclass(frozen=True)
class Rejection:
    """One row that could not be taken, and why. One line of a rejects file.

    Attributes:
        row: 0-based position in the source.
        id: the record's id, None where it could not be read.
        field: the field it is about, None where it is about the whole row.
        code: a stable word for the reason, such as "blob_not_found".
        reason: one sentence for a person: what happened, to what, what to do.
    """

    row: int
    id: str | int | None
    field: str | None
    code: str
    reason: str

    @property
    def transient(self) -> bool:
        """Whether nothing is wrong with the row: its picture's server did not answer, several tries included."""
        return self.code == BlobUnavailable.code

    def to_json(self) -> str:
        """One line of JSON, always ASCII so that any terminal and any tool can hold it."""
        return json.dumps(dataclasses.asdict(self))


OnRejection: TypeAlias = Callable[[Rejection], None]


@dataclasses.dataclass
class Report:
    """What a run did. Always `read == new + changed + unchanged + rejected`.

    Attributes:
        read: rows taken from the source.
        new, changed, unchanged: records that were not there, differed, or were already stored as they are.
        rejected: rows that could not be taken; `codes` counts them by reason.
        deleted: records removed because the source no longer has them.
        seconds: wall-clock time.
        embedded_images, embedded_texts: how many the model saw; equal bytes and equal words are embedded once.
        reused_images, reused_texts: stored vectors of unchanged parts that were fused again.
        fetched: pictures whose bytes were read.
        written: points written, whole or their values alone.
        rejections: the first hundred, for a look; a callback or a rejects file gets all of them.
    """

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0
    seconds: float = 0.0
    embedded_images: int = 0
    embedded_texts: int = 0
    reused_images: int = 0
    reused_texts: int = 0
    fetched: int = 0
    written: int = 0
    codes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    rejections: list[Rejection] = dataclasses.field(default_factory=list)

    KEPT_REJECTIONS = 100

    def reject(self, rejection: Rejection) -> None:
        """Count one rejection."""
        self.rejected += 1
        self.codes[rejection.code] += 1
        if len(self.rejections) < self.KEPT_REJECTIONS:
            self.rejections.append(rejection)

    @property
    def stored(self) -> int:
        """Records written by this run."""
        return self.new + self.changed

    @property
    def balances(self) -> bool:
        """Whether every row that was read is accounted for."""
        return self.read == self.new + self.changed + self.unchanged + self.rejected

    def to_dict(self) -> Mapping[str, object]:
        """The seven numbers of a report file, in their order."""
        return {
            "read": self.read,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "deleted": self.deleted,
            "seconds": round(self.seconds, 3),
        }

    @property
    def work(self) -> str:
        """What it took, in words."""
        return (
            f"{self.fetched:,} pictures read, {self.embedded_images:,} pictures and {self.embedded_texts:,} texts embedded, "
            f"{self.reused_images + self.reused_texts:,} stored vectors used again"
        )

    def __str__(self) -> str:
        counts = f"{self.read} read: {self.new} new, {self.changed} changed, {self.unchanged} unchanged, {self.rejected} rejected"
        deleted = f", {self.deleted} deleted" if self.deleted else ""
        return f"{counts}{deleted} in {self.seconds:.1f} s"
