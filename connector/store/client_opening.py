"""Opens the stores that go through Qdrant's own client: of a server, or in memory. Nothing is sent yet."""

from __future__ import annotations

from qdrant_client import QdrantClient

from connector.store.client import ClientStore
from connector.store.connection import Connection, connect, without_credentials
from connector.store.lease import LeaseLock
from connector.store.lock import Clock, Turn
from connector.store.retry import Retries
from connector.store.wire import MemoryCalls, ServerCalls
from connector.store.writes import MemoryWrites, Writes


def open_memory(collection: str, *, clock: Clock | None = None) -> ClientStore:
    """Open a store in memory, gone when closed: the client's own engine, fine up to some 20,000 points."""
    return store_in_memory(QdrantClient(":memory:"), collection, MemoryCalls(), turn=Turn(clock or Clock()))


def store_in_memory(
    client: QdrantClient,
    collection: str,
    calls: MemoryCalls,
    *,
    turn: Turn,
    owned: bool = True,
) -> ClientStore:
    """Return the store of one collection of a client in memory, which it closes if it is `owned`."""
    connection = Connection(client, collection, calls, owned=owned)
    return ClientStore(connection, MemoryWrites(connection), turn)


def open_server(
    url: str,
    collection: str,
    *,
    api_key: str | None = None,
    grpc_port: int | None = None,
    timeout: float = 30.0,
    retries: Retries | None = None,
    clock: Clock | None = None,
) -> ClientStore:
    """Open a store on a server; with `grpc_port`, points are sent over gRPC."""
    calls = ServerCalls(without_credentials(url), timeout, retries or Retries())
    client = connect(url, api_key, timeout)
    bulk = connect(url, api_key, timeout, grpc_port) if grpc_port else None
    connection = Connection(client, collection, calls, bulk, grpc_seconds=timeout if bulk else None)
    brief = Connection(client, collection, calls.brief(), owned=False)
    return ClientStore(connection, Writes(connection), LeaseLock(connection, brief, clock or Clock()))
