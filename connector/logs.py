"""What the doors' logs look like: lines for people, or JSON Lines for machines; on standard error, without secrets.

The library only ever logs to `logging.getLogger("connector")`; a door calls `configure` once. A line of JSON:

    {"time": "2026-03-01T02:17:00.120Z", "level": "info", "logger": "connector", "message": "done", "read": 300}
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from typing import Literal, TextIO, TypeAlias

Form: TypeAlias = Literal["plain", "json"]

LONGEST = 2000  # characters of one value
_OWN = frozenset({"time", "level", "logger", "message", "error"})
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:password|passwd|pwd|secret|token|api_?key|authorization|cookie)s?$", re.IGNORECASE
)
_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.\-]*://)[^\s/@'\"]+@", re.IGNORECASE)
_SECRET_PART = re.compile(
    r"((?:password|passwd|pwd|secret|token|api[_-]?key|signature|credential|authorization)[\"']?\s*[=:]\s*)"
    r"(?:bearer\s+|basic\s+)?[^\s&;,'\"]+",
    re.IGNORECASE,
)
_LEAST_BASE64 = 200  # characters
_BASE64 = re.compile(rf"(?:data:[\w.+/;=-]{{0,100}},)?[A-Za-z0-9+/_-]{{{_LEAST_BASE64},}}={{0,2}}")


def configure(form: Form = "plain", *, quiet: bool = False) -> None:
    """Send the process's log to standard error. Called again, it replaces what it set before.

    Args:
        form: "plain" writes each message as it is; "json" one object a line, warnings of Python included.
        quiet: warnings and errors only. Other libraries are never heard below that.
    """
    handler = _Stderr()
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Stderr)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("connector").setLevel(logging.WARNING if quiet else logging.INFO)
    logging.captureWarnings(form == "json")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment, which is not always what it was at the start."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class PlainLines(logging.Formatter):
    """The message, less its secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record), LONGEST * 10)


class JsonLines(logging.Formatter):
    """One JSON object a line, always ASCII; `extra={…}` becomes members of it, an exception its `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = {
                "type": type(error).__name__,
                "message": redacted(str(error)),
                "traceback": redacted(self.formatException(record.exc_info), LONGEST * 10),
            }
        for name, value in record.__dict__.items():
            if name not in _STANDARD:
                line[f"{name}_" if name in _OWN else name] = _shown(name, value)
        return json.dumps(line)


def redacted(text: str, longest: int = LONGEST) -> str:
    """Text without user info of URLs, without what looks like a password or a key, without pictures in base64, and short."""
    # Most lines are short and name no one; a server writes one for every request.
    if len(text) >= _LEAST_BASE64:
        text = _BASE64.sub(lambda found: f"<{len(found[0])} characters>", text)
    if "@" in text:
        text = _USER_INFO.sub(r"\1***@", text)
    if "=" in text or ":" in text:
        text = _SECRET_PART.sub(r"\1***", text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _time(created: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return (
        dt.datetime.fromtimestamp(created, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _shown(name: str, value: object) -> object:
    """A value as JSON can hold it; what is no plain value is named by its type, for it may be large or a picture."""
    if _SECRET_NAME.search(name):
        return "***"
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shown("", inner) for inner in value]
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, (str, Exception)) or hasattr(value, "__fspath__"):
        return redacted(str(value))
    return f"<{type(value).__name__}>"
