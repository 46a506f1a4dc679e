"""Files as tests need them: with a size and a time of their own choosing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

LONG_AGO = 1_500_000_000_123_456_789


def status_of(size: int, changed_ns: int) -> os.stat_result:
    """What `os.stat` says of a file of that size, last changed then."""
    seconds, rest = divmod(changed_ns, 1_000_000_000)
    basic = (0o100644, 1, 1, 1, 0, 0, size, seconds, seconds, seconds)
    return os.stat_result((*basic, *[seconds + rest / 1e9] * 3, *[changed_ns] * 3))


def twin(original: Path, path: Path, data: bytes) -> None:
    """Write another file with the same size and the same time to the nanosecond, so that both have one stamp."""
    assert len(data) == original.stat().st_size
    path.write_bytes(data)
    os.utime(path, ns=(0, original.stat().st_mtime_ns))


def needs_nanoseconds(folder: Path) -> None:
    """Skip where the file system does not keep a file's time to the nanosecond, as FAT and HFS+ do not."""
    probe = folder / "probe"
    probe.touch()
    os.utime(probe, ns=(0, LONG_AGO))
    kept = probe.stat().st_mtime_ns
    probe.unlink()
    if kept != LONG_AGO:
        pytest.skip(f"the file system of {folder} does not keep a file's time to the nanosecond")


def stand_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder of `folder`: files may be read below the working directory, so it must hold none."""
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
