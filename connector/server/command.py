"""What `connector serve` does: options and the environment become a configuration, and a server runs until it is told to stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connector import terminal
from connector.blobs.policy import BlobPolicy
from connector.connector import Connector
from connector.server.config import ServerConfig
from connector.server.serving import serve
from connector.settings import Settings


def run(
    shop: Connector[Any],
    settings: Settings,
    *,
    host: str,
    port: int,
    models: str | None,
    cors: Sequence[str],
    roots: Sequence[Path],
    insist_public: bool,
) -> None:
    """Serve `shop` until a signal comes; an option beats a variable.

    Raises:
        DataError: a key, an origin or the address cannot be used.
        OperationalError: the port is taken, or the store cannot be opened.
    """
    config = ServerConfig(
        host=host,
        port=port,
        read_keys=tuple(key.get_secret_value() for key in settings.read_keys),
        write_keys=tuple(key.get_secret_value() for key in settings.write_keys),
        cors_origins=tuple(cors) or settings.cors_origins,
        models=_names(models) if models is not None else settings.server_models,
        insist_public=insist_public,
        blob_policy=_policy(settings, roots),
    )

    def announce(url: str) -> None:
        terminal.note(f"Serving collection '{shop.collection}' of {shop.qdrant} at {url} (Ctrl-C stops)")

    serve(shop, config, announce)


def _names(models: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in models.split(",") if name.strip())


def _policy(settings: Settings, roots: Sequence[Path]) -> BlobPolicy:
    """What callers may name: no files, unless the operator says where they may be."""
    folders = (*settings.roots, *roots)
    return BlobPolicy(
        roots=folders,
        allow_files=bool(folders),
        allow_private_addresses=settings.allow_private_addresses,
        object_prefixes=settings.object_prefixes,
        **settings.blob_limits,
    )
