"""A dry run of a scheduled example: a `connector` that ends with a given code stands in for the real one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "examples" / "scheduled"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
COMMAND = "sync {target} {source} --delete-missing --report {state}/report.json --rejects {state}/rejects.jsonl --log json --wait 600"
# Exit code of the sync → what somebody is told.
TOLD = {0: [], 1: ["notice"], 2: ["alert"], 3: ["alert"], 130: [], 143: [], 137: ["alert"], 134: ["alert"]}

needs_flock = pytest.mark.skipif(
    shutil.which("flock") is None or shutil.which("timeout") is None, reason="needs util-linux and coreutils"
)


class Stage:
    """A machine's corner for a dry run: a `connector` that ends as told, and a `tell` that writes down what it hears."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.script("connector", f'echo "$@" >>{folder}/called; echo "{{}}"; exit "${{STUB_CODE:-0}}"')
        self.tell = self.script("tell", f'echo "$1" >>{folder}/told; echo "$2" >>{folder}/sentences')
        self.env = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "SYNC_TARGET": "schemas.product:space",
            "SYNC_SOURCE": "feed.jsonl",
            "SYNC_STATE": str(self.state),
            "SYNC_TELL": str(self.tell),
        }

    def script(self, name: str, body: str) -> Path:
        path = self.bin / name
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)
        return path

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.env | env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def told(self) -> list[str]:
        return self.lines("told")
