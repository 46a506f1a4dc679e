"""`/search`: by JSON, by a form with a picture in it, or by an address that can be shared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from connector.errors import DataError
from connector.server.problems import Problem, responses
from connector.server.records.asking import question
from connector.server.records.bodies import media_type, read_form, read_object
from connector.server.records.desk import RecordDesk
from connector.server.records.models import (
    FURTHEST,
    LONGEST_ID,
    LONGEST_TEXT,
    MOST_HITS,
    MOST_UNLIKE,
    SearchAnswer,
    SearchBody,
)
from connector.server.records.parameters import SchemaName, Where

JSON, FORM = "application/json", "multipart/form-data"

TypedLike = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=LONGEST_ID)]


class SearchRoutes:
    """The routes of `/search`, over one desk."""

    def __init__(self, desk: RecordDesk) -> None:
        self._desk = desk

    def add_to(self, router: APIRouter) -> None:
        """Add them to a router."""
        router.add_api_route(
            "/search",
            self.post,
            methods=["POST"],
            operation_id="search",
            tags=["search"],
            summary="Search by words, by a picture, by records, or by several of these",
            response_model=SearchAnswer,
            responses=responses(409, 415, 422),
            openapi_extra={"requestBody": {"required": True, "content": _BODIES}},
        )
        router.add_api_route(
            "/search",
            self.get,
            methods=["GET"],
            operation_id="search_by_address",
            tags=["search"],
            summary="Search by words or by records, with an address that can be shared",
            response_model=SearchAnswer,
            responses=responses(409, 422),
        )

    async def post(self, request: Request) -> Response:
        """Hits, best first. As a form it takes the same fields, what is no plain text written as JSON, and a file
        `image`. A picture's URL is fetched by the server, unless it leads into a private network."""
        picture: bytes | None = None
        match media_type(request):
            case "application/json":
                fields = await read_object(request, self._desk.read)
            case "multipart/form-data":
                fields, picture = await read_form(request)
            case _:
                raise Problem(
                    415, "media_type_unsupported", f"Send {JSON}, or {FORM}, and say so in Content-Type."
                )
        return await self._found(_body(fields, "body"), picture)

    async def get(
        self,
        text: Annotated[
            str | None, Query(description="Words.", max_length=LONGEST_TEXT, examples=["a red mug"])
        ] = None,
        like: Annotated[TypedLike | None, Query(description="A record to start from.")] = None,
        unlike: Annotated[
            list[TypedLike],
            Query(description="A record to turn away from; may come often.", max_length=MOST_UNLIKE),
        ] = [],  # noqa: B006  FastAPI copies it
        where: Where = None,
        schema: SchemaName = None,
        weights: Annotated[
            str | None, Query(description="Of picture and words, such as 0.7,0.3.", max_length=100)
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_HITS)] = 10,
        offset: Annotated[int, Query(ge=0, le=FURTHEST)] = 0,
        min_score: Annotated[float | None, Query(allow_inf_nan=False)] = None,
        using: Literal["fused", "image", "text"] = "fused",
    ) -> Response:
        """Hits, best first. What POST takes, less pictures."""
        fields = {
            "text": text,
            "like": like,
            "unlike": unlike,
            "where": where,
            "schema": schema,
            "weights": None if weights is None else _weights(weights),
            "limit": limit,
            "offset": offset,
            "min_score": min_score,
            "using": using,
        }
        return await self._found(_body(fields, "query"), None)

    async def _found(self, body: SearchBody, picture: bytes | None) -> Response:
        image = body.image if picture is None else picture
        asked = question(self._desk.shop, body, has_picture=image is not None)
        return Response(await self._desk.search(asked, image), media_type=JSON)


def _body(fields: dict[str, Any], place: str) -> SearchBody:
    try:
        return SearchBody.model_validate(fields)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError(
            [{**one, "loc": (place, *map(_short, one["loc"]))} for one in found]
        ) from error


def _short(part: int | str) -> int | str:
    """A part of where an error is: a key that nobody knows may be a megabyte long."""
    return part[:60] if isinstance(part, str) else part


def _weights(text: str) -> dict[str, float]:
    try:
        image, words = map(float, text.split(","))
    except ValueError as error:
        raise DataError(
            f"weights are {text!r}. Write two numbers, picture first, such as 0.7,0.3."
        ) from error
    return {"image": image, "text": words}


def _form_schema() -> dict[str, Any]:
    """The same fields as in JSON, but a picture's bytes may come along."""
    fields = {
        name: _never_null(field) for name, field in SearchBody.model_json_schema()["properties"].items()
    }
    fields["image"] = {
        "type": "string",
        "format": "binary",
        "description": "A picture's bytes, or as in JSON.",
    }
    fields["where"] = {"type": "string", "description": "A condition, in its text form or its JSON form."}
    return {"type": "object", "properties": fields, "additionalProperties": False}


def _never_null(field: dict[str, Any]) -> dict[str, Any]:
    """A form has no null: what is not meant is left out."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    kept = {name: value for name, value in field.items() if name not in ("anyOf", "default")}
    if not kinds:
        return kept
    return kept | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


_BODIES = {JSON: {"schema": SearchBody.model_json_schema()}, FORM: {"schema": _form_schema()}}
