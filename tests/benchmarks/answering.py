"""A Qdrant server that answers at once and keeps no point, in a process of its own: what sending to it costs is ours.

It remembers its collections and aliases. A point that was just written is told to be there, in the version that it
was written in; until then it is not.

    python -m tests.benchmarks.answering    prints its ports, and serves until its standard input ends
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import grpc
from qdrant_client import grpc as wire

ROOT = Path(__file__).parents[2]
_VERSION = re.compile(rb'"_version":(\d+)')
_SETTINGS = {
    "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
    "optimizer_config": {
        "deleted_threshold": 0.2,
        "vacuum_min_vector_number": 1000,
        "default_segment_number": 0,
        "flush_interval_sec": 5,
        "indexing_threshold": 20_000,
    },
    "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
}


@contextlib.contextmanager
def answering() -> Iterator[tuple[str, int]]:
    """The URL of such a server and its gRPC port, for as long as the block runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.answering"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as server:
        assert server.stdout is not None
        try:
            port, grpc_port = map(int, server.stdout.readline().split())
            yield f"http://127.0.0.1:{port}", grpc_port
        finally:
            server.communicate("")


class Answers:
    """What it knows, and what it answers."""

    def __init__(self) -> None:
        self._collections: dict[str, dict[str, Any]] = {}
        self._aliases: dict[str, str] = {}
        self._version = 0

    def to(self, method: str, path: str, body: bytes) -> bytes | None:
        """The answer to a request; None where there is no such collection."""
        path = path.partition("?")[0]
        if path == "/":
            return b'{"title": "qdrant", "version": "1.17.0"}'
        if path == "/aliases":
            pairs = self._aliases.items()
            return _result({"aliases": [{"alias_name": a, "collection_name": c} for a, c in pairs]})
        if path == "/collections":
            return _result({"collections": [{"name": name} for name in self._collections]})
        if path == "/collections/aliases":
            for action in json.loads(body)["actions"]:
                if made := action.get("create_alias"):
                    self._aliases[made["alias_name"]] = made["collection_name"]
            return _result(True)
        name, _, rest = path.removeprefix("/collections/").partition("/")
        if rest:
            return self._about_points(method, rest, body)
        return self._about_collection(method, self._aliases.get(name, name), body)

    def _about_collection(self, method: str, name: str, body: bytes) -> bytes | None:
        if method == "PUT":
            self._collections[name] = json.loads(body)
        elif name not in self._collections:
            return None
        known = self._collections[name]
        if method == "PATCH":
            known["metadata"] = {**(known.get("metadata") or {}), **(json.loads(body).get("metadata") or {})}
        if method != "GET":
            return _result(True)
        params = {"shard_number": 1, "replication_factor": 1, "write_consistency_factor": 1}
        params |= {"vectors": known["vectors"], "on_disk_payload": True}
        config = {**_SETTINGS, "params": params, "metadata": known.get("metadata")}
        about = {"status": "green", "optimizer_status": "ok", "segments_count": 1, "points_count": 0}
        return _result({**about, "config": config, "payload_schema": {}})

    def _about_points(self, method: str, rest: str, body: bytes) -> bytes:
        if method == "PUT" and rest == "points" and (found := _VERSION.search(body)):
            self._version = int(found[1])
        if method == "POST" and rest == "points":
            asked = json.loads(body)
            if "_version" not in json.dumps(asked.get("with_payload")):
                return _result([])
            return _result([{"id": id, "payload": {"_version": self._version}} for id in asked["ids"]])
        return _result({"operation_id": 1, "status": "completed"})


def _result(value: object) -> bytes:
    return json.dumps({"result": value, "status": "ok", "time": 0.0}).encode()


class _Acknowledging(grpc.GenericRpcHandler):  # type: ignore[misc]  # has no types
    """Says of every request over gRPC that it is done, without having read it."""

    _DONE = wire.PointsOperationResponse(
        result=wire.UpdateResult(operation_id=1, status=wire.UpdateStatus.Completed)
    ).SerializeToString()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._DONE)


def _serve(connection: socket.socket, answers: Answers) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as incoming:
        while request := incoming.readline().split():
            answer = answers.to(request[0].decode(), request[1].decode(), _body(incoming))
            status = "404 Not Found" if answer is None else "200 OK"
            answer = answer or b'{"status": {"error": "Not found"}}'
            head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
            connection.sendall(head.encode() + answer)


def _body(incoming: BinaryIO) -> bytes:
    size = 0
    while (header := incoming.readline().lower()) not in (b"\r\n", b""):
        if header.startswith(b"content-length:"):
            size = int(header.partition(b":")[2])
    return incoming.read(size)


def main() -> None:
    """Serve until standard input ends."""
    answers = Answers()
    listening = socket.create_server(("127.0.0.1", 0))
    over_grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[_Acknowledging()])
    grpc_port = over_grpc.add_insecure_port("127.0.0.1:0")
    over_grpc.start()
    print(listening.getsockname()[1], grpc_port, flush=True)

    def stop() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=stop, daemon=True).start()
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_serve, args=(connection, answers), daemon=True).start()


if __name__ == "__main__":
    main()
