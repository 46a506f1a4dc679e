"""What differs between a space as it is declared now and the collection it is kept in, said before anything is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from connector.migration.weights import FUSING, unfusable
from connector.origin import declared
from connector.space import ImageSpace
from connector.store.points import payload_indexes

REFUSED: Final = "Cannot be applied: "  # begins each line of what a sync would refuse


def schema_changes(space: ImageSpace[Any], stored: Mapping[str, Any]) -> list[str]:
    """What differs between a space as it is declared now and the metadata of its collection, one sentence each.

    A line that begins with "Cannot be applied: " is what a sync refuses, with the reason and the cure. The others are
    applied by the next sync as it comes to the records. No model is loaded; only a loaded one can tell whether another
    name means another model.
    """
    ours = declared(space)
    changes = [
        change
        for name, fields in ours["schemas"].items()
        for change in _field_changes(
            name, fields, stored["schemas"].get(name), payload_indexes(space.schemas)
        )
    ]
    for name, parts in ours["space"].items():
        before = stored["space"].get(name, parts)
        if before != parts:
            changes.append(
                f"{REFUSED}{name} embeds {' + '.join(parts)}, was {' + '.join(before)}; the stored vectors are of the "
                "latter. Migrate."
            )
    return changes + _fusion_changes(space, stored) + _model_changes(ours, stored)


def retyped(space: ImageSpace[Any], stored: Mapping[str, Any]) -> list[str]:
    """The fields that are of another type now than what is stored of them."""
    return [
        f"{schema}.{field} is {kind}, was {before}"
        for schema, fields in declared(space)["schemas"].items()
        for field, kind in fields.items()
        if (before := stored["schemas"].get(schema, {}).get(field, kind)) != kind
    ]


def _field_changes(
    schema: str, fields: Mapping[str, str], before: Mapping[str, str] | None, indexes: Mapping[str, str]
) -> Iterator[str]:
    if before is None:
        yield f"{schema} is a new schema in this collection."
        return
    for field, kind in fields.items():
        if field not in before:
            index = f", with a payload index ({indexes[field]})" if field in indexes else ""
            yield f"{schema}.{field} ({kind}) is new{index}; a stored record has it once it comes again."
        elif before[field] != kind:
            yield (
                f"{REFUSED}{schema}.{field} is {kind}, was {before[field]}; stored values would not compare with new ones. "
                "Give the field another name, or ingest into another collection."
            )
    for field in before.keys() - fields.keys():
        yield f"{schema}.{field} ({before[field]}) is dropped; a stored record loses it when it comes again."


def _fusion_changes(space: ImageSpace[Any], stored: Mapping[str, Any]) -> list[str]:
    before, ours = stored["fusion"], declared(space)["fusion"]
    different = [
        f"{key} is {ours[key]!r}, was {before.get(key)!r}" for key in ours if before.get(key) != ours[key]
    ]
    if not different and stored.get(FUSING):
        return [
            f"{REFUSED}fusing again to weights {stored[FUSING]!r} broke off. Migrate to go on; nothing is embedded."
        ]
    if not different:
        return []
    only_weights = {**before, "weights": ours["weights"]} == ours and unfusable(stored) is None
    cure = "Migrate, which fuses the stored parts again and embeds nothing." if only_weights else "Migrate."
    return [f"{REFUSED}{'; '.join(different)}; fused vectors would not be comparable. {cure}"]


def _model_changes(ours: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {now!r}, was {stored['declared'].get(key)!r}; if the vectors are others, migrate."
        for key, now in ours["declared"].items()
        if stored["declared"].get(key) != now
    ]
