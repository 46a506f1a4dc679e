"""mypy and pyright, over what users write and over what they get wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACCEPTED = ROOT / "tests/typing/accepted.py"
MISTAKES = ROOT / "tests/typing/mistakes.py"


def _run(*command: str, folder: Path) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        "NO_COLOR": "1",
    }
    command = (sys.executable, "-m", *command)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(path: Path) -> dict[int, str]:
    """mypy's errors in one file, by line."""
    printed = _run("mypy", "--strict", "--follow-imports=silent", "--no-pretty", str(path), folder=ROOT)
    found = re.findall(rf"^\S*{path.name}:(\d+)(?::\d+)?: error: (.*)$", printed, re.MULTILINE)
    return {int(line): told for line, told in found}


def pyright(path: Path) -> dict[int, str]:
    """pyright's errors in one file, by line."""
    # From an empty folder: this project's own settings leave the mistakes out.
    with tempfile.TemporaryDirectory() as folder:
        command = ("pyright", "--outputjson", "--pythonpath", sys.executable, str(path))
        printed = json.loads(_run(*command, folder=Path(folder)))
    assert printed["summary"]["filesAnalyzed"] == 1
    errors = [told for told in printed["generalDiagnostics"] if told["severity"] == "error"]
    return {told["range"]["start"]["line"] + 1: told["message"] for told in errors}


@pytest.fixture(params=[mypy, pyright], ids=["mypy", "pyright"])
def checker(request: pytest.FixtureRequest) -> Callable[[Path], dict[int, str]]:
    """One checker after the other."""
    check: Callable[[Path], dict[int, str]] = request.param
    return check


def test_what_users_write_is_accepted(checker: Callable[[Path], dict[int, str]]) -> None:
    assert checker(ACCEPTED) == {}


def test_every_planted_mistake_is_reported_and_nothing_else(
    checker: Callable[[Path], dict[int, str]],
) -> None:
    lines = MISTAKES.read_text().splitlines()
    planted = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    assert len(planted) > 20
    assert set(checker(MISTAKES)) == planted
