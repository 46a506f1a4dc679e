"""Jobs for tests, made without a service."""

from __future__ import annotations

from connector.server.jobs.catalogue import IMAGE, Catalogue
from connector.server.jobs.job import Job
from connector.server.jobs.pictures import Encoded
from tests.server.jobs.conftest import SPACE


def job(
    pictures: int = 1,
    texts: int = 0,
    *,
    task: str = IMAGE,
    model: str = "stand-in",
    batched: bool = True,
    pixels: int = 1,
) -> Job:
    """A job of so many inputs; picture 3's bytes are `b"3"` and text 3 is `"t3"`."""
    return Job(
        Catalogue(SPACE).find(model),
        task,
        batched=batched,
        pictures=[Encoded(str(number).encode(), pixels) for number in range(pictures)],
        texts=[f"t{number}" for number in range(texts)],
        deadline=1e9,
    )
