"""A model folder's JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(file: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no such file, or where it holds something else."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        # Absent is normal; what is damaged is told in full by the library, which then reads the folder instead.
        return None
    return value if isinstance(value, dict) else None
