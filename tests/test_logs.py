"""A door's log goes to standard error as lines or as JSON, quiet where asked, and never with a secret or a picture in it."""

import datetime as dt
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from connector.logs import LONGEST, configure, redacted

log = logging.getLogger("connector")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_of_json_has_time_level_logger_message_and_the_extra_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("json")
    log.info("%d read", 300, extra={"read": 300, "codes": {"blob_not_found": 2}, "seconds": 1.5})
    (line,) = lines(capsys)
    written = dt.datetime.fromisoformat(line.pop("time"))
    assert written.utcoffset() == dt.timedelta(0)
    assert line == {
        "level": "info",
        "logger": "connector",
        "message": "300 read",
        "read": 300,
        "codes": {"blob_not_found": 2},
        "seconds": 1.5,
    }


def test_time_is_written_as_rfc_3339_in_utc_to_the_millisecond(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    record = logging.makeLogRecord({"name": "connector", "levelno": 30, "levelname": "WARNING", "msg": "x"})
    record.created = dt.datetime(2026, 3, 1, 2, 17, 0, 120_000, tzinfo=dt.UTC).timestamp()
    log.handle(record)
    assert lines(capsys)[0]["time"] == "2026-03-01T02:17:00.120Z"


def test_a_message_of_several_lines_with_any_characters_stays_one_ascii_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # pytest's own, which keep it for a report that cannot be handed from process to process with half a character.
    logging.getLogger().handlers.clear()
    configure("json")
    log.info("a\nb\u2028 größe \udc80 \x00 🙂")
    text = capsys.readouterr().err
    assert text.isascii()
    assert text.count("\n") == 1
    assert json.loads(text)["message"] == "a\nb\u2028 größe \udc80 \x00 🙂"


def test_an_exception_is_told_with_its_type_message_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    try:
        raise ValueError("no password=hunter2 here")
    except ValueError:
        log.exception("broken")
    (line,) = lines(capsys)
    assert line["level"] == "error"
    assert line["error"]["type"] == "ValueError"
    assert line["error"]["message"] == "no password=*** here"
    assert "test_logs.py" in line["error"]["traceback"]
    assert "hunter2" not in json.dumps(line)


def test_plain_lines_are_the_bare_messages(capsys: pytest.CaptureFixture[str]) -> None:
    configure("plain")
    log.info("4 read")
    log.warning("from https://me:hunter2@example.com/feed")
    assert capsys.readouterr().err == "4 read\nfrom https://***@example.com/feed\n"


@pytest.mark.parametrize("form", ["plain", "json"])
def test_quiet_keeps_warnings_and_errors_only(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    configure(form, quiet=True)
    log.info("progress")
    log.warning("careful")
    log.error("broken")
    text = capsys.readouterr().err
    assert "progress" not in text
    assert "careful" in text
    assert "broken" in text


def test_other_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    other = logging.getLogger("some.library")
    other.info("chatter")
    other.warning("heard")
    assert [line["message"] for line in lines(capsys)] == ["heard"]


def test_a_warning_of_python_is_a_line_of_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)
    (line,) = lines(capsys)
    assert line["logger"] == "py.warnings"
    assert "old" in line["message"]


def test_configuring_again_replaces_what_was_set(capsys: pytest.CaptureFixture[str]) -> None:
    configure("plain")
    configure("json")
    configure("json")
    log.info("once")
    assert len(lines(capsys)) == 1


def test_no_secret_and_no_picture_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    log.info(
        "data:image/png;base64,%s",
        "iVBORw0KGgo" + "A" * 500,
        extra={
            "api_key": "hunter2",
            "options": {"token": "hunter2", "url": "postgresql://me:hunter2@host/shop"},
            "picture": b"\x89PNG" * 100,
            "header": "Authorization: Bearer hunter2",
            "query": "https://host/x?X-Amz-Signature=hunter2&size=3",
        },
    )
    (line,) = lines(capsys)
    assert "hunter2" not in json.dumps(line)
    assert line["message"] == "<533 characters>"
    assert line["picture"] == "<400 bytes>"
    assert line["options"] == {"token": "***", "url": "postgresql://***@host/shop"}
    assert line["query"] == "https://host/x?X-Amz-Signature=***&size=3"


def test_values_that_json_does_not_know_are_written_as_text_or_by_their_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("json")
    extra = {
        "path": Path("/data/feed.jsonl"),
        "share": float("nan"),
        "ids": {7},
        "other": object(),
        "why": OSError("disk"),
        "time": "mine",
        "at": dt.date(2026, 3, 1),
        "none": None,
    }
    log.info("x", extra=extra)
    (line,) = lines(capsys)
    assert {name: line[name] for name in extra if name != "time"} == {
        "path": "/data/feed.jsonl",
        "share": "nan",
        "ids": [7],
        "other": "<object>",
        "why": "disk",
        "at": "2026-03-01",
        "none": None,
    }
    assert line["time_"] == "mine"  # the line's own names are not given away


def test_long_text_is_cut() -> None:
    assert len(redacted("word " * 10_000)) == LONGEST


def test_ordinary_sentences_are_left_as_they_are() -> None:
    sentence = "Source '/data/2026/03/feed.jsonl' was not found. See https://example.com/a@b?size=3: 2 keys, 1 token."
    assert redacted(sentence) == sentence


def test_a_whole_process_writes_json_to_standard_error_only() -> None:
    code = "import logging; from connector.logs import configure; configure('json'); logging.getLogger('connector').info('hi')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert json.loads(done.stderr)["message"] == "hi"
