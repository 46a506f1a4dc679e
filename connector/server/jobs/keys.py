"""Idempotency keys: a request that is sent again with its key is answered by the job it made the first time."""

from __future__ import annotations

import dataclasses
import threading

from connector.server.jobs.job import Job
from connector.server.problems import Problem


@dataclasses.dataclass(frozen=True)
class Key:
    """What a caller sent as `Idempotency-Key`, and who that caller is: two callers may use the same word."""

    caller: str
    word: str


class Keys:
    """Which job each key has made. Safe to use from several threads.

    A key is claimed while its job is being made, then held by the job; where none is made it is free again.
    """

    def __init__(self) -> None:
        self._made: dict[Key, tuple[str, Job | None]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._made)

    def claim(self, key: Key, body: str) -> Job | None:
        """The job that this key has made already, or None: then the key is the caller's to `hold` or `free`.

        Args:
            body: a digest of the request.

        Raises:
            Problem: 422 where the key belongs to another request, 409 while its job is being made.
        """
        with self._lock:
            known = self._made.get(key)
            if known is None:
                self._made[key] = (body, None)
                return None
        first, job = known
        if first != body:
            raise Problem(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key came with another request before. Use a new key for a new request.",
            )
        if job is None:
            raise Problem(
                409,
                "idempotency_key_in_use",
                "The request with this Idempotency-Key is still being taken in. Ask again in a second.",
                headers={"Retry-After": "1"},
            )
        return job

    def hold(self, key: Key, job: Job) -> None:
        """The claimed key has made this job."""
        with self._lock:
            self._made[key] = (self._made[key][0], job)

    def free(self, key: Key) -> None:
        """The claimed key has made no job, or its job is gone."""
        with self._lock:
            self._made.pop(key, None)
