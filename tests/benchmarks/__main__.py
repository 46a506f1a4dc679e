"""One command, no network: ratios inside one process, as a table, as JSON and as a picture.

python -m tests.benchmarks                    all but `load` (about half an hour on two cores)
python -m tests.benchmarks --quick            the same with less of everything (a few minutes), to see that it works
python -m tests.benchmarks ingest limit       some of it
python -m tests.benchmarks load --seconds 20  the server under load, three phases of that length
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import traceback
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.machine import heading, load, machine
from tests.benchmarks.measure import Effort, Rows
from tests.benchmarks.parts import DEFAULT, PARTS, in_a_process
from tests.benchmarks.plot import draw


def main() -> None:
    """Run the parts that were asked for, print their table, and write it down."""
    arguments = _arguments()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    about = machine() | {"quick": arguments.quick}
    print("\n".join(heading(about)), flush=True)
    rows: Rows = []
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as work:
        for name in arguments.parts or DEFAULT:
            begun = time.perf_counter()
            print(f"{name}: {PARTS[name][1]}", flush=True)
            try:
                made = in_a_process(name, Path(work), Effort(arguments.quick), arguments.seconds)
            except Exception:  # noqa: BLE001 - whatever breaks one part, the others' minutes are not lost
                traceback.print_exc()
                broken.append(name)
                made = []
            for row in made:
                rows.append({"part": name, **row})
                print(report.line(row), flush=True)
            print(f"  ({time.perf_counter() - begun:.0f} s)", flush=True)
            # Written after each part: a run that is broken off leaves what it has.
            write(arguments.out, about | {"load_at_end": load()}, rows)
    report.print_table(about, rows)
    print(f"{arguments.out}/results.json, {arguments.out}/results.png")
    if broken:
        raise SystemExit(f"broken: {', '.join(broken)}")


def write(folder: Path, about: dict[str, object], rows: Rows) -> None:
    """Put the results into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    report.write_json(folder / "results.json", about, rows)
    draw(folder / "results.png", about, rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog="parts: " + "; ".join(f"{name} ({told})" for name, (_, told) in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="all but load by default")
    parser.add_argument(
        "--quick", action="store_true", help="less of everything: figures to look at, not to quote"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase of `load` (default 60)")
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results"), help="folder of results.json, .png"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return arguments


if __name__ == "__main__":
    main()
