"""`connector ingest`: add and update, delete nothing."""

from __future__ import annotations

import typer

from connector import terminal
from connector.commands import arguments, options


def ingest(
    target: options.Target,
    source: options.Source,
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    model: options.Model = None,
    handler: options.Handler = None,
    schema: options.SchemaName = None,
    root: options.Roots = None,
    report: options.ReportFile = None,
    rejects: options.RejectsFile = None,
    query: options.Query = None,
    quiet: options.Quiet = False,
    log: options.Log = "plain",
    as_json: options.Json = False,
) -> None:
    """Add or update records; what is stored already, exactly as it comes, is left alone."""
    arguments.configure_log(log, quiet=quiet)
    with arguments.open_connector(
        target, qdrant, collection, model, handler, roots=root, source=source
    ) as shop:
        wanted = arguments.schema_named(shop, schema)
        with terminal.Run(report, rejects, quiet=quiet, as_json=as_json) as run:
            run.finish(
                shop.ingest(
                    source, schema=wanted, query=query, on_rejection=run.reject, on_progress=run.progress
                )
            )
    if run.rejected:
        raise typer.Exit(1)
