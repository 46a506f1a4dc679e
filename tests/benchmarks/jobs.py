"""Single-picture jobs of 64 clients against those of one, over HTTP, and what the bare model gains from batches.

Server and clients are two processes on loopback; the model is ViT-B/32 with random weights, every picture is another one,
and the blocking route is used, so that no polling interval is measured. One at a time and 64 at once take turns.
"""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.material import draw_photos, random_vit_b32
from tests.benchmarks.measure import Effort, Row, Rows, row

CLIENTS, ALONE, TOGETHER = 64, 16, 128
BATCH = 32


def jobs(work: Path, effort: Effort) -> Rows:
    """The two rows of the table; their ratios are medians of the rounds."""
    folder, rounds = random_vit_b32(work / "vit-b-32"), effort.of(3, 1)
    bodies = pictures(work)
    with served(folder) as url:
        asked = [(rate(url, bodies, 1, ALONE), rate(url, bodies, CLIENTS, TOGETHER)) for _ in range(rounds)]
    bare = bare_model(folder, rounds)
    return [
        _row(f"single-picture jobs of {CLIENTS} clients against one client's, ViT-B/32 over HTTP", asked),
        _row(f"the same model without a server, {BATCH} pictures in a pass against 1", bare),
    ]


def _row(what: str, rounds: list[tuple[float, float]]) -> Row:
    """A row from rounds of (pictures a second one at a time, many at once)."""
    alone, together = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    ratio = statistics.median(many / one for one, many in rounds)
    return row(what, f"{together:.1f}/s", f"{alone:.1f}/s, one at a time", ratio)


def pictures(work: Path) -> Iterator[dict[str, str]]:
    """Bodies without end, each with a PNG of 224 x 224 that none before had: decoding it costs next to nothing."""
    from PIL import Image

    (photo,) = draw_photos(work / "jobs", 1, (640, 480))
    base = Image.open(photo).convert("RGB").resize((224, 224))
    for number in itertools.count():
        base.putpixel((0, 0), (number % 256, number // 256 % 256, number // 65536))
        out = io.BytesIO()
        base.save(out, "PNG", compress_level=1)
        yield {"image": f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"}


def rate(url: str, bodies: Iterator[dict[str, str]], clients: int, count: int) -> float:
    """Jobs a second, with so many clients that each wait for their own before they send the next."""
    sent = list(itertools.islice(bodies, count))
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    with (
        httpx.Client(base_url=url, timeout=600, limits=limits, trust_env=False) as client,
        ThreadPoolExecutor(clients) as pool,
    ):

        def one(body: dict[str, str]) -> None:
            client.post("/api/legacy/tasks/image-embedding/vit-b-32/jobs", json=body).raise_for_status()

        began = time.perf_counter()
        list(pool.map(one, sent))
        return count / (time.perf_counter() - began)


def bare_model(folder: Path, rounds: int) -> list[tuple[float, float]]:
    """Rounds of (pictures a second in passes of 1, in passes of `BATCH`), on pictures that are there already."""
    import numpy as np
    from PIL import Image

    from connector.engine.handlers import load_handler

    handler = load_handler(_space(folder).transformation_config.embedding_config)
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3), np.uint8)
    batch = [Image.fromarray(each) for each in noise]

    def timed(run: Callable[[], object]) -> float:
        began = time.perf_counter()
        run()
        return BATCH / (time.perf_counter() - began)

    def singly() -> None:
        for picture in batch:
            handler.embed_images([picture])

    handler.embed_images(batch)
    return [(timed(singly), timed(lambda: handler.embed_images(batch))) for _ in range(rounds)]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server of the model in a process of its own, the model loaded; its URL."""
    command = [sys.executable, "-m", "tests.benchmarks.jobs", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
                while client.get("/api/models/vit-b-32").status_code != 200:
                    time.sleep(0.2)
                client.post(
                    "/api/legacy/tasks/text-embedding/vit-b-32/jobs", json={"text": "a mug"}
                ).raise_for_status()
            yield url
        finally:
            process.send_signal(signal.SIGTERM)


def _space(folder: Path) -> Any:
    from connector import Blob, Id, ImageSpace, Schema

    class Photo(Schema):
        id: Id
        image: Blob

    return ImageSpace(Photo.image, str(folder))


def main() -> None:
    """Serve the model in the folder that is named, and print where."""
    from connector import Connector
    from connector.server.config import ServerConfig
    from connector.server.serving import serve

    with Connector(_space(Path(sys.argv[1])), ":memory:") as connector:
        serve(connector, ServerConfig(port=0), lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
