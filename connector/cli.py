"""Door one: the command line. Thin: it reads arguments and the environment, calls `Connector`, and shows what came back.

Exit codes: 0 done, nothing rejected · 1 done, some records rejected (or `get` found nothing) · 2 the command, the
schema or the settings are wrong · 3 could not finish, nothing is lost, run it again · 130/143 interrupted, likewise.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import typer

from connector import arguments, terminal
from connector.errors import DataError, MissingExtra, OperationalError
from connector.logs import configure
from connector.options import (
    Collection,
    Handler,
    Json,
    Log,
    MaxDelete,
    Model,
    Qdrant,
    Query,
    Quiet,
    RejectsFile,
    ReportFile,
    Roots,
    SchemaName,
    SourceArgument,
    Target,
    Wait,
    Where,
)
from connector.report import Report

if TYPE_CHECKING:
    from connector.connector import Connector
    from connector.hit import Hit

app = typer.Typer(
    name="connector",
    help="Records with pictures into Qdrant, and found again by picture, by words, or by both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def ingest(
    target: Target,
    source: SourceArgument,
    qdrant: Qdrant = None,
    collection: Collection = None,
    model: Model = None,
    handler: Handler = None,
    schema: SchemaName = None,
    root: Roots = None,
    report: ReportFile = None,
    rejects: RejectsFile = None,
    query: Query = None,
    quiet: Quiet = False,
    log: Log = "plain",
    as_json: Json = False,
) -> None:
    """Add or update records; what is stored already, exactly as it comes, is left alone."""
    arguments.configure_log(log, quiet=quiet)
    with arguments.open_connector(
        target, qdrant, collection, model, handler, roots=root or (), source=source
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


@app.command()
def sync(
    target: Target,
    source: SourceArgument,
    qdrant: Qdrant = None,
    collection: Collection = None,
    model: Model = None,
    handler: Handler = None,
    schema: SchemaName = None,
    root: Roots = None,
    delete_missing: Annotated[
        bool, typer.Option("--delete-missing", help="Delete what the source no longer has.")
    ] = False,
    max_delete: MaxDelete = "20%",
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
    wait: Wait = 0.0,
    report: ReportFile = None,
    rejects: RejectsFile = None,
    query: Query = None,
    quiet: Quiet = False,
    log: Log = "plain",
    as_json: Json = False,
) -> None:
    """Make the collection equal to the source: add, update and, if asked, delete."""
    arguments.configure_log(log, quiet=quiet)
    with arguments.open_connector(
        target, qdrant, collection, model, handler, roots=root or (), source=source
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


@app.command()
def verify(
    target: Target,
    source: SourceArgument,
    qdrant: Qdrant = None,
    collection: Collection = None,
    model: Model = None,
    handler: Handler = None,
    schema: SchemaName = None,
    root: Roots = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend the difference, and nothing else.")] = False,
    no_bytes: Annotated[
        bool, typer.Option("--no-bytes", help="Believe what is stored of pictures; do not read them.")
    ] = False,
    max_delete: MaxDelete = "20%",
    wait: Wait = 0.0,
    as_json: Json = False,
) -> None:
    """Compare the collection with its source: what is missing, extra, stale or damaged. Exit code 1 when something is."""
    from connector.verify.verify import check

    with arguments.open_connector(
        target, qdrant, collection, model, handler, roots=root or (), source=source
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


@app.command()
def migrate(
    target: Target,
    source: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[SOURCE]",
            help="The rows; by default the collection's own records, read from where they were.",
        ),
    ] = None,
    qdrant: Qdrant = None,
    collection: Collection = None,
    model: Model = None,
    handler: Handler = None,
    root: Roots = None,
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
    wait: Wait = 0.0,
    report: ReportFile = None,
    rejects: RejectsFile = None,
    quiet: Quiet = False,
    log: Log = "plain",
    as_json: Json = False,
) -> None:
    """Move a collection to another model (or other weights) while searches go on, then switch in one step."""
    from connector.migration.migration import migrate_or_fuse
    from connector.migration.switching import finish as clean_up
    from connector.migration.switching import rollback as go_back
    from connector.store.aliases import open_aliases

    arguments.configure_log(log, quiet=quiet)
    with contextlib.ExitStack() as stack:
        connect = functools.partial(
            arguments.open_connector,
            target,
            qdrant,
            model=model,
            handler=handler,
            roots=root or (),
            source=source or "",
        )
        shop = stack.enter_context(connect(collection))
        aliases = stack.enter_context(
            contextlib.closing(open_aliases(shop.qdrant, api_key=arguments.settings().key))
        )
        if rollback or finish:
            name = shop.collection
            told = (
                go_back(name, aliases=aliases)
                if rollback
                else ", ".join(clean_up(name, aliases=aliases)) or "nothing"
            )
            terminal.note(f"Serving {told} as {name}." if rollback else f"Removed {told}.")
            return
        run = stack.enter_context(terminal.Run(report, rejects, quiet=quiet, as_json=as_json))
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


@app.command()
def search(
    target: Target,
    text: Annotated[Optional[str], typer.Argument(help="Words to search for.")] = None,  # noqa: UP045
    image: Annotated[
        str | None, typer.Option(metavar="PICTURE", help="A path, URL, data URL or base64.")
    ] = None,
    like: Annotated[str | None, typer.Option(metavar="ID", help="The id of a record to start from.")] = None,
    where: Where = None,
    limit: Annotated[int, typer.Option(min=1)] = 10,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="PICTURE,WORDS", help="How much each counts, such as 0.7,0.3; negative: not like that."
        ),
    ] = None,
    min_score: Annotated[Optional[float], typer.Option(help="Leave out hits that score less.")] = None,  # noqa: UP045
    using: Annotated[
        str, typer.Option(help="Compare with this stored vector: fused, image or text.")
    ] = "fused",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page of the hits with their pictures.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Search through this server (connector serve) instead of opening the collection.",
        ),
    ] = None,
    qdrant: Qdrant = None,
    collection: Collection = None,
    model: Model = None,
    handler: Handler = None,
    schema: SchemaName = None,
    as_json: Json = False,
) -> None:
    """Find records by words, by a picture, or by both."""
    if url is not None:
        if html or qdrant or collection or model or handler:
            raise DataError(
                "--url searches what that server has open. Leave out --html, --qdrant, --collection, --model and --handler."
            )
        fields: dict[str, object] = {
            "text": text,
            "like": like,
            "where": where,
            "schema": schema,
            "min_score": min_score,
            "using": using,
        }
        terminal.show_hits(_remote_hits(target, url, image, weights, limit, offset, fields), as_json=as_json)
        return
    from connector.typed_id import existing_id

    # Who types a path may read it: the roots guard what rows say, not what the caller asks.
    roots = (Path(image).expanduser().resolve().parent,) if image and arguments.is_file(image) else ()
    with arguments.open_connector(target, qdrant, collection, model, handler, roots=roots) as shop:
        wanted = arguments.schema_named(shop, schema)
        hits = shop.search(
            text,
            image=str(Path(image).expanduser()) if image and roots else image,
            like=None if like is None else existing_id(shop, like, wanted),
            where=arguments.condition(shop, where, wanted),
            limit=limit,
            offset=offset,
            weights=arguments.weights(weights),
            min_score=min_score,
            using=using,
            schema=wanted,
        )
        if html is not None:
            _write_gallery(html, shop, hits, text, image)
    terminal.show_hits(hits, as_json=as_json)


@app.command()
def get(
    target: Target,
    id: Annotated[str, typer.Argument(help="The record's id.")],
    qdrant: Qdrant = None,
    collection: Collection = None,
    schema: SchemaName = None,
    as_json: Json = False,
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


@app.command()
def remove(
    target: Target,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The records' ids.")],
    qdrant: Qdrant = None,
    collection: Collection = None,
    schema: SchemaName = None,
    as_json: Json = False,
) -> None:
    """Remove records; those that are not there are no error."""
    from connector.typed_id import existing_id

    with arguments.open_connector(target, qdrant, collection) as shop:
        wanted = arguments.schema_named(shop, schema)
        removed = shop.remove(*(existing_id(shop, id, wanted) for id in ids), schema=wanted)
    terminal.show_number("removed", removed, as_json=as_json)


@app.command()
def count(
    target: Target,
    where: Where = None,
    qdrant: Qdrant = None,
    collection: Collection = None,
    schema: SchemaName = None,
    as_json: Json = False,
) -> None:
    """Count records, all of them or those a condition is about."""
    with arguments.open_connector(target, qdrant, collection) as shop:
        wanted = arguments.schema_named(shop, schema)
        number = shop.count(arguments.condition(shop, where, wanted), wanted)
    terminal.show_number("count", number, as_json=as_json)


@app.command()
def optimize(target: Target, qdrant: Qdrant = None, collection: Collection = None) -> None:
    """Build a folder's search graph now; a run that brings many records does so itself. Searches go on meanwhile."""
    with arguments.open_connector(target, qdrant, collection) as shop:
        shop.optimize()


@app.command()
def serve(
    target: Target,
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
    qdrant: Qdrant = None,
    collection: Collection = None,
    model: Model = None,
    handler: Handler = None,
    root: Roots = None,
    quiet: Quiet = False,
    log: Log = "plain",
) -> None:
    """Serve search, records and the jobs API over HTTP, and a page. Keys: CONNECTOR_READ_KEYS, CONNECTOR_WRITE_KEYS."""
    try:
        from connector.server.command import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "connector":
            raise
        raise MissingExtra("server", "connector serve") from error

    arguments.configure_log(log, quiet=quiet)
    with arguments.open_connector(target, qdrant, collection, model, handler, roots=root or ()) as shop:
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


def _remote_hits(
    target: str,
    url: str,
    image: str | None,
    weights: str | None,
    limit: int,
    offset: int,
    fields: dict[str, object],
) -> list[Hit[Any]]:
    """What a server finds; the target says what its records are, and no model or store is opened here."""
    from connector.remote_search import remote_search
    from connector.target import load_target

    key = arguments.settings().remote_key
    is_file = image is not None and arguments.is_file(image)
    pair = None if weights is None else dict(zip(("image", "text"), arguments.weights(weights), strict=True))
    return remote_search(
        url,
        load_target(target),
        key=None if key is None else key.get_secret_value(),
        picture=Path(image).expanduser() if image and is_file else None,
        limit=limit,
        offset=offset,
        image=None if is_file else image,
        weights=pair,
        **fields,
    )


def _show_schema_changes(shop: Connector[Any]) -> None:
    from connector.migration.evolution import schema_changes

    if (stored := shop.store.describe()) is not None:
        for change in schema_changes(shop.space, stored):
            terminal.note(change)


def _write_gallery(
    path: Path, shop: Connector[Any], hits: Sequence[Hit[Any]], text: str | None, image: str | None
) -> None:
    from connector.gallery import gallery

    path.write_text(gallery(shop, hits, text, image), encoding="utf-8")
    terminal.note(f"Wrote {path}")


class Terminated(BaseException):
    """SIGTERM, as something that unwinds the stack: files are closed and the store is released on the way."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    configure("plain", quiet=True)
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except Terminated:
        terminal.note("Terminated. What was stored stays stored; run it again to go on.")
        return 143
    except OperationalError as error:
        terminal.note(f"Error: {error}")
        return 3
    except DataError as error:
        terminal.note(f"Error: {error}")
        return 2
    # A last net: Python's own exit code 1 would tell a scheduler that the run was done and some records were rejected.
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
