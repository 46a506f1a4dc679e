"""Another model without downtime: its vectors are built in a collection beside the old one, compared, and switched to.

Searches go on against the old collection meanwhile, and whoever has it open keeps it until closed. All that is
remembered of a migration is in the metadata of the collections themselves, so any machine can go on with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from connector.embedding import Embedder
from connector.errors import (
    BlobUnavailable,
    CollectionMismatch,
    DataError,
    DeletionRefused,
    StoreUnavailable,
)
from connector.migration.evolution import retyped
from connector.migration.switching import BUILT_FOR, PREVIOUS, SUPERSEDED_BY, beside
from connector.migration.transfer import Difference, Transfer
from connector.migration.weights import can_fuse_again, fuse_again
from connector.origin import check_declared, check_model
from connector.report import Rejection, Report
from connector.space import ImageSpace
from connector.store.lock import holder
from connector.store.opening import kind_of
from connector.store.store import Where

if TYPE_CHECKING:
    from pathlib import Path

    from connector.connector import Connector
    from connector.rows import Source
    from connector.store.aliases import Aliases
    from connector.store.store import Store

SAMPLE: Final = 20  # records that are used as queries
TOP: Final = 10  # hits of each that are compared


@dataclasses.dataclass(frozen=True)
class Migration:
    """What a migration came to.

    Attributes:
        name: the public name.
        before, after: the collections that had it and have it now.
        report: of building the new one; its rejections are the records that were left behind.
        records_before, records_after: how many records each of the two holds.
        left_behind: records of the old one that are not in the new one, each for a reason that is in the report.
        sampled: how many records were used as queries to compare the two.
        overlap: the mean share of their nearest records that is the same in both (0 to 1); another model is meant to
            differ, so this is for a person to judge. None where nothing could be compared.
        switched: False where the name had this model's collection already.
    """

    name: str
    before: str
    after: str
    report: Report
    records_before: int = 0
    records_after: int = 0
    left_behind: int = 0
    sampled: int = 0
    overlap: float | None = None
    switched: bool = False

    def to_dict(self) -> Mapping[str, object]:
        """All of it, JSON-able."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {"report": self.report.to_dict()}

    def __str__(self) -> str:
        if not self.switched:
            return f"'{self.name}' is made by this model already; there is nothing to migrate."
        same = "" if self.overlap is None else f", {self.overlap:.0%} of their nearest {TOP} records the same"
        return (
            f"'{self.name}' was {self.before} ({self.records_before} records), is {self.after} "
            f"({self.records_after} records){same}. {self.report}"
        )


def migrate(
    old: Connector[Any],
    new: Connector[Any],
    rows: Source | None = None,
    *,
    aliases: Aliases,
    base: Path | str | None = None,
    wait: float = 0.0,
    max_lost: float = 0.2,
    on_rejection: Callable[[Rejection], object] | None = None,
    on_progress: Callable[[Report, float | None], object] | None = None,
) -> Migration:
    """Build the new connector's collection from the old one's records, compare the two, and switch the name.

    Nothing is locked while it builds: whatever is written to the old collection meanwhile is brought over at the end,
    under the old collection's lock. Broken off at any moment, the same call goes on from there.

    Args:
        old: under the public name; its space may be the old one or the new, its model is not used.
        new: over the space to migrate to, its collection called `beside(old.collection, new.space)`.
        rows: a source that has all the records. By default they come from the old collection itself, and their pictures
            from where they were ingested from; a record whose picture came as bytes is left behind, with that reason.
        aliases: of the place where both are.
        base: the folder that relative picture paths in `rows` start from.
        wait: seconds to wait for a sync of the old collection to end, before switching.
        max_lost: the largest share of the records that may be left behind, from 0 to 1.
        on_rejection: called at the end with each record that was left behind.
        on_progress: called after each batch with the report so far and the fraction done (None if unknown).

    Raises:
        DataError: only the weights differ, and `fuse_again` changes those in place; or `max_lost` is no share.
        CollectionMismatch: the new collection does not hold what the old one holds, or the name cannot be switched.
        BlobUnavailable: pictures' servers did not answer; it is worth running again.
        DeletionRefused: more than `max_lost` of the records would be left behind.
        StoreLocked: a sync of the old collection did not end within `wait` seconds.

    After any of them, and after any other error, the old collection serves as before.
    """
    if not 0 <= max_lost <= 1:
        raise DataError(f"max_lost is {max_lost!r}. Give a share from 0 to 1; 1 allows everything.")
    name, after = old.collection, new.collection
    before = aliases.target(name) or name
    # A folder's store stays with what it has opened, whatever the name stands for by now.
    stored: Mapping[str, Any] | None = (new if before == after else old).store.describe()
    if stored is None:
        raise StoreUnavailable(
            f"There is no collection '{name}' in {old.qdrant}. Ingest into it, with any model."
        )
    if _is_made_by(new, stored):
        return Migration(name, before, before, Report())
    if before == after:
        raise DataError(
            f"'{name}' stands for {after} already, and only the weights of its fusion differ. Fuse it again instead."
        )
    if stored.get(SUPERSEDED_BY) == before:
        raise StoreUnavailable(f"'{name}' stands for {before} since this one was opened. Open it again.")
    _check_switchable(old, aliases, stored, new.space, of_itself=rows is None)
    new.ingest([])  # makes the collection
    there = new.store
    with there.lock(holder(), wait=wait):
        there.renew({BUILT_FOR: name, SUPERSEDED_BY: None})
        transfer = Transfer(old.store, there, new, on_progress)
        with there.loading():
            if rows is None:
                transfer.carry()
            else:
                transfer.take(rows, base)
        with old.store.lock(holder(), wait=wait):
            if rows is None:
                transfer.carry(again=True)
            for rejection in transfer.left:
                if on_rejection is not None:
                    on_rejection(rejection)
            done = _examined(name, before, after, transfer, of_itself=rows is None, max_lost=max_lost)
            there.flush()
            there.renew({PREVIOUS: before, "last_version": _last_version(old.store, there)})
            old.store.renew({SUPERSEDED_BY: after})
        # Outside the old one's lock, which is kept under the name that is switched. Nobody writes there any more.
        aliases.switch(name, after)
    return dataclasses.replace(done, switched=True)


def migrate_or_fuse(
    shop: Connector[Any],
    rows: Source | None = None,
    *,
    connect: Callable[[str], Connector[Any]],
    aliases: Aliases,
    base: Path | str | None = None,
    wait: float = 0.0,
    max_lost: float = 0.2,
    on_rejection: Callable[[Rejection], object] | None = None,
    on_progress: Callable[[Report, float | None], object] | None = None,
) -> Migration | Report:
    """Bring a public name to the model and fusion of the connector's space, by the least that will do.

    Where only the weights differ and the parts are kept, they are fused again in place: a `Report`. Everything else is
    a migration.

    Args:
        shop: under the public name, over the space to bring it to.
        connect: opens another collection in the same place, over the same space.
        rows, aliases, base, wait, max_lost, on_rejection, on_progress: as for `migrate`.

    Raises:
        OperationalError, DataError: as `migrate` and `fuse_again`.
    """
    stored = shop.store.describe()
    if stored is not None and can_fuse_again(shop.space, stored):
        return fuse_again(shop, wait=wait, on_rejection=on_rejection, on_progress=on_progress)
    with connect(beside(shop.collection, shop.space)) as new:
        return migrate(
            shop,
            new,
            rows,
            aliases=aliases,
            base=base,
            wait=wait,
            max_lost=max_lost,
            on_rejection=on_rejection,
            on_progress=on_progress,
        )


def _is_made_by(new: Connector[Any], stored: Mapping[str, Any]) -> bool:
    """Whether a collection with this metadata holds what the new one would."""
    try:
        check_declared(new.collection, new.space, stored)
        check_model(new.collection, Embedder(new.space, lambda engine: None).engine, stored)
    except CollectionMismatch:
        return False
    return True


def _check_switchable(
    old: Connector[Any],
    aliases: Aliases,
    stored: Mapping[str, Any],
    space: ImageSpace[Any],
    *,
    of_itself: bool,
) -> None:
    """Find out before hours of embedding what would refuse the switch."""
    name = old.collection
    if kind_of(old.qdrant) != "folder" and aliases.target(name) is None:
        raise CollectionMismatch(
            f"'{name}' is a collection's own name in {old.qdrant}, and an alias cannot take it, so it cannot be switched. "
            f"Give the collection an alias under another name, use that from now on (collection=…, --collection), and "
            "migrate it."
        )
    if of_itself and (changed := retyped(space, stored)):
        raise CollectionMismatch(
            f"Collection '{name}' cannot be migrated from its own records: {'; '.join(changed)}. "
            "Name a source of the rows, which has them as they are now."
        )
    others = stored["schemas"].keys() - {schema.__name__ for schema in space.schemas}
    for schema in sorted(others):
        if count := old.store.count(Where((schema,))):
            raise CollectionMismatch(
                f"Collection '{name}' also holds {count} records of {schema}, which the space to migrate to does not. "
                "Migrate with a space of all its schemas."
            )


def _examined(
    name: str, before: str, after: str, transfer: Transfer, *, of_itself: bool, max_lost: float
) -> Migration:
    """Compare the two collections, and refuse what nothing explains."""
    found = transfer.difference()
    _check_complete(name, found, transfer, of_itself=of_itself, max_lost=max_lost)
    sampled, overlap = transfer.overlap(SAMPLE, TOP)
    counts = found.before, found.after, len(found.missing)
    return Migration(name, before, after, transfer.report, *counts, sampled, overlap)


def _check_complete(
    name: str, found: Difference, transfer: Transfer, *, of_itself: bool, max_lost: float
) -> None:
    """Refuse to switch to a collection that lacks, or has, what nothing explains."""
    kept = f"Nothing was switched; '{name}' serves as before."
    unexplained = [id for id in found.missing if id not in transfer.rejected]
    extra = len(found.extra) if of_itself else 0
    if unexplained or extra:
        cure = "Run it again." if of_itself else "Sync with that source first, or migrate without a source."
        raise CollectionMismatch(
            f"The new collection holds {found.after} records, '{name}' holds {found.before}, and rejections do not explain "
            f"it: {len(unexplained)} are missing for no reason, {extra} are too many. {kept} {cure}"
        )
    lost = [transfer.rejected[id] for id in found.missing]
    if passing := [rejection for rejection in lost if rejection.code == BlobUnavailable.code]:
        raise BlobUnavailable(
            f"{len(passing)} pictures could not be fetched just now, for example: {passing[0].reason} {kept} Run it again."
        )
    if len(lost) > max_lost * found.before:
        raise DeletionRefused(
            f"{len(lost)} of {found.before} records would be left behind, more than {max_lost:.0%} of them, for example: "
            f"{lost[0].reason} {kept} Mend that and run it again, or insist: max_lost=1 (--max-lost 100%)."
        )


def _last_version(*stores: Store) -> int:
    """The larger of the collections' last run numbers: a later run's must be larger than either."""
    numbers = [(store.describe() or {}).get("last_version") for store in stores]
    return max((number for number in numbers if isinstance(number, int)), default=0)
