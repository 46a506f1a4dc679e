"""`python -m tests.benchmarks` (or `make bench`): one command, no network; a table, and the same as JSON.

python -m tests.benchmarks                  everything
python -m tests.benchmarks ingest memory    some of it
python -m tests.benchmarks load --seconds 20
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import process
from tests.benchmarks.ingest import compare
from tests.benchmarks.jobs import jobs
from tests.benchmarks.load import load
from tests.benchmarks.recheck import recheck
from tests.benchmarks.store import stores

Rows = list[dict[str, object]]


def ingest(work: Path) -> Rows:
    """End to end against the loop a user writes, at two sizes of picture."""
    rows: Rows = []
    for name, size, count in (("640x480", (640, 480), 256), ("4000x3000", (4000, 3000), 48)):
        result = compare(work, name, size, count, rounds=5)
        rows.append(
            {
                "what": f"ingest, {name} JPEG files to searchable points, ViT-B/32",
                "ours": f"{count / min(result.ours):.1f}/s",
                "rival": f"{count / min(result.theirs):.1f}/s",
                "ratio": round(result.ratio, 2),
                "cosine": round(result.cosine, 6),
            }
        )
    return rows


def memory(work: Path) -> Rows:
    """Peak memory after 1,000 and after 10,000 rows with the stand-in model, and how fast rows pass."""
    rows: Rows = []
    for server, told in (
        (True, "to a server"),
        (False, "into a folder, its engine and its mapped files included"),
    ):
        small, large = process.memory(work, 1_000, server=server), process.memory(work, 10_000, server=server)
        rows.append(
            {
                "what": f"peak memory of 10,000 rows against 1,000, {told}",
                "ours": f"{large['peak']:.0f} MiB",
                "rival": f"{small['peak']:.0f} MiB",
                "ratio": round(large["peak"] / small["peak"], 3),
            }
        )
    rows.append(
        {
            "what": "10,000 unchanged rows against the first time (stand-in, folder)",
            "ours": f"{10_000 / large['again']:,.0f}/s",
            "rival": f"{10_000 / large['seconds']:,.0f}/s",
            "ratio": round(large["seconds"] / large["again"], 2),
        }
    )
    return rows


def startup(work: Path) -> Rows:
    """Whole processes, against an interpreter that does nothing and one that imports torch."""
    bare = process.seconds("-c", "pass")
    torch = process.seconds("-c", "import torch", repeats=3)
    return [
        {
            "what": "import connector, beyond a bare interpreter",
            "ours": f"{1000 * (process.seconds('-c', 'import connector') - bare):.0f} ms",
            "rival": f"{1000 * torch:.0f} ms (import torch)",
        },
        {
            "what": "connector --help, whole process",
            "ours": f"{1000 * process.seconds('-m', 'connector', '--help'):.0f} ms",
        },
    ]


PARTS: dict[str, Callable[[Path], Rows]] = {
    "startup": startup,
    "memory": memory,
    "store": stores,
    "recheck": recheck,
    "ingest": ingest,
    "load": load,
    "jobs": jobs,
}


def main() -> None:
    """Run the parts that were asked for and print their table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase of `load` (default 60)")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="folder for results.json")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    rows: Rows = []
    parts = PARTS | {"load": functools.partial(load, seconds=arguments.seconds)}
    with tempfile.TemporaryDirectory() as work:
        for part in arguments.parts or parts:
            for row in parts[part](Path(work)):
                rows.append(row)
                print(
                    "  ".join(
                        f"{key} {value}" if key != "what" else f"{value}:" for key, value in row.items()
                    ),
                    flush=True,
                )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
