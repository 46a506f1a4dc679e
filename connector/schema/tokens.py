"""The text form of a condition, cut into tokens; and errors that point into it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias

from connector.errors import ConditionError
from connector.schema.literals import unquoted

TokenKind: TypeAlias = Literal["name", "number", "text", "sign", "end"]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
      | (?P<name>[^\W\d]\w*)
      | (?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")
      | (?P<sign><=|>=|==|!=|<>|[<>=(),])
    )""",
    re.VERBOSE | re.DOTALL,
)

# How much of a long condition is shown on each side of the caret.
_AROUND = 50


@dataclass(frozen=True)
class Token:
    """One word, number, quoted text or sign, and where it starts."""

    kind: TokenKind
    raw: str
    start: int

    @property
    def keyword(self) -> str:
        """The word or sign in lower case; nothing for numbers and quoted text."""
        return self.raw.lower() if self.kind in ("name", "sign") else ""

    def value(self) -> object:
        """What a number, a quoted text, or true and false stand for.

        Raises:
            KeyError: it is something else.
            ValueError: a whole number of thousands of digits.
        """
        if self.kind == "text":
            return unquoted(self.raw)
        if self.kind == "number":
            return float(self.raw) if set(self.raw) & set(".eE") else int(self.raw)
        return {"true": True, "false": False}[self.keyword]


def tokens_of(text: str) -> list[Token]:
    """All tokens of a condition's text, the last of kind "end".

    Raises:
        ConditionError: a character or an open quote that belongs to no token.
    """
    found: list[Token] = []
    place = 0
    while (token := _TOKEN.match(text, place)) is not None:
        kind: TokenKind = token.lastgroup  # type: ignore[assignment]  # the pattern's groups are the kinds
        raw = token[kind]
        # Python spells identifiers in NFKC, and so must we to find them.
        found.append(
            Token(kind, unicodedata.normalize("NFKC", raw) if kind == "name" else raw, token.start(kind))
        )
        place = token.end()
    place += len(text[place:]) - len(text[place:].lstrip())
    if place < len(text):
        raise unreadable(text, place, _stray(text[place]))
    return [*found, Token("end", "", len(text))]


def unreadable(text: str, place: int, told: str) -> ConditionError:
    """The error about one place in a condition's text, with a caret under it."""
    start = max(0, place - _AROUND)
    line = re.sub(r"\s", " ", text[start : place + _AROUND])
    before, after = "…" if start else "", "…" if place + _AROUND < len(text) else ""
    caret = " " * (len(before) + place - start) + "^"
    return ConditionError(f"At position {place} of the condition: {told}\n  {before}{line}{after}\n  {caret}")


def _stray(character: str) -> str:
    if character in "'\"":
        return f"this {character} has no partner. Close the quotes; write a quote inside them twice."
    if character in "&|~":
        return f"{character} is Python. In text, write and, or, not."
    return f"{character!r} has no meaning here. Put text values in quotes, such as 'Acme'."
