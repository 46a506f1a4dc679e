"""After the last stage of a sync: what the source no longer has goes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from connector.stages.parse import Parser
from connector.stages.run import Run
from connector.store.store import Where
from connector.sync import check_deletion

if TYPE_CHECKING:
    from connector.store.store import Store

DELETED_AT_ONCE = 1000
TOMBSTONES_KEPT = 30 * 24 * 3600 * 1000  # milliseconds, as runs are numbered; no writer is late for longer


def delete_missing(run: Run, parser: Parser) -> int:
    """Delete what the source no longer has, of the schemas it is about; how many records went.

    Raises:
        DeletionRefused: more than `max_delete` of them would go.
    """
    if run.store is None:
        return 0
    deleted = 0
    for schema in sorted(parser.schemas, key=lambda each: each.__name__):
        where = Where((schema.__name__,))
        gone = _missing(run.store, where, parser.seen.keys(), run.held[schema])
        if not gone:
            continue
        stored = run.store.count(where)
        if not check_deletion(len(gone), stored, run.report, parser.unidentified, run.options):
            continue
        if not run.options.dry_run:
            for at in range(0, len(gone), DELETED_AT_ONCE):
                ids = gone[at : at + DELETED_AT_ONCE]
                run.store.bury(ids, schema=schema.__name__, version=run.version())
        deleted += len(gone)
    if deleted and not run.options.dry_run:
        run.store.purge(before=run.version() - TOMBSTONES_KEPT)
    return deleted


def _missing(store: Store, where: Where, seen: Collection[str], held: int) -> list[str]:
    """The ids of stored points, of those `where` means, that the source no longer has.

    `held` is how many of `seen` are known to be stored; where that is all there is, nothing needs to be looked at.
    """
    if store.count(where) == held:
        return []
    return [point.id for point in store.scan(where, keys=[]) if point.id not in seen]
