"""What a process costs: start-up times, and memory over rows."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

INGEST = """
import json, resource, sys
from pathlib import Path
from PIL import Image
from connector import Blob, Connector, Id, ImageSpace, ModelHandler, Schema, Text

class Photo(Schema):
    id: Id
    image: Blob
    description: Text

count, folder, qdrant = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for number in range(64):
    Image.effect_noise((320, 240), 60 + number).convert("RGB").save(folder / f"{number}.jpg")
rows = ({"id": f"r{n}", "image": f"{n % 64}.jpg", "description": f"number {n}"} for n in range(count))
space = ImageSpace(Photo.image + Photo.description, model_handler=ModelHandler.STAND_IN)
with Connector(space, qdrant) as connector:
    report = connector.ingest(rows, base=folder)
    again = connector.ingest(({"id": f"r{n}", "image": f"{n % 64}.jpg", "description": f"number {n}"} for n in range(count)), base=folder)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"new": report.new, "unchanged": again.unchanged, "seconds": report.seconds, "again": again.seconds, "peak": peak}))
"""


SERVER = """
import sys
from tests.store.qdrant_server import running_server

with running_server() as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def memory(work: Path, count: int, *, server: bool) -> dict[str, float]:
    """Peak resident memory in MiB and seconds of ingesting `count` rows with the stand-in model.

    The points go to a folder, whose engine is part of the process, or to the test server in a process of its own.
    """
    folder = work / f"rows-{count}-{server}"
    folder.mkdir(parents=True, exist_ok=True)
    serving = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert serving.stdout is not None
    where = serving.stdout.readline().strip() if server else str(folder / "store.qdrant")
    done = subprocess.run(
        [sys.executable, "-c", INGEST, str(count), str(folder), where],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    serving.communicate("")
    result: dict[str, float] = json.loads(done.stdout)
    assert result["new"] == result["unchanged"] == count
    return result


def seconds(*arguments: str, repeats: int = 7) -> float:
    """Median wall-clock seconds of a whole process."""
    measured = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT, env=dict(os.environ)
        )
        measured.append(time.perf_counter() - start)
    return statistics.median(measured)
