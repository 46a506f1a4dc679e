"""Values in messages and reprs: short, and never the bytes of a picture."""

from __future__ import annotations

import datetime as dt
import difflib
import uuid
from collections.abc import Iterable, Mapping

LONGEST = 60
MOST_ITEMS = 4
LONGEST_NUMBER = 160  # bits; 48 digits


def show(value: object, longest: int = LONGEST) -> str:
    """One line of at most `longest` characters that tells a person what `value` is."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value):,} bytes>"
    if isinstance(value, str):
        return _shortened(repr(value[: longest + 1]), longest)
    if isinstance(value, (list, tuple, set, frozenset)):
        return _shortened(f"[{_shown(value, longest)}]", longest)
    if isinstance(value, Mapping):
        return f"<{type(value).__name__} of {len(value)}>"
    if type(value).__module__.startswith("PIL."):
        return _picture(value)
    if isinstance(value, (dt.date, uuid.UUID)):
        return str(value)
    if isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
        # Python itself refuses to print numbers of more than 4300 digits.
        return f"<a whole number of {value.bit_length():,} bits>"
    return _shortened(repr(value), longest)


def near(name: object, names: Iterable[str]) -> str | None:
    """The one of `names` that somebody who wrote `name` most likely meant, if any is near."""
    known = {known.lower(): known for known in names}
    found = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.7)
    return known[found[0]] if found else None


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """` Did you mean 'price'?`, or nothing."""
    found = near(name, names)
    return f" Did you mean {found!r}?" if found else ""


def _shown(values: Iterable[object], longest: int) -> str:
    first: list[str] = []
    for value in values:
        if len(first) == MOST_ITEMS:
            return ", ".join([*first, "…"])
        # One level is enough for a person, and values may be nested deeper than Python can follow.
        if isinstance(value, (list, tuple, set, frozenset)):
            first.append(f"<{type(value).__name__} of {len(value)}>")
        else:
            first.append(show(value, longest))
    return ", ".join(first)


def _shortened(text: str, longest: int) -> str:
    """The start of `text`, with its closing character kept so that quotes stay balanced."""
    return text if len(text) <= longest else f"{text[: longest - 2]}…{text[-1]}"


def _picture(value: object) -> str:
    # Told by its module and read by name: this room must not import Pillow only to print.
    width, height = getattr(value, "size", (0, 0))
    return f"<{getattr(value, 'mode', '?')} picture {width}×{height}>"
