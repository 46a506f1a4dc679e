"""Files as tests need them: with a size and a time of their own choosing."""

from __future__ import annotations

import os
from pathlib import Path


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
