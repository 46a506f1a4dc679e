"""How points are written through a Qdrant client: in batches, each guarded by its version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qdrant_client import models

from connector.errors import PointError
from connector.store.batches import (
    BatchRefused,
    chunks,
    held_back,
    overwrite_in_batches,
    upsert_in_batches,
)
from connector.store.connection import Connection
from connector.store.points import DELETED, VERSION, tombstone, version_of
from connector.store.retry import Refused
from connector.store.sending import payloads_over_rest, upsert_over_grpc, upsert_over_rest
from connector.store.spelling import only_not_newer, record_to_change, to_client
from connector.store.store import Point
from connector.store.wire import Throttled

_ABOUT_THE_POINTS = {400, 413, 422}


class Writes:
    """Writes of points to a server."""

    def __init__(self, connection: Connection) -> None:
        self._to = connection

    def upsert(self, points: Sequence[Point]) -> list[PointError | None]:
        """Write whole points."""

        def send(batch: list[Point]) -> set[str]:
            version = self._guarding(batch[0])
            condition = only_not_newer(version)
            self._send(batch, lambda: self._put(batch, condition))
            return set() if version is None else self._not_written(batch)

        return upsert_in_batches(points, self._to.shape(), send)

    def overwrite(self, points: Sequence[Point]) -> list[PointError | None]:
        """Replace payloads; vectors stay."""

        def send(batch: list[Point]) -> set[str]:
            self._send(batch, lambda: self._overwrite(batch))
            return self._not_written(batch)

        return overwrite_in_batches(points, send)

    def bury(self, ids: Sequence[str], *, schema: str, version: int) -> None:
        """Put tombstones in the place of points, unless a newer run wrote them."""
        for some in chunks(ids):
            stones = [to_client(tombstone(identity, schema, version)) for identity in some]
            self._guarding_runs()
            self._to.write_or_raise(
                lambda stones=stones: self._to.client.upsert(  # type: ignore[misc]  # the default binds the loop's value
                    self._to.collection, stones, wait=True, update_filter=only_not_newer(version)
                )
            )

    def _put(self, batch: list[Point], condition: models.Filter | None) -> models.UpdateResult:
        to = self._to
        if to.grpc_seconds is not None:
            return upsert_over_grpc(to.bulk, to.collection, batch, condition, to.grpc_seconds)
        return upsert_over_rest(to.bulk, to.collection, batch, condition)

    def _overwrite(self, batch: list[Point]) -> list[models.UpdateResult]:
        operations = [
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(
                    payload=dict(point.payload), filter=record_to_change(point.id, version_of(point))
                )
            )
            for point in batch
        ]
        return self._to.client.batch_update_points(self._to.collection, operations, wait=True)

    def _guarding(self, point: Point) -> int | None:
        version = version_of(point)
        if version is not None:
            self._guarding_runs()
        return version

    def _guarding_runs(self) -> None:
        self._to.check_guards()

    def _send(
        self, batch: list[Point], call: Callable[[], models.UpdateResult | list[models.UpdateResult]]
    ) -> None:
        try:
            self._to.write(call)
        except Refused as error:
            if error.status in _ABOUT_THE_POINTS:
                raise BatchRefused(str(error)) from error
            raise self._to.refusal(error) from error
        except Throttled as error:
            # A write larger than the server's whole allowance is refused for ever; halves may pass.
            if len(batch) == 1:
                raise
            raise BatchRefused("too much at once") from error

    def _not_written(self, batch: list[Point]) -> set[str]:
        ids = [point.id for point in batch]
        return held_back(batch, self._to.ask(lambda: self._payloads(ids, [VERSION, DELETED])))

    def _payloads(self, ids: Sequence[str], keys: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        return payloads_over_rest(self._to.client, self._to.collection, ids, keys)


class MemoryWrites(Writes):
    """Writes to memory, where a filter costs as much as there are points, and nobody else writes in between."""

    def _guarding_runs(self) -> None:
        """Nothing to see: the client's own engine keeps conditions."""

    def _put(self, batch: list[Point], condition: models.Filter | None) -> models.UpdateResult:
        points = [to_client(point) for point in batch]
        return self._to.bulk.upsert(self._to.collection, points, wait=True, update_filter=condition)

    def _payloads(self, ids: Sequence[str], keys: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        records = self._to.client.retrieve(self._to.collection, ids, with_payload=list(keys))
        return {str(record.id): record.payload or {} for record in records}

    def _overwrite(self, batch: list[Point]) -> list[models.UpdateResult]:
        lost = self._not_written(batch)
        here = [point for point in batch if point.id not in lost]
        done = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
        return [
            self._to.client.overwrite_payload(self._to.collection, dict(point.payload), points=[point.id])
            for point in here
        ] or [done]
