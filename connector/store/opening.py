"""Opens a collection, or the aliases of a place, wherever Qdrant is: in a folder, in memory, on a server."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from connector.errors import DataError
from connector.store.aliases import Aliases
from connector.store.names import check_name
from connector.store.store import Store

if TYPE_CHECKING:
    from connector.store.lock import Clock
    from connector.store.retry import Retries


def open_store(
    location: str | Path,
    collection: str,
    *,
    api_key: str | None = None,
    prefer_grpc: bool = False,
    grpc_port: int = 6334,
    timeout: float = 30.0,
    retries: Retries | None = None,
    clock: Clock | None = None,
) -> Store:
    """Open a collection; nothing is created and no server is called yet.

    `location` is a folder (`"./shop.qdrant"`), `":memory:"`, or a server (`"https://qdrant.example:6333"`).
    `prefer_grpc` sends points over gRPC (port `grpc_port`), everything else over REST.
    `timeout` is how many seconds one request to a server may take, `retries` how often it is tried.
    `clock` is what locks go by. Where `collection` is an alias, what it points to is opened.

    Raises:
        DataError: the collection's name or the location cannot work.
    """
    check_name(collection)
    kind = kind_of(location)
    if kind == "server":
        from connector.store.client_opening import open_server

        return open_server(
            str(location),
            collection,
            api_key=api_key,
            grpc_port=grpc_port if prefer_grpc else None,
            timeout=timeout,
            retries=retries,
            clock=clock,
        )
    if kind == "memory":
        from connector.store.client_opening import open_memory

        return open_memory(collection, clock=clock)
    from connector.store.edge import EdgeStore

    return EdgeStore(Path(location), collection, clock)


def open_aliases(
    location: str | Path,
    *,
    api_key: str | None = None,
    timeout: float = 30.0,
    retries: Retries | None = None,
) -> Aliases:
    """Open the aliases of a place; `location` is what `open_store` takes, and ":memory:" a new, empty memory.

    Raises:
        DataError: the location cannot work.
    """
    kind = kind_of(location)
    if kind == "folder":
        from connector.store.folder_aliases import FolderAliases

        return FolderAliases(Path(location))
    from connector.store.client_aliases import memory_aliases, server_aliases

    if kind == "memory":
        return memory_aliases()
    return server_aliases(str(location), api_key=api_key, timeout=timeout, retries=retries)


def kind_of(location: str | Path) -> Literal["folder", "memory", "server"]:
    """Return where a location leads.

    Raises:
        DataError: it leads nowhere.
    """
    text = str(location)
    scheme = urllib.parse.urlsplit(text).scheme.lower() if "://" in text else ""
    if scheme in ("http", "https"):
        return "server"
    if text == ":memory:":
        return "memory"
    if scheme or not text:
        raise DataError(
            f"Qdrant cannot be opened at {text!r}. Use a folder ('./shop.qdrant'), ':memory:', "
            "or a server ('https://qdrant.example:6333')."
        )
    return "folder"
