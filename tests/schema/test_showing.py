"""Values in messages are short, and pictures are never dumped."""

from __future__ import annotations

import datetime as dt

import pytest
from PIL import Image

from connector.schema.showing import did_you_mean, near, show


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("abc", "'abc'"),
        (b"\xff" * 1234, "<1,234 bytes>"),
        (memoryview(b"ab"), "<2 bytes>"),
        (Image.new("RGBA", (640, 480)), "<RGBA picture 640×480>"),
        ([b"ab", "c", 3, None, 5], "[<2 bytes>, 'c', 3, None, …]"),
        ({"a": 1}, "<dict of 1>"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        pytest.param(10**5000, "<a whole number of 16,610 bits>", id="more digits than Python prints"),
        (None, "None"),
    ],
)
def test_values_are_shown_for_people(value: object, shown: str) -> None:
    assert show(value) == shown


@pytest.mark.parametrize("value", ["x" * 10_000, ["y" * 10_000] * 9, "\x00" * 10_000, range(10**9), object()])
def test_nothing_is_longer_than_sixty_characters(value: object) -> None:
    assert len(show(value)) <= 60


def test_near_names_are_found_whatever_their_case() -> None:
    assert near("Prise", ["sku", "price"]) == "price"
    assert near("colour", ["sku", "price"]) is None
    assert did_you_mean("PRICE", ["sku", "price"]) == " Did you mean 'price'?"
    assert did_you_mean("x", ["sku"]) == ""
