"""`connector sync`: make the collection equal to the source, or tell what that would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector import terminal
from connector.commands import arguments, options

if TYPE_CHECKING:
    from connector.connector import Connector


def sync(
    target: options.Target,
    source: options.Source,
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    model: options.Model = None,
    handler: options.Handler = None,
    schema: options.SchemaName = None,
    root: options.Roots = None,
    delete_missing: Annotated[
        bool, typer.Option("--delete-missing", help="Delete what the source no longer has.")
    ] = False,
    max_delete: options.MaxDelete = "20%",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would happen; embed and write nothing.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Take no more rows than this; nothing is deleted then.")
    ] = None,
    verify_bytes: Annotated[
        bool,
        typer.Option("--verify-bytes", help="Read every picture, also where it says it has not changed."),
    ] = False,
    only_rejected: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take only the rows in this rejects file of an earlier run."),
    ] = None,
    max_rejects: Annotated[
        str | None,
        typer.Option(metavar="N|P%", help="Stop (exit code 3) when more rows than this are rejected."),
    ] = None,
    wait: options.Wait = 0.0,
    report: options.ReportFile = None,
    rejects: options.RejectsFile = None,
    query: options.Query = None,
    quiet: options.Quiet = False,
    log: options.Log = "plain",
    as_json: options.Json = False,
) -> None:
    """Make the collection equal to the source: add, update and, if asked, delete."""
    arguments.configure_log(log, quiet=quiet)
    with arguments.open_connector(
        target, qdrant, collection, model, handler, roots=root, source=source
    ) as shop:
        wanted = arguments.schema_named(shop, schema)
        if dry_run:
            _show_schema_changes(shop)
        with terminal.Run(report, rejects, quiet=quiet, as_json=as_json) as run:
            done = shop.sync(
                source,
                schema=wanted,
                query=query,
                delete_missing=delete_missing,
                max_delete=arguments.amount("--max-delete", max_delete),
                dry_run=dry_run,
                limit=limit,
                verify_bytes=verify_bytes,
                only_rejected=only_rejected,
                max_rejects=None if max_rejects is None else arguments.amount("--max-rejects", max_rejects),
                wait=wait,
                on_rejection=run.reject,
                on_progress=run.progress,
            )
            run.finish(done)
    if run.rejected:
        raise typer.Exit(1)


def _show_schema_changes(shop: Connector[Any]) -> None:
    from connector.migration.evolution import schema_changes

    if (stored := shop.store.describe()) is not None:
        for change in schema_changes(shop.space, stored):
            terminal.note(change)
