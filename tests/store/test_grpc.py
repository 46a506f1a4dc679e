"""Points over gRPC, everything else over REST; against a gRPC service of ours on a real socket."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Iterator

import grpc
import pytest
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest
from qdrant_client.grpc.points_service_pb2_grpc import PointsServicer, add_PointsServicer_to_server

from connector.errors import PointError, StoreUnavailable, Superseded
from connector.store.opening import open_store
from connector.store.retry import Retries
from connector.store.store import Store
from tests.store.qdrant_server import QdrantServer, running_server
from tests.store.samples import points, spec


class Points(PointsServicer):
    """Upserts into the engine of the REST server, after the planned faults."""

    def __init__(self, server: QdrantServer) -> None:
        self.server = server
        self.port = 0
        self.faults: list[grpc.StatusCode] = []
        self.calls = 0

    def Upsert(  # noqa: N802  # Qdrant's name
        self, request: wire.UpsertPoints, context: grpc.ServicerContext
    ) -> wire.PointsOperationResponse:
        self.calls += 1
        if self.faults:
            context.abort(self.faults.pop(0), "a planted fault")
        found = [GrpcToRest.convert_point_struct(point) for point in request.points]
        if any((point.payload or {}).get("stock") == 13 for point in found):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "stock 13 is not to my liking")
        condition = (
            GrpcToRest.convert_filter(request.update_filter) if request.HasField("update_filter") else None
        )
        self.server.engine.upsert(request.collection_name, found, update_filter=condition)
        return wire.PointsOperationResponse(
            result=wire.UpdateResult(operation_id=1, status=wire.UpdateStatus.Completed), time=0.0
        )


@pytest.fixture
def service() -> Iterator[Points]:
    """Both services over one engine."""
    with running_server() as rest, concurrent.futures.ThreadPoolExecutor(2) as threads:
        found = Points(rest)
        server = grpc.server(threads)
        add_PointsServicer_to_server(found, server)  # type: ignore[no-untyped-call]  # generated
        found.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield found
        server.stop(None).wait(10)


def opened(service: Points, retries: Retries) -> Store:
    store = open_store(
        service.server.url, "things", prefer_grpc=True, grpc_port=service.port, retries=retries
    )
    store.create(spec())
    return store


def test_points_go_over_grpc_and_come_back_over_rest(service: Points, retries: Retries) -> None:
    store = opened(service, retries)
    written = points(40, start=100)
    assert store.upsert(written) == [None] * 40
    assert service.server.upserts == []
    assert service.calls == 1
    found = store.get([point.id for point in written], vectors=True)
    assert all(found[point.id].payload == point.payload for point in written)
    store.close()


def test_older_points_are_held_back_over_grpc_too(service: Points, retries: Retries) -> None:
    store = opened(service, retries)
    older, newer = (
        [dataclasses.replace(point, payload={**point.payload, "_version": version}) for point in points(3)]
        for version in (1, 2)
    )
    assert store.upsert(newer[:2]) == [None] * 2
    assert [type(outcome) for outcome in store.upsert(older)] == [Superseded, Superseded, type(None)]
    assert [store.get([point.id])[point.id].payload["_version"] for point in older] == [2, 2, 1]
    assert service.server.upserts == []
    store.close()


@pytest.mark.parametrize(
    "code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED"]
)
def test_passing_trouble_is_tried_again(
    service: Points, retries: Retries, naps: list[float], code: str
) -> None:
    store = opened(service, retries)
    service.faults = [grpc.StatusCode[code]] * 2
    assert store.upsert(points(3)) == [None] * 3
    assert (service.calls, len(naps)) == (3, 2)
    store.close()


def test_refused_points_are_found_by_halving(service: Points, retries: Retries, naps: list[float]) -> None:
    store = opened(service, retries)
    outcome = store.upsert(points(32))
    refused = outcome.pop(13)
    assert isinstance(refused, PointError)
    assert "INVALID_ARGUMENT stock 13" in str(refused)
    assert outcome == [None] * 31
    assert (service.calls, naps) == (11, [])
    store.close()


@pytest.mark.parametrize(
    ("code", "told"), [("UNAUTHENTICATED", "api_key"), ("NOT_FOUND", "There is no collection")]
)
def test_refusals_of_the_whole_request_blame_no_point(
    service: Points, retries: Retries, naps: list[float], code: str, told: str
) -> None:
    store = opened(service, retries)
    service.faults = [grpc.StatusCode[code]]
    with pytest.raises(StoreUnavailable, match=told):
        store.upsert(points(3))
    assert (service.calls, naps) == (1, [])
    store.close()
