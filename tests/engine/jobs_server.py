"""A server of the jobs API on a loopback port, over real sockets: ours, or vitrivr's service with all its manners."""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Literal

from PIL import Image

from connector.engine import ImageHandler, TextHandler

Body = Any


@dataclasses.dataclass
class Reply:
    """What to answer: a status, JSON (or text as it is), further headers. `cut` breaks the connection off instead."""

    status: int
    body: Body = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    cut: bool = False


class JobsServer:
    """Runs jobs at once, and says so after `looks` looks at each.

    Attributes:
        kind: "ours" says what its models are, names failures and keeps results; "original" answers 500 to whatever it
            does not like, and gives a result away exactly once.
        models: what it runs, by name; raw vectors, as the handlers give them.
        planned: replies to give instead, each once: to the first request whose "METHOD /path" contains the words.
        requests: "METHOD /path" of each request, in order.
        inputs: how many inputs each job had.
        keys: the Authorization header of each request.
        key: the key that is asked for, if any.
    """

    def __init__(self, kind: Literal["ours", "original"], **models: ImageHandler) -> None:
        self.kind = kind
        self.models = {name.replace("_", "-"): handler for name, handler in models.items()}
        self.planned: list[tuple[str, Reply]] = []
        self.requests: list[str] = []
        self.inputs: list[int] = []
        self.pictures: list[Image.Image] = []
        self.keys: list[str | None] = []
        self.key: str | None = None
        self.looks = 1
        self.jobs: dict[str, tuple[int, Body]] = {}
        self.once: dict[str, str] = {}
        self.url = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: Body) -> Reply:
        """Answer one request."""
        asked = f"{method} {path}"
        self.requests.append(asked)
        self.keys.append(headers.get("authorization"))
        for at, (words, reply) in enumerate(self.planned):
            if words in asked:
                del self.planned[at]
                return reply
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            return Reply(401, {"detail": f"a key is needed, not {headers.get('authorization')}"})
        parts = path.strip("/").split("/")
        if parts == ["api", "models"]:
            return Reply(200, sorted(self.models))
        if parts[:2] == ["api", "models"]:
            return self._model(parts[2:])
        if method == "POST" and parts[3] == "batched":
            return self._post(parts[2], parts[4].replace("_", "-"), body, headers.get("idempotency-key"))
        if method == "GET" and parts[3:5] == ["batched", "jobs"]:
            return self._get(parts[5])
        return Reply(404, {"detail": "Not Found"})

    def _model(self, rest: list[str]) -> Reply:
        handler = self.models.get(rest[0].replace("_", "-"))
        if rest[1:] == ["tasks"]:
            if handler is None:
                return self._unknown("model")
            return Reply(200, self._tasks(handler))
        if self.kind == "original":
            return Reply(404, {"detail": "Not Found"})
        if handler is None:
            return self._unknown("model")
        frame = handler.frame
        return Reply(
            200,
            {
                "name": rest[0],
                "tasks": self._tasks(handler),
                "length": handler.length,
                "frame": frame and {"size": frame.size, "fit": frame.fit, "resample": frame.resample},
                "identity": handler.identity,
                "normalised": False,
            },
        )

    @staticmethod
    def _tasks(handler: ImageHandler) -> list[str]:
        return ["image-embedding", *(["text-embedding"] if isinstance(handler, TextHandler) else [])]

    def _unknown(self, what: str) -> Reply:
        if self.kind == "original":
            return Reply(500, "Internal Server Error")
        return Reply(404, {"detail": f"there is no such {what}", "code": "not_found"})

    def _post(self, task: str, model: str, body: Body, once: str | None) -> Reply:
        if model not in self.models:
            if self.kind == "original":
                return Reply(500, {"detail": f"Error while creating job: '{model}'"})
            return self._unknown("model")
        if once is not None and once in self.once:
            return Reply(200, {"id": self.once[once], "status": "running"})
        job = str(uuid.uuid4())
        if once is not None:
            self.once[once] = job
        handler = self.models[model]
        inputs = body["image" if task == "image-embedding" else "text"]
        self.inputs.append(len(inputs))
        try:
            if task == "image-embedding":
                pictures = [_picture(text) for text in inputs]
                self.pictures += pictures
                rows = handler.embed_images(pictures)
            else:
                assert isinstance(handler, TextHandler)
                rows = handler.embed_texts(inputs)
            outcome: Body = [{"embedding": [float(x) for x in row]} for row in rows]
        except ValueError as error:
            outcome = error
        self.jobs[job] = (self.looks, outcome)
        return Reply(200, {"id": job, "status": "starting"})

    def _get(self, job: str) -> Reply:
        if job not in self.jobs:
            if self.kind == "original":
                return Reply(500, {"detail": "Error while fetching job: 404: Job not found"})
            return self._unknown("job")
        looks, outcome = self.jobs[job]
        if looks > 0:
            self.jobs[job] = (looks - 1, outcome)
            return Reply(200, {"status": "running", "result": None})
        if isinstance(outcome, Exception):
            if self.kind == "original":
                return Reply(500, {"detail": f"Error while fetching job: {outcome}"})
            return Reply(
                200, {"status": "failed", "result": None, "reason": str(outcome), "code": "not_embeddable"}
            )
        if self.kind == "original":
            del self.jobs[job]
        return Reply(200, {"status": "complete", "result": outcome})


def _picture(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(BytesIO(base64.b64decode(data, validate=True))).convert("RGB")


@contextmanager
def served(server: JobsServer) -> Iterator[JobsServer]:
    """Serve on a free loopback port; its address is `server.url`."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            data = self.rfile.read(size)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.answer(self.command, self.path, headers, json.loads(data) if data else None)
            if reply.cut:
                self.close_connection = True
                return
            plain = isinstance(reply.body, (str, bytes))
            said = reply.body if plain else json.dumps(reply.body)
            body = said if isinstance(said, bytes) else said.encode()
            self.send_response(reply.status)
            kind = "text/plain" if plain else "application/json"
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                **reply.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # a client's idle connection would keep its thread waiting

        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(
                sys.exception(), ConnectionError
            ):  # a client that hung up is what some tests are about
                super().handle_error(request, client_address)

    listening = Server(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_port}"
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
