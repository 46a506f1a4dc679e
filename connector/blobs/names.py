"""Looking names up without waiting for ever.

The system's own look-up (`getaddrinfo`) takes no time limit: with name servers that do not answer it sits for half
a minute and longer, and whoever asked would sit with it. So a thread asks, and who waits for it stops in time.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

MOST_UNANSWERED = 64
"""How many names may be asked for at once; what nobody waits for any more counts until the system gives it up."""

Answer = list[str]


def ask_the_system(host: str, port: int) -> Answer:
    """Every address the system knows for a host, in its order of preference."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class Names:
    """Where hosts are. May be used by several threads at once; who asks for the same host meanwhile shares the answer."""

    def __init__(
        self, ask: Callable[[str, int], Answer] = ask_the_system, most: int = MOST_UNANSWERED
    ) -> None:
        self._ask = ask
        self._most = most
        self._unanswered: dict[tuple[str, int], Future[Answer]] = {}
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Forget what is being asked: a forked child has none of its parent's threads, and nobody would answer it."""
        self._unanswered, self._lock = {}, threading.Lock()

    def addresses(self, host: str, port: int, timeout: float) -> Answer:
        """The addresses of a host, waited for at most `timeout` seconds.

        Raises `TimeoutError` when they did not come in time or too many others are being waited for, and whatever
        the look-up itself raises (`socket.gaierror`).
        """
        answer = self._asked(host, port)
        if not wait([answer], timeout).done:
            raise TimeoutError(f"{host} was not looked up within {timeout:g} seconds")
        return answer.result()

    def _asked(self, host: str, port: int) -> Future[Answer]:
        with self._lock:
            if (host, port) in self._unanswered:
                return self._unanswered[host, port]
            if len(self._unanswered) >= self._most:
                raise TimeoutError(f"{self._most} names are being looked up, and none is answered")
            answer: Future[Answer] = Future()
            # A daemon: a process that ends does not wait for the answer.
            threading.Thread(
                target=self._answer, args=(answer, host, port), name="look-up", daemon=True
            ).start()
            self._unanswered[host, port] = answer
            return answer

    def _answer(self, answer: Future[Answer], host: str, port: int) -> None:
        try:
            told = functools.partial(answer.set_result, self._ask(host, port))
        except Exception as error:  # noqa: BLE001  a border: whoever waits is told, whatever it was
            told = functools.partial(answer.set_exception, error)
        with self._lock:
            del self._unanswered[host, port]
        told()


NAMES = Names()
"""The process's own: the bound on look-ups that nobody answers holds for all its fetchers together."""


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=NAMES.begin_anew)
