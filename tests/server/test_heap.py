"""What is alive when a model has been loaded is not looked through again, and what it leaves behind is freed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from connector.server.heap import settle


class Thing:
    """Something in a circle."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_alive_is_set_aside_and_circles_are_freed() -> None:
    thing = Thing()
    settle()
    assert gc.get_freeze_count() > 1000
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is not None  # set aside, and so not found
    settle()
    assert gone() is None
