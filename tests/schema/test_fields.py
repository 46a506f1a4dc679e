"""Class access gives fields, `+` gives described blobs, and both refuse what cannot work."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from connector.errors import ConditionError, InvalidSpaceParamException
from connector.schema.fields import DescribedBlob, Field
from connector.schema.schema import definition_of
from tests.schema.catalogue import Colour, Everything, Product

# Without its types, so that what checkers refuse can be tried.
Wrong: Any = Product


class Shoe(Product):
    size: Field[int]


def test_class_access_gives_the_field() -> None:
    assert Product.price is definition_of(Product).all["price"]
    assert (Product.price.name, Product.price.schema, Product.price.optional) == ("price", Product, False)
    assert repr(Product.price) == "Product.price"


def test_a_subclass_has_its_own_field_objects() -> None:
    assert Shoe.price is not Product.price
    assert Shoe.price.schema is Shoe
    assert list(definition_of(Shoe).all) == [*definition_of(Product).all, "size"]


def test_fields_tell_their_types() -> None:
    found = {
        name: (field.value_type, field.is_list) for name, field in definition_of(Everything).fields.items()
    }
    assert found["price"] == (float, False)
    assert found["when"] == (dt.datetime, False)
    assert found["serial"] == (UUID, False)
    assert found["colour"] == (Colour, False)
    assert found["season"] == (str, False)
    assert found["level"] == (int, False)
    assert found["tags"] == (str, True)
    assert found["sizes"] == (int, True)


def test_fields_tell_their_defaults() -> None:
    assert not Product.price.has_default
    assert Everything.tags.has_default
    assert Everything.tags.default == []
    assert Everything.count.has_default
    assert Everything.count.default is None


def test_fields_stay_themselves_when_copied_and_pickled() -> None:
    assert copy.deepcopy(Product.price) is Product.price
    assert pickle.loads(pickle.dumps(Product.photo)) is Product.photo


class TestDescribedBlob:
    def test_is_made_in_either_order(self) -> None:
        described = Product.photo + Product.title
        assert described == Product.title + Product.photo
        assert described == DescribedBlob(Product.photo, Product.title)
        assert described.blob is Product.photo
        assert described.description is Product.title

    def test_of_two_schemas_is_refused(self) -> None:
        with pytest.raises(
            InvalidSpaceParamException,
            match=r"^ImageSpace image and description field must be in the same schema\. Product\.photo and Everything\.title",
        ):
            Wrong.photo + Everything.title

    def test_of_a_subclass_and_its_base_is_refused(self) -> None:
        with pytest.raises(InvalidSpaceParamException, match="same schema"):
            Product.photo + Shoe.title

    @pytest.mark.parametrize(
        ("add", "told"),
        [
            (
                lambda: Wrong.photo + Product.photo,
                r"Product\.photo \+ Product\.photo \(a Blob\).*Add a Text to a Blob",
            ),
            (
                lambda: Wrong.title + Product.title,
                r"Product\.title \+ Product\.title \(a Text\).*Add a Blob to a Text",
            ),
            (lambda: Wrong.photo + Product.brand, r"Product\.brand \(a Field\)"),
            (lambda: Wrong.photo + "shoe", r"\+ 'shoe'"),
        ],
    )
    def test_of_other_things_is_refused_with_the_cure(self, add: Callable[[], object], told: str) -> None:
        with pytest.raises(InvalidSpaceParamException, match=told):
            add()


@pytest.mark.parametrize(
    "compare",
    [
        lambda: Wrong.photo == 3,
        lambda: Wrong.photo != "x.jpg",
        lambda: Wrong.photo < 3,
        lambda: Wrong.title == "Red shoe",
        lambda: Wrong.title >= "a",
        lambda: Wrong.sku < 3,
    ],
)
def test_what_cannot_be_compared_says_so_instead_of_answering_false(compare: Callable[[], object]) -> None:
    with pytest.raises(ConditionError, match=r"cannot be compared with .*\. (Use|Only)"):
        compare()


def test_blobs_and_texts_are_equal_only_to_themselves() -> None:
    assert Product.photo == Product.photo
    assert Product.photo != Shoe.photo
    assert Product.title in (Product.title, Shoe.title)
