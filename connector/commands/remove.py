"""`connector remove`: records leave the collection, by their ids."""

from __future__ import annotations

from typing import Annotated

import typer

from connector import terminal
from connector.commands import arguments, options


def remove(
    target: options.Target,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The records' ids.")],
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    schema: options.SchemaName = None,
    as_json: options.Json = False,
) -> None:
    """Remove records; those that are not there are no error."""
    from connector.typed_id import existing_id

    with arguments.open_connector(target, qdrant, collection) as shop:
        wanted = arguments.schema_named(shop, schema)
        removed = shop.remove(*(existing_id(shop, id, wanted) for id in ids), schema=wanted)
    terminal.show_number("removed", removed, as_json=as_json)
