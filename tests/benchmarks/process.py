"""What a process costs: memory over rows."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.benchmarks.answering import ROOT, answering

INGEST = """
import json, resource, sys
from pathlib import Path
from connector import Blob, Connector, Id, ImageSpace, ModelHandler, Schema, Text

class Photo(Schema):
    id: Id
    image: Blob
    description: Text

count, folder, qdrant = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
rows = ({"id": f"r{n}", "image": f"{n % 64}.png", "description": f"number {n}"} for n in range(count))
space = ImageSpace(Photo.image + Photo.description, model_handler=ModelHandler.STAND_IN)
with Connector(space, qdrant) as connector:
    report = connector.ingest(rows, base=folder)
    told = {"new": report.new, "seconds": report.seconds}
    told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        told["anon"] = int(lines["RssAnon"].split()[0]) / 1024
        told["mapped"] = int(lines["RssFile"].split()[0]) / 1024
print(json.dumps(told))
"""


def memory(work: Path, count: int, *, server: bool) -> dict[str, float]:
    """Memory in MiB and seconds of ingesting `count` rows with the stand-in model, in a process of its own.

    `peak` is the most that was resident; at the end `anon` is the process's own, and `mapped` that of files, which
    the system takes back when it wants to (both where the system tells). The points go to a folder, whose engine is
    part of the process, or to a server in another process, which keeps none of them.
    """
    folder = work / f"rows-{count}-{server}"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(64):
        Image.new("RGB", (64, 64), (number, 2 * number, 255 - number)).save(folder / f"{number}.png")
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(answering())[0] if server else str(folder / "store.qdrant")
        done = subprocess.run(
            [sys.executable, "-c", INGEST, str(count), str(folder), where],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
    result: dict[str, float] = json.loads(done.stdout)
    assert result["new"] == count
    return result
