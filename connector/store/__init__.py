"""Qdrant: a folder, memory or a server behind one protocol. No other room knows its libraries."""

from connector.store.aliases import Aliases
from connector.store.opening import open_aliases, open_store
from connector.store.store import CollectionSpec, Point, ScoredPoint, Store, Where

__all__ = [
    "Aliases",
    "CollectionSpec",
    "Point",
    "ScoredPoint",
    "Store",
    "Where",
    "open_aliases",
    "open_store",
]
