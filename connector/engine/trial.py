"""How many items at once a card embeds fastest: doubled for as long as that gains something, then kept."""

from __future__ import annotations

FIRST, MOST = 32, 1024
_GAIN = 1.1  # a doubling that gains less has filled the card
_RUNS = 2  # of each size; the better one counts, for a size's first run also prepares the card for it


class Trial:
    """Finds a batch size from how long full batches take.

    Attributes:
        size: items to embed at once from now on.
        over: whether that will not change any more.
    """

    def __init__(self, first: int = FIRST, most: int = MOST) -> None:
        self.size, self.over = first, False
        self._most = most
        self._runs: list[float] = []
        self._best: tuple[float, int] | None = None

    def note(self, count: int, seconds: float) -> None:
        """A batch of `count` items took so long."""
        if self.over or count < self.size or seconds <= 0:
            return
        self._runs.append(count / seconds)
        if len(self._runs) < _RUNS:
            return
        rate, self._runs = max(self._runs), []
        if self._best is not None and rate < _GAIN * self._best[0]:
            self.size, self.over = self._best[1], True
            return
        self._best = rate, self.size
        if 2 * self.size > self._most:
            self.over = True
        else:
            self.size *= 2

    def end(self, size: int) -> None:
        """Memory ran out: so many at once, and no more."""
        self.size, self.over = size, True
