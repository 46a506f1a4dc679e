"""One run as a straight line: the stages a record passes through, each an iterator over the one before.

What goes down the line is lists of items: a `Draft` (a record on its way, or what it was rejected for), or the
`Rejection` of a row that never became one. Order is kept throughout, and only the last stage, `settle`, writes and
counts, so the report balances whenever a run ends, also by Ctrl-C.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from connector.draft import cost, rejection_of
from connector.pipeline import PICTURE_BYTES_AHEAD, ahead
from connector.report import Rejection, Report
from connector.rows import Rows
from connector.stages.compare import compare
from connector.stages.delete import delete_missing
from connector.stages.embed import embed
from connector.stages.load import load
from connector.stages.parse import Parser
from connector.stages.run import Run
from connector.stages.settle import settle

BATCHES_AHEAD = 2  # embedded batches that may wait for the store


def ingest(
    run: Run,
    parser: Parser,
    source: Rows,
    on_rejection: Callable[[Rejection], object] | None = None,
    on_progress: Callable[[Report, float | None], object] | None = None,
) -> None:
    """Take the rows of a source; `run.report` says what became of them, and `parser.broken` whether they broke off.

    Raises:
        DeletionRefused, TooManyRejections, OperationalError: as for `Connector.sync`.
    """
    report, seen = run.report, run.embedder.counts
    parsed = parser.parse(run.options.rows(source))
    compared = compare(run, parsed)
    loaded = load(run, compared)
    embedded = embed(run, ahead(loaded, PICTURE_BYTES_AHEAD, lambda unit: sum(map(cost, unit))))
    batches = ahead(embedded, BATCHES_AHEAD)
    try:
        for batch in batches:
            for item in settle(run, batch):
                rejection = rejection_of(item)
                if rejection is not None and on_rejection is not None:
                    on_rejection(rejection)
            report.seconds = time.perf_counter() - run.started
            if on_progress is not None:
                on_progress(report, source.progress())
            run.options.check_rejections(report)
        if parser.broken is None and run.options.deletes:
            report.deleted = delete_missing(run, parser)
    finally:
        batches.close()
        if run.store is not None:
            run.store.flush()
        images, texts = run.embedder.counts
        report.embedded_images, report.embedded_texts = images - seen[0], texts - seen[1]
        report.fetched = run.fetcher.fetched
        report.seconds = time.perf_counter() - run.started
