"""`connector serve`: from options and the environment to a configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector import Connector
from connector.cli import main
from connector.server import command
from connector.server.config import ServerConfig
from tests.server.conftest import READ_KEY, WRITE_KEY


@pytest.fixture
def served(
    no_settings: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[tuple[Connector[Any], ServerConfig]]:
    """What would have been served, in an empty working directory and a clean environment."""
    monkeypatch.chdir(tmp_path)
    calls: list[tuple[Connector[Any], ServerConfig]] = []
    monkeypatch.setattr(command, "serve", lambda shop, config, announce: calls.append((shop, config)))
    return calls


def serve(*options: str) -> int:
    return main(("serve", "schemas.product:space", "--handler", "stand-in", *options))


def test_the_defaults_are_the_configurations(served: list[tuple[Connector[Any], ServerConfig]]) -> None:
    assert serve() == 0
    ((shop, config),) = served
    assert config == ServerConfig()
    assert (shop.collection, shop.qdrant) == ("product", "connector.qdrant")


def test_options_and_variables(
    served: list[tuple[Connector[Any], ServerConfig]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONNECTOR_READ_KEYS", json.dumps([READ_KEY]))
    monkeypatch.setenv("CONNECTOR_WRITE_KEYS", json.dumps([WRITE_KEY]))
    monkeypatch.setenv("CONNECTOR_SERVER_MODELS", '["demo"]')
    monkeypatch.setenv("CONNECTOR_CORS_ORIGINS", '["https://shop.example"]')
    monkeypatch.setenv("CONNECTOR_MAX_PIXELS", "1000")
    assert serve("--host", "0.0.0.0", "--port", "80", "--root", str(tmp_path)) == 0
    assert (
        serve("--models", "demo, stand-in", "--cors", "https://a.example", "--cors", "https://b.example") == 0
    )
    first, second = (config for _, config in served)
    assert (first.host, first.port) == ("0.0.0.0", 80)
    assert (first.read_keys, first.write_keys) == ((READ_KEY,), (WRITE_KEY,))
    assert (first.models, first.cors_origins) == (("demo",), ("https://shop.example",))
    assert first.blob_policy.allow_files
    assert first.blob_policy.roots == (tmp_path,)
    assert first.blob_policy.max_pixels == 1000
    # An option beats a variable.
    assert second.models == ("demo", "stand-in")
    assert second.cors_origins == ("https://a.example", "https://b.example")
    assert not second.blob_policy.allow_files


def test_the_key_of_another_server_reaches_a_remote_model_only(
    served: list[tuple[Connector[Any], ServerConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_REMOTE_KEY", "the-key-of-the-gpu")
    assert serve() == 0
    assert serve("--handler", "remote", "--model", "http://gpu.example:8888/demo") == 0
    local, remote = (shop.space.embedding_engine_config for shop, _ in served)
    assert (local.remote_key, remote.remote_key) == (None, "the-key-of-the-gpu")


@pytest.mark.parametrize(
    "variable", ["CONNECTOR_READ_KEYS", "CONNECTOR_WRITE_KEYS", "CONNECTOR_CORS_ORIGINS"]
)
def test_a_list_that_is_no_json_is_told_without_what_is_in_it(
    served: list[tuple[Connector[Any], ServerConfig]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "a-secret-that-is-no-json")
    assert serve() == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: The environment cannot be read: error parsing value for field")
    assert "Write a list as JSON" in said
    assert "secret" not in said
    assert served == []
