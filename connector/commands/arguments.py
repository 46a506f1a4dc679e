"""What was typed, and what the environment says, as values: the connector, a schema, a condition, a share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import ConditionError, DataError
from connector.logs import configure

if TYPE_CHECKING:
    from connector.connector import Connector
    from connector.schema.conditions import Condition
    from connector.schema.schema import Schema
    from connector.settings import Settings


def open_connector(
    target: str,
    qdrant: str | None,
    collection: str | None,
    model: str | None = None,
    handler: str | None = None,
    *,
    roots: Sequence[Path] | None = None,
    source: str = "",
) -> Connector[Any]:
    """The connector that options and environment describe; an option beats a variable."""
    from connector.blobs.policy import BlobPolicy
    from connector.connector import Connector
    from connector.target import load_target, read_handler

    found = settings()
    space = load_target(target)
    handler_name, model_name = handler or found.handler, model or found.model
    if handler_name or model_name:
        space = space.with_model(model_name, read_handler(handler_name) if handler_name else None)
    if found.remote_key is not None:
        space = space.with_remote_key(found.remote_key.get_secret_value())
    policy = BlobPolicy(
        roots=(*found.roots, *(roots or ())),
        allow_private_addresses=found.allow_private_addresses,
        # Who names a bucket as the source means its pictures to be read.
        object_prefixes=(*found.object_prefixes, *([source] if "://" in source else [])),
        **found.blob_limits,
    )
    return Connector(
        space,
        qdrant or found.qdrant,
        collection or found.collection,
        api_key=found.key,
        prefer_grpc=found.grpc,
        blob_policy=policy,
    )


def settings() -> Settings:
    """What the environment says."""
    from connector.settings import read_settings

    return read_settings()


def configure_log(form: str, *, quiet: bool) -> None:
    """Set up logging as `--log` and `--quiet` say."""
    if form not in ("plain", "json"):
        raise DataError(f"--log {form}: write plain or json.")
    configure("json" if form == "json" else "plain", quiet=quiet)


def schema_named(shop: Connector[Any], name: str | None) -> type[Schema] | None:
    """The schema that `--schema` names, None where it is not given."""
    if name is None:
        return None
    if (schema := shop.space.schema_named(name)) is not None:
        return schema
    raise DataError(
        f"--schema {name}: the space holds {', '.join(schema.__name__ for schema in shop.space.schemas)}."
    )


def condition(shop: Connector[Any], text: str | None, schema: type[Schema] | None) -> Condition | None:
    """What `--where` says."""
    from connector.schema.conditions import parse_condition

    if text is None:
        return None
    schemas = shop.space.schemas if schema is None else (schema,)
    if len(schemas) != 1:
        raise ConditionError("--where needs --schema here: the space holds several.")
    return parse_condition(text, schemas[0])


def amount(option: str, text: str) -> float:
    """`20%` → 0.2, `0.2` → 0.2, `50` → 50."""
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise DataError(f"{option} {text}: write a share such as 20%, or a number.") from error


def weights(text: str | None) -> tuple[float, float]:
    """`0.7,0.3` → (0.7, 0.3), picture first."""
    if text is None:
        return (0.5, 0.5)
    try:
        image, words = map(float, text.split(","))
    except ValueError as error:
        raise DataError(f"--weights {text}: write two numbers, picture first, such as 0.7,0.3.") from error
    return image, words


def is_file(image: str) -> bool:
    """Whether a picture that was typed is a file here."""
    try:
        return Path(image).expanduser().is_file()
    except (OSError, ValueError):  # too long for a path, or with a NUL: base64, then, or nothing
        return False
