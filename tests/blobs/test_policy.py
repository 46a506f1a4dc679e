"""BlobPolicy: safe by default, forgiving about how it is written, strict about what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connector.blobs import BlobPolicy
from connector.errors import DataError


def test_defaults_are_the_safe_ones() -> None:
    policy = BlobPolicy()
    assert policy.max_bytes == 64 * 1024 * 1024
    assert policy.max_pixels == 50_000_000
    assert policy.allowed_ports == (80, 443, 8000, 8080, 8443)
    assert (policy.max_redirects, policy.connect_seconds, policy.total_seconds) == (5, 5, 20)
    assert not policy.allow_private_addresses
    assert policy.object_prefixes == ()


def test_lists_and_strings_become_tuples_of_paths() -> None:
    policy = BlobPolicy(roots=["/a", Path("/b")], allowed_ports=[80])  # type: ignore[arg-type]
    assert policy.roots == (Path("/a"), Path("/b"))
    assert policy.allowed_ports == (80,)
    assert hash(policy) == hash(BlobPolicy(roots=(Path("/a"), Path("/b")), allowed_ports=(80,)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_bytes": 0},
        {"max_pixels": -1},
        {"retries": -1},
        {"total_seconds": 0},
        {"total_seconds": float("nan")},
        {"max_connections": 0},
        {"roots": "/photos"},
        {"object_prefixes": "s3://bucket/"},
        {"allowed_ports": 80},
    ],
)
def test_what_cannot_work_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        BlobPolicy(**wrong)
