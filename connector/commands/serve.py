"""`connector serve`: door two, opened from door one."""

from __future__ import annotations

from typing import Annotated

import typer

from connector.commands import arguments, options
from connector.errors import MissingExtra


def serve(
    target: options.Target,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Where to listen; 0.0.0.0 for others to reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8888,
    models: Annotated[
        str | None, typer.Option(metavar="A,B", help="The models that the jobs API offers; all by default.")
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Web pages that may call it; may be repeated.")
    ] = None,
    insist_public: Annotated[
        bool, typer.Option("--insist-public", help="Listen where others can reach it, without any key.")
    ] = False,
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    model: options.Model = None,
    handler: options.Handler = None,
    root: options.Roots = None,
    quiet: options.Quiet = False,
    log: options.Log = "plain",
) -> None:
    """Serve search, records and the jobs API over HTTP, and a page. Keys: CONNECTOR_READ_KEYS, CONNECTOR_WRITE_KEYS."""
    try:
        from connector.server.command import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "connector":
            raise
        raise MissingExtra("server", "connector serve") from error

    arguments.configure_log(log, quiet=quiet)
    with arguments.open_connector(target, qdrant, collection, model, handler, roots=root) as shop:
        run(
            shop,
            arguments.settings(),
            host=host,
            port=port,
            models=models,
            cors=cors or (),
            roots=root or (),
            insist_public=insist_public,
        )
