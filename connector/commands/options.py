"""The options that several commands have, each written once: Typer reads a command's from its signature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

# Typer reads these at run time, so they are written in the form it knows on every Python (hence Optional).
Target = Annotated[
    str, typer.Argument(help="module:attribute naming an ImageSpace, such as schemas.photo:space")
]
Qdrant = Annotated[Optional[str], typer.Option("--qdrant", metavar="LOCATION", help="A folder, ':memory:' or a server's URL. [env: QDRANT_URL; default: ./connector.qdrant]")]  # fmt: skip  # noqa: UP045, E501
Collection = Annotated[
    str | None, typer.Option("--collection", metavar="NAME", help="By default the schema's name.")
]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Another model than the space's own.")
]
Handler = Annotated[
    str | None,
    typer.Option(
        "--handler",
        metavar="NAME",
        help="sentence-transformers, open-clip, dinov2, vitrivr-dinov2, remote or stand-in.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SchemaName = Annotated[
    str | None, typer.Option("--schema", metavar="NAME", help="One schema of a space that holds several.")
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="CONDITION", help="Such as: price < 80 and brand in ('Acme', 'Bolt')"),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root", metavar="FOLDER", help="A further folder that rows may name pictures in; may be repeated."
    ),
]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A .jsonl, .csv or .parquet file, a folder of pictures, or - for JSON Lines on standard input.",
    ),
]
MaxDelete = Annotated[
    str,
    typer.Option("--max-delete", metavar="SHARE", help="Refuse to delete more of the collection than this."),
]
Wait = Annotated[
    float,
    typer.Option("--wait", min=0, metavar="SECONDS", help="Wait for another sync of the collection to end."),
]
ReportFile = Annotated[
    Optional[Path], typer.Option("--report", metavar="FILE", help="Write the report here, as JSON.")  # noqa: UP045
]
RejectsFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--rejects", metavar="FILE", help="Write every rejected row here, as JSON Lines."),
]
Query = Annotated[
    str | None,
    typer.Option("--query", metavar="SQL", help="What to ask, where SOURCE is a database's URL."),
]
Log = Annotated[
    str,
    typer.Option("--log", metavar="FORM", help="plain, or json: one JSON object a line on standard error."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
