"""The whole door: one FastAPI application over one connector."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from connector.connector import Connector
from connector.server.config import ServerConfig
from connector.server.guard import Standing
from connector.server.health import Readiness, health_router
from connector.server.jobs.routes import jobs_router
from connector.server.jobs.service import JobService
from connector.server.metrics import Metrics
from connector.server.page.routes import page_router
from connector.server.records.desk import RecordDesk
from connector.server.records.routes import records_router
from connector.server.shell import new_app

LINGER = 2.0  # seconds for requests that were cancelled to come to their end


def create_app(shop: Connector[Any], config: ServerConfig | None = None) -> FastAPI:
    """Build the application. Its lifespan starts what works in the background, and in the end drains it and closes `shop`."""
    config = config or ServerConfig()
    metrics, standing, ready = Metrics(), Standing(), Readiness(shop)
    service = JobService(shop.space, config, metrics)
    desk = RecordDesk(shop, config, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            standing.drain(config.drain_seconds)
            await asyncio.to_thread(service.drain, standing.left())
            await asyncio.to_thread(desk.close)
            ready.close()
            # Requests whose time was up have been told; they still use the store until they have ended.
            await standing.quiet(LINGER)
            await asyncio.to_thread(shop.close)

    app = new_app(config, metrics, standing, lifespan)
    for router in (
        records_router(desk),
        jobs_router(service),
        health_router(ready, metrics),
        page_router(),
    ):
        app.include_router(router)
    return app
