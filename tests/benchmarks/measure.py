"""What every part of the benchmarks shares: how much to do, runs in turn, how alike two sets of vectors are, a row."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Row = dict[str, object]
Rows = list[Row]


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much to do: all of it, or just enough to see that it works."""

    quick: bool = False

    def of(self, full: T, quick: T) -> T:
        """One of two amounts."""
        return quick if self.quick else full


@dataclasses.dataclass
class Side(Generic[T]):
    """One side of a comparison: what it runs, its seconds (wall clock, and of all its threads) by round, its last result."""

    run: Callable[[], T]
    seconds: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    last: T | None = None

    @property
    def result(self) -> T:
        """What its last round returned."""
        assert self.last is not None
        return self.last

    @property
    def median(self) -> float:
        """Seconds of a round."""
        return statistics.median(self.seconds)

    def times_as_fast_as(self, rival: Side[Any]) -> float:
        """Median over the rounds of the rival's seconds by ours."""
        return _of_pairs(rival.seconds, self.seconds)

    def times_as_thrifty_as(self, rival: Side[Any]) -> float:
        """The same of processor time, which a busy machine disturbs less."""
        return _of_pairs(rival.cpu, self.cpu)


def in_turn(sides: Mapping[str, Side[Any]], rounds: int) -> None:
    """Run the sides A B C A B C …; each finds torch's threads as it left them, whatever the others set."""
    import torch

    before = torch.get_num_threads()
    threads = dict.fromkeys(sides, before)
    for _ in range(rounds):
        for name, side in sides.items():
            side.last = None
            gc.collect()
            torch.set_num_threads(threads[name])
            wall, cpu = time.perf_counter(), time.process_time()
            side.last = side.run()
            side.seconds.append(time.perf_counter() - wall)
            side.cpu.append(time.process_time() - cpu)
            threads[name] = torch.get_num_threads()
    torch.set_num_threads(before)


def _of_pairs(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


@dataclasses.dataclass(frozen=True)
class Likeness:
    """How alike two sets of vectors of the same things are.

    Attributes:
        cosine: the lowest of all pairs.
        centred: the same after each set's mean is taken away; random weights give all pictures much in common.
        neighbours: the share of each one's five nearest that both sets have.
    """

    cosine: float
    centred: float
    neighbours: float

    def __and__(self, other: Likeness) -> Likeness:
        """The worse of both, each for itself."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Likeness(*(min(pair) for pair in pairs))


def likeness(ours: NDArray[Any], theirs: NDArray[Any], nearest: int = 5) -> Likeness:
    """Compare two arrays of vectors (n, length), row by row."""
    one, other = _unit(ours), _unit(theirs)
    centred = (_unit(one - one.mean(0)) * _unit(other - other.mean(0))).sum(1)
    near, near_too = (_nearest(each, min(nearest, len(each) - 1)) for each in (one, other))
    shared = [len(set(a) & set(b)) / len(a) for a, b in zip(near, near_too, strict=True)]
    return Likeness(float((one * other).sum(1).min()), float(centred.min()), statistics.fmean(shared))


def _nearest(vectors: NDArray[np.float64], count: int) -> list[list[int]]:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    order: list[list[int]] = np.argsort(-cosines, axis=1)[:, :count].tolist()
    return order


def _unit(vectors: NDArray[Any]) -> NDArray[np.float64]:
    exact = np.asarray(vectors, np.float64)
    lengths: NDArray[np.float64] = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.divide(exact, lengths)


def row(
    what: str,
    ours: str,
    rival: str = "",
    ratio: float | None = None,
    *,
    bar: float | None = None,
    at_most: bool = False,
    alike: Likeness | None = None,
    cosine_bar: float | None = None,
    **more: object,
) -> Row:
    """A row of the table.

    Args:
        what: what was measured.
        ours, rival: both figures with their units, the rival's with its name.
        ratio: how many times as good ours is; with `at_most`, how many times as much it costs.
        bar: what the ratio is held against.
        at_most: whether a lower ratio is the better one.
        alike: ours and the rival's vectors, compared.
        cosine_bar: what the lowest cosine is held against.
        more: for the JSON; `note` is shown too, and `share` says that the ratio is part of a whole.
    """
    made: Row = {"what": what, "ours": ours}
    given = {
        "rival": rival or None,
        "ratio": ratio and float(f"{ratio:.4g}"),
        "bar": bar,
        "at_most": at_most or None,
    }
    if alike is not None:
        given |= {"cosine": round(alike.cosine, 6), "centred": round(alike.centred, 6)}
        given |= {"neighbours": round(alike.neighbours, 4), "cosine_bar": cosine_bar}
    return made | {key: value for key, value in (given | more).items() if value is not None}


def compared(
    what: str, ours: Side[Any], rival: Side[Any], count: int, against: str, unit: str = "/s", **more: Any
) -> Row:
    """The row of two sides that did the same `count` things in turn."""
    return row(
        what,
        f"{_rate(count / ours.median)}{unit}",
        f"{_rate(count / rival.median)}{unit}, {against}",
        ours.times_as_fast_as(rival),
        ratio_of_processor_time=round(ours.times_as_thrifty_as(rival), 3),
        seconds={"ours": ours.seconds, "rival": rival.seconds},
        **more,
    )


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}" if a_second >= 100 else f"{a_second:.1f}"


def absent(what: str, reason: str) -> Row:
    """The row of something that this build or this machine does not have."""
    return {"what": what, "ours": "not available", "note": reason}
