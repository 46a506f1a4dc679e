"""`connector verify`: how the collection differs from its source, and the repair."""

from __future__ import annotations

from typing import Annotated

import typer

from connector import terminal
from connector.commands import arguments, options


def verify(
    target: options.Target,
    source: options.Source,
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    model: options.Model = None,
    handler: options.Handler = None,
    schema: options.SchemaName = None,
    root: options.Roots = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend the difference, and nothing else.")] = False,
    no_bytes: Annotated[
        bool, typer.Option("--no-bytes", help="Believe what is stored of pictures; do not read them.")
    ] = False,
    max_delete: options.MaxDelete = "20%",
    wait: options.Wait = 0.0,
    as_json: options.Json = False,
) -> None:
    """Compare the collection with its source: what is missing, extra, stale or damaged. Exit code 1 when something is."""
    from connector.verify.verify import check

    with arguments.open_connector(
        target, qdrant, collection, model, handler, roots=root, source=source
    ) as shop:
        outcome = check(
            shop,
            source,
            schema=arguments.schema_named(shop, schema),
            bytes=not no_bytes,
            repair=repair,
            max_delete=arguments.amount("--max-delete", max_delete),
            wait=wait,
        )
    terminal.show_outcome(outcome.lines(), outcome.to_dict(), as_json=as_json)
    raise typer.Exit(outcome.exit_code)
