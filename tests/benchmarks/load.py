"""Many clients at once: `connector serve` with the demo model over the demo catalogue, below its limits and above them.

Three phases: 64 clients that look at each answer for half a second on average; 64 that never pause, which is as much as
the server does at all, and as many searches as it takes at once; 192 that never pause, most of which must be put off.
Most requests are searches by words, no two with the same words; some are by a picture, for a record, a thumbnail, a
count, and some hand in a job and read it until it is done.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import dataclasses
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from connector.demo.catalogue import write_catalogue
from connector.demo.scene import COLOURS, PATTERNS, THINGS

ROOT = Path(__file__).parents[2]
# What is told, clients, and the mean of the pauses between two requests of one client, in seconds.
PHASES = (
    ("below the limits", 64, 0.5),
    ("at the limits", 64, 0.0),
    ("above the limits", 192, 0.0),
)
PRODUCTS = 300
ALONE = 200  # searches by a single client, for the median without load
# What a client asks for next, and how often.
MIX = {"text": 80, "picture": 6, "record": 5, "thumbnail": 4, "count": 3, "job": 2}

# A process of its own: what it measures is the server's delay, not that of 64 clients in one event loop.
PROBE = """
import http.client, json, sys, threading, time
host, port = sys.argv[1], int(sys.argv[2])
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
times, failed = [], 0
connection = http.client.HTTPConnection(host, port, timeout=10)
while not stop.wait(0.02):
    start = time.perf_counter()
    try:
        connection.request("GET", "/health")
        failed += connection.getresponse().read() != b'{"status":"ok"}'
    except OSError:
        failed += 1
        connection.close()
    times.append(time.perf_counter() - start)
times.sort()
print(json.dumps({"p99": 1000 * times[int(len(times) * 0.99)], "asked": len(times), "failed": failed}))
"""


@dataclasses.dataclass
class Tally:
    """What came back: statuses of each kind of request, and milliseconds of each answered one."""

    statuses: collections.Counter[tuple[str, int]] = dataclasses.field(default_factory=collections.Counter)
    times: dict[str, list[float]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    bare: int = 0  # 429s that do not say when to come back
    failed: list[str] = dataclasses.field(default_factory=list)

    def count(self, *statuses: int) -> int:
        """How many answers had one of these statuses."""
        return sum(number for (_, status), number in self.statuses.items() if status in statuses)

    def p99(self, kind: str) -> float:
        """The 99th percentile of a kind of request, in milliseconds."""
        times = sorted(self.times[kind])
        return times[int(len(times) * 0.99)]


class Client:
    """One connection, as lean as can be: on two cores, clients take from what the server has."""

    def __init__(self, host: str, port: int, tally: Tally, seed: int, pictures: Sequence[bytes]) -> None:
        self._host, self._port = host, port
        self._tally = tally
        self._random = random.Random(seed)
        self._pictures = pictures
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, kind: str) -> None:
        """One request of a kind, counted."""
        start = time.perf_counter()
        try:
            status, headers = await getattr(self, f"_{kind}")()
        except (OSError, asyncio.IncompleteReadError) as error:
            self._tally.failed.append(f"{kind}: {type(error).__name__}: {error}")
            self.close()
            return
        self._tally.statuses[kind, status] += 1
        if status == 200:
            self._tally.times[kind].append(1000 * (time.perf_counter() - start))
        elif status == 429:
            self._tally.bare += b"retry-after:" not in headers.lower()
            await asyncio.sleep(0.05 * self._random.random())  # far sooner than it was told to
        else:
            self._tally.failed.append(f"{kind}: status {status}")

    async def until(self, end: float, pause: float) -> None:
        """Ask one thing after the other until that moment, with pauses of so many seconds on average."""
        kinds, weights = list(MIX), list(MIX.values())
        while time.perf_counter() < end:
            if pause:
                await asyncio.sleep(2 * pause * self._random.random())
            await self.ask(self._random.choices(kinds, weights)[0])
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _text(self) -> tuple[int, bytes]:
        pick = self._random.choice
        words = f"a {pick(COLOURS)} {pick(PATTERNS)} {pick(THINGS)} {self._random.randrange(10**9)}"
        status, headers, _ = await self._exchange("POST", "/search", {"text": words})
        return status, headers

    async def _picture(self) -> tuple[int, bytes]:
        status, headers, _ = await self._exchange("POST", "/search", {"image": self._data_url()})
        return status, headers

    async def _record(self) -> tuple[int, bytes]:
        status, headers, _ = await self._exchange("GET", f"/records/{self._id()}")
        return status, headers

    async def _thumbnail(self) -> tuple[int, bytes]:
        status, headers, _ = await self._exchange("GET", f"/images/{self._id()}?side=192")
        return status, headers

    async def _count(self) -> tuple[int, bytes]:
        status, headers, _ = await self._exchange("GET", "/count?where=price%20%3C%2020")
        return status, headers

    async def _job(self) -> tuple[int, bytes]:
        path = "/api/tasks/image-embedding"
        status, headers, body = await self._exchange("POST", f"{path}/demo/jobs", {"image": self._data_url()})
        job = json.loads(body).get("id")
        while status == 200 and (state := json.loads(body)["status"]) != "complete":
            if state == "failed":
                return 500, headers
            await asyncio.sleep(0.05)
            status, headers, body = await self._exchange("GET", f"{path}/jobs/{job}")
        return status, headers

    def _id(self) -> str:
        return f"p{self._random.randrange(PRODUCTS) + 1:04}"

    def _data_url(self) -> str:
        # A byte after the picture's end changes no pixel.
        content = self._random.choice(self._pictures) + self._random.randbytes(4)
        return "data:image/jpeg;base64," + base64.b64encode(content).decode()

    async def _exchange(self, method: str, path: str, value: object = None) -> tuple[int, bytes, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        body = b"" if value is None else json.dumps(value).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        headers = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", headers, re.IGNORECASE)
        assert length is not None
        answer = await reader.readexactly(int(length[1]))
        return int(headers.split(b" ", 2)[1]), headers, answer


def load(work: Path, seconds: float = 60.0) -> list[dict[str, object]]:
    """The three phases, of so many seconds each."""
    catalogue = work / "catalogue"
    feed = write_catalogue(catalogue, PRODUCTS)
    pictures = [path.read_bytes() for path in sorted((catalogue / "pictures").iterdir())[:32]]
    store = ("schemas.product:space", "--model", "demo", "--qdrant", str(work / "shop.qdrant"))
    ingest = ("ingest", store[0], str(feed), *store[1:], "-q")
    subprocess.run([sys.executable, "-m", "connector", *ingest], check=True, cwd=ROOT)
    rows: list[dict[str, object]] = []
    with _serving(store, work / "server.log") as (host, port):
        alone = asyncio.run(_alone(host, port, pictures))
        for told, clients, pause in PHASES:
            before = _memory(host, port)
            tally, health = asyncio.run(_phase(host, port, clients, seconds, pause, pictures))
            row = _told(tally, health, seconds, alone)
            row["memory"] = f"{before:.0f} → {_memory(host, port):.0f} MiB"
            pauses = f"with pauses of {pause:g} s" if pause else "without pauses"
            rows.append({"what": f"{clients} clients {pauses} for {seconds:g} s, {told}", **row})
            kinds = {
                kind: f"{statistics.median(times):.0f}/{tally.p99(kind):.0f} ms"
                for kind, times in tally.times.items()
            }
            rows.append({"what": f"p50/p99 by kind, {told}", **kinds})
    return rows


def _told(tally: Tally, health: dict[str, float], seconds: float, alone: float) -> dict[str, object]:
    row: dict[str, object] = {
        "ours": f"{tally.count(200) / seconds:,.0f} requests/s; {len(tally.failed)} failed, {tally.count(429):,} × 429",
        "text p50": f"{statistics.median(tally.times['text']):.1f} ms",
        "text p99": f"{tally.p99('text'):.1f} ms",
        "alone": f"{alone:.1f} ms",
        "ratio": round(tally.p99("text") / alone, 1),
        "health p99": f"{health['p99']:.0f} ms",
    }
    if tally.failed or tally.bare or health["failed"]:
        row["failures"] = [*tally.failed[:5], f"{tally.bare} bare 429s, {health['failed']} of /health"]
    return row


async def _alone(host: str, port: int, pictures: Sequence[bytes]) -> float:
    """The median of text searches without load, in milliseconds; every kind of request is made once before."""
    tally = Tally()
    client = Client(host, port, tally, 0, pictures)
    for kind in (*MIX, *["text"] * 20):
        await client.ask(kind)
    tally.times.clear()
    for _ in range(ALONE):
        await client.ask("text")
    client.close()
    if tally.failed:
        raise RuntimeError(f"the server does not work: {tally.failed[0]}")
    return statistics.median(tally.times["text"])


async def _phase(
    host: str, port: int, clients: int, seconds: float, pause: float, pictures: Sequence[bytes]
) -> tuple[Tally, dict[str, float]]:
    tally = Tally()
    async with _probing(host, port) as health:
        end = time.perf_counter() + seconds
        everyone = [Client(host, port, tally, seed, pictures) for seed in range(1, clients + 1)]
        await asyncio.gather(*(client.until(end, pause) for client in everyone))
    return tally, health


@contextlib.asynccontextmanager
async def _probing(host: str, port: int) -> AsyncIterator[dict[str, float]]:
    """Ask for /health all the time; what came of it is there when the block has ended."""
    pipe = asyncio.subprocess.PIPE
    probe = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, host, str(port), stdin=pipe, stdout=pipe
    )
    health: dict[str, float] = {}
    yield health
    told, _ = await probe.communicate(b"")  # the end of its input is the end of its work
    health.update(json.loads(told))


@contextlib.contextmanager
def _serving(store: Sequence[str], log: Path) -> Iterator[tuple[str, int]]:
    """`connector serve` as operators run it, its log in a file."""
    command = [sys.executable, "-m", "connector", "serve", *store, "--port", "0", "--log", "json"]
    with log.open("w") as written, subprocess.Popen(command, cwd=ROOT, stderr=written) as server:
        try:
            while (found := re.search(r"http://([\d.]+):(\d+)", log.read_text())) is None:
                if server.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.05)
            yield found[1], int(found[2])
        finally:
            server.terminate()
            server.wait(30)


def _memory(host: str, port: int) -> float:
    """Resident memory of the server, in MiB, as it says itself."""
    import http.client

    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("GET", "/metrics")
    told = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", told, re.MULTILINE)
    assert found is not None
    return float(found[1]) / 2**20
