"""What the server is told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from connector import DataError
from connector.server.config import ServerConfig


def test_the_defaults_are_safe() -> None:
    config = ServerConfig()
    assert (config.host, config.insist_public, config.has_keys) == ("127.0.0.1", False, False)
    assert config.cors_origins == ()
    assert config.blob_policy.allow_files is False


def test_lists_become_tuples_and_keys_stay_out_of_sight() -> None:
    config = ServerConfig(read_keys=["a-key-to-read"], write_keys=["a-key-to-write"], models=["demo"])  # type: ignore[arg-type]
    assert (config.read_keys, config.models, config.has_keys) == (("a-key-to-read",), ("demo",), True)
    assert "a-key" not in repr(config)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"write_keys": "a-single-key"}, "write_keys is a single text. Give a list of them: write_keys=[…]."),
        ({"models": "demo"}, "models is a single text. Give a list of them: models=[…]."),
        ({"max_jobs": 0}, "max_jobs is 0. Use a number above 0."),
        ({"body_seconds": -1.0}, "body_seconds is -1.0. Use a number above 0."),
        ({"drain_seconds": float("nan")}, "drain_seconds is nan. Use a number above 0."),
        ({"port": 70_000}, "port is 70000. Use a number from 0 to 65535."),
    ],
)
def test_what_cannot_be_is_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        ServerConfig(**limits)


@pytest.mark.parametrize("key", ["", "short", "has a space in it", "schlüssel-schlüssel", "new\nline-in-it"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(DataError) as caught:
        ServerConfig(read_keys=("a-good-key-1234", key))
    assert str(caught.value) == (
        "read_keys holds a key that cannot be one. Use 8 or more visible ASCII characters."
    )
