"""Which values points have, asked of Qdrant through its client: the most frequent ones, and the outermost ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from qdrant_client import models

from connector.store.connection import Connection
from connector.store.retry import Refused
from connector.store.values import Facet

T = TypeVar("T")


def facets(to: Connection, key: str, filter_: models.Filter, limit: int) -> list[Facet] | None:
    """Return the most frequent values at a payload key, counted exactly; None where it has no index to count by."""
    answer = _if_indexed(
        to,
        lambda: to.client.facet(to.collection, key, facet_filter=filter_, limit=limit, exact=True),
    )
    return None if answer is None else [(hit.value, hit.count) for hit in answer.hits]


def outermost(to: Connection, key: str, filter_: models.Filter) -> list[Mapping[str, object]] | None:
    """Return the payloads with the smallest and the largest value at a key; None where it has no index to order by."""
    ends: list[Mapping[str, object]] = []
    for direction in (models.Direction.ASC, models.Direction.DESC):
        order = models.OrderBy(key=key, direction=direction)
        page = _if_indexed(
            to,
            lambda order=order: to.client.scroll(  # type: ignore[misc]  # the default binds the loop's value
                to.collection, scroll_filter=filter_, order_by=order, limit=1, with_payload=[key]
            ),
        )
        if page is None:
            return None
        ends += [record.payload or {} for record in page[0]]
    return ends


def _if_indexed(to: Connection, call: Callable[[], T]) -> T | None:
    to.check_open()
    try:
        return to.calls(call)
    except Refused as error:
        if error.status == 400 and "index" in str(error):
            return None
        raise to.refusal(error) from error
