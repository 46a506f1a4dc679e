"""What made a collection, written into its own metadata, and how that is compared when it is opened again.

`declared` is what the code says (model name, handler, precision, fusion): comparing it needs no model. `model` is what
the loaded model itself says (digest of its weights, revision, preprocessing): compared before anything is embedded, so
a renamed model folder is still the same model, and other weights under the same name are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from connector.errors import CollectionMismatch
from connector.schema.fields import SchemaField
from connector.schema.schema import definition_of
from connector.space import ImageSpace
from connector.store.points import payload_indexes
from connector.store.store import CollectionSpec

if TYPE_CHECKING:
    from connector.engine.engine import Engine

FORMAT = 1  # of this metadata; raised when an older library could misread it
# Told for the reader's sake. Equal weights are the same model under any name and revision; precision and the library's
# version move a vector by far less than a query differs from its hits, and laptops search what a GPU has embedded.
NOT_COMPARED = frozenset({"name", "revision", "precision", "library"})


def _library_version() -> str:
    try:
        return version("qdrant-image-connector")
    except PackageNotFoundError:  # a checkout on the path, not installed
        return "unknown"


def collection_spec(
    name: str,
    space: ImageSpace[Any],
    vectors: tuple[str, ...],
    engine: Engine,
    probes: Mapping[str, Any],
) -> CollectionSpec:
    """What a new collection for this space looks like."""
    return CollectionSpec(
        name=name,
        length=engine.length,
        vectors=vectors,
        indexes=payload_indexes(space.schemas),
        metadata={
            "format": FORMAT,
            "library": _library_version(),
            **declared(space),
            "length": engine.length,
            "model": dict(engine.identity),
            "probes": dict(probes),
        },
    )


def renewed_spec(
    name: str,
    space: ImageSpace[Any],
    vectors: tuple[str, ...],
    stored: Mapping[str, Any],
    indexed: frozenset[str] | None,
) -> CollectionSpec | None:
    """What a collection that is there lacks of the schemas as they are now; None where it lacks nothing.

    `indexed` are the payload keys that have an index, None where none are needed.
    """
    schemas = {**stored["schemas"], **declared(space)["schemas"]}
    indexes = payload_indexes(space.schemas)
    if schemas == stored["schemas"] and (indexed is None or indexes.keys() <= indexed):
        return None
    metadata = {**stored, "schemas": schemas, "space": {**stored["space"], **declared(space)["space"]}}
    return CollectionSpec(name, stored["length"], vectors, indexes, metadata)


def declared(space: ImageSpace[Any]) -> dict[str, Any]:
    engine = space.embedding_engine_config
    return {
        "schemas": {
            schema.__name__: {name: _kind(field) for name, field in definition_of(schema).all.items()}
            for schema in space.schemas
        },
        "space": {
            entry.schema.__name__: [entry.blob.name]
            + ([entry.description.name] if entry.description is not None else [])
            for entry in space.entries
        },
        "fusion": {"parts": space.parts, "weights": list(space.weights), "keep_parts": space.keep_parts},
        "declared": {
            "model": space.model,
            "handler": space.model_handler.value,
            "precision": engine.precision,
            "revision": engine.revision,
        },
    }


def _kind(field: SchemaField) -> str:
    return f"{type(field).__name__}[{field.kind.spelling}]"


def check_declared(collection: str, space: ImageSpace[Any], stored: Mapping[str, Any]) -> bool:
    """Compare what the code declares with what made the collection.

    Returns:
        whether the model is declared as it was; if not, only the loaded model can tell whether it is another one.

    Raises:
        CollectionMismatch: it was made by another library, schema, space or fusion.
    """
    if stored.get("format") != FORMAT:
        raise CollectionMismatch(
            f"Collection '{collection}' was not made by this library, or by one too new for it "
            f"(format {stored.get('format')!r}, this one writes {FORMAT}). Name another collection."
        )
    ours = declared(space)
    differences: list[str] = []
    for name, fields in ours["schemas"].items():
        before = stored["schemas"].get(name, {})
        differences += [
            f"{name}.{field} is {kind}, was {before[field]}"
            for field, kind in fields.items()
            if before.get(field, kind) != kind
        ]
    for name, parts in ours["space"].items():
        if stored["space"].get(name, parts) != parts:
            differences.append(f"{name} embeds {' + '.join(parts)}, was {' + '.join(stored['space'][name])}")
    differences += _differences(stored["fusion"], ours["fusion"])
    if differences:
        raise _mismatch(collection, differences)
    return bool(stored["declared"] == ours["declared"])


def check_model(collection: str, engine: Engine, stored: Mapping[str, Any]) -> None:
    """Compare the loaded model with the one that made the collection's vectors.

    Raises:
        CollectionMismatch: it has other weights, another handler or preprocessing, or gives another length.
    """
    before = {**stored["model"], "length": stored["length"]}
    ours = {**engine.identity, "length": engine.length}
    if differences := _differences(before, ours):
        raise _mismatch(collection, differences)


def _differences(before: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {ours.get(key)!r}, was {before.get(key)!r}"
        for key in sorted(before.keys() | ours.keys())
        if key not in NOT_COMPARED and before.get(key) != ours.get(key)
    ]


def _mismatch(collection: str, differences: list[str]) -> CollectionMismatch:
    return CollectionMismatch(
        f"Collection '{collection}' was made otherwise, so vectors would not be comparable: {'; '.join(differences)}. "
        "Use what made it, or name another collection (collection=…, --collection) and ingest there."
    )
