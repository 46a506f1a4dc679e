"""Where ended jobs stay readable: for a time, and within so many bytes."""

from __future__ import annotations

from collections import OrderedDict

from connector.server.jobs.job import Job


class Shelf:
    """Ended jobs by id; the oldest go when their time is over or room is needed. Not safe to use from several threads.

    Args:
        seconds: how long one stays.
        max_bytes: what all of them may take; one alone may be larger than that until the next comes.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._seconds, self._max_bytes = seconds, max_bytes
        self._jobs: OrderedDict[str, tuple[float, Job]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, job_id: str) -> Job | None:
        """The job of this id, if it is still here."""
        kept = self._jobs.get(job_id)
        return None if kept is None else kept[1]

    def put(self, job: Job, now: float) -> list[Job]:
        """Keep a job that has ended; returns those that had to go for it."""
        self._jobs[job.id] = (now, job)
        self.bytes += job.kept
        gone = []
        while self.bytes > self._max_bytes and len(self._jobs) > 1:
            gone.append(self._drop())
        return gone

    def expire(self, now: float) -> list[Job]:
        """Let those go whose time is over; returns them."""
        gone = []
        while self._jobs and next(iter(self._jobs.values()))[0] + self._seconds <= now:
            gone.append(self._drop())
        return gone

    def _drop(self) -> Job:
        _, (_, job) = self._jobs.popitem(last=False)
        self.bytes -= job.kept
        return job
