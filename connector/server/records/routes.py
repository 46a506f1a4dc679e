"""The router of searches and records."""

from __future__ import annotations

from fastapi import APIRouter

from connector.server.records.desk import RecordDesk
from connector.server.records.record_routes import RecordRoutes
from connector.server.records.search_routes import SearchRoutes


def records_router(desk: RecordDesk) -> APIRouter:
    """`/search`, `/records`, `/images`, `/count`, `/schema`, `/facets` and `/ingest`, over one desk."""
    router, records = APIRouter(), APIRouter(tags=["records"])
    SearchRoutes(desk).add_to(router)
    RecordRoutes(desk).add_to(records)
    router.include_router(records)
    return router
