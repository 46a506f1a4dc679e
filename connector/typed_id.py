"""An id as a person types it, or as an address carries it: text, and yet maybe a number's or a UUID's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from connector.draft import readings

if TYPE_CHECKING:
    from connector.connector import Connector
    from connector.schema.schema import Schema


def existing_id(shop: Connector[Any], typed: str, schema: type[Schema] | None = None) -> str | int:
    """The id that is meant: the text itself, or, where only that is stored, the number or UUID of the same characters.

    Where nothing of the kind is stored it is the text.
    """
    for id in readings(typed):
        # readings() knows "007" and " 7" for 7; who types an id types all of it.
        if str(id) == typed and shop.get(cast("str | int", id), schema) is not None:
            return cast("str | int", id)  # a UUID is as good an id; only type checkers have not heard of it
    return typed
