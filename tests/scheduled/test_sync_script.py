"""The shell script that cron, Kubernetes and GitHub Actions share tells somebody exactly when somebody is needed."""

import fcntl
import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.scheduled.stage import COMMAND, FOLDER, SCRIPTS, TOLD, Stage, needs_flock

SYNC = ("bash", str(FOLDER / "sync.sh"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid_and_can_be_started(path: Path) -> None:
    # Without the caller's LC_ALL: bash complains of a locale that is not installed.
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in path.read_text()
    assert os.access(path, os.X_OK)


@needs_flock
@pytest.mark.parametrize("code", TOLD)
def test_the_script_tells_somebody_exactly_when_somebody_is_needed(code: int, stage: Stage) -> None:
    done = stage.run(*SYNC, STUB_CODE=str(code))
    assert done.returncode == code
    assert stage.told == TOLD[code]
    assert stage.lines("called") == [
        COMMAND.format(target="schemas.product:space", source="feed.jsonl", state=stage.state)
    ]
    assert (stage.state / "sync.log").read_text() == "{}\n"
    assert done.stdout == done.stderr == ""


@needs_flock
def test_what_is_told_says_what_to_look_at(stage: Stage) -> None:
    stage.run(*SYNC, STUB_CODE="1")
    stage.run(*SYNC, STUB_CODE="2")
    stage.run(*SYNC, STUB_CODE="3")
    rejected, wrong, unfinished = stage.lines("sentences")
    assert f"{stage.state}/rejects.jsonl" in rejected
    assert "needs a person" in wrong
    assert "could not finish. Nothing is lost" in unfinished


@needs_flock
def test_without_a_command_to_tell_cron_gets_the_sentence_to_mail(stage: Stage) -> None:
    assert stage.run(*SYNC, STUB_CODE="0", SYNC_TELL="").stderr == ""
    assert stage.run(*SYNC, STUB_CODE="3", SYNC_TELL="").stderr.startswith(
        "alert: The sync of feed.jsonl could not"
    )


@needs_flock
def test_telling_that_fails_hides_nothing(stage: Stage) -> None:
    stage.script("tell", "exit 7")
    done = stage.run(*SYNC, STUB_CODE="2")
    assert done.returncode == 2
    assert "alert (and SYNC_TELL failed): The sync of feed.jsonl needs a person" in done.stderr


@needs_flock
def test_a_connector_that_is_not_installed_is_told(stage: Stage) -> None:
    stage.script("connector", "").unlink()
    assert stage.run(*SYNC, PATH="/usr/bin:/bin").returncode == 127
    assert stage.told == ["alert"]


@needs_flock
def test_a_second_sync_does_not_start_and_tells_somebody(stage: Stage) -> None:
    stage.state.mkdir()
    with (stage.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = stage.run(*SYNC, SYNC_WAIT="0")
    assert done.returncode == 3
    assert stage.told == ["alert"]
    assert stage.lines("called") == []
    assert stage.run(*SYNC).returncode == 0  # the lock is free again


@needs_flock
def test_a_sync_that_takes_too_long_is_stopped_and_told(stage: Stage) -> None:
    stage.script("connector", "exec sleep 60")
    assert stage.run(*SYNC, SYNC_LIMIT="0.2").returncode == 3
    assert stage.told == ["alert"]


@needs_flock
def test_a_signal_reaches_the_sync_and_its_exit_code_comes_back(stage: Stage) -> None:
    """Kubernetes signals the script alone; the sync then finishes its batch."""
    os.mkfifo(stage.folder / "started")
    stage.script(
        "connector",
        f"trap 'kill $!; echo stopped >>{stage.folder}/called; exit 143' TERM\nsleep 60 &\n"
        f"echo >{stage.folder}/started\nwait",
    )
    # To open a pipe in the ordinary way would wait for ever for a stand-in that is never started.
    reading = os.open(stage.folder / "started", os.O_RDONLY | os.O_NONBLOCK)
    with (
        os.fdopen(reading) as started,
        subprocess.Popen(SYNC, env=stage.env, cwd=stage.folder) as process,
    ):
        while not select.select([started], [], [], 0.1)[0]:  # until the stand-in has set its trap
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
    assert stage.lines("called") == ["stopped"]
    assert stage.told == []


@needs_flock
@pytest.mark.parametrize("command", ["sync=$!", 'wait "$sync"'])
def test_a_signal_just_after_the_start_leaves_no_sync_behind(command: str, stage: Stage) -> None:
    """The script signals itself before this command of its own; the lock is free once no process of it is left."""
    stage.script("connector", "exec sleep 60")
    (stage.folder / "debug").write_text("""trap '[[ $BASH_COMMAND != "$MOMENT" ]] || kill -TERM $$' DEBUG""")
    assert stage.run(*SYNC, BASH_ENV=str(stage.folder / "debug"), MOMENT=command).returncode == 143
    with (stage.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert stage.told == []


@needs_flock
def test_further_arguments_go_to_the_sync(stage: Stage) -> None:
    stage.run(*SYNC, "--handler", "stand-in")
    assert stage.lines("called")[0].endswith("--wait 600 --handler stand-in")


@needs_flock
def test_a_setting_that_is_missing_is_named(stage: Stage) -> None:
    done = stage.run(*SYNC, SYNC_SOURCE="")
    assert done.returncode != 0
    assert "source" in done.stderr.lower()
    assert stage.lines("called") == []


def test_the_webhook_gets_json_and_its_url_is_no_argument(stage: Stage) -> None:
    stage.script("curl", f'printf "%s\\n" "$@" >{stage.folder}/arguments; cat >{stage.folder}/config')
    done = stage.run(
        "bash",
        str(FOLDER / "tell-webhook.sh"),
        "alert",
        'He said "no"\nand left',
        SYNC_WEBHOOK="https://chat/secret",
    )
    assert done.returncode == 0, done.stderr
    arguments = stage.lines("arguments")
    assert json.loads(arguments[arguments.index("--data") + 1]) == {"text": 'alert: He said "no"\nand left'}
    assert "--fail" in arguments
    assert "secret" not in "\n".join(arguments)
    assert stage.lines("config") == ['url = "https://chat/secret"']


def test_the_page_names_every_file_and_every_exit_code() -> None:
    page = (FOLDER / "README.md").read_text()
    for path in FOLDER.iterdir():
        if path.is_file() and path.name != "README.md":
            assert path.name in page or path.suffix in (".timer",), path.name
    for code in ("| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 130, 143 |"):
        assert code in page
