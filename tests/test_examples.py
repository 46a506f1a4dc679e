"""Every example runs, offline, in a folder of its own, and prints what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parent.parent.joinpath("examples").glob("*.py"))
PROMISED = {
    "demo": "in a browser to see these hits",
    "own_schema": "made >= '1904-01-01' and materials contains 'paper' → 3",
    "photo_folder": "my favourite yellow mug",
    "query_by_both": "Like this picture, but not red:",
    "quickstart": "60 read: 60 new, 0 changed, 0 unchanged, 0 rejected",
    "several_schemas": "Article",
}


def test_every_example_has_a_promise() -> None:
    assert {path.stem for path in EXAMPLES} == set(PROMISED)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_what_it_promises(path: Path, tmp_path: Path) -> None:
    folder = [] if path.stem == "photo_folder" else [str(tmp_path / "work")]
    count = ["24"] if path.stem == "demo" else []
    done = subprocess.run(
        [sys.executable, str(path), *folder, *count],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},  # they print arrows, which not every locale has
        cwd=path.parent.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PROMISED[path.stem] in done.stdout
    assert "Traceback" not in done.stderr
