"""`connector optimize`: a folder's search graph, built when it suits."""

from __future__ import annotations

from connector.commands import arguments, options


def optimize(
    target: options.Target, qdrant: options.Qdrant = None, collection: options.Collection = None
) -> None:
    """Build a folder's search graph now; a run that brings many records does so itself. Searches go on meanwhile."""
    with arguments.open_connector(target, qdrant, collection) as shop:
        shop.optimize()
