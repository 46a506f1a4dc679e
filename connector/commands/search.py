"""`connector search`: hits from a collection that is opened here, or through a server that has it open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from connector import terminal
from connector.commands import arguments, options
from connector.errors import DataError

if TYPE_CHECKING:
    from connector.connector import Connector
    from connector.hit import Hit


def search(
    target: options.Target,
    text: Annotated[Optional[str], typer.Argument(help="Words to search for.")] = None,  # noqa: UP045
    image: Annotated[
        str | None, typer.Option(metavar="PICTURE", help="A path, URL, data URL or base64.")
    ] = None,
    like: Annotated[str | None, typer.Option(metavar="ID", help="The id of a record to start from.")] = None,
    where: options.Where = None,
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
    qdrant: options.Qdrant = None,
    collection: options.Collection = None,
    model: options.Model = None,
    handler: options.Handler = None,
    schema: options.SchemaName = None,
    as_json: options.Json = False,
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


def _write_gallery(
    path: Path, shop: Connector[Any], hits: Sequence[Hit[Any]], text: str | None, image: str | None
) -> None:
    from connector.gallery import gallery

    path.write_text(gallery(shop, hits, text, image), encoding="utf-8")
    terminal.note(f"Wrote {path}")
