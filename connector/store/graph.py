"""A folder's search graph: when it is worth building, and how, without anybody waiting who only searches.

The engine holds Python's lock for as long as it builds: minutes for 100,000 records. So another process builds on a
copy of the files, and the copy takes their place when it is whole. Writes wait meanwhile.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from connector.errors import StoreUnavailable
from connector.store.folder import check_space, sync_folder
from connector.store.store import CollectionSpec

log = logging.getLogger("connector")

# Numbers in vectors that are in no graph yet. Comparing with 20,000 vectors of 512 takes some two milliseconds,
# and building their graph ten seconds.
WORTH_IT = 20_000 * 512
SHORT = 2_000 * 512  # what is built within half a second is built on the spot
TOLD_EVERY = 10.0  # seconds between two lines of the log

# Run by another interpreter, which stands back for whoever else wants the processor.
_BUILD = """
import os, sys
import qdrant_edge as engine
if hasattr(os, "nice"):
    os.nice(5)
files, threads, length, *names = sys.argv[1:]
vector = engine.EdgeVectorParams(size=int(length), distance=engine.Distance.Cosine)
graph = engine.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000, max_indexing_threads=int(threads))
config = engine.EdgeConfig(vectors=dict.fromkeys(names, vector), hnsw_config=graph)
shard = engine.EdgeShard.load(files, config)
shard.optimize()
shard.flush()
shard.close()
"""


def outside(points: int, indexed: int, each: float | None) -> int:
    """How many points are in no graph yet, of `points` with `indexed` vectors in graphs.

    `each` is how many vectors a point had in the graphs when they were last built, None where they never were.
    """
    return max(0, round(points - indexed / each)) if each else points


def build(files: Path, copy: Path, spec: CollectionSpec, points: int) -> None:
    """Copy a shard's files, flushed and not written to meanwhile, and build the graph of the copy.

    Raises:
        OSError: the disk is full, or no other interpreter can be started.
        StoreUnavailable: there is no room for a copy, or the other process failed.
    """
    needed = sum(file.stat().st_size for file in files.rglob("*") if file.is_file())
    check_space(files.parent, 2 * needed)
    log.info("Building the search graph of %s points of %r.", f"{points:,}", spec.name)
    started = time.monotonic()
    shutil.copytree(files, copy)
    threads = str(os.cpu_count() or 1)
    command = [sys.executable, "-c", _BUILD, str(copy), threads, str(spec.length), *spec.vectors]
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(  # noqa: S603  # our own words
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as child:
        try:
            error = _waited_for(child, started)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        lines = error.decode(errors="replace").strip().splitlines()
        raise StoreUnavailable(
            f"The search graph of {files.parent} was not built: {lines[-1] if lines else 'the process died'}. "
            "Searches work without it, only slower; nothing is lost; try it again."
        )
    _sync(copy)
    log.info("The search graph of %s points was built in %.0f s.", f"{points:,}", time.monotonic() - started)


def _sync(folder: Path) -> None:
    """Make copied files survive a power cut: the engine sees to those only that it changed."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
    sync_folder(folder.parent)


def _waited_for(child: subprocess.Popen[bytes], started: float) -> bytes:
    """What the other process wrote to its standard error, when it has ended."""
    while True:
        try:
            return child.communicate(timeout=TOLD_EVERY)[1]
        except subprocess.TimeoutExpired:
            log.info("Building the search graph: %.0f s so far.", time.monotonic() - started)
