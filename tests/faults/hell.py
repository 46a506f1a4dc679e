"""Ids, texts and values from hell, and what becomes of each: taken and read back equal, or rejected with a code."""

from __future__ import annotations

import dataclasses
import math
import uuid
from typing import Any, Final

import numpy as np

from connector import Blob, Field, Id, ImageSpace, ModelHandler, Schema, Text


class Thing(Schema):
    """One field of each kind that a value from hell could hurt."""

    key: Id
    photo: Blob[bytes | None]
    words: Text[str | None]
    note: Field[str | None]
    number: Field[float | None]
    count: Field[int | None]
    flag: Field[bool | None]
    notes: Field[list[str] | None]
    numbers: Field[list[float] | None]


SPACE: Final = ImageSpace(Thing.photo + Thing.words, model_handler=ModelHandler.STAND_IN)
INVALID: Final = "record_invalid"


@dataclasses.dataclass(frozen=True)
class Case:
    """A row, and what must become of it.

    Attributes:
        name: what is wrong with it, or only looks so.
        row: without an id, where the id is not what it is about.
        code: what it is rejected with; None where it is taken.
    """

    name: str
    row: dict[str, Any]
    code: str | None = None


TEXTS: Final = {
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🦄",
    "outside the first plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 🂡",
    "right to left": "שלום עולם مرحبا بالعالم",
    "turned around": "\u202eevil\u202c \u2066x\u2069 \u200f",
    "combining": "Z\u0351\u036b\u0343a\u0337lg\u0322o\u0321" + "\u0301" * 50,
    "not composed": "e\u0301 \u1100\u1161",
    "invisible": "\u200b\u2060\ufeff\u00ad",
    "NUL": "before\x00after",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85",
    "line ends": "a\nb\r\nc\rd\u2028e\u2029f",
    "no characters": "\ufffe\uffff\U0010ffff",
    "quotes and backslashes": '"\'`\\ \\u0000 \\" {} [] , : // <!-- --> ${x} %s %00 {{7*7}}',
    "a statement": "'); DROP TABLE products; --",
    "a web page": "<script>alert(1)</script>",
    "a path": "../../../../etc/passwd\x00.jpg",
    "a word for nothing": "null",
    "a word for no number": "NaN",
    "spaces": " \t\u00a0\u3000 ",
    "1 MB": "words and more words " * 50_000,
    "1 MB without a space": "w" * 1_000_000,
    "1 MB of emoji": "🦄" * 250_000,
    "1 MB to be escaped": "\x01" * 1_000_000,
}
SURROGATES: Final = {
    "high": "half \ud83e",
    "low": "\udd84 half",
    "the wrong way round": "\udd84\ud83e",
    "of a file name": b"caf\xe9.jpg".decode("utf-8", "surrogateescape"),
}
IDS: Final[dict[str, str | int]] = {
    "number": 1,
    "text of the same digits": "1",
    "with a zero before": "01",
    "with a space before": " 1",
    "full width digits": "１",
    "arabic digits": "١",
    "zero": 0,
    "text zero": "0",
    "negative": -1,
    "text negative": "-1",
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "upper case": "KEY",
    "lower case": "key",
    "dotless": "kEy\u0131",
    "composed": "caf\u00e9",
    "not composed": "cafe\u0301",
    "uuid as text": "6b0f1a52-6d5f-5c1e-9d7c-3f2f0c9a7e41",
    "uuid as text, upper case": "6B0F1A52-6D5F-5C1E-9D7C-3F2F0C9A7E41",
    "10 kB": "k" * 10_240,
    "10 kB, another end": "k" * 10_239 + "l",
    "with a slash": "a/b",
    "JSON": '["Thing", "str", "1"]',
    "a wildcard": "*",
    "true, as text": "true",
    "None, as text": "None",
    "a float, as text": "1.0",
    **{f"text: {name}": text for name, text in TEXTS.items() if len(text) < 1000 and text.strip()},
}
NOT_IDS: Final[dict[str, Any]] = {
    "none": None,
    "empty": "",
    "true": True,
    "float": 1.5,
    "not a number": math.nan,
    "infinite": math.inf,
    "bytes": b"key",
    "list": ["key"],
    "mapping": {"key": "key"},
    "too large": 2**63,
    "much too large": 10**400,
    "half a character": "key \ud83e",
}
NUMBERS: Final[dict[str, float]] = {
    "largest": 1.7976931348623157e308,
    "smallest": 5e-324,
    "minus zero": -0.0,
    "not to be had in binary": 0.1 + 0.2,
    "beyond whole numbers": 2.0**53 + 2,
}


def deep(levels: int) -> object:
    """A word inside so many lists."""
    value: object = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def cases() -> list[Case]:
    """Every case; ids that are not the point are left to `rows`."""
    found = [Case(f"id: {name}", {"key": key}) for name, key in IDS.items()]
    found += [Case(f"no id: {name}", {"key": key}, INVALID) for name, key in NOT_IDS.items()]
    for name, text in TEXTS.items():
        found.append(Case(f"description: {name}", {"words": text}, None if text.strip() else INVALID))
        found.append(Case(f"value: {name}", {"note": text, "notes": [text, "", text]}))
    for name, text in SURROGATES.items():
        found.append(Case(f"half a character in the description, {name}", {"words": text}, INVALID))
        found.append(Case(f"half a character in a value, {name}", {"note": text}, INVALID))
        found.append(Case(f"half a character in a list, {name}", {"notes": ["fine", text]}, INVALID))
    for name, number in NUMBERS.items():
        found.append(Case(f"number: {name}", {"number": number, "numbers": [number, -number]}))
    for name, number in (("NaN", math.nan), ("infinity", math.inf), ("minus infinity", -math.inf)):
        found.append(Case(f"no number: {name}", {"number": number}, INVALID))
        found.append(Case(f"no number in a list: {name}", {"numbers": [1.0, number]}, INVALID))
        found.append(Case(f"no whole number: {name}", {"count": number}, INVALID))
        found.append(Case(f"no number of numpy's: {name}", {"number": np.float32(number)}, INVALID))
    found += [
        Case("whole number: largest", {"count": 2**63 - 1}),
        Case("whole number: smallest", {"count": -(2**63)}),
        Case("whole number: too large", {"count": 2**63}, INVALID),
        Case("whole number: much too large", {"count": 10**5000}, INVALID),
        Case("whole number: a million digits", {"count": "9" * 1_000_000}, INVALID),
        Case("flag: a word", {"flag": "perhaps"}, INVALID),
        Case("value: bytes", {"note": b"words"}, INVALID),
        Case("value: an object", {"note": object()}, INVALID),
        Case("value: a mapping", {"note": {"a": 1}}, INVALID),
        Case("value: 300 deep", {"note": deep(300)}, INVALID),
        Case("list: 300 deep", {"notes": deep(300)}, INVALID),
        Case("list: 20,000 values", {"notes": [f"value {number}" for number in range(20_000)]}),
        Case("list: empty", {"notes": []}),
        Case("description: bytes", {"words": b"words"}, INVALID),
        Case("nothing to embed", {"words": None}, INVALID),
        Case("empty description", {"words": ""}, INVALID),
        Case("picture: no picture", {"photo": b"\x89PNG\r\n\x1a\n and then nothing"}, "blob_unreadable"),
        Case("picture: empty", {"photo": b""}, INVALID),
        Case("refused by the model", {"words": "an unembeddable description"}, "not_embeddable"),
        Case(
            "a column too many", {"words": "fine", "extra": object(), "_schema": "Thing", "_version": 2**70}
        ),
    ]
    return found


def rows(found: list[Case]) -> list[dict[str, Any]]:
    """A row for each case: an id of its own and some words where the case brings none."""
    return [
        {"key": str(uuid.uuid5(uuid.NAMESPACE_OID, case.name)), "words": "some words", **case.row}
        for case in found
    ]
