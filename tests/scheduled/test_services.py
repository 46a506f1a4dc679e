"""What cron and systemd start parses, never runs twice, and tells somebody exactly when somebody is needed."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scheduled.stage import COMMAND, FOLDER, TOLD, Stage, needs_flock


def settings() -> dict[str, str]:
    """`sync.env`, which cron's shell and systemd read alike."""
    lines = [
        line for line in (FOLDER / "sync.env").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Z_]+=[^\s'\"$`\\]+", line) for line in lines)
    return dict(line.split("=", 1) for line in lines)


def cron_entries() -> list[list[str]]:
    lines = (FOLDER / "crontab").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#") and not re.match(r"[A-Z]+=", line)]
    return [line.split(maxsplit=5) for line in entries]


def test_the_crontab_has_one_line_that_cron_understands() -> None:
    ((minute, hour, *rest, command),) = cron_entries()
    assert 0 <= int(minute) < 60
    assert 0 <= int(hour) < 24
    assert rest == ["*", "*", "*"]
    assert "%" not in command  # to cron that is a line break
    assert "MAILTO=" in (FOLDER / "crontab").read_text()


@needs_flock
@pytest.mark.parametrize("code", TOLD)
def test_the_line_of_cron_does_what_it_says(code: int, stage: Stage) -> None:
    values = settings() | {"SYNC_STATE": str(stage.state), "SYNC_TELL": str(stage.tell)}
    (stage.folder / "sync.env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    command = cron_entries()[0][-1]
    for path, here in {
        "/srv/shop": stage.folder,
        "/etc/connector/sync.env": stage.folder / "sync.env",
        "/opt/connector/sync.sh": FOLDER / "sync.sh",
    }.items():
        assert path in command
        command = command.replace(path, str(here))
    assert stage.run("bash", "-c", command, STUB_CODE=str(code)).returncode == code
    assert stage.told == TOLD[code]
    assert (
        f"sync {values['SYNC_TARGET']} {values['SYNC_SOURCE']} --delete-missing" in stage.lines("called")[0]
    )


UNITS = sorted(FOLDER.glob("connector-sync*"))


def unit(name: str) -> configparser.ConfigParser:
    """A unit, read strictly: no key twice, no section unknown, no line that is neither."""
    parser = configparser.ConfigParser(
        strict=True, interpolation=None, delimiters=["="], comment_prefixes=["#"]
    )
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys keep their case
    parser.read_string((FOLDER / name).read_text(encoding="utf-8"))
    assert set(parser.sections()) <= {"Unit", "Service", "Timer", "Install"}
    return parser


def test_the_units_name_each_other_and_never_run_twice() -> None:
    service, timer = unit("connector-sync.service"), unit("connector-sync.timer")
    assert [path.name for path in UNITS] == [
        "connector-sync-alert.service",
        "connector-sync.service",
        "connector-sync.timer",
    ]
    assert service["Service"]["Type"] == "oneshot"
    assert service["Unit"]["OnFailure"] == "connector-sync-alert.service"
    assert timer["Timer"]["Persistent"] == "yes"
    assert timer["Install"]["WantedBy"] == "timers.target"
    command = shlex.split(service["Service"]["ExecStart"])
    wanted = COMMAND.format(target="${SYNC_TARGET}", source="${SYNC_SOURCE}", state="%S/connector")
    assert command == ["/opt/connector/bin/connector", *wanted.split()]


@pytest.mark.parametrize("code", TOLD)
def test_the_service_tells_somebody_exactly_when_somebody_is_needed(code: int, stage: Stage) -> None:
    """What systemd does with an exit code, in three lines; its commands are run."""
    service, alert = (
        unit("connector-sync.service")["Service"],
        unit("connector-sync-alert.service")["Service"],
    )
    run_unit_command(stage, service["ExecStopPost"].removeprefix("-"), EXIT_STATUS=str(code))
    if code not in {0, *map(int, service["SuccessExitStatus"].split())}:
        run_unit_command(stage, alert["ExecStart"])
    assert stage.told == TOLD[code]


def run_unit_command(stage: Stage, command: str, **env: str) -> None:
    for path, here in {
        "/opt/connector/tell-webhook.sh": stage.tell,
        "%S": stage.folder,
        "$$": "$",
        "%H": "host",
    }.items():
        command = command.replace(path, str(here))
    done = stage.run(*shlex.split(command), **env)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("connector", "tell-webhook.sh"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for path in UNITS:
        text = path.read_text()
        text = text.replace("/opt/connector/bin/connector", f"{tmp_path}/bin/connector")
        (tmp_path / path.name).write_text(
            text.replace("/opt/connector/tell-webhook.sh", f"{tmp_path}/bin/tell-webhook.sh")
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / path.name for path in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    # Complaints about units of this machine are not about these.
    assert [line for line in done.stderr.splitlines() if "connector-sync" in line] == []
    calendar = unit("connector-sync.timer")["Timer"]["OnCalendar"]
    assert (
        subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, check=False).returncode
        == 0
    )
