"""What a collection may be called, in a folder and on a server alike."""

from __future__ import annotations

import re

from connector.errors import DataError

# Qdrant refuses these in a collection's name, and a folder's name could not hold most of them either.
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def check_name(collection: str) -> None:
    """Raise `DataError` unless `collection` can name a collection in a folder and on a server alike."""
    fits = 0 < len(collection) <= 200 and not collection.startswith(".")
    if not fits or _NOT_IN_NAMES.search(collection):
        raise DataError(
            f"{collection!r} cannot name a collection. Use up to 200 letters, digits, '-', '_' or '.', "
            "not starting with '.'."
        )
