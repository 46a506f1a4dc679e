"""`connector serve` as a process of its own: its address, its signals, its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from connector import DataError, OperationalError
from connector.server.config import ServerConfig
from connector.server.serving import check_public, listen, url_of
from tests.commands.conftest import SHOP_MODULE
from tests.conftest import PATIENCE, Shop, until
from tests.server.conftest import READ_KEY, WRITE_KEY, ask, dial, rest

ROOT = Path(__file__).parents[2]
SERVE = ("-m", "connector", "serve", "myshop:space", "--handler", "stand-in", "--port", "0")
# The same server with a drain that tests can wait for; what ends it is the signal itself.
BRIEF = """
import sys
from connector import Connector, ModelHandler
from connector.server import serving
from connector.server.config import ServerConfig
from myshop import space
shop = Connector(space.with_model(model_handler=ModelHandler.STAND_IN))
{more}
serving.serve(shop, ServerConfig(port=0, drain_seconds={drain}), lambda url: print("at", url, file=sys.stderr, flush=True))
"""


class Process:
    """A server's process."""

    def __init__(self, folder: Path, arguments: Sequence[str], **environment: str) -> None:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CONNECTOR_", "QDRANT_"))
        }
        self.popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=clean | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stderr is not None
        self.said: list[str] = []
        self._stderr = self.popen.stderr

    def url(self) -> str:
        """Wait for the line that tells it."""
        with self._in_time():
            for line in self._stderr:
                self.said.append(line)
                if found := re.search(r"at (http://\S+)", line):
                    return found[1]
        raise AssertionError("".join(self.said))

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def end(self) -> int:
        """Wait for its end; the exit code."""
        with self._in_time():
            self.said += self._stderr.readlines()
            return self.popen.wait()

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """What a process says is read without end, so one that hangs is killed."""
        killer = threading.Timer(PATIENCE, self.popen.kill)
        killer.start()
        try:
            yield
        finally:
            killer.cancel()


Start = Callable[..., Process]


@pytest.fixture
def start(shop: Shop) -> Iterator[Start]:
    """Start servers in the shop's folder."""
    (shop.folder / "myshop.py").write_text(SHOP_MODULE, encoding="utf-8")
    shop.rows(4)
    with contextlib.ExitStack() as stack:

        def start_one(*arguments: str, **environment: str) -> Process:
            process = Process(shop.folder, arguments, **environment)
            stack.enter_context(process.popen)
            stack.callback(process.popen.kill)
            return process

        yield start_one


def half_an_ingest(url: str, shop: Shop) -> tuple[socket.socket, bytes]:
    """A request that is being answered while its body still comes; and the rest of it."""
    lines = [json.dumps(row).encode() + b"\n" for row in shop.rows(4)]
    for line in lines:
        assert b"photo" in line
    length = sum(map(len, lines))
    connection = dial(url)
    header = f"POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(header.encode() + lines[0])
    # The ingest and this very question.
    until(lambda: "connector_requests_in_hand 2.0" in ask(f"{url}/metrics").text)
    return connection, b"".join(lines[1:])


def takes_nobody(url: str) -> bool:
    try:
        dial(url).close()
    except ConnectionError:
        return True
    return False


def test_a_server_says_where_it_is_and_ends_with_143(start: Start, shop: Shop) -> None:
    server = start(*SERVE, "--qdrant", "store.qdrant")
    url = server.url()
    assert re.fullmatch(
        rf"Serving collection 'product' of store\.qdrant at {url} \(Ctrl-C stops\)\n", server.said[-1]
    )
    assert ask(f"{url}/health").json() == {"status": "ok"}
    until(lambda: ask(f"{url}/ready").json()["status"] == "ready")  # the store may need a moment
    server.send(signal.SIGTERM)
    assert server.end() == 143
    with pytest.raises(httpx.ConnectError):
        ask(url)


def test_ctrl_c_ends_it_with_130(start: Start) -> None:
    server = start(*SERVE)
    server.url()
    server.send(signal.SIGINT)
    assert server.end() == 130
    assert "Traceback" not in "".join(server.said)


def test_what_is_in_hand_is_finished_and_nothing_new_begun(start: Start, shop: Shop) -> None:
    server = start(*SERVE, "--qdrant", "store.qdrant", "--root", ".")
    url = server.url()
    connection, more = half_an_ingest(url, shop)
    with connection:
        server.send(signal.SIGTERM)
        until(lambda: takes_nobody(url))
        connection.sendall(more)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["report"]["new"] == 4
    assert server.end() == 143
    again = start(*SERVE, "--qdrant", "store.qdrant")
    assert ask(f"{again.url()}/count").json() == {"count": 4}


def test_what_is_not_done_when_the_drain_is_over_is_told_so(start: Start, shop: Shop) -> None:
    server = start("-c", BRIEF.format(more="serving.LAST = 3600", drain=0.3))
    connection, _ = half_an_ingest(server.url(), shop)
    with connection:
        server.send(signal.SIGTERM)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "stopping"
    assert server.end() == -signal.SIGTERM


def test_a_second_signal_kills_at_once(start: Start, shop: Shop) -> None:
    server = start("-c", BRIEF.format(more="", drain=3600))
    url = server.url()
    connection, _ = half_an_ingest(url, shop)
    with connection:
        server.send(signal.SIGTERM)
        until(lambda: takes_nobody(url))
        server.send(signal.SIGTERM)
        assert server.end() == -signal.SIGTERM


def test_an_end_that_hangs_has_an_end(start: Start) -> None:
    more = "import threading; shop.close = threading.Event().wait; serving.LAST = 0.2"
    server = start("-c", BRIEF.format(more=more, drain=0.2))
    server.url()
    server.send(signal.SIGTERM)
    assert server.end() == 143


def test_keys_come_from_the_environment_and_stay_out_of_the_log(start: Start) -> None:
    server = start(
        *SERVE,
        "--log",
        "json",
        CONNECTOR_READ_KEYS=json.dumps([READ_KEY]),
        CONNECTOR_WRITE_KEYS=json.dumps([WRITE_KEY]),
    )
    url = server.url()
    assert ask(f"{url}/count").status_code == 401
    assert ask(f"{url}/count", headers={"X-API-Key": READ_KEY}).status_code == 200
    assert ask(f"{url}/nothing?key={READ_KEY}").status_code == 401
    server.send(signal.SIGTERM)
    assert server.end() == 143
    said = "".join(server.said)
    assert READ_KEY not in said
    assert WRITE_KEY not in said
    lines = [json.loads(line) for line in server.said if line.startswith("{")]
    assert [line["status"] for line in lines if line.get("route") == "/count"] == [200]


def refused(start: Start, *arguments: str, **environment: str) -> tuple[int, str]:
    server = start(*SERVE, *arguments, **environment)
    return server.end(), "".join(server.said)


def test_listening_in_public_needs_a_key(start: Start) -> None:
    code, said = refused(start, "--host", "0.0.0.0")
    assert code == 2
    assert said == (
        "Error: --host 0.0.0.0: others can reach it there, and may do anything without a key. "
        "Set CONNECTOR_WRITE_KEYS (and CONNECTOR_READ_KEYS), or insist with --insist-public.\n"
    )


@pytest.mark.parametrize("keys", ["not json", '["short"]', '"one-key-0123456789"'])
def test_keys_that_cannot_be_keys_are_refused_and_not_shown(start: Start, keys: str) -> None:
    code, said = refused(start, CONNECTOR_WRITE_KEYS=keys)
    assert code == 2
    assert said.startswith("Error: ")
    assert keys.strip('[]"') not in said


def test_a_port_in_use_is_said_in_one_line(start: Start) -> None:
    with contextlib.closing(listen(ServerConfig(port=0))) as other:
        port = other.getsockname()[1]
        server = start(*SERVE[:-1], str(port))
        assert server.end() == 3
    assert "".join(server.said) == (
        f"Error: Port {port} of 127.0.0.1 cannot be had: Address already in use. "
        "Stop what uses it, or choose another one with --port.\n"
    )


def test_a_folder_that_another_server_has_open_is_said_in_one_line(start: Start, shop: Shop) -> None:
    rows = shop.folder / "feed.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in shop.rows(4)), encoding="utf-8")
    done = start("-m", "connector", "ingest", "myshop:space", "feed.jsonl", "--handler", "stand-in", "-q")
    assert done.end() == 0
    first = start(*SERVE)
    first.url()
    code, said = refused(start)
    assert code == 3
    assert said.startswith("Error: ")
    assert "connector.qdrant" in said
    assert said.count("\n") == 1


def test_without_the_extra_the_command_says_what_to_install(start: Start) -> None:
    code = "import sys; sys.modules['fastapi'] = None; from connector.cli import main; sys.exit(main(['serve', 'myshop:space']))"
    server = start("-c", code)
    assert server.end() == 3
    assert "".join(server.said) == (
        "Error: connector serve needs an optional dependency. "
        "Install it with: pip install 'qdrant-image-connector[server]'\n"
    )


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        (ServerConfig(), True),
        (ServerConfig(host="localhost"), True),
        (ServerConfig(host="127.1.2.3"), True),
        (ServerConfig(host="::1"), True),
        (ServerConfig(host="0.0.0.0"), False),
        (ServerConfig(host="::"), False),
        (ServerConfig(host=""), False),
        (ServerConfig(host="192.0.2.1"), False),
        (ServerConfig(host="0.0.0.0", insist_public=True), True),
        (ServerConfig(host="0.0.0.0", read_keys=(READ_KEY,)), True),
    ],
)
def test_what_listens_without_keys(config: ServerConfig, allowed: bool) -> None:
    with contextlib.nullcontext() if allowed else pytest.raises(DataError, match="without a key"):
        check_public(config)


def test_addresses_that_cannot_be_had() -> None:
    with pytest.raises(DataError, match="--host no such host: there is no such address here"):
        listen(ServerConfig(host="no such host"))
    with pytest.raises(OperationalError, match="cannot be had: Cannot assign requested address"):
        listen(ServerConfig(host="192.0.2.1", port=0))


def test_the_url_of_a_socket() -> None:
    with contextlib.closing(listen(ServerConfig(port=0))) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
