"""Look-ups end in time, are shared, and cannot pile up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from connector.blobs.names import Names, ask_the_system


class Silent:
    """Name servers that answer when they are let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reached = threading.Semaphore(0)
        self.answered = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        self.reached.release()
        self.answered.wait(30)
        return ["93.184.215.14"]


@pytest.fixture
def silent() -> Iterator[Silent]:
    servers = Silent()
    yield servers
    servers.answered.set()


def test_an_answer_is_passed_on() -> None:
    assert Names(lambda host, port: [host, str(port)]).addresses("a.example", 80, 30) == ["a.example", "80"]


def test_what_goes_wrong_is_passed_on() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    names = Names(unknown)
    for _ in range(2):  # and is not remembered
        with pytest.raises(socket.gaierror, match="not known"):
            names.addresses("a.example", 80, 30)


def test_who_asks_stops_waiting_in_time(silent: Silent) -> None:
    with pytest.raises(TimeoutError, match=r"a\.example was not looked up within 0\.01 seconds"):
        Names(silent).addresses("a.example", 80, 0.01)


def test_who_asks_for_the_same_host_meanwhile_shares_the_answer(silent: Silent) -> None:
    names = Names(silent)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            names.addresses("a.example", 80, 0.01)
    silent.answered.set()
    names.addresses("a.example", 80, 30)
    assert len(silent.asked) <= 2  # the last one came before or after the first was answered


def test_names_that_nobody_answers_for_do_not_pile_up(silent: Silent) -> None:
    names = Names(silent, most=3)
    for number in range(10):
        if number == 3:  # a busy machine lets the threads that ask begin later
            assert all(silent.reached.acquire(timeout=30) for _ in range(3))
        with pytest.raises(TimeoutError):
            names.addresses(f"h{number}.example", 80, 0.01)
    assert sorted(silent.asked) == ["h0.example", "h1.example", "h2.example"]
    silent.answered.set()
    for number in range(3):  # whether still on its way or asked for anew
        assert names.addresses(f"h{number}.example", 80, 30) == ["93.184.215.14"]
    assert names.addresses("h9.example", 80, 30) == ["93.184.215.14"]


FORKS = """
import os, socket, threading
from connector.blobs.names import NAMES

parent, look_up = os.getpid(), socket.getaddrinfo
def silent_in_the_parent(*asked, **more):
    threading.Event().wait(30 if os.getpid() == parent else 0)
    return look_up(*asked, **more)
socket.getaddrinfo = silent_in_the_parent
try:
    NAMES.addresses("localhost", 80, 0.01)
except TimeoutError:
    child = os.fork()
    if not child:
        os._exit(0 if "127.0.0.1" in NAMES.addresses("localhost", 80, 30) else 1)
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
raise SystemExit("it was looked up")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_does_not_wait_for_what_its_parent_asked() -> None:
    assert subprocess.run([sys.executable, "-c", FORKS], timeout=120, check=False).returncode == 0


def test_the_system_knows_this_machine() -> None:
    assert "127.0.0.1" in ask_the_system("localhost", 80)
