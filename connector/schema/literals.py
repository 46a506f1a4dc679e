"""Values as the text form of a condition writes them: `80`, `true`, `'Acme'`; and quoted text read back."""

from __future__ import annotations

import re

_ESCAPES = {"\\": "\\\\", "'": "''", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def literal(value: object) -> str:
    """`value` as the text form writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + "".join(_ESCAPES.get(character, character) for character in str(value)) + "'"


def unquoted(quoted: str) -> str:
    """The text inside quotes: a doubled quote is one; `\\n`, `\\r`, `\\t` as in Python, else `\\x` is x."""
    quote = quoted[0]

    def plain(found: re.Match[str]) -> str:
        escape = found.group()
        return escape[1] if escape[0] == quote else _UNESCAPES.get(escape[1], escape[1])

    return re.sub(rf"{quote}{quote}|\\.", plain, quoted[1:-1], flags=re.DOTALL)
