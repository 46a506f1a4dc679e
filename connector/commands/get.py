"""`connector get`: one record, by its id."""

from __future__ import annotations

from typing import Annotated

import typer

from connector import terminal
from connector.commands import arguments, options


def get(
    target: options.Target,
    id: Annotated[str, typer.Argument(help="The record's id.")],
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    schema: options.SchemaName = None,
    as_json: options.Json = False,
) -> None:
    """Show one record. Exit code 1 when there is none."""
    from connector.typed_id import existing_id

    with arguments.open_connector(target, qdrant, collection) as shop:
        wanted = arguments.schema_named(shop, schema)
        record = shop.get(existing_id(shop, id, wanted), wanted)
    if record is None:
        terminal.note(f"There is no record '{id}' in collection '{shop.collection}' of {shop.qdrant}.")
        raise typer.Exit(1)
    terminal.show_record(record, as_json=as_json)
