"""Parts of an address that several routes take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from connector.server.records.models import LONGEST_ID, LONGEST_TEXT

TypedId = Annotated[
    str,
    Path(
        description="A record's id. Where only the number of the same digits is stored, that is meant.",
        min_length=1,
        max_length=LONGEST_ID,
        examples=["p0001"],
    ),
]
SchemaName = Annotated[
    str | None,
    Query(
        alias="schema",
        description="Records of this schema only, where there are several.",
        max_length=200,
        examples=["Product"],
    ),
]
Where = Annotated[
    str | None,
    Query(
        description="A condition, in its text form or its JSON form.",
        max_length=LONGEST_TEXT,
        examples=["price < 80 and brand = 'Acme'"],
    ),
]
