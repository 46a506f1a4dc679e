"""Aliases of a server, or of a client's memory: Qdrant's own."""

from __future__ import annotations

from collections.abc import Callable

from qdrant_client import QdrantClient, models

from connector.errors import DataError
from connector.store.aliases import no_collection, refuse_while_pointed_to
from connector.store.client_opening import open_server, store_in_memory
from connector.store.connection import Connection, connect, without_credentials
from connector.store.lock import Clock, Turn
from connector.store.names import check_name
from connector.store.retry import Retries
from connector.store.store import Store
from connector.store.wire import MemoryCalls, ServerCalls


def memory_aliases() -> ClientAliases:
    """Open the aliases of a new memory; its collections live until they are closed."""
    client, calls = QdrantClient(":memory:"), MemoryCalls()
    turns: dict[str, Turn] = {}

    def open_(name: str) -> Store:
        turn = turns.setdefault(name, Turn(Clock()))
        return store_in_memory(client, name, calls, turn=turn, owned=False)

    return ClientAliases(Connection(client, "", calls), open_)


def server_aliases(
    url: str, *, api_key: str | None, timeout: float, retries: Retries | None
) -> ClientAliases:
    """Open the aliases of a server; nothing is sent yet."""
    calls = ServerCalls(without_credentials(url), timeout, retries or Retries())
    return ClientAliases(
        Connection(connect(url, api_key, timeout), "", calls),
        lambda name: open_server(url, name, api_key=api_key, timeout=timeout, retries=retries),
    )


class ClientAliases:
    """The `Aliases` of a server, or of memory."""

    def __init__(self, connection: Connection, open_: Callable[[str], Store]) -> None:
        self._to = connection
        self._open = open_

    def target(self, name: str) -> str | None:
        """Return the collection that an alias points to; one request."""
        check_name(name)
        return self._all().get(name)

    def switch(self, name: str, collection: str) -> None:
        """Delete the old alias and create the new one in one operation of Qdrant's."""
        check_name(name)
        there = self.collections()
        if collection not in there:
            raise no_collection(name, collection)
        if name in there:
            raise DataError(
                f"{name!r} is a collection at {self._to.calls.place}, and no alias can have its name. "
                "Choose another name for the alias, or delete that collection first."
            )
        create = models.CreateAlias(collection_name=collection, alias_name=name)

        def change() -> bool:
            # Looked at in every try: one before may have been applied without an answer.
            before = {alias.alias_name for alias in self._to.client.get_aliases().aliases}
            operations: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=create)]
            if name in before:
                old = models.DeleteAlias(alias_name=name)
                operations.insert(0, models.DeleteAliasOperation(delete_alias=old))
            return self._to.client.update_collection_aliases(operations)

        self._to.ask(change)

    def collections(self) -> list[str]:
        """Return the names of the collections; one request."""
        found = self._to.ask(self._to.client.get_collections).collections
        return sorted(each.name for each in found)

    def drop(self, collection: str) -> None:
        """Delete a collection that no alias points to."""
        check_name(collection)
        refuse_while_pointed_to(collection, self._all())
        if collection in self.collections():
            self._to.ask(lambda: self._to.client.delete_collection(collection))

    def open(self, collection: str) -> Store:
        """Open a collection or an alias of the same server, or of the same memory."""
        check_name(collection)
        return self._open(collection)

    def close(self) -> None:
        """Close the connection; collections in memory are gone."""
        self._to.close()

    def _all(self) -> dict[str, str]:
        aliases = self._to.ask(self._to.client.get_aliases).aliases
        return {alias.alias_name: alias.collection_name for alias in aliases}
