"""A query is checked before anything is opened or loaded."""

from __future__ import annotations

import logging

import pytest

from connector import ConditionError, DataError, ImageSpace, InvalidSpaceParamException
from connector.query import Query, asked_schema
from tests.conftest import Product

DEMO = ImageSpace(Product.photo + Product.title, model="demo")
VECTORS = ("fused", "image", "text")


def test_words_the_demo_model_does_not_know_are_told_with_what_it_knows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "connector"):
        Query("zorblax").check(DEMO, VECTORS)
    assert "none of 'zorblax'" in caplog.text
    assert "mug, teapot" in caplog.text


@pytest.mark.parametrize("text", ["a red mug", "two stripy animals", "something to wear"])
def test_words_it_knows_pass_in_silence(text: str, caplog: pytest.LogCaptureFixture) -> None:
    Query(text).check(DEMO, VECTORS)
    assert caplog.text == ""


def test_other_models_are_asked_anything(caplog: pytest.LogCaptureFixture) -> None:
    Query("zorblax").check(DEMO.with_model("clip-ViT-B-32"), VECTORS)
    assert caplog.text == ""


def test_a_query_for_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="nothing to search for"):
        Query().check(DEMO, VECTORS)


def test_a_condition_names_its_schema() -> None:
    from tests.benchmarks.ingest import Photo

    assert asked_schema(DEMO, Product.price < 3, None) is Product
    assert asked_schema(DEMO, None, None) is None
    with pytest.raises(InvalidSpaceParamException, match="Photo is not in this space"):
        asked_schema(DEMO, None, Photo)
    with pytest.raises(ConditionError, match="Give a condition"):
        asked_schema(DEMO, "price < 3", None)
