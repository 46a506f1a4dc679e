"""A small shop that tests share: pictures on disk, rows that name them, and a connector over them without a model."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image

from connector import Blob, Connector, Field, Id, ImageSpace, ModelHandler, Schema, Text, field

# The servers of the tests are on this machine, and no company's proxy is asked for them. Here, so that processes that tests
# start find none either, and before anything is opened that lives longer than a test.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

# A shell without job control has what it starts in the background ignore SIGINT, and so do the processes that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Product(Schema):
    """What the shop sells."""

    sku: Id
    photo: Blob[str | bytes | None]
    title: Text[str | None]
    brand: Field[str | None]
    price: Field[float | None]
    tags: Field[list[str]] = field(default=[])


SPACE = ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN)
COLOURS = ["red", "green", "blue", "yellow", "black", "white", "orange", "purple"]
THINGS = ["mug", "hat", "lamp", "chair"]
PATIENCE = 120.0  # seconds for whatever comes by itself; it only ends what would otherwise hang

T = TypeVar("T")


def until(fact: Callable[[], T | None], pause: float = 0.005) -> T:
    """Wait for something that comes by itself, and return it."""
    end = time.monotonic() + PATIENCE
    while not (came := fact()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(pause)
    return came


@dataclasses.dataclass(frozen=True)
class Shop:
    """Pictures `p0.png`, `p1.png`, … in a folder, and rows that describe them."""

    folder: Path

    def picture(self, name: str, seed: int) -> str:
        """Draw a small picture that no other seed gives; its name."""
        Image.new("RGB", (48, 32), (seed % 251, seed // 251 % 251, 7)).save(self.folder / name)
        return name

    def row(self, number: int, **changes: Any) -> dict[str, Any]:
        """Row `number`, with some values changed."""
        row = {
            "sku": f"a{number}",
            "photo": f"p{number}.png",
            "title": f"{COLOURS[number % 8]} {THINGS[number // 8 % 4]} {number}",
            "brand": ("Acme", "Bolt")[number % 2],
            "price": float(number),
            "tags": ["even"] if number % 2 == 0 else [],
        }
        return row | changes

    def rows(self, count: int) -> list[dict[str, Any]]:
        """The first rows, their pictures drawn."""
        for number in range(count):
            if not (self.folder / f"p{number}.png").exists():
                self.picture(f"p{number}.png", number)
        return [self.row(number) for number in range(count)]


@pytest.fixture(autouse=True)
def _process_as_before() -> Iterator[None]:
    """A door sets up its process: the log, and what SIGTERM does. The next test finds it as this one did."""
    loggers = logging.getLogger(), logging.getLogger("connector")
    handlers, levels = [[*logger.handlers] for logger in loggers], [logger.level for logger in loggers]
    terminate = signal.getsignal(signal.SIGTERM)
    yield
    for logger, before, level in zip(loggers, handlers, levels, strict=True):
        logger.handlers[:] = before
        logger.setLevel(level)
    logging.captureWarnings(False)
    signal.signal(signal.SIGTERM, terminate)


@pytest.fixture(autouse=True)
def _no_name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks a name server: what it answers, and when, is another machine's affair."""
    look_up = socket.getaddrinfo

    def local(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host or ""
        if name not in ("", "localhost", socket.gethostname()):
            try:
                ipaddress.ip_address(name)
            except ValueError:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    monkeypatch.setattr(socket, "getfqdn", lambda name="": name)  # every HTTPServer asks for its own


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing to the doors."""
    for name in list(os.environ):
        if name.startswith(("CONNECTOR_", "QDRANT_")):
            monkeypatch.delenv(name)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop in an empty folder."""
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder)


Opened = Callable[..., Connector[Any]]


@pytest.fixture(params=["memory", "folder"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Open connectors over one store of each embedded kind; a second one of the same kind sees the same collection."""
    connectors: list[Connector[Any]] = []

    def open_connector(space: ImageSpace[Any] = SPACE, **options: Any) -> Connector[Any]:
        where = ":memory:" if request.param == "memory" else tmp_path / "store.qdrant"
        connectors.append(Connector(space, where, **options))
        return connectors[-1]

    yield open_connector
    for connector in connectors:
        connector.close()
