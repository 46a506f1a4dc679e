"""`connector count`: how many records there are, or fit a condition."""

from __future__ import annotations

from connector import terminal
from connector.commands import arguments, options


def count(
    target: options.Target,
    where: options.Where = None,
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    schema: options.SchemaName = None,
    as_json: options.Json = False,
) -> None:
    """Count records, all of them or those a condition is about."""
    with arguments.open_connector(target, qdrant, collection) as shop:
        wanted = arguments.schema_named(shop, schema)
        number = shop.count(arguments.condition(shop, where, wanted), wanted)
    terminal.show_number("count", number, as_json=as_json)
