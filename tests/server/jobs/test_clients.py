"""Clients written for the service, unchanged: vitrivr-engine's generated one, and the service's own integration test."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from typing import Any, Literal

import httpx
import pydantic
import pytest

from tests.conftest import PATIENCE, until
from tests.server.conftest import ANSWER, ask, new_client
from tests.server.jobs.bodies import CLASSES, file
from tests.server.jobs.conftest import MAGENTA, Held, Live, OpenJobs, png, url


class JobStatus(pydantic.BaseModel):
    """As the generator makes it: members it does not know are ignored, these must be there."""

    id: str
    status: Literal["starting", "running", "complete", "failed"]


class Output(pydantic.BaseModel):
    embedding: list[float]


class JobResponse(pydantic.BaseModel):
    status: Literal["starting", "running", "complete", "failed"]
    result: Output | None = None


class BatchedJobResponse(pydantic.BaseModel):
    status: Literal["starting", "running", "complete", "failed"]
    result: list[Output] | None = None


class GaveUp(Exception):
    """All attempts failed."""


@dataclasses.dataclass
class Engine:
    """vitrivr-engine's way: post, poll at once and then at intervals, and post again when it fails.

    It does not look at statuses: what it cannot parse is a failed attempt.
    """

    host: str
    polling_seconds: float = 0.05
    timeout: float = ANSWER
    retries: int = 3
    attempts: int = 0

    def image(self, model: str, picture: str) -> list[float]:
        """The query's way: one picture."""
        done = self._analyse(f"api/tasks/image-embedding/{model}/jobs", {"image": picture}, JobResponse)
        assert isinstance(done, Output)
        return done.embedding

    def images(self, model: str, pictures: list[str]) -> list[list[float]]:
        """The extraction's way: all pictures of a batch in one request, even one."""
        path = f"api/tasks/image-embedding/batched/{model}/jobs"
        done = self._analyse(path, {"image": pictures}, BatchedJobResponse)
        assert isinstance(done, list)
        return [output.embedding for output in done]

    def text(self, model: str, text: str) -> list[float]:
        """A query in words."""
        done = self._analyse(f"api/tasks/text-embedding/{model}/jobs", {"text": text}, JobResponse)
        assert isinstance(done, Output)
        return done.embedding

    def _analyse(self, path: str, body: dict[str, Any], kind: type[pydantic.BaseModel]) -> Any:
        with httpx.Client(base_url=self.host.rstrip("/"), timeout=self.timeout, trust_env=False) as client:
            for _ in range(self.retries):
                self.attempts += 1
                try:
                    return self._attempt(client, path, body, kind)
                except (pydantic.ValidationError, httpx.HTTPError, RuntimeError):
                    continue
        raise GaveUp

    def _attempt(
        self, client: httpx.Client, path: str, body: dict[str, Any], kind: type[pydantic.BaseModel]
    ) -> Any:
        job = JobStatus.model_validate_json(client.post(path, json=body).content)
        results = path.replace(f"{path.split('/')[-2]}/jobs", f"jobs/{job.id}")

        def done() -> Any:
            answer: Any = kind.model_validate_json(client.get(results).content)
            if answer.status == "failed":
                raise RuntimeError("the job failed")
            return answer if answer.status == "complete" else None

        # It would wait for ever; a test does not.
        return until(done, self.polling_seconds).result


@pytest.mark.parametrize("model", ["clip-vit-large-patch14", "open-clip-vit-b32", "dino-v2-vits14", "demo"])
def test_vitrivr_engine_extracts_and_asks(live: Live, model: str) -> None:
    engine = Engine(live.url + "/")
    pictures = [url(file("PNG", size=(90, 60 + number))) for number in range(3)]
    vectors = engine.images(model, pictures)
    assert len(vectors) == 3
    assert len(vectors[0]) == len(vectors[2]) > 2
    assert engine.images(model, pictures[1:2]) == [vectors[1]]
    assert engine.image(model, pictures[0]) == vectors[0]
    if model != "dino-v2-vits14":
        assert len(engine.text(model, "a red mug")) == len(vectors[0])
    assert engine.attempts == (3 if model == "dino-v2-vits14" else 4)


@pytest.mark.parametrize(
    ("model", "picture"),
    [
        ("no-such-model", url(png())),
        ("stand-in", "https://x.example/shoe.png"),
        ("stand-in", url(MAGENTA)),
        ("stand-in", url(file("PNG")[:-40])),
    ],
)
def test_vitrivr_engine_gives_up_after_its_attempts_and_never_hangs(
    live: Live, model: str, picture: str
) -> None:
    engine = Engine(live.url)
    with pytest.raises(GaveUp):
        engine.image(model, picture)
    assert engine.attempts == 3


def test_vitrivr_engine_outlives_a_worker_that_dies(open_jobs: OpenJobs, held: Held) -> None:
    engine = Engine(open_jobs().url)
    held.failing = SystemExit(1)
    assert len(engine.image("stand-in", url(png()))) == 64
    assert engine.attempts == 2


def test_vitrivr_engine_waits_for_a_model_that_loads_slowly(
    open_jobs: OpenJobs, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    come = threading.Event()

    def load(config: object) -> Held:
        assert come.wait(PATIENCE)
        return held

    monkeypatch.setattr("connector.testing.load", load)
    live, vectors = open_jobs(), list[list[float]]()
    engine = Engine(live.url)
    asking = threading.Thread(target=lambda: vectors.append(engine.image("stand-in", url(png()))))
    asking.start()
    until(lambda: live.service._unfinished)
    come.set()
    asking.join(PATIENCE)
    assert (len(vectors), engine.attempts) == (1, 1)


def poll(base_url: str, task: str, model: str, payload: dict[str, Any]) -> Any:
    """As the service's own integration test has it: snake_case names, `config: {}`, 200 at every poll."""
    headers = {"Content-Type": "application/json"}
    with new_client(base_url) as requests:
        answer = requests.post(f"/tasks/{task}/{model}/jobs", headers=headers, content=json.dumps(payload))
        assert answer.status_code == 200
        job = answer.json()["id"]
        task = f"{task}/batched" if model.startswith("batched/") else task

        def done() -> Any:
            answer = requests.get(f"/tasks/{task}/jobs/{job}")
            assert answer.status_code == 200
            data = answer.json()
            assert data["status"] != "failed"
            return data if data["status"] == "complete" else None

        return until(done, 0.05)["result"]


@pytest.mark.parametrize("model", ["clip_vit_large_patch14", "open_clip_vit_b32", "dino_v2_vits14"])
def test_the_services_own_test_of_pictures(live: Live, model: str) -> None:
    base_url = f"{live.url}/api"
    tasks = ask(f"{base_url}/tasks").json()
    assert tasks
    assert isinstance(tasks[0], str)
    pictures = [base64.b64encode(file(name)).decode("utf-8") for name in ("PNG", "JPEG")]
    one = poll(base_url, "image-embedding", model, {"image": pictures[0], "config": {}})
    assert all(isinstance(value, float) for value in one["embedding"])
    many = poll(base_url, "image-embedding", f"batched/{model}", {"image": pictures, "config": {}})
    assert [len(each["embedding"]) for each in many] == [len(one["embedding"])] * 2


@pytest.mark.parametrize("model", ["clip_vit_large_patch14", "open_clip_vit_b32"])
def test_the_services_own_test_of_words_and_classes(live: Live, model: str) -> None:
    base_url = f"{live.url}/api"
    texts = poll(base_url, "text-embedding", f"batched/{model}", {"text": CLASSES, "config": {}})
    assert len(texts) == len(CLASSES)
    picture = base64.b64encode(file("PNG")).decode("utf-8")
    payload = {"image": picture, "classes": CLASSES, "config": {}}
    found = poll(base_url, "zero-shot-image-classification", model, payload)
    assert len(found["probabilities"]) == len(CLASSES)
    assert sum(found["probabilities"]) == pytest.approx(1)
