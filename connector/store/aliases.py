"""Names that point to collections, so that what a name means can be switched in one step."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from connector.errors import DataError, StoreUnavailable
from connector.store.names import check_name
from connector.store.store import Store, kind_of, open_store

if TYPE_CHECKING:
    from connector.store.retry import Retries


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
        return FolderAliases(Path(location))
    from connector.store.client_aliases import memory_aliases, server_aliases

    if kind == "memory":
        return memory_aliases()
    return server_aliases(str(location), api_key=api_key, timeout=timeout, retries=retries)


class FolderAliases:
    """Aliases in a folder: each a file that holds a collection's name. An alias is stronger than a collection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def target(self, name: str) -> str | None:
        """Return the collection that an alias points to; reads one file."""
        from connector.store.folder import read_pointer

        check_name(name)
        return read_pointer(self._folder, name)

    def switch(self, name: str, collection: str) -> None:
        """Replace the alias's file, whole."""
        from connector.store.folder import write_pointer

        check_name(name)
        if collection not in self.collections():
            raise no_collection(name, collection)
        try:
            write_pointer(self._folder, name, collection)
        except OSError as error:
            raise self._failed(f"Alias {name!r} could not be switched", error) from error

    def collections(self) -> list[str]:
        """Return the names of the folders that hold a collection."""
        from connector.store.folder import FILE

        try:
            files = list(self._folder.glob(f"*/{FILE}"))
        except OSError as error:
            raise self._failed("The collections could not be listed", error) from error
        return sorted(file.parent.name for file in files if not file.parent.name.startswith("."))

    def drop(self, collection: str) -> None:
        """Move the collection out of sight in one step, then delete its files."""
        from connector.store.folder import pointers
        from connector.store.making import see_that_it_is_free

        check_name(collection)
        refuse_while_pointed_to(collection, pointers(self._folder))
        path = self._folder / collection
        remains = self._folder / f".{collection}.dropped"
        try:
            if remains.exists():  # of one that was interrupted
                shutil.rmtree(remains)
            if collection in self.collections():
                see_that_it_is_free(path)
                path.replace(remains)
                shutil.rmtree(remains)
        except OSError as error:
            raise self._failed(f"Collection {collection!r} could not be deleted", error) from error

    def open(self, collection: str) -> Store:
        """Open a collection of this folder."""
        return open_store(self._folder, collection)

    def close(self) -> None:
        """Nothing is held."""

    def _failed(self, what: str, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"{what} in {self._folder}: {error.strerror or error}. Check the folder's permissions and free space."
        )


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
