"""What the server counts about itself."""

from __future__ import annotations

import sys
import threading

import pytest

from connector.server.metrics import Metrics


def test_everything_that_happens_is_told_in_prometheus_words() -> None:
    metrics = Metrics()
    metrics.request("GET", "/records/{id}", 200, 0.004)
    metrics.in_hand(3)
    metrics.stage("embed", 0.2)
    metrics.queue("demo", 7)
    metrics.batch("demo", 16)
    metrics.model_load("demo", "loaded", 1.5)
    metrics.rejection("blob_not_found")
    told = metrics.render().decode()
    for line in (
        'connector_requests_total{method="GET",route="/records/{id}",status="200"} 1.0',
        'connector_request_seconds_bucket{le="0.005",method="GET",route="/records/{id}"} 1.0',
        "connector_requests_in_hand 3.0",
        'connector_stage_seconds_sum{stage="embed"} 0.2',
        'connector_queue_waiting{model="demo"} 7.0',
        'connector_batch_size_bucket{le="16.0",model="demo"} 1.0',
        'connector_batch_size_bucket{le="8.0",model="demo"} 0.0',
        'connector_model_loads_total{model="demo",outcome="loaded"} 1.0',
        'connector_model_load_seconds_sum{model="demo"} 1.5',
        'connector_rejections_total{code="blob_not_found"} 1.0',
    ):
        assert line in told.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells a process's memory on Linux")
def test_the_process_tells_its_memory() -> None:
    told = Metrics().render().decode().splitlines()
    (memory,) = [line for line in told if line.startswith("process_resident_memory_bytes")]
    assert float(memory.split()[1]) > 1_000_000


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.rejection("blob_not_found")
    assert b"blob_not_found" in one.render()
    assert b"blob_not_found" not in other.render()


def test_threads_lose_no_count() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(500):
            metrics.rejection("x")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert b'connector_rejections_total{code="x"} 4000.0' in metrics.render()
