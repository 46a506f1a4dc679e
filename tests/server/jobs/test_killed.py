"""A server that is killed in the middle of a job: whoever asks the next one is told at once, and sends the job again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.server.conftest import new_client
from tests.server.jobs.bodies import BODIES
from tests.server.jobs.conftest import JOBS, png, url
from tests.server.jobs.test_clients import Engine

ROOT = Path(__file__).parents[3]
SERVER = """
from connector import Connector
from connector.server.config import ServerConfig
from connector.server.serving import serve
from tests.conftest import SPACE

with Connector(SPACE, ":memory:") as shop:
    serve(shop, ServerConfig(port=0), lambda url: print(url, flush=True))
"""


@contextlib.contextmanager
def served() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def test_a_job_of_a_server_that_was_killed_is_unknown_to_the_next_and_is_made_again() -> None:
    sent = {"Idempotency-Key": "k1"}
    lost = list[str]()
    for _ in range(3):
        with served() as (where, process), new_client(where) as client:
            for job in lost:
                answer = client.get(f"/api/tasks/image-embedding/jobs/{job}")
                assert (answer.status_code, answer.json()["code"]) == (404, "job_unknown")
            made = client.post(JOBS, json=BODIES["image-embedding"], headers=sent)
            assert made.json()["id"] not in lost
            lost.append(made.json()["id"])
            process.kill()
    with served() as (where, _):
        engine = Engine(where)
        assert len(engine.image("stand-in", url(png(1)))) == 64
        assert engine.attempts == 1
