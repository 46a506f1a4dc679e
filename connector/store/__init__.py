"""Qdrant: a folder, memory or a server behind one protocol. No other room knows its libraries."""

from connector.store.aliases import Aliases, open_aliases
from connector.store.store import CollectionSpec, Point, ScoredPoint, Store, Where, open_store

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
