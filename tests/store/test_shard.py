"""The engine's errors, as somebody with a folder reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import StoreLocked, StoreUnavailable
from connector.store.shard import translated


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            "Service runtime error: IO Error: No space left on device (os error 28)",
            "the disk is full. Free some space",
        ),
        ("Service runtime error: Permission denied (os error 13)", "make the folder writable"),
        ("Service runtime error: Read-only file system (os error 30)", "make the folder writable"),
        ("Service runtime error: something new", "something new. Nothing acknowledged is lost; run it again"),
    ],
)
def test_the_engines_words_become_a_cause_and_a_cure(said: str, meant: str) -> None:
    error = translated(Exception(said), Path("shop/things"), "written")
    assert type(error) is StoreUnavailable
    assert str(error).startswith("The collection in shop/things could not be written")
    assert meant in str(error)


def test_a_taken_lock_is_its_own_error() -> None:
    error = translated(
        Exception("failed to open WAL: Can't init WAL: Kind(WouldBlock)"), Path("shop"), "opened"
    )
    assert type(error) is StoreLocked
