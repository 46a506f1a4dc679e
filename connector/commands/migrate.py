"""`connector migrate`: to another model, back again, and the cleaning up."""

from __future__ import annotations

import contextlib
import functools
from typing import Annotated, Optional

import typer

from connector import terminal
from connector.commands import arguments, options
from connector.report import Report


def migrate(
    target: options.Target,
    source: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[SOURCE]",
            help="The rows; by default the collection's own records, read from where they were.",
        ),
    ] = None,
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    model: options.Model = None,
    handler: options.Handler = None,
    root: options.Roots = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the collection from before.")
    ] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Remove the collection from before.")] = False,
    max_lost: Annotated[
        str,
        typer.Option(
            metavar="SHARE", help="Refuse to switch when more records than this would be left behind."
        ),
    ] = "20%",
    wait: options.Wait = 0.0,
    report: options.ReportFile = None,
    rejects: options.RejectsFile = None,
    quiet: options.Quiet = False,
    log: options.Log = "plain",
    as_json: options.Json = False,
) -> None:
    """Move a collection to another model (or other weights) while searches go on, then switch in one step."""
    from connector.migration import switching
    from connector.migration.migration import migrate_or_fuse
    from connector.store.opening import open_aliases

    arguments.configure_log(log, quiet=quiet)
    connect = functools.partial(
        arguments.open_connector,
        target,
        qdrant,
        model=model,
        handler=handler,
        roots=root,
        source=source or "",
    )
    with (
        connect(collection) as shop,
        contextlib.closing(open_aliases(shop.qdrant, api_key=arguments.settings().key)) as aliases,
    ):
        name = shop.collection
        if rollback:
            terminal.note(f"Serving {switching.rollback(name, aliases=aliases)} as {name}.")
            return
        if finish:
            terminal.note(f"Removed {', '.join(switching.finish(name, aliases=aliases)) or 'nothing'}.")
            return
        with terminal.Run(report, rejects, quiet=quiet, as_json=as_json) as run:
            done = migrate_or_fuse(
                shop,
                source,
                connect=connect,
                aliases=aliases,
                wait=wait,
                max_lost=arguments.amount("--max-lost", max_lost),
                on_rejection=run.reject,
                on_progress=run.progress,
            )
            run.finish(done if isinstance(done, Report) else done.report)
            if not isinstance(done, Report):
                terminal.note(str(done))
    if run.rejected:
        raise typer.Exit(1)
