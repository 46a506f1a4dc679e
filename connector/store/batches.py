"""Many points in, one answer for each: checked first, sent in batches, the refused ones found by halving."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from connector.errors import PointError, Superseded
from connector.store.checks import check_payload, check_point, quiet
from connector.store.points import VERSION, is_buried, version_of
from connector.store.shape import Shape
from connector.store.store import Point

MAX_POINTS = 512
MAX_BYTES = 16 * 1024 * 1024  # half of what a Qdrant server takes by default

Numbered = tuple[int, Point]
# Writes one batch of points of one version. Returns, once acknowledged, the ids that a newer run had written before.
Send: TypeAlias = Callable[[list[Point]], Collection[str]]


class BatchRefused(Exception):
    """Qdrant refused a batch for good, for something in it; the message says what."""


def upsert_in_batches(
    points: Sequence[Point],
    shape: Shape,
    send: Send,
    *,
    max_points: int = MAX_POINTS,
    max_bytes: int = MAX_BYTES,
) -> list[PointError | None]:
    """Send every point that can be sent; return one entry per point: None, or why it was not written.

    `send` may raise `BatchRefused`. One bad point among n costs at most 2 log2(n) further calls.
    """
    return _in_batches(points, lambda point: check_point(point, shape), send, max_points, max_bytes)


def overwrite_in_batches(points: Sequence[Point], send: Send) -> list[PointError | None]:
    """Send the payloads of points, as `upsert_in_batches` sends whole ones; their vectors are not looked at."""
    return _in_batches(points, check_payload, send, MAX_POINTS, MAX_BYTES)


def chunks(ids: Sequence[str], size: int = 1000) -> Iterator[list[str]]:
    """Yield ids, as many at a time as are asked for in one call."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def _in_batches(
    points: Sequence[Point], check: Callable[[Point], int], send: Send, max_points: int, max_bytes: int
) -> list[PointError | None]:
    outcome: list[PointError | None] = [None] * len(points)
    sizes = _sizes(points, check, outcome)
    # Within one batch Qdrant may apply points in any order, so of several with one id only one is sent.
    winners: dict[str, int] = {}
    for position in sizes:
        point = points[position]
        before = winners.get(point.id)
        if before is not None and _is_older(point, points[before]):
            outcome[position] = superseded(point)
        else:
            winners[point.id] = position
    for group in _by_version(points, sorted(winners.values())):
        for batch in _batches(points, sizes, group, max_points, max_bytes):
            _settle(batch, send, outcome)
    for position in sizes.keys() - winners.values():
        # What was never sent shares the fate of the later one that was.
        outcome[position] = outcome[position] or outcome[winners[points[position].id]]
    return outcome


def _sizes(
    points: Sequence[Point], check: Callable[[Point], int], outcome: list[PointError | None]
) -> dict[int, int]:
    """Bytes by position of the points that can be sent; why the others cannot goes to `outcome`."""
    sizes: dict[int, int] = {}
    with quiet():
        for position, point in enumerate(points):
            try:
                sizes[position] = check(point)
            except PointError as error:
                outcome[position] = error
    return sizes


def held_back(batch: Sequence[Point], found: Mapping[str, Mapping[str, object]]) -> set[str]:
    """Return the ids of points of one version that, after a guarded write, are gone or a newer run's.

    Args:
        batch: the points that were to be written.
        found: what is there now, tombstones included: id -> payload, at least its version and whether it is buried.
    """
    version = version_of(batch[0])

    def lost(point: Point) -> bool:
        payload = found.get(point.id)
        if payload is None or is_buried(payload):
            return True
        there = payload.get(VERSION)
        return version is not None and isinstance(there, int) and there > version

    return {point.id for point in batch if lost(point)}


def superseded(point: Point) -> Superseded:
    """Say that a point was not written, because a newer one is there, or nothing any more."""
    return Superseded(
        f"Point {point.id}: a newer run has written or deleted it meanwhile, and stays. Nothing needs to be done."
    )


def _is_older(point: Point, other: Point) -> bool:
    ours, theirs = version_of(point), version_of(other)
    return ours is not None and theirs is not None and ours < theirs


def _by_version(points: Sequence[Point], positions: Sequence[int]) -> Iterator[list[int]]:
    """Positions grouped by their points' versions: a batch has one guard."""
    groups: dict[int | None, list[int]] = {}
    for position in positions:
        groups.setdefault(version_of(points[position]), []).append(position)
    yield from groups.values()


def _batches(
    points: Sequence[Point], sizes: Mapping[int, int], sent: Sequence[int], max_points: int, max_bytes: int
) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    held = 0
    for position in sent:
        if batch and (len(batch) >= max_points or held + sizes[position] > max_bytes):
            yield batch
            batch, held = [], 0
        batch.append((position, points[position]))
        held += sizes[position]
    if batch:
        yield batch


def _settle(batch: list[Numbered], send: Send, outcome: list[PointError | None]) -> None:
    try:
        held_back = send([point for _, point in batch])
    except BatchRefused as refusal:
        if len(batch) == 1:
            position, point = batch[0]
            error = PointError(f"Qdrant refused point {point.id}: {refusal}")
            error.__cause__ = refusal
            outcome[position] = error
            return
        middle = len(batch) // 2
        _settle(batch[:middle], send, outcome)
        _settle(batch[middle:], send, outcome)
        return
    if held_back:
        for position, point in batch:
            if point.id in held_back:
                outcome[position] = superseded(point)
