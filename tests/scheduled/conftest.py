"""What the tests of the scheduled examples share."""

from pathlib import Path

import pytest

from tests.scheduled.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A corner of its own for each test."""
    return Stage(tmp_path)
