"""Door one: the command line. Thin: a command reads arguments and the environment, calls `Connector`, and shows what came back.

Exit codes: 0 done, nothing rejected · 1 done, some records rejected (or `get` found nothing) · 2 the command, the
schema or the settings are wrong · 3 could not finish, nothing is lost, run it again · 130/143 interrupted, likewise.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import typer

from connector import terminal
from connector.commands.count import count
from connector.commands.get import get
from connector.commands.ingest import ingest
from connector.commands.migrate import migrate
from connector.commands.optimize import optimize
from connector.commands.remove import remove
from connector.commands.search import search
from connector.commands.serve import serve
from connector.commands.sync import sync
from connector.commands.verify import verify
from connector.errors import DataError, OperationalError
from connector.logs import configure

app = typer.Typer(
    name="connector",
    help="Records with pictures into Qdrant, and found again by picture, by words, or by both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (ingest, sync, verify, migrate, search, get, remove, count, optimize, serve):
    app.command()(command)


# Seconds in which a second SIGTERM is no second wish: coreutils' timeout sends one to the process and one to its group.
ECHO = 0.2


class Terminated(BaseException):
    """SIGTERM, as something that unwinds the stack: files are closed and the store is released on the way."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    time.sleep(ECHO)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a later one ends it at once
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    terminal.escape_what_cannot_be_written()
    configure("plain", quiet=True)
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except Terminated:
        terminal.note("Terminated. What was stored stays stored; run it again to go on.")
        return 143
    except OperationalError as error:
        terminal.note(f"Error: {error}")
        return 3
    except DataError as error:
        terminal.note(f"Error: {error}")
        return 2
    # A last net: Python's own exit code 1 would tell a scheduler that the run was done and some records were rejected.
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
