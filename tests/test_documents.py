"""What the README shows is run: its Python, its commands, its tables."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import connector
from connector.blobs.fetch import Kind, classify
from connector.cli import main
from connector.demo.catalogue import write_catalogue

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^\$ (connector .*)$", README, re.MULTILINE)


def test_the_first_code_comes_early_and_is_short() -> None:
    lines = README.splitlines()
    first = lines.index("```python")
    assert first < 12
    quickstart = lines[first + 1 : lines.index("```", first)]
    assert len([line for line in quickstart if line.strip()]) <= 16


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_catalogue(tmp_path / "demo-shop", 40)
    namespace: dict[str, Any] = {"__name__": "readme"}
    monkeypatch.setitem(sys.modules, "readme", sys.modules[__name__])
    for at, code in enumerate(PYTHON):
        if "shop" in namespace and "with Connector" in code:
            namespace["shop"].close()
        exec(compile(code, f"README, Python {at + 1}", "exec"), namespace)
    assert re.search(r"^0\.\d\d  \w+", capsys.readouterr().out, re.MULTILINE)


def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECTOR_HANDLER", "stand-in")
    feed = write_catalogue(tmp_path, 12)
    (tmp_path / "holiday").symlink_to(tmp_path / "pictures")
    (tmp_path / "worn.jpg").write_bytes((tmp_path / "pictures" / "p0001.jpg").read_bytes())
    feed.write_text(feed.read_text(encoding="utf-8").replace("p0001", "a1", 1), encoding="utf-8")
    served: list[object] = []  # a server would serve until it is told to stop
    monkeypatch.setattr("connector.server.command.serve", lambda shop, *_: served.append(shop))
    assert len(COMMANDS) >= 12
    for command in COMMANDS:
        if command.startswith("connector migrate"):  # to a model of the hub
            continue
        assert main(shlex.split(command, comments=True)[1:]) == 0, command
    assert served


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (b"bytes", Kind.BYTES),
        ("data:image/png;base64,AAAA", Kind.DATA_URL),
        ("https://example.org/x.jpg", Kind.WEB_URL),
        ("file:///tmp/x.jpg", Kind.FILE_URL),
        ("s3://bucket/x.jpg", Kind.OBJECT_URL),
        ("/9j/" + 400 * "A", Kind.BASE64),
        ("/9j/x.jpg", Kind.PATH),
        ("cats", Kind.PATH),
        ("C:\\x.jpg", Kind.PATH),
    ],
)
def test_the_table_of_blobs_is_true(source: Any, kind: Kind) -> None:
    assert classify(source) is kind


def test_no_document_names_a_machine_path_or_a_registry_host() -> None:
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "connector/demo/README.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"/(work|root|home)/|pypi\.org|/tmp/", text), name


def test_the_version_is_one() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"$', pyproject, re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert connector.__doc__ is not None
