"""A scheduled sync in Python: locked, logged as JSON Lines, with exit codes and somebody told when it needs a person.

    python sync.py feed.jsonl --qdrant ./shop.qdrant --state ./sync-state --tell ./tell-webhook.sh

Exit codes: 0 done · 1 done, rows rejected · 2 needs a person · 3 could not finish, run it again · 130/143 interrupted.
"""

import argparse
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from connector import Connector, ImageSpace
from connector.errors import DataError, OperationalError
from connector.logs import configure
from connector.report import Report
from connector.target import load_target, read_handler

log = logging.getLogger("connector.scheduled")
Tell = Callable[[str, str], None]


def space_of(options: argparse.Namespace) -> ImageSpace[Any]:
    """The space that TARGET names, with the model and handler that were asked for."""
    space = load_target(options.target)
    if options.model or options.handler:
        space = space.with_model(options.model, read_handler(options.handler) if options.handler else None)
    return space


def sync(options: argparse.Namespace) -> Report:
    """Make the collection equal to the feed; what was rejected is in `rejects.jsonl`, what was done in `report.json`."""
    space = space_of(options)
    state: Path = options.state
    state.mkdir(parents=True, exist_ok=True)
    with (
        Connector(space, options.qdrant) as shop,
        (state / "rejects.jsonl").open("w", encoding="utf-8") as rejects,
    ):
        # The store's own lock: a second sync of this collection, from any machine, waits, and then gives up.
        report = shop.sync(
            options.source,
            delete_missing=True,
            wait=options.wait,
            on_rejection=lambda rejection: rejects.write(rejection.to_json() + "\n"),
        )
    unfinished = state / "report.json.new"
    unfinished.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    unfinished.replace(state / "report.json")  # whole or not at all
    return report


def run(options: argparse.Namespace, tell: Tell) -> int:
    """Sync once; the exit code."""
    try:
        report = sync(options)
    except DataError as error:
        tell("alert", f"The sync of {options.source} needs a person: {error}")
        return 2
    except OperationalError as error:
        tell("alert", f"The sync of {options.source} could not finish; nothing is lost: {error}")
        return 3
    # A border: Python would end with 1, which here means "done, rows rejected", and nobody would be told.
    except Exception as error:
        log.exception("The sync broke.")
        tell(
            "alert",
            f"The sync of {options.source} broke ({type(error).__name__}); nothing is lost, see its log.",
        )
        return 3
    log.info("%s", report, extra=dict(report.to_dict()))
    if report.rejected:
        tell("notice", f"{report.rejected} rows of {options.source} were rejected: {dict(report.codes)}")
    return 1 if report.rejected else 0


def teller(command: str | None) -> Tell:
    """What tells somebody: a command called with level and sentence, or else the log."""

    def tell(level: str, text: str) -> None:
        log.log(logging.ERROR if level == "alert" else logging.WARNING, "%s", text)
        if command is not None:
            try:
                subprocess.run([command, level, text], check=True, timeout=60)
            except (OSError, subprocess.SubprocessError) as error:
                log.error("Telling somebody failed: %s", error)

    return tell


def main(arguments: Sequence[str] | None = None) -> int:
    """What the scheduler starts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", help="a feed, a folder of pictures, s3://bucket/prefix/, …")
    parser.add_argument("--target", default="schemas.product:space")
    parser.add_argument("--qdrant", default="connector.qdrant")
    parser.add_argument("--model", help="another model than the space's own")
    parser.add_argument("--handler", help="another handler, such as stand-in for a drill")
    parser.add_argument("--state", type=Path, default=Path("sync-state"))
    parser.add_argument("--tell", metavar="COMMAND", help='called with "notice" or "alert" and a sentence')
    parser.add_argument(
        "--wait", type=float, default=600, help="seconds to wait for a sync that is still going"
    )
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)

    configure("json", quiet=options.quiet)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # unwinds the stack: the store is released on the way
    try:
        return run(options, teller(options.tell))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
