"""The routes of records: one of them, its picture, their number, their schemas and values; ingesting and deleting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from connector.errors import BlobError, BlobForbidden, BlobUnavailable
from connector.hit import plain_id, record_object
from connector.schema.schema import Schema, definition_of
from connector.server.problems import Problem, responses
from connector.server.records.asking import condition, named_schema
from connector.server.records.bodies import client_gone, media_type
from connector.server.records.describing import catalogue, facets
from connector.server.records.desk import RecordDesk, to_json
from connector.server.records.models import (
    CatalogueAnswer,
    Count,
    FacetsAnswer,
    FoundRecord,
    IngestAnswer,
    Removed,
)
from connector.server.records.parameters import SchemaName, TypedId, Where
from connector.typed_id import existing_id

NDJSON = ("application/x-ndjson", "application/jsonl", "application/ndjson")
SMALLEST_SIDE, LARGEST_SIDE = 16, 1024
_SHELF_LIFE = "private, max-age=300"
_ROW = '{"sku": "p1", "photo": "https://pictures.example/p1.jpg", "title": "Red mug"}\n'
_ROWS = {"schema": {"description": "One JSON object a line."}, "example": _ROW}


class RecordRoutes:
    """All routes but `/search`, over one desk."""

    def __init__(self, desk: RecordDesk) -> None:
        self._desk = desk
        self._shop = desk.shop

    def add_to(self, router: APIRouter) -> None:
        """Add them to a router."""
        get, post, delete = ["GET"], ["POST"], ["DELETE"]
        one, image = "/records/{id:path}", "/images/{id:path}"
        add = router.add_api_route
        add(
            one,
            self.get,
            methods=get,
            response_model=FoundRecord,
            responses=responses(404, 422),
            operation_id="get_record",
        )
        add(
            one,
            self.delete,
            methods=delete,
            response_model=Removed,
            responses=responses(422),
            operation_id="delete_record",
        )
        add(
            "/count",
            self.count,
            methods=get,
            response_model=Count,
            responses=responses(422),
            operation_id="count",
        )
        add("/schema", self.schema, methods=get, response_model=CatalogueAnswer, operation_id="schema")
        add(
            "/facets",
            self.facets,
            methods=get,
            response_model=FacetsAnswer,
            responses=responses(422),
            operation_id="facets",
        )
        add(
            image,
            self.image,
            methods=get,
            operation_id="image",
            response_class=Response,
            responses={
                200: {
                    "description": "A JPEG that fits the square.",
                    "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
                },
                **responses(404, 422),
            },
        )
        add(
            "/ingest",
            self.ingest,
            methods=post,
            operation_id="ingest",
            response_model=IngestAnswer,
            responses=responses(409, 415, 422),
            openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(NDJSON[:1], _ROWS)}},
        )

    async def get(self, id: TypedId, schema: SchemaName = None) -> Response:
        """One record."""
        wanted = named_schema(self._shop, schema)
        record = await self._desk.read(lambda: self._shop.get(self._meant(id, wanted), wanted))
        if record is None:
            raise _no_record(id)
        key = getattr(record, definition_of(type(record)).id.name)
        return _json({"id": plain_id(key), "schema": type(record).__name__, "record": record_object(record)})

    async def delete(self, id: TypedId, schema: SchemaName = None) -> Response:
        """Remove a record; one that is not there is no error. Needs a key that may write."""
        wanted = named_schema(self._shop, schema)
        removed = await self._desk.read(lambda: self._shop.remove(self._meant(id, wanted), schema=wanted))
        return _json({"removed": removed})

    async def image(
        self,
        id: TypedId,
        side: Annotated[
            int, Query(ge=SMALLEST_SIDE, le=LARGEST_SIDE, description="Pixels of the square.")
        ] = 256,
        schema: SchemaName = None,
    ) -> Response:
        """A record's own picture as a small JPEG, fetched from where it was ingested from.

        404 where there is no such record, where its picture came as content and not as a place, or is not there any more.
        """
        wanted = named_schema(self._shop, schema)
        try:
            jpeg = await self._desk.thumbnail(
                lambda: self._shop.thumbnail(self._meant(id, wanted), schema=wanted, side=side)
            )
        except BlobForbidden as error:
            raise Problem(
                403, error.code, "This server may not read the picture of that record any more."
            ) from error
        # Where it is, or was, is the server's own affair: paths of its disk are not told.
        except (BlobError, BlobUnavailable) as error:
            raise Problem(404, error.code, "The picture of that record cannot be had any more.") from error
        if jpeg is None:
            raise Problem(404, "no_picture", "There is no such record, or none whose picture can be had.")
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": _SHELF_LIFE})

    async def count(self, where: Where = None, schema: SchemaName = None) -> Response:
        """How many records there are, of those that a condition is about."""
        wanted = named_schema(self._shop, schema)
        asked = condition(self._shop, where, wanted)
        return _json({"count": await self._desk.read(lambda: self._shop.count(asked, wanted))})

    async def schema(self) -> Response:
        """What is kept here: every schema with its fields, and what fits to filter by each."""
        return _json(catalogue(self._shop))

    async def facets(self, where: Where = None, schema: SchemaName = None) -> Response:
        """Which values records have, of those that a condition is about: the most frequent ones, and how far they reach."""
        wanted = named_schema(self._shop, schema)
        asked = condition(self._shop, where, wanted)
        return _json(await self._desk.read(lambda: facets(self._shop, asked, wanted)))

    async def ingest(self, request: Request, schema: SchemaName = None) -> Response:
        """Add or update records: JSON Lines, stored while they come. A line that does not fit is a rejection of its own.

        One ingest runs at a time. Pictures are URLs, data URLs or base64; paths are not read. Needs a key that may write.
        Sending the same again is safe: what is stored already is passed over.
        """
        if media_type(request) not in NDJSON:
            raise Problem(
                415, "media_type_unsupported", f"Send JSON Lines, and say so: Content-Type: {NDJSON[0]}."
            )
        wanted = named_schema(self._shop, schema)
        return Response(await self._desk.ingest(_stream(request), wanted), media_type="application/json")

    def _meant(self, id: str, schema: type[Schema] | None) -> str | int:
        return existing_id(self._shop, id, schema)


async def _stream(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise client_gone() from error


def _json(value: Any) -> Response:
    return Response(to_json(value), media_type="application/json")


def _no_record(id: str) -> Problem:
    return Problem(
        404,
        "record_not_found",
        f"There is no record {id[:60]!r}. Check the id, and the schema if there are several.",
    )
