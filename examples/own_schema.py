"""Your own schema: what a record is, what becomes a vector, and what can be filtered."""

import datetime as dt
import sys
import tempfile
from pathlib import Path
from typing import Literal

from connector import Blob, Connector, Field, Id, ImageSpace, Schema, Text, field
from connector.demo.catalogue import write_catalogue


class Exhibit(Schema):
    number: Id[int]
    scan: Blob
    caption: Text[str | None]
    made: Field[dt.date | None]
    room: Field[Literal["north", "south"]]
    materials: Field[list[str]] = field(default=[])


space = ImageSpace(Exhibit.scan + Exhibit.caption, model="demo", weights=(0.7, 0.3))

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
write_catalogue(folder, 6)
rows = [
    {
        "number": number,
        "scan": f"pictures/p{number:04}.jpg",
        "made": dt.date(1900 + number, 1, 1),
        "room": "north" if number % 2 else "south",
        "materials": ["paper", "ink"] if number > 3 else ["canvas"],
    }
    for number in range(1, 7)
]

with Connector(space) as museum:  # ":memory:", gone when the program ends
    print(museum.ingest(rows, base=folder))
    recent_on_paper = (Exhibit.made >= dt.date(1904, 1, 1)) & Exhibit.materials.contains("paper")
    print(recent_on_paper, "→", museum.count(recent_on_paper))
    for hit in museum.search(like=1, where=(Exhibit.room == "north") | ~recent_on_paper):
        print(f"{hit.score:.2f}  {hit.record.number}  {hit.record.room}  {hit.record.materials}")
