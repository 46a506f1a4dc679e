"""What the stages of one run share: how it goes about it, whom it asks, and what has become of its records so far."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from connector.report import Report

if TYPE_CHECKING:
    from datetime import datetime

    from connector.blobs.fetch import BlobFetcher
    from connector.draft import Draft
    from connector.embedding import Embedder
    from connector.schema.schema import Schema
    from connector.store.store import Store
    from connector.sync import SyncOptions


@dataclasses.dataclass(eq=False)
class Run:
    """One run over the rows.

    Attributes:
        store: where its points go; None in a dry run before there is a collection.
        embedder: makes vectors.
        fetcher: fetches pictures.
        base: the folder relative paths start from, absolute.
        options: what the run may do.
        clock: what time it is.
        version: the run's number, asked for when something is first written.
        started: when it began, in seconds of `time.perf_counter`.
        report: what has happened so far.
        held: by schema, how many of the records that came are stored now; exact where ids are unique.
        in_flight: by point id, the last draft of it that is still on its way.
    """

    store: Store | None
    embedder: Embedder
    fetcher: BlobFetcher
    base: str
    options: SyncOptions
    clock: Callable[[], datetime]
    version: Callable[[], int]
    started: float
    report: Report = dataclasses.field(default_factory=Report)
    held: Counter[type[Schema]] = dataclasses.field(default_factory=Counter)
    in_flight: dict[str, Draft] = dataclasses.field(default_factory=dict)

    def known_stamp(self, draft: Draft) -> str | None:
        """What the picture's source said of it when it was stored, where that source may be asked again."""
        held = draft.before
        if held is None or held.digests.picture is None or not held.same_place or self.options.verify_bytes:
            return None
        return held.stamp

    def sees_picture(self, draft: Draft) -> bool:
        """Whether the model must see the picture: not where its vector is stored, or nothing of it has changed."""
        if self.options.dry_run or not draft.wanted:
            return False
        return not (draft.same_picture and (draft.same_words or self.embedder.keeps_parts))
