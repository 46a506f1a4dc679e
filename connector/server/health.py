"""Is it up, is it ready, how is it doing: `/health`, `/ready` and `/metrics`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from connector.connector import Connector
from connector.server.metrics import CONTENT_TYPE, Metrics
from connector.server.problems import RETRY_AFTER, Problem

FRESH = 1.0  # seconds an answer of the store is good for
PATIENCE = 3.0  # seconds the store has for one


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The process can do its work."""

    status: Literal["ready"] = "ready"
    collection: bool = Field(
        description="Whether there is a collection yet; without one there is nothing to find."
    )


class Readiness:
    """Asks the store whether it is there: at most once a second, and never while it still thinks about the last time."""

    def __init__(self, shop: Connector[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._shop = shop
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "ready")
        self._asked: asyncio.Future[bool] | None = None
        self._when = 0.0

    async def check(self) -> bool:
        """Whether there is a collection.

        Raises:
            OperationalError: the store cannot be reached.
            Problem: it does not answer in time.
        """
        if self._asked is None or (self._asked.done() and self._clock() - self._when > FRESH):
            self._asked = asyncio.get_running_loop().run_in_executor(self._thread, self._ask)
            self._asked.add_done_callback(self._note)
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(self._asked)
        except TimeoutError:
            raise Problem(
                503,
                "store_slow",
                f"The store did not answer within {PATIENCE:g} seconds.",
                headers={"Retry-After": RETRY_AFTER},
            ) from None

    def close(self) -> None:
        """Ask no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> bool:
        return self._shop.store.describe() is not None

    def _note(self, asked: asyncio.Future[bool]) -> None:
        self._when = self._clock()
        if not asked.cancelled():
            asked.exception()  # taken note of, also when nobody waits for it any more


def health_router(ready: Readiness, metrics: Metrics) -> APIRouter:
    """The routes for those who run the server; `/health` and `/ready` need no key."""
    router = APIRouter(tags=["operation"])

    @router.get("/health", operation_id="health", summary="Is the process up?")
    async def health() -> Health:
        """Answered at once, whatever else the server is doing."""
        return Health()

    @router.get("/ready", operation_id="ready", summary="Can it do its work?")
    async def readiness() -> Ready:
        """Whether the store can be reached; 503 while it cannot, and while the server is stopping."""
        return Ready(collection=await ready.check())

    @router.get(
        "/metrics",
        operation_id="metrics",
        summary="Numbers for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def numbers() -> Response:
        """Requests, seconds by stage, queues, batches, models loaded, rejections by code, memory."""
        return Response(await asyncio.to_thread(metrics.render), headers={"Content-Type": CONTENT_TYPE})

    return router
