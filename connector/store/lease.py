"""A lock on a server: a lease, kept as a point of the collection itself, that expires unless it is renewed.

It is taken and renewed by one conditional write: Qdrant inserts the point where there is none, and replaces it only
if it has expired or is ours. A dead process's lease expires by its own clock; should that clock have been wrong, it
is taken over by whoever has watched it for so long without seeing it renewed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import Final

from qdrant_client import models

from connector.errors import StoreLocked, StoreUnavailable
from connector.store.connection import Connection
from connector.store.lock import Clock, Turn, locked, moment, patiently
from connector.store.points import DELETED
from connector.store.store import IndexKind

log = logging.getLogger("connector")

SECONDS = 60.0  # how long a lease lives without being renewed
BEAT = 20.0  # how often it is renewed
PAUSE = 1.0  # between two tries to take it

LEASE_ID: Final = "5c0a6d0e-3b0c-5f0e-9a35-6a1f5a3f3c11"
_HOLDER, _TOKEN, _SINCE, _UNTIL = "_lock", "_token", "_since", "_until"
# A server may be told to refuse conditions on keys without an index.
INDEXES: Final[Mapping[str, IndexKind]] = {_TOKEN: "keyword", _UNTIL: "integer"}


@dataclasses.dataclass(frozen=True)
class Held:
    """A lease as it is stored: by whom, since when (seconds since 1970), until when (milliseconds)."""

    holder: str
    token: str
    since: float
    until: int


class Lease:
    """One holder's lease: to be taken, renewed while it lasts, and released."""

    def __init__(self, connection: Connection, brief: Connection, holder: str, clock: Clock) -> None:
        self.lost_to: Held | None = None
        self._connection = connection
        self._brief = brief
        self._clock = clock
        self._mine = Held(holder, uuid.uuid4().hex, clock.now(), 0)
        self._watched: Held | None = None
        self._watched_since = 0.0
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def taken(self) -> bool:
        """Whether it has been taken."""
        return self._mine.until > 0

    def take(self) -> None:
        """Take the lease, if it is free or has expired.

        Raises:
            StoreLocked: it is somebody else's.
        """
        with self._writing:
            found = self._put(self._connection)
        if found is not None:
            self._watch(found)
            raise self._refusal(found)

    def keep(self) -> None:
        """Go on renewing it, in a thread, until it is released."""
        self._thread = threading.Thread(target=self._beat, name="qdrant-lease", daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """Renew it once; where the server does not answer there is time to try again."""
        with self._writing:
            if self._stop.is_set() or self.lost_to is not None:
                return
            try:
                self.lost_to = self._put(self._brief)
            except StoreUnavailable as error:
                log.debug("The lock could not be renewed this time: %s", error)

    def check(self) -> None:
        """See that the lease is still ours, however long this process was stopped.

        Raises:
            StoreLocked: it expired, and somebody else took it.
        """
        if self.taken and self._clock.now() * 1000 > self._mine.until:
            self.renew()
        if self.lost_to is not None:
            cure = "This run was stopped for so long that its own lock expired. Run it again."
            raise locked(self._place, self.lost_to.holder, self.lost_to.since, cure)

    def release(self) -> None:
        """Give it back; if that fails, it expires."""
        if self._stop.is_set():
            return
        self._stop.set()
        if not self.taken or self.lost_to is not None:
            return
        mine = models.Filter(must=[models.HasIdCondition(has_id=[LEASE_ID]), self._is(self._mine)])
        with self._writing:
            try:
                self._brief.write_or_raise(
                    lambda: self._brief.client.delete(
                        self._brief.collection,
                        points_selector=models.FilterSelector(filter=mine),
                        wait=True,
                        ordering=models.WriteOrdering.STRONG,
                    )
                )
            except StoreUnavailable as error:
                log.warning("The lock could not be given back and expires within %g s: %s", SECONDS, error)

    @property
    def _place(self) -> str:
        return f"Collection {self._connection.collection!r} at {self._connection.calls.place}"

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            self.renew()

    def _put(self, connection: Connection) -> Held | None:
        """Write the lease if it may be written; return whose it is then, None if ours."""
        now = self._clock.now()
        wanted = dataclasses.replace(self._mine, until=int((now + SECONDS) * 1000))
        point = models.PointStruct(id=LEASE_ID, vector={}, payload=_to_payload(wanted))
        connection.write_or_raise(
            lambda: connection.client.upsert(
                connection.collection,
                [point],
                wait=True,
                ordering=models.WriteOrdering.STRONG,
                update_filter=self._free(now),
            )
        )
        found = self._read(connection)
        if found is None or found.token == wanted.token:
            self._mine = wanted
            return None
        return found

    def _free(self, now: float) -> models.Filter:
        """The condition for taking it: expired, ours, or watched for long enough."""
        expired = models.FieldCondition(key=_UNTIL, range=models.Range(lt=now * 1000))
        ways: list[models.Condition] = [expired, self._is(self._mine)]
        if self._watched is not None and self._clock.elapsed() - self._watched_since > SECONDS:
            same = models.FieldCondition(key=_UNTIL, match=models.MatchValue(value=self._watched.until))
            ways.append(models.Filter(must=[self._is(self._watched), same]))
        return models.Filter(should=ways)

    def _is(self, held: Held) -> models.FieldCondition:
        return models.FieldCondition(key=_TOKEN, match=models.MatchValue(value=held.token))

    def _read(self, connection: Connection) -> Held | None:
        records = connection.ask(
            lambda: connection.client.retrieve(
                connection.collection,
                [LEASE_ID],
                with_payload=True,
                consistency=models.ReadConsistencyType.MAJORITY,
            )
        )
        return _from_payload(records[0].payload or {}) if records else None

    def _watch(self, found: Held) -> None:
        if found != self._watched:
            self._watched, self._watched_since = found, self._clock.elapsed()

    def _refusal(self, found: Held) -> StoreLocked:
        until = found.until / 1000
        cure = (
            "Wait for it to end (wait=…), or stop that process; "
            f"should it have died, its lock expires at {moment(until)}."
        )
        if until > self._clock.now() + 2 * SECONDS:
            cure += f" Its clock and ours differ: wait={2 * SECONDS:g} finds out whether it is alive."
        return locked(self._place, found.holder, found.since, cure)


class LeaseLock:
    """The lock of a store on a server: between its threads a turn, between processes a lease."""

    def __init__(self, connection: Connection, brief: Connection, clock: Clock) -> None:
        self._connection = connection
        self._brief = brief
        self._clock = clock
        self._turn = Turn(clock)
        self._lease: Lease | None = None
        self._wait = 0.0

    @contextlib.contextmanager
    def held(self, place: str, holder: str, wait: float) -> Iterator[None]:
        """Hold it for as long as the block runs.

        Raises:
            StoreLocked: somebody else held it for longer than `wait` seconds.
        """
        with self._turn.held(place, holder, wait):
            self._lease = lease = Lease(self._connection, self._brief, holder, self._clock)
            self._wait = wait
            try:
                # Where there is no collection there is nothing to protect yet, and nowhere to write it down.
                if self._connection.info() is not None:
                    self.made()
                yield
            finally:
                self._lease = None
                lease.release()

    def made(self) -> None:
        """Take the lease of whoever holds the lock, now that there is a collection."""
        if self._lease is None or self._lease.taken:
            return
        self._connection.check_guards()
        patiently(self._lease.take, self._wait, self._clock, PAUSE)
        self._lease.keep()

    def check(self) -> None:
        """See that a lock that was taken is still held.

        Raises:
            StoreLocked: it expired, and somebody else took it.
        """
        if self._lease is not None:
            self._lease.check()

    def close(self) -> None:
        """Give back early what is still held."""
        if self._lease is not None:
            self._lease.release()


def _to_payload(held: Held) -> dict[str, object]:
    # Marked as a tombstone is, so that no search, scan or count ever sees it.
    return {
        DELETED: True,
        _HOLDER: held.holder,
        _TOKEN: held.token,
        _SINCE: held.since,
        _UNTIL: held.until,
    }


def _from_payload(payload: Mapping[str, object]) -> Held:
    since, until = payload.get(_SINCE), payload.get(_UNTIL)
    return Held(
        str(payload.get(_HOLDER)),
        str(payload.get(_TOKEN)),
        float(since) if isinstance(since, (int, float)) else 0.0,
        until if isinstance(until, int) else 0,
    )
