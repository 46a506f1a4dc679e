"""What waits for one model: a lane of pictures and a lane of texts, and in each the jobs take turns."""

from __future__ import annotations

from collections import deque

from connector.server.jobs.job import Item, Job, Kind


class Lanes:
    """Inputs in fair order: one of each waiting job in turn, so that a job of many delays none of one.

    Not safe to use from several threads: its worker has a lock.
    """

    def __init__(self) -> None:
        self._lanes: dict[Kind, deque[deque[Item]]] = {"picture": deque(), "text": deque()}
        self._last: Kind = "text"

    def __len__(self) -> int:
        return sum(self.count(kind) for kind in self._lanes)

    def count(self, kind: Kind) -> int:
        """Inputs of a kind that wait."""
        return sum(len(line) for line in self._lanes[kind])

    def add(self, job: Job) -> None:
        """Let a job's inputs wait."""
        for kind, lane in self._lanes.items():
            if line := deque(item for item in job.items if item.kind == kind):
                lane.append(line)

    def clear(self) -> None:
        """Forget all that wait."""
        for lane in self._lanes.values():
            lane.clear()

    def next_kind(self) -> Kind | None:
        """Whose turn it is: the kinds alternate while both wait; None when nothing does."""
        other: Kind = "text" if self._last == "picture" else "picture"
        for kind in (other, self._last):
            if self._lanes[kind]:
                self._last = kind
                return kind
        return None

    def take(self, kind: Kind, room: int, pixels: float, *, needed: bool) -> list[Item]:
        """Take up to `room` inputs of a kind whose pictures have no more than `pixels` together.

        Inputs of jobs that have ended meanwhile are dropped. With `needed`, the first is taken however large it is.
        """
        lane, taken = self._lanes[kind], list[Item]()
        while lane and len(taken) < room:
            line = lane[0]
            if line[0].job.ended:
                lane.popleft()
                continue
            if line[0].pixels > pixels and (taken or not needed):
                break
            lane.popleft()
            item = line.popleft()
            if line:
                lane.append(line)
            pixels -= item.pixels
            taken.append(item)
        return taken
