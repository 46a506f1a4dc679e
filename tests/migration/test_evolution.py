"""What differs between a declared space and its collection is said before anything is done, one sentence each."""

from __future__ import annotations

import types
from typing import Any

import pytest

from connector import Blob, Connector, Field, Id, ImageSpace, ModelHandler, Schema, Text
from connector.migration.evolution import REFUSED, schema_changes


def product(**changes: Any) -> type[Schema]:
    """A schema called Product; None leaves a field out."""
    fields: dict[str, Any] = {
        "sku": Id,
        "photo": Blob[str | None],
        "title": Text[str | None],
        "brand": Field[str | None],
        "price": Field[float | None],
    }
    annotations = {name: kind for name, kind in {**fields, **changes}.items() if kind is not None}
    schema: type[Schema] = types.new_class(
        "Product",
        (Schema,),
        exec_body=lambda body: body.update({"__annotations__": annotations, "__module__": __name__}),
    )
    return schema


def space(schema: type[Schema], **options: Any) -> ImageSpace[Any]:
    fields: Any = schema
    described = fields.photo + fields.title if options.pop("described", True) else fields.photo
    return ImageSpace(described, model_handler=ModelHandler.STAND_IN, **options)


@pytest.fixture
def stored() -> dict[str, Any]:
    """The metadata of a collection of the schema as it was."""
    with Connector(space(product()), ":memory:") as connector:
        connector.ingest([])
        return connector.store.describe() or {}


def test_nothing_differs(stored: dict[str, Any]) -> None:
    assert schema_changes(space(product()), stored) == []


def test_a_new_field_is_applied_with_its_index(stored: dict[str, Any]) -> None:
    changed = space(product(colour=Field[str | None], notes=Field[list[int]]))
    assert schema_changes(changed, stored) == [
        "Product.colour (Field[str]) is new, with a payload index (keyword); a stored record has it once it comes again.",
        "Product.notes (Field[list[int]]) is new, with a payload index (integer); a stored record has it once it comes "
        "again.",
    ]


def test_a_dropped_field_is_applied(stored: dict[str, Any]) -> None:
    assert schema_changes(space(product(price=None)), stored) == [
        "Product.price (Field[float]) is dropped; a stored record loses it when it comes again."
    ]


def test_another_type_is_refused_with_the_cure(stored: dict[str, Any]) -> None:
    assert schema_changes(space(product(price=Field[str | None])), stored) == [
        "Cannot be applied: Product.price is Field[str], was Field[float]; stored values would not compare with new ones. "
        "Give the field another name, or ingest into another collection."
    ]


def test_a_new_schema_is_said(stored: dict[str, Any]) -> None:
    class Photo(Schema):
        id: Id
        photo: Blob[str | None]

    fields: Any = product()
    both = ImageSpace([fields.photo + fields.title, Photo.photo], model_handler=ModelHandler.STAND_IN)
    assert schema_changes(both, stored) == ["Photo is a new schema in this collection."]


def test_what_is_embedded_can_only_be_migrated(stored: dict[str, Any]) -> None:
    (change,) = schema_changes(space(product(), described=False), stored)
    assert change == (
        "Cannot be applied: Product embeds photo, was photo + title; the stored vectors are of the latter. Migrate."
    )


def test_weights_need_no_model(stored: dict[str, Any]) -> None:
    assert schema_changes(space(product(), weights=(0.8, 0.2)), stored) == [
        "Cannot be applied: weights is [0.8, 0.2], was [0.5, 0.5]; fused vectors would not be comparable. "
        "Migrate, which fuses the stored parts again and embeds nothing."
    ]


def test_other_fusions_need_one(stored: dict[str, Any]) -> None:
    assert schema_changes(space(product(), keep_parts=False), stored) == [
        "Cannot be applied: keep_parts is False, was True; fused vectors would not be comparable. Migrate."
    ]


def test_fusing_again_that_broke_off_is_said(stored: dict[str, Any]) -> None:
    (change,) = schema_changes(space(product()), {**stored, "fusing": [0.8, 0.2]})
    assert change == (
        "Cannot be applied: fusing again to weights [0.8, 0.2] broke off. Migrate to go on; nothing is embedded."
    )


def test_another_name_of_a_model_may_be_another_model(stored: dict[str, Any]) -> None:
    (change,) = schema_changes(space(product(), model="another"), stored)
    assert change == "model is 'another', was 'clip-ViT-B-32'; if the vectors are others, migrate."
    assert not change.startswith(REFUSED)
