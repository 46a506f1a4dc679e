"""Aliases in a folder: each a file that holds a collection's name."""

from __future__ import annotations

import shutil
from pathlib import Path

from connector.errors import StoreUnavailable
from connector.store.aliases import no_collection, refuse_while_pointed_to
from connector.store.folder import FILE, pointers, read_pointer, write_pointer
from connector.store.names import check_name
from connector.store.store import Store


class FolderAliases:
    """Aliases in a folder: each a file that holds a collection's name. An alias is stronger than a collection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def target(self, name: str) -> str | None:
        """Return the collection that an alias points to; reads one file."""
        check_name(name)
        return read_pointer(self._folder, name)

    def switch(self, name: str, collection: str) -> None:
        """Replace the alias's file, whole."""
        check_name(name)
        if collection not in self.collections():
            raise no_collection(name, collection)
        try:
            write_pointer(self._folder, name, collection)
        except OSError as error:
            raise self._failed(f"Alias {name!r} could not be switched", error) from error

    def collections(self) -> list[str]:
        """Return the names of the folders that hold a collection."""
        try:
            files = list(self._folder.glob(f"*/{FILE}"))
        except OSError as error:
            raise self._failed("The collections could not be listed", error) from error
        return sorted(file.parent.name for file in files if not file.parent.name.startswith("."))

    def drop(self, collection: str) -> None:
        """Move the collection out of sight in one step, then delete its files."""
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
        from connector.store.edge import EdgeStore  # loads the engine, which reading an alias does not need

        check_name(collection)
        return EdgeStore(self._folder, collection)

    def close(self) -> None:
        """Nothing is held."""

    def _failed(self, what: str, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"{what} in {self._folder}: {error.strerror or error}. Check the folder's permissions and free space."
        )
