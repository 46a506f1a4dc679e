"""A small ASGI app that speaks Qdrant's REST API, run on a real loopback socket, with faults on request.

Bodies are read with qdrant_client's own generated models, and carried out by its in-memory engine. It proves our
client code, the JSON and the retries; not a server's optimizer, strict mode, or timing.

    with running_server(faults=[status(503), None, reset()]) as server:
        open_store(server.url, "things")

The n-th request that `faulty` picks (by default writes of points) meets the n-th fault; None is no fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Literal

import pydantic
import uvicorn
from qdrant_client import QdrantClient, models

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, dict[str, str], bytes]


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong with one request, and whether it was carried out before that."""

    kind: Literal["answer", "reset", "hang"]
    applied: bool = False
    answer: Answer = (200, {}, b"")


def status(code: int, *, retry_after: str | None = None, applied: bool = False) -> Fault:
    """An error status, as Qdrant words it."""
    headers = {"retry-after": retry_after} if retry_after is not None else {}
    return Fault("answer", applied, (code, headers, _error("a planted fault")))


def body(content: bytes, *, applied: bool = False) -> Fault:
    """Success, with a body that is not Qdrant's."""
    return Fault("answer", applied, (200, {}, content))


def reset(*, applied: bool = False) -> Fault:
    """The connection is cut (RST) before anything is answered."""
    return Fault("reset", applied)


def hang(*, applied: bool = False) -> Fault:
    """Nothing is answered until the server stops."""
    return Fault("hang", applied)


@dataclasses.dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    size: int
    fault: Fault | None
    api_key: str | None

    @property
    def writes_points(self) -> bool:
        """Whether it is an upsert."""
        return self.method == "PUT" and self.path.endswith("/points")


class QdrantServer:
    """The app, and what tests may ask of it."""

    def __init__(
        self,
        *,
        faults: Iterable[Fault | None] = (),
        faulty: Callable[[Seen], bool] = lambda seen: seen.writes_points,
        refuse: Callable[[models.PointStruct], bool] | None = None,
        max_bytes: int = 32 * 1024 * 1024,
        max_points: int | None = None,
        api_key: str | None = None,
    ) -> None:
        self.url = ""
        self.requests: list[Seen] = []
        self.engine = QdrantClient(":memory:")
        self.faults: Sequence[Fault | None] = list(faults)
        self._faulty = faulty
        self._refuse = refuse
        self._max_bytes = max_bytes
        self._max_points = max_points
        self._api_key = api_key
        self.release = "1.17.0"
        self.stopping = asyncio.Event()
        self.searches: list[models.QueryRequest] = []
        self.thresholds: dict[str, int] = {}
        self.quantizations: dict[str, models.QuantizationConfig | None] = {}
        self._indexes: dict[tuple[str, str], models.PayloadSchemaType] = {}

    @property
    def upserts(self) -> list[Seen]:
        """The requests that wrote points."""
        return [seen for seen in self.requests if seen.writes_points]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        content = await _read(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen = Seen(scope["method"], scope["path"], len(content), None, headers.get("api-key"))
        fault = self._next_fault(seen)
        self.requests.append(dataclasses.replace(seen, fault=fault))
        answer = self._carry_out(seen, content) if fault is None or fault.applied else (500, {}, b"")
        if fault is not None:
            if fault.kind == "reset":
                _cut(send)
                return
            if fault.kind == "hang":
                await self.stopping.wait()
                return
            answer = fault.answer
        await _answer(send, answer)

    def _next_fault(self, seen: Seen) -> Fault | None:
        if not self.faults or not self._faulty(seen):
            return None
        fault, *self.faults = self.faults
        return fault

    def _carry_out(self, seen: Seen, content: bytes) -> Answer:
        if self._api_key is not None and seen.api_key != self._api_key:
            return 401, {}, _error("Must provide an API key")
        if len(content) > self._max_bytes:
            return 413, {}, _error("Payload too large")
        try:
            result = self._route(seen.method, seen.path, content)
        except (ValueError, pydantic.ValidationError, AssertionError) as error:
            code = 404 if "not found" in str(error) else 409 if "already exists" in str(error) else 400
            return code, {}, _error(str(error))
        except _TooMuch as error:
            return 429, {}, _error(str(error))
        if isinstance(result, models.VersionInfo):  # the one answer without an envelope
            return 200, {}, result.model_dump_json().encode()
        text = pydantic.TypeAdapter(Any).dump_json({"result": result, "status": "ok", "time": 0.0})
        return 200, {}, text

    def _route(self, method: str, path: str, content: bytes) -> object:
        if whole := _WHOLE_SERVER.get((method, path)):
            return whole(self, content)
        found = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
        if not found:
            raise ValueError(f"{path} not found")
        name, rest = found[1], found[2] or ""
        handler = _ROUTES.get((method, rest))
        if handler is None:
            raise ValueError(f"{method} {path} not found")
        return handler(self, name, content)

    def info(self, name: str, _: bytes) -> object:
        found = self.engine.get_collection(name)
        kinds = {key: kind for (where, key), kind in self._indexes.items() if where == self._real(name)}
        found.config.optimizer_config.indexing_threshold = self.thresholds.get(self._real(name), 20_000)
        found.config.quantization_config = self.quantizations.get(self._real(name))
        found.payload_schema = {
            key: models.PayloadIndexInfo(data_type=kind, points=0) for key, kind in kinds.items()
        }
        return found

    def _real(self, name: str) -> str:
        aliases = self.engine.get_aliases().aliases
        return next((each.collection_name for each in aliases if each.alias_name == name), name)

    def create(self, name: str, content: bytes) -> object:
        asked = models.CreateCollection.model_validate_json(content)
        if asked.vectors is None:
            raise ValueError("no vectors")
        self.quantizations[name] = asked.quantization_config
        return self.engine.create_collection(name, vectors_config=asked.vectors, metadata=asked.metadata)

    def update(self, name: str, content: bytes) -> object:
        asked = models.UpdateCollection.model_validate_json(content)
        if asked.optimizers_config is not None and asked.optimizers_config.indexing_threshold is not None:
            self.thresholds[name] = asked.optimizers_config.indexing_threshold
        return self.engine.update_collection(name, metadata=asked.metadata)

    def drop(self, name: str, _: bytes) -> object:
        return self.engine.delete_collection(name)

    def add_index(self, name: str, content: bytes) -> object:
        asked = models.CreateFieldIndex.model_validate_json(content)
        self.engine.get_collection(name)
        kind = asked.field_schema
        text = isinstance(kind, models.TextIndexParams)
        self._indexes[self._real(name), asked.field_name] = _KINDS.TEXT if text else _KINDS(kind)
        return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)

    def drop_indexes(self, name: str) -> None:
        """What somebody may do by hand."""
        for key in [key for key in self._indexes if key[0] == self._real(name)]:
            del self._indexes[key]

    def upsert(self, name: str, content: bytes) -> object:
        asked = models.PointsList.model_validate_json(content)
        points = asked.points
        if self._max_points is not None and len(points) > self._max_points:
            raise _TooMuch("Write rate limit exceeded: the request is larger than the whole allowance")
        if self._refuse and any(map(self._refuse, points)):
            raise ValueError("Wrong input: one of the points is not to my liking")
        return self.engine.upsert(name, points, update_filter=asked.update_filter)

    def batch(self, name: str, content: bytes) -> object:
        asked = models.UpdateOperations.model_validate_json(content)
        return self.engine.batch_update_points(name, asked.operations)

    def retrieve(self, name: str, content: bytes) -> object:
        asked = models.PointRequest.model_validate_json(content)
        return self.engine.retrieve(
            name,
            asked.ids,
            with_payload=True if asked.with_payload is None else asked.with_payload,
            with_vectors=asked.with_vector or False,
        )

    def delete(self, name: str, content: bytes) -> object:
        selector = pydantic.TypeAdapter[models.PointsSelector](models.PointsSelector).validate_json(content)
        return self.engine.delete(name, selector)

    def count(self, name: str, content: bytes) -> object:
        asked = models.CountRequest.model_validate_json(content)
        return self.engine.count(name, asked.filter, exact=True)

    def scroll(self, name: str, content: bytes) -> object:
        asked = models.ScrollRequest.model_validate_json(content)
        if isinstance(asked.order_by, models.OrderBy):
            self._see_index(name, asked.order_by.key, _RANGES, "No range index for `order_by` key")
        points, following = self.engine.scroll(
            name,
            asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=True if asked.with_payload is None else asked.with_payload,
            with_vectors=asked.with_vector or False,
            order_by=asked.order_by,
        )
        return {"points": points, "next_page_offset": following}

    def facet(self, name: str, content: bytes) -> object:
        asked = models.FacetRequest.model_validate_json(content)
        self._see_index(name, asked.key, _COUNTED, "No appropriate index for faceting")
        return self.engine.facet(
            name, asked.key, facet_filter=asked.filter, limit=asked.limit or 10, exact=asked.exact or False
        )

    def query(self, name: str, content: bytes) -> object:
        asked = models.QueryRequest.model_validate_json(content)
        self.searches.append(asked)
        query = asked.query.nearest if isinstance(asked.query, models.NearestQuery) else asked.query
        return self.engine.query_points(
            name,
            query,
            using=asked.using,
            query_filter=asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=True,
            with_vectors=asked.with_vector or False,
        )

    def _see_index(self, name: str, key: str, kinds: set[models.PayloadSchemaType], told: str) -> None:
        """As a server does, refuse what takes a payload index where there is none of these kinds."""
        if self._indexes.get((self._real(name), key)) not in kinds:
            raise ValueError(f"Bad request: {told}: `{key}`. Please create one.")

    def version(self, _: bytes) -> object:
        return models.VersionInfo(title="qdrant - vector search engine", version=self.release)

    def aliases(self, _: bytes) -> object:
        return self.engine.get_aliases()

    def collections(self, _: bytes) -> object:
        return self.engine.get_collections()

    def change_aliases(self, content: bytes) -> object:
        asked = models.ChangeAliasesOperation.model_validate_json(content)
        return self.engine.update_collection_aliases(asked.actions)


class _TooMuch(Exception):
    pass


_KINDS = models.PayloadSchemaType
_RANGES = {_KINDS.INTEGER, _KINDS.FLOAT, _KINDS.DATETIME}
_COUNTED = {_KINDS.KEYWORD, _KINDS.INTEGER, _KINDS.BOOL, _KINDS.UUID}

_ROUTES: dict[tuple[str, str], Callable[[QdrantServer, str, bytes], object]] = {
    ("GET", ""): QdrantServer.info,
    ("PUT", ""): QdrantServer.create,
    ("PATCH", ""): QdrantServer.update,
    ("DELETE", ""): QdrantServer.drop,
    ("PUT", "/index"): QdrantServer.add_index,
    ("PUT", "/points"): QdrantServer.upsert,
    ("POST", "/points/batch"): QdrantServer.batch,
    ("POST", "/points"): QdrantServer.retrieve,
    ("POST", "/points/delete"): QdrantServer.delete,
    ("POST", "/points/count"): QdrantServer.count,
    ("POST", "/points/scroll"): QdrantServer.scroll,
    ("POST", "/points/query"): QdrantServer.query,
    ("POST", "/facet"): QdrantServer.facet,
}

_WHOLE_SERVER: dict[tuple[str, str], Callable[[QdrantServer, bytes], object]] = {
    ("GET", "/"): QdrantServer.version,
    ("GET", "/aliases"): QdrantServer.aliases,
    ("GET", "/collections"): QdrantServer.collections,
    ("POST", "/collections/aliases"): QdrantServer.change_aliases,
}


@contextlib.contextmanager
def running_server(
    *,
    faults: Iterable[Fault | None] = (),
    faulty: Callable[[Seen], bool] = lambda seen: seen.writes_points,
    refuse: Callable[[models.PointStruct], bool] | None = None,
    max_bytes: int = 32 * 1024 * 1024,
    max_points: int | None = None,
    api_key: str | None = None,
) -> Iterator[QdrantServer]:
    """Serve on a free port of 127.0.0.1, in a thread, for as long as the block runs.

    Args:
        faults: met one by one by the requests that `faulty` picks.
        refuse: points that make the server answer 400 to the whole batch.
        max_bytes: larger bodies are answered with 413.
        max_points: larger upserts are answered with 429 and no Retry-After.
        api_key: requests without it are answered with 401.
    """
    app = QdrantServer(
        faults=faults,
        faulty=faulty,
        refuse=refuse,
        max_bytes=max_bytes,
        max_points=max_points,
        api_key=api_key,
    )
    listening = socket.create_server(("127.0.0.1", 0))
    app.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        app, lifespan="off", log_level="critical", http="h11", ws="none", proxy_headers=False
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        loop.append(asyncio.get_running_loop())
        await server.serve(sockets=[listening])

    loop: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.should_exit = True
        loop[0].call_soon_threadsafe(app.stopping.set)
        thread.join(60)
        listening.close()
        app.engine.close()


async def _read(receive: Receive) -> bytes:
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(content)


async def _answer(send: Send, answer: Answer) -> None:
    code, headers, content = answer
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    pairs += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": code, "headers": pairs})
    await send({"type": "http.response.body", "body": content})


def _cut(send: Send) -> None:
    # ASGI knows no such thing as a broken connection; uvicorn's own transport does.
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]  # uvicorn's cycle
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _error(reason: str) -> bytes:
    return json.dumps({"status": {"error": reason}, "time": 0.0}).encode()
