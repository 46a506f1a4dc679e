"""A collection's whole life through a failing proxy, with no real waiting: filled, changed, and looked at again."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

import connector.connector
import connector.store.wire
from connector import Connector
from connector.report import Report
from connector.store.lock import Clock as LockClock
from connector.store.opening import open_aliases, open_store
from connector.store.retry import Retries
from tests.faults.corpus import COLLECTION, SPACE, Held, Shop, listed
from tests.faults.proxy import Choice, Clock, Event, Proxy, Seen, faulty_proxy
from tests.store.qdrant_server import running_server

AMPLE = 60.0  # seconds for a try of which the proxy does not say that it is late
LOCK_SECONDS = 120.0  # longer than a lock lives that nobody renews; waited for in no time

Run = Callable[[Connector[Any], Path], Report]


def ingest(connector: Connector[Any], feed: Path) -> Report:
    """Add and update."""
    return connector.ingest(feed)


def sync(connector: Connector[Any], feed: Path) -> Report:
    """Make equal, deletions included; where the last one could not give its lock back, wait until that expires."""
    return connector.sync(feed, delete_missing=True, max_delete=1.0, wait=LOCK_SECONDS)


RUNS: dict[str, Run] = {"ingest": ingest, "sync": sync}


@dataclasses.dataclass(frozen=True)
class Life:
    """What became of a collection.

    Attributes:
        reports: of the first run, the run after the shop changed, and a run in which nothing had changed.
        held: what the collection holds in the end.
        events: what every request met.
        hurried: requests sent again sooner than a Retry-After had asked.
        naps: the seconds that would have been waited.
    """

    reports: Sequence[Report]
    held: Sequence[tuple[str, Held]]
    events: Sequence[Event]
    hurried: Sequence[tuple[Event, Event]]
    naps: Sequence[float]

    @property
    def counts(self) -> list[dict[str, object]]:
        """The reports' numbers, seconds apart."""
        return [
            {name: value for name, value in dataclasses.asdict(report).items() if name != "seconds"}
            for report in self.reports
        ]

    @property
    def met(self) -> list[Event]:
        """The requests that met a fault."""
        return [event for event in self.events if event.fault is not None]


def gives_back_the_lock(seen: Seen) -> bool:
    """Whether it is the request by which a lock is given back: of these runs the only one that deletes."""
    return seen.method == "POST" and seen.path.endswith("/points/delete")


def live(folder: Path, run: Run, choose: Choice, *, size: int = 70) -> Life:
    """Fill a collection on a server behind the proxy, change the shop, run again, and once more; look without the proxy."""
    shop, clock = Shop(folder, size), Clock()
    with running_server() as server, faulty_proxy(server.url, choose, clock) as proxy:
        reports = [_run(proxy, run, shop)]
        shop.change()
        reports += [_run(proxy, run, shop), _run(proxy, run, shop)]
        store = open_store(server.url, COLLECTION)
        try:
            held = listed(store)
        finally:
            store.close()
    return Life(reports, held, proxy.events, proxy.hurried(), clock.naps)


def _run(proxy: Proxy, run: Run, shop: Shop) -> Report:
    with stood_in(proxy.clock), Connector(SPACE, proxy.url) as connector_:
        return run(connector_, shop.feed)


@contextlib.contextmanager
def stood_in(clock: Clock) -> Iterator[None]:
    """Connectors that are opened meanwhile wait by this clock, and their tries end by it."""
    send = httpx.Client.send

    def signed(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        clock.sign(request.headers)
        return send(client, request, **options)

    opening = functools.partial(
        open_store,
        retries=Retries(sleep=clock.sleep),
        timeout=AMPLE,
        clock=LockClock(now=clock.today, elapsed=clock.now, sleep=clock.sleep),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connector.connector, "open_store", opening)
        asking = functools.partial(open_aliases, retries=Retries(sleep=clock.sleep), timeout=AMPLE)
        patch.setattr(connector.connector, "open_aliases", asking)
        patch.setattr(connector.store.wire, "within", clock.within)
        patch.setattr(httpx.Client, "send", signed)
        yield
