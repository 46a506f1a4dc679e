"""`connector search --url`: the same hits as without it, from a server, and no model or store in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from connector.cli import main
from connector.errors import CollectionMismatch, DataError, OperationalError
from connector.remote_search import remote_search
from tests.blobs.servers import LoopbackServer
from tests.conftest import SPACE, Shop
from tests.server.conftest import READ_KEY, Live, OpenLive, open_live

__all__ = ["open_live"]  # a fixture of another folder's

pytestmark = pytest.mark.usefixtures("no_settings")

TARGET = "tests.conftest:SPACE"


@pytest.fixture
def live(open_live: OpenLive, shop: Shop) -> Live:
    """A server over a folder, so that a command on this machine can open it afterwards."""
    return open_live(qdrant=shop.folder / "shop.qdrant")


Search = Callable[..., tuple[int, str, str]]


@pytest.fixture
def search(capsys: pytest.CaptureFixture[str]) -> Search:
    """Run the command; its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["search", TARGET, *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


WAYS: list[list[str]] = [
    ["red mug"],
    ["red mug", "--limit", "3", "--offset", "2"],
    ["red mug", "--where", "price < 6 and brand = 'Acme'", "--min-score", "-1"],
    ["--image", "p4.png", "--limit", "2"],
    ["blue", "--image", "p4.png", "--weights", "0.7,0.3", "--using", "fused"],
    ["--like", "a1", "--schema", "Product"],
    ["red mug", "--using", "text", "--limit", "250"],
    ["red mug", "--min-score", "0.99"],
]


def test_it_prints_what_a_local_search_prints(live: Live, search: Search, shop: Shop) -> None:
    from tests.server.records.test_search import same

    there = [search(*way, "--url", live.url) for way in WAYS]
    there_json = [search(*way, "--url", f"{live.url}/", "--json") for way in WAYS]
    live.shop.store.close()  # one process has a folder open, and one opening of it in that process
    folder = str(shop.folder / "shop.qdrant")
    for way, (code, out, err), (_, as_json, _) in zip(WAYS, there, there_json, strict=True):
        assert (code, out, err) == search(*way, "--qdrant", folder), way
        here = json.loads(search(*way, "--qdrant", folder, "--json")[1])
        assert same(here, json.loads(as_json)), way
    assert all(out for _, out, _ in there[:-1])
    assert there[-1] == (0, "", "No hits.\n")


def test_errors_are_told_by_their_exit_codes(live: Live, search: Search, tmp_path: Path) -> None:
    code, out, err = search("red mug", "--url", live.url, "--where", "prcie < 3")
    assert (code, out) == (2, "")
    assert "Product has no field 'prcie'. Did you mean 'price'?" in err
    assert search("--url", live.url)[0] == 2
    assert search("--url", live.url, "--like", "zz")[0] == 2
    assert search("--url", live.url, "--image", "http://127.0.0.1/x.png")[0] == 2
    (tmp_path / "broken.png").write_bytes(b"hello")
    code, _, err = search("--url", live.url, "--image", str(tmp_path / "broken.png"))
    assert (code, "is no picture" in err or "format" in err) == (2, True)


def test_a_server_that_is_not_there_is_a_3(search: Search) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code, _, err = search("red mug", "--url", f"http://127.0.0.1:{port}")
    assert code == 3
    assert err.startswith(f"Error: The server at http://127.0.0.1:{port} did not answer:")


@pytest.mark.parametrize(
    "url",
    ["shop.example:8888", "ftp://shop.example", "http://", "http:///x", "http://user:secret@shop.example", "http://shop.example/?x=1",
     "http://[::1", "http://shop.example:99999", "", "http://a b"],
)  # fmt: skip
def test_what_is_no_address_is_a_2_and_shows_no_password(search: Search, url: str) -> None:
    code, _, err = search("red mug", "--url", url)
    assert code == 2
    assert "this is no server's address" in err
    assert "secret" not in err


def test_what_only_a_local_search_can_is_refused(search: Search, tmp_path: Path) -> None:
    for option in (
        ["--html", str(tmp_path / "x.html")],
        ["--qdrant", "x"],
        ["--collection", "x"],
        ["--model", "x"],
        ["--handler", "stand-in"],
    ):
        code, _, err = search("red mug", "--url", "http://127.0.0.1:1", *option)
        assert code == 2
        assert "--url searches what that server has open" in err


def test_the_key_comes_from_the_environment(
    open_live: OpenLive, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = open_live(read_keys=(READ_KEY,))
    code, _, err = search("red mug", "--url", live.url)
    assert code == 2
    assert "Set CONNECTOR_REMOTE_KEY." in err
    monkeypatch.setenv("CONNECTOR_REMOTE_KEY", "wrong-key-0123456789")
    code, _, err = search("red mug", "--url", live.url)
    assert code == 2
    assert "wrong-key" not in err
    monkeypatch.setenv("CONNECTOR_REMOTE_KEY", READ_KEY)
    assert search("red mug", "--url", live.url)[0] == 0


def test_no_model_and_no_store_is_loaded(live: Live) -> None:
    code = (
        "import sys\nfrom connector.cli import main\n"
        f"code = main(['search', {TARGET!r}, 'red mug', '--image', 'p1.png', '--url', {live.url!r}])\n"
        "assert code == 0, code\n"
        "print(sorted({'torch', 'qdrant_edge', 'qdrant_client', 'PIL', 'fastapi'} & set(sys.modules)))"
    )
    # The target's own module draws pictures with Pillow, so a plain one takes its place.
    module = (
        "from connector import *\n\n\nclass Product(Schema):\n    sku: Id\n    photo: Blob[str | bytes | None]\n"
        "    title: Text[str | None]\n    brand: Field[str | None]\n    price: Field[float | None]\n"
        "    tags: Field[list[str] | None]\n\n\nspace = ImageSpace(Product.photo + Product.title)\n"
    )
    Path("plain_shop.py").write_text(module, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", code.replace(TARGET, "plain_shop:space")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def answering(status: int, content: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["content-length"]))
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.mark.parametrize(
    ("status", "content", "kind", "told"),
    [
        (422, b'{"detail": "limit is too large. Use less."}', DataError, r"^limit is too large\. Use less\.$"),
        (413, b'{"detail": "too large"}', DataError, "^too large$"),
        (401, b'{"detail": "A key is needed here."}', DataError, r"does not let us in: A key is needed here\. Set CONNECTOR_REMOTE_KEY"),
        (403, b"<html>", DataError, r"does not let us in: It answered 403 Forbidden\. Set"),
        (404, b"", DataError, "There is no search at .* Check --url"),
        (302, b"", DataError, "There is no search at"),
        (409, b'{"detail": "another model"}', CollectionMismatch, "another model"),
        (429, b'{"detail": "64 searches are in hand."}', OperationalError, r"\(429\): 64 searches are in hand\. Run it again in 2 seconds"),
        (503, b"[]", OperationalError, "503 Service Unavailable"),
        (500, b'{"detail": "oops"}', OperationalError, "oops"),
        (200, b"<html>hello</html>", OperationalError, "is no connector server"),
        (200, b"[1]", OperationalError, "is no connector server"),
        (200, b'{"hits": [{"id": 1}]}', OperationalError, "is no connector server"),
        (200, b'{"hits": [{"schema": "Other", "record": {}, "parts": {}}]}', DataError, "are of schema 'Other', but TARGET holds Product"),
    ],
)  # fmt: skip
def test_each_answer_means_something(
    server: LoopbackServer, status: int, content: bytes, kind: type[Exception], told: str
) -> None:
    server.on("/search", answering(status, content, Retry_After="2", Location="/elsewhere"))
    with pytest.raises(kind, match=told):
        remote_search(server.url(""), SPACE, text="mug")


def test_what_is_sent(server: LoopbackServer, shop: Shop) -> None:
    bodies: list[tuple[str | None, Any]] = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        kind = handler.headers["content-type"]
        bodies.append((handler.headers["authorization"], body if "form" in kind else json.loads(body)))
        content = b'{"hits": []}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    server.on("/below/search", note)
    assert (
        remote_search(server.url("/below/"), SPACE, key="k1", text="mug", like=None, weights={"text": 1.0})
        == []
    )
    shop.picture("p0.png", 0)
    remote_search(server.url("/below"), SPACE, picture=shop.folder / "p0.png", limit=3, weights={"text": 1.0})
    assert bodies[0] == ("Bearer k1", {"text": "mug", "weights": {"text": 1.0}, "limit": 10, "offset": 0})
    key, form = bodies[1]
    assert key is None
    assert (shop.folder / "p0.png").read_bytes() in form
    assert b'{"text": 1.0}' in form


def test_a_picture_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^--image .*nothing\.png cannot be read: No such file or directory\.$"
    ):
        remote_search("http://127.0.0.1:1", SPACE, picture=tmp_path / "nothing.png")
