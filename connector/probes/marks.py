"""When the probes are due: what a collection keeps of where and when they were last checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from connector.probes.place import place
from connector.store.points import rfc3339

DAY = dt.timedelta(days=1)

_MARKS = 16  # places that are remembered to have checked; jobs in containers have a new name every time


def due(
    marks: Mapping[str, str] | None, now: dt.datetime, every: dt.timedelta = DAY, *, here: str | None = None
) -> bool:
    """Say whether the probes should be checked on this machine.

    They should where they never were, where the last check is `every` ago, and where it lies in the future: then the
    clock has jumped back, and nobody knows how old it is.

    Args:
        marks: what `marked` gave, or None.
        now: the present moment.
        every: how long a check is good for.
        here: what `place` says; a test's seam.
    """
    last = _moment((marks or {}).get(here or place()))
    return last is None or not dt.timedelta(0) <= _aware(now) - last < every


def marked(marks: Mapping[str, str] | None, now: dt.datetime, *, here: str | None = None) -> dict[str, str]:
    """Note that the probes were checked on this machine now: machine → RFC 3339, the latest 16 of them."""
    mine, at = here or place(), rfc3339(now)
    others = [(when, key) for key, when in (marks or {}).items() if key != mine and when <= at]
    return {key: when for when, key in sorted(others)[-(_MARKS - 1) :]} | {mine: at}


def _moment(text: str | None) -> dt.datetime | None:
    try:
        return None if text is None else _aware(dt.datetime.fromisoformat(text))
    except ValueError:  # written by something else: as good as never checked
        return None


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
