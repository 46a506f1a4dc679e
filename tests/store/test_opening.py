"""Where a location leads, and which names a collection may have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from connector.errors import DataError
from connector.store.opening import open_store


def test_a_location_leads_to_its_store(tmp_path: Path) -> None:
    kinds = {
        ":memory:": "ClientStore",
        "http://localhost:6333": "ClientStore",
        "HTTPS://qdrant.example:6333": "ClientStore",
        str(tmp_path / "shop.qdrant"): "EdgeStore",
        str(tmp_path): "EdgeStore",
    }
    for location, kind in kinds.items():
        store = open_store(location, "things")
        assert type(store).__name__ == kind
        store.close()
    store = open_store(tmp_path / "x", "things")
    assert type(store).__name__ == "EdgeStore"
    store.close()


@pytest.mark.parametrize("location", ["", "ftp://host/x", "s3://bucket/x", "grpc://host:6334"])
def test_other_locations_are_refused_with_the_choices(location: str) -> None:
    with pytest.raises(DataError, match=r"Use a folder \('\./shop\.qdrant'\), ':memory:', or a server"):
        open_store(location, "things")


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\x00b", "a:b", "a?b", "x" * 201])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="cannot name a collection"):
        open_store(":memory:", name)


@pytest.mark.parametrize("name", ["things", "a-b_c.d", "größe", "with space", "x" * 200])
def test_other_names_are_fine(name: str, tmp_path: Path) -> None:
    open_store(tmp_path, name).close()


def test_the_room_is_light_until_a_store_is_opened() -> None:
    code = "import sys, connector.store, connector.store.points, connector.store.filters; print(sorted(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    for heavy in ("qdrant_client", "qdrant_edge", "grpc", "httpx", "torch", "PIL"):
        assert f"'{heavy}'" not in found.stdout
