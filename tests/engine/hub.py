"""A model hub on a loopback port: it speaks as much of Hugging Face's protocol as downloading a model needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from connector.engine import hub as product


class Hub:
    """Serves folders as revisions of one repository."""

    def __init__(self, repository: str, revisions: dict[str, Path]) -> None:
        self.repository = repository
        self.revisions = revisions
        self.requests: list[str] = []
        self.status = 200
        self.also: list[Hub] = []

    def commit(self, revision: str) -> str:
        """The commit that a branch or tag stands for."""
        return hashlib.sha1(revision.encode()).hexdigest()

    def folder(self, commit: str) -> Path | None:
        """The files of a commit."""
        return next((folder for name, folder in self.revisions.items() if self.commit(name) == commit), None)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Answer a path: status, headers, body; for the repositories of `also`, as those do."""
        for other in self.also:
            if f"/{other.repository}/" in f"{path}/":
                return other.answer(path)
        if self.status != 200:
            return self.status, {"X-Error-Code": {401: "RepoNotFound", 403: "GatedRepo"}[self.status]}, b"{}"
        api = f"/api/models/{self.repository}"
        if path.startswith(f"{api}/tree/"):
            return self._json(self._tree(path.removeprefix(f"{api}/tree/")))
        if path in (api, *(f"{api}/revision/{name}" for name in self.revisions)):
            commit = self.commit(path.removeprefix(api).removeprefix("/revision/") or "main")
            return self._json(
                {
                    "id": self.repository,
                    "modelId": self.repository,
                    "sha": commit,
                    "siblings": self._names(commit),
                }
            )
        if path.startswith(api):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        _, found, rest = path.partition(f"/{self.repository}/resolve/")
        commit, _, name = rest.partition("/")
        folder = self.folder(commit)
        if not found or folder is None or not (folder / name).is_file():
            return 404, {"X-Error-Code": "EntryNotFound" if found else "RepoNotFound"}, b"{}"
        content = (folder / name).read_bytes()
        return 200, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": commit}, content

    def _names(self, commit: str) -> list[dict[str, object]]:
        return [{"rfilename": file["path"]} for file in self._tree(commit)]

    def _tree(self, commit: str) -> list[dict[str, object]]:
        folder = self.folder(commit)
        assert folder is not None
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return [
            {
                "type": "file",
                "path": file.relative_to(folder).as_posix(),
                "size": file.stat().st_size,
                "oid": "0" * 40,
            }
            for file in files
        ]

    @staticmethod
    def _json(value: object) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


@contextmanager
def serve(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a hub and make huggingface_hub ask it; yields its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(path)
            status, headers, body = hub.answer(path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    ask(address, monkeypatch)
    # A busy machine may stall this server for longer than the product waits; that bound has a test of its own.
    monkeypatch.setattr(product, "PROBE_SECONDS", 30.0)
    try:
        yield address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make huggingface_hub ask another hub; the environment variable for that is read when it is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
