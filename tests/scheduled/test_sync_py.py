"""The Python script, run as it is over the demo catalogue with the stand-in handler."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connector.demo.catalogue import write_catalogue
from tests.scheduled.stage import FOLDER, Stage


class Nightly:
    """`sync.py` over a small shop of the demo catalogue, with the stand-in handler."""

    def __init__(self, stage: Stage, feed: Path) -> None:
        self.stage = stage
        self.feed = feed

    def run(self, **changes: str) -> subprocess.CompletedProcess[str]:
        options = {"qdrant": str(self.stage.folder / "shop.qdrant"), "handler": "stand-in"} | changes
        source = options.pop("source", str(self.feed))
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return subprocess.run(
            [
                sys.executable,
                str(FOLDER / "sync.py"),
                source,
                "--state",
                str(self.stage.state),
                "--tell",
                str(self.stage.tell),
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ
            | {"LC_ALL": "C"},  # bash, as `tell` is, complains of a locale that is not installed
            cwd=FOLDER.parent.parent,
        )

    def report(self) -> Mapping[str, float]:
        loaded: Mapping[str, float] = json.loads((self.stage.state / "report.json").read_text())
        return loaded


@pytest.fixture
def nightly(stage: Stage) -> Nightly:
    return Nightly(stage, write_catalogue(stage.folder / "shop", 12))


def logged(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_the_python_script_makes_the_collection_equal_to_the_feed(nightly: Nightly) -> None:
    done = nightly.run()
    assert done.returncode == 0, done.stderr
    assert logged(done)[-1]["new"] == 12
    again = nightly.run()
    assert again.returncode == 0, again.stderr
    assert nightly.report()["unchanged"] == 12
    lines = nightly.feed.read_text().splitlines(keepends=True)
    nightly.feed.write_text("".join(lines[1:]))
    assert nightly.run().returncode == 0
    assert (nightly.report()["unchanged"], nightly.report()["deleted"]) == (11, 1)
    assert nightly.stage.told == []


def test_the_python_script_gives_notice_of_rejected_rows(nightly: Nightly) -> None:
    with nightly.feed.open("a") as feed:
        feed.write('{"sku": "bad"}\n')
    done = nightly.run()
    assert done.returncode == 1, done.stderr
    assert nightly.stage.told == ["notice"]
    (rejected,) = (nightly.stage.state / "rejects.jsonl").read_text().splitlines()
    assert json.loads(rejected)["id"] == "bad"
    assert nightly.report()["rejected"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"target": "schemas.product:spcae"}, 2),
        ({"handler": "stand-out"}, 2),
        ({"source": "gone.jsonl"}, 3),
        ({"qdrant": "http://127.0.0.1:1"}, 3),
    ],
)
def test_the_python_script_alerts_where_it_could_not_work(
    change: dict[str, str], code: int, nightly: Nightly
) -> None:
    done = nightly.run(**change)
    assert done.returncode == code, done.stderr
    assert nightly.stage.told == ["alert"]
    assert {line["level"] for line in logged(done)} >= {"error"}
    assert "Traceback" not in done.stderr
