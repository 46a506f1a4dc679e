"""How points reach a server: request bodies made of their arrays, with no Python float in between.

The client's own models would hold every value of every vector as an object, check it, and write it out one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pydantic
from qdrant_client import QdrantClient, models

from connector.store.store import FloatVector, Point

if TYPE_CHECKING:
    from qdrant_client import grpc

_JSON = {"Content-Type": "application/json"}


class _Acknowledged(pydantic.BaseModel):
    """The answer to a write, as far as it is looked at."""

    result: models.UpdateResult


class _Found(pydantic.BaseModel):
    """The answer to a question for points; they are looked at as they come, for there are as many as were written."""

    result: list[dict[str, Any]]


def upsert_over_rest(
    client: QdrantClient, collection: str, points: Sequence[Point], condition: models.Filter | None
) -> models.UpdateResult:
    """Upsert points in one request; those that are there and do not fulfil `condition` stay as they are."""
    answer = client.http.client.request(
        type_=_Acknowledged,
        method="PUT",
        url="/collections/{collection_name}/points",
        path_params={"collection_name": collection},
        params={"wait": "true"},
        headers=_JSON,
        content=rest_body(points, condition),
    )
    return answer.result


def rest_body(points: Sequence[Point], condition: models.Filter | None) -> bytes:
    """Return the JSON of an upsert; each float32 in the shortest form that reads as the same float32."""
    body: dict[str, object] = {
        "points": [{"id": each.id, "vector": each.vectors, "payload": each.payload} for each in points]
    }
    if condition is not None:
        body["update_filter"] = condition.model_dump(mode="json", exclude_none=True)
    return orjson.dumps(body, _plain, orjson.OPT_SERIALIZE_NUMPY)


def payloads_over_rest(
    client: QdrantClient, collection: str, ids: Sequence[str], keys: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Return these keys of the payloads of the points that exist, by id; one request."""
    answer = client.http.client.request(
        type_=_Found,
        method="POST",
        url="/collections/{collection_name}/points",
        path_params={"collection_name": collection},
        headers=_JSON,
        content=orjson.dumps({"ids": list(ids), "with_payload": list(keys), "with_vector": False}),
    )
    return {str(record["id"]): record.get("payload") or {} for record in answer.result}


def upsert_over_grpc(
    client: QdrantClient,
    collection: str,
    points: Sequence[Point],
    condition: models.Filter | None,
    seconds: float,
) -> models.UpdateResult:
    """Upsert points as `upsert_over_rest` does; `seconds` is how long the answer may take."""
    from qdrant_client import grpc
    from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

    request = grpc.UpsertPoints(
        collection_name=collection,
        wait=True,
        points=[
            grpc.PointStruct(
                id=grpc.PointId(uuid=each.id),
                payload=RestToGrpc.convert_payload(dict(each.payload)),
                vectors=grpc.Vectors(
                    vectors=grpc.NamedVectors(
                        vectors={name: _vector(vector) for name, vector in each.vectors.items()}
                    )
                ),
            )
            for each in points
        ],
        update_filter=None if condition is None else RestToGrpc.convert_filter(condition),
    )
    answer: grpc.PointsOperationResponse = client.grpc_points.Upsert(request, timeout=seconds)
    return GrpcToRest.convert_update_result(answer.result)


def _vector(vector: FloatVector) -> grpc.Vector:
    from qdrant_client import grpc

    values = vector.astype("<f4", copy=False).tobytes()
    # `repeated float data = 1`, packed: the field's tag, the number of bytes, and the bytes as they lie in memory.
    return grpc.Vector(dense=grpc.DenseVector.FromString(b"\x0a" + _varint(len(values)) + values))


def _varint(number: int) -> bytes:
    """A whole number as protobuf writes it: seven bits a byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _plain(value: object) -> object:
    """What orjson cannot write as it is: an array that lies in memory with gaps, or a mapping that is no dict."""
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__qualname__} is not a JSON value")
