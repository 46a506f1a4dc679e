"""What the command line shows: results on standard output, everything else (progress, notes, errors) on standard error."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from connector.errors import DataError, OperationalError
from connector.report import Rejection, Report

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from connector.hit import Hit
    from connector.schema.schema import Schema

PLAIN_EVERY = 10.0  # seconds between progress lines where there is no terminal
SHOWN_CODES = 10


def escape_what_cannot_be_written() -> None:
    """Have both streams escape the characters that their encoding lacks: that of a pipe on Windows is not UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def note(text: str) -> None:
    """One line for a person, on standard error."""
    sys.stderr.write(text + "\n")


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")


def _json(value: object) -> None:
    # The stream's own escapes, such as \xe9, are not JSON.
    holds_all = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    _out(json.dumps(value, ensure_ascii=not holds_all, default=str))


class Run:
    """What a run leaves behind: a progress display while it lasts, a rejects file, a report file, a summary.

    Leaving the context writes the report whatever ended the run, so a killed one still tells how far it came.
    """

    def __init__(self, report: Path | None, rejects: Path | None, *, quiet: bool, as_json: bool) -> None:
        self._report_file = report
        self._rejects_file = rejects
        self._quiet = quiet
        self._as_json = as_json
        self._rejects: IO[str] | None = None
        self._report = Report()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._finished = False
        self._started = self._told = time.monotonic()

    @property
    def rejected(self) -> int:
        """Rows rejected so far."""
        return self._report.rejected

    def __enter__(self) -> Self:
        if self._report_file is not None and not self._report_file.parent.is_dir():
            raise DataError(
                f"--report {self._report_file}: there is no folder '{self._report_file.parent}'. Create it first."
            )
        if self._rejects_file is not None:
            try:
                self._rejects = self._rejects_file.open("w", encoding="utf-8")
            except OSError as error:
                raise DataError(
                    f"--rejects {self._rejects_file} cannot be written: {error.strerror}."
                ) from error
        if not self._quiet and sys.stderr.isatty():
            self._progress = _progress_bar()
            self._task = self._progress.add_task("ingest", total=1000, rate="")
            self._progress.start()
        return self

    def reject(self, rejection: Rejection) -> None:
        """Write one rejected row, at once: a killed run has its rejects too."""
        if self._rejects is not None:
            with _writing("--rejects", self._rejects_file):
                self._rejects.write(rejection.to_json() + "\n")
                self._rejects.flush()

    def progress(self, report: Report, fraction: float | None) -> None:
        """Show how far it has come."""
        self._report = report
        seconds = time.monotonic() - self._started
        rate = f"{report.read:,} rows, {report.read / seconds:,.0f}/s, {report.rejected:,} rejected"
        if self._progress is not None and self._task is not None:
            done = None if fraction is None else fraction * 1000
            self._progress.update(
                self._task, completed=done or 0, total=None if done is None else 1000, rate=rate
            )
        elif not self._quiet and time.monotonic() - self._told >= PLAIN_EVERY:
            self._told = time.monotonic()
            note(rate if fraction is None else f"{fraction:4.0%}  {rate}")

    def finish(self, report: Report) -> None:
        """The run came to its end."""
        self._report = report
        self._finished = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
        if self._rejects is not None:
            with _writing("--rejects", self._rejects_file):
                self._rejects.close()
        if self._report_file is not None:
            with _writing("--report", self._report_file):
                write_atomically(self._report_file, json.dumps(self._report.to_dict(), indent=2) + "\n")
        if self._as_json:
            _json(self._report.to_dict())
        elif self._finished:
            _out(str(self._report))
            if self._report.stored:
                note(f"  {self._report.work}")
            self._show_codes()
        else:
            note(f"Not finished. {self._report}")

    def _show_codes(self) -> None:
        for code, number in self._report.codes.most_common(SHOWN_CODES):
            example = next((each for each in self._report.rejections if each.code == code), None)
            if example is None:
                note(f"  {number:,} × {code}")
                continue
            transient = " (transient: try them again with --only-rejected)" if example.transient else ""
            note(f"  {number:,} × {code}{transient}, for example row {example.row}: {example.reason}")


def _progress_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


@contextlib.contextmanager
def _writing(option: str, path: Path | None) -> Iterator[None]:
    """A disk that is full must not look like a run with some rejections."""
    try:
        yield
    except OSError as error:
        raise OperationalError(
            f"{option} {path} cannot be written: {error.strerror}. What was stored stays stored; make room and run it again."
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """The whole text or the old file, never a half: a temporary file beside it, then one rename."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def show_hits(hits: Sequence[Hit[Any]], *, as_json: bool) -> None:
    """One line a hit, or a JSON array."""
    from connector.hit import hit_object

    if as_json:
        _json([hit_object(hit) for hit in hits])
        return
    if not hits:
        note("No hits.")
    for hit in hits:
        _out(f"{hit.score:6.3f}  {hit.id}  {_line(hit.record)}")


def _line(record: Schema) -> str:
    """The record's words first, then its other values, short enough for a line."""
    from connector.hit import record_object
    from connector.schema.schema import definition_of

    definition = definition_of(type(record))
    values = record_object(record)
    words = [str(values[name]) for name in definition.texts if values[name] is not None]
    rest = [f"{name}={values[name]}" for name in definition.fields if values[name] is not None]
    blobs = [str(values[name]) for name in definition.blobs if values[name] is not None]
    line = "  ".join([*words, *rest, *blobs]).replace("\n", " ")
    return line if len(line) <= 160 else line[:159] + "…"


def show_record(record: Schema, *, as_json: bool) -> None:
    """A record's values, one a line, or a JSON object."""
    from connector.hit import record_object

    values = record_object(record)
    if as_json:
        _json(values)
        return
    for name, value in values.items():
        if value is not None:
            _out(f"{name}: {value}")


def show_number(name: str, number: int, *, as_json: bool) -> None:
    """A bare number, or `{name: number}`."""
    if as_json:
        _json({name: number})
    else:
        _out(str(number))


def show_outcome(lines: Sequence[str], values: dict[str, object], *, as_json: bool) -> None:
    """Lines for a person, or one JSON object."""
    if as_json:
        _json(values)
    else:
        for line in lines:
            _out(line)
