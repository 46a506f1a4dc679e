"""Names that point to collections, so that what a name means can be switched in one step."""

from __future__ import annotations

from typing import Protocol

from connector.errors import DataError
from connector.store.store import Store


class Aliases(Protocol):
    """The aliases of one place: a folder, a server, or memory. Every call may raise `StoreUnavailable`."""

    def target(self, name: str) -> str | None:
        """Return the collection that an alias points to, or None when there is no such alias."""
        ...

    def switch(self, name: str, collection: str) -> None:
        """Make `name` point to `collection`, in one step: whoever opens `name` finds the old one or the new one.

        A store of a server follows at its next call, that of a folder when it is opened next.

        Raises:
            DataError: there is no such collection, or (not in a folder) a collection has that name itself.
        """
        ...

    def collections(self) -> list[str]:
        """Return the names of the collections that are there, in order; aliases are none."""
        ...

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it; one that is not there is passed over.

        Raises:
            DataError: an alias points to it.
            StoreLocked: in a folder, another process has it open.
        """
        ...

    def open(self, collection: str) -> Store:
        """Open a collection or alias of this place; the caller closes it. In memory it ends with the aliases."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


def no_collection(name: str, collection: str) -> DataError:
    """Say that an alias cannot point to what is not there."""
    return DataError(
        f"Alias {name!r} cannot point to {collection!r}: there is no such collection. Make it first."
    )


def refuse_while_pointed_to(collection: str, aliases: dict[str, str]) -> None:
    """Raise `DataError` when one of these aliases (name -> collection) points to the collection."""
    names = sorted(name for name, target in aliases.items() if target == collection)
    if names:
        raise DataError(
            f"Collection {collection!r} is what alias {names[0]!r} points to, and was not deleted. "
            "Switch the alias to another collection first."
        )
