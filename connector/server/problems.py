"""One shape for everything that goes wrong over HTTP: problem details (RFC 9457), and FastAPI's own list under /api/.

    {"type": "about:blank", "title": "Unprocessable Content", "status": 422, "code": "condition_invalid",
     "detail": "…what happened, to what, what to do…", "request_id": "6f1c…"}

The two families of errors are two reactions here as well: `DataError` is 4xx, change the request; `OperationalError` is
503 with Retry-After, or 409 where another model lives in the collection.
"""

from __future__ import annotations

import http
import json
import logging
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from connector.errors import (
    BlobTooLarge,
    BlobUnavailable,
    CollectionMismatch,
    ConnectorError,
    DataError,
)
from connector.logs import redacted

if TYPE_CHECKING:
    from connector.server.metrics import Metrics

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "2"  # seconds; what is down for longer is asked again
LONGEST = 1000  # characters of a detail
MOST_ERRORS = 20  # of one request's fields
_log = logging.getLogger("connector")

_CODES = {
    400: "bad_request",
    401: "key_missing",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_slow",
    409: "conflict",
    413: "body_too_large",
    415: "media_type_unsupported",
    422: "request_invalid",
    429: "too_many_requests",
    431: "header_too_large",
    500: "internal",
    503: "unavailable",
}
_DESCRIPTIONS = {
    400: "The request cannot be read.",
    401: "There is no key, or none that this server knows.",
    403: "This key may not do that, or the page that asks may not.",
    404: "There is no such thing.",
    408: "The request came too slowly.",
    409: "The collection was made by another model, or another request is in the way.",
    413: "The request is larger than this server takes.",
    415: "This kind of body is not understood here.",
    422: "The request does not fit; `detail` says where, and what to do.",
    429: "Too much at once; try again after the seconds in Retry-After.",
    431: "The header, address included, is larger than this server takes.",
    503: "Something behind this server does not answer, or not in time; try again after the seconds in Retry-After.",
}
# Any route may answer these: they come from the guards in front of all routes.
COMMON = (400, 401, 403, 408, 413, 429, 431, 503)


class ProblemField(BaseModel):
    """One part of a request that does not fit."""

    loc: list[str | int] = Field(
        description="Where it is, from the outside in.", examples=[["body", "limit"]]
    )
    msg: str = Field(examples=["Input should be less than or equal to 100"])
    type: str = Field(examples=["less_than_equal"])


class ProblemDocument(BaseModel):
    """What went wrong, as RFC 9457 has it, with a stable code and the request's id."""

    model_config = ConfigDict(title="Problem")

    type: str = Field("about:blank", description="A URI for the kind of problem.")
    title: str = Field(description="The status in words.", examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(description="What happened, to what, and what to do.")
    code: str = Field(description="A stable word for the reason.", examples=["condition_invalid"])
    request_id: str = Field(description="Also in the header X-Request-ID, and in the server's log.")
    errors: list[ProblemField] | None = Field(None, description="The parts that do not fit, where known.")


class Problem(HTTPException):
    """An answer that is no success: raise it anywhere in a route.

    Args:
        status: the HTTP status, from 400.
        code: a stable word for the reason, such as "queue_full".
        detail: what happened, to what, and what to do.
        headers: further headers of the answer, such as Retry-After.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, None if headers is None else dict(headers))
        self.status = status
        self.code = code


def problem_of(error: ConnectorError) -> Problem:
    """What an error of the house is over HTTP."""
    detail, retry = redacted(str(error), LONGEST), {"Retry-After": RETRY_AFTER}
    if isinstance(error, BlobTooLarge):
        return Problem(413, error.code, detail)
    # A picture's own server that does not answer is no fault of this one.
    if isinstance(error, (DataError, BlobUnavailable)):
        return Problem(422, error.code, detail)
    if isinstance(error, CollectionMismatch):
        return Problem(409, error.code, detail)
    return Problem(503, error.code, detail, headers=retry)


def response(problem: Problem, scope: Mapping[str, Any], **members: object) -> Response:
    """The answer that tells a problem of the request with this scope."""
    body = {
        "type": "about:blank",
        "title": _title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id(scope),
        **members,
    }
    # ASCII: a lone surrogate that a client sent comes back escaped, and cannot break the answer.
    content = json.dumps(body, ensure_ascii=True).encode("ascii")
    return Response(content, problem.status, dict(problem.headers or {}), MEDIA_TYPE)


def request_id(scope: Mapping[str, Any]) -> str:
    """The id of the request with this scope; empty outside of one."""
    state = scope.get("state")
    return str(state.get("request_id", "")) if isinstance(state, MutableMapping) else ""


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route documents its problems: `@router.get(…, responses=responses(404, 409))`. `COMMON` is added by itself."""
    return {status: _documented(status) for status in statuses}


def install(app: FastAPI, metrics: Metrics | None = None) -> None:
    """Make an app answer every error as a problem; the house's errors are counted by their codes."""

    # Coroutines, all of them: a plain function would cost a change of threads for every refusal.
    async def on_connector_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ConnectorError)
        problem = problem_of(error)
        if metrics is not None:
            metrics.rejection(error.code)
        if problem.status == 503:
            _log.warning("unavailable: %s", problem.detail, extra={"request_id": request_id(request.scope)})
        return response(problem, request.scope)

    app.add_exception_handler(ConnectorError, on_connector_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


def document(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete an OpenAPI document, in place: the schema of problems, and the answers that any route may give."""
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    described = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    components.update(described.pop("$defs", {}))
    components["Problem"] = described
    for path, operations in schema.get("paths", {}).items():
        for operation in operations.values():
            answers = operation.setdefault("responses", {})
            for status in COMMON:
                answers.setdefault(str(status), _documented(status))
            if "422" in answers:
                content = answers["422"].setdefault("content", {})
                if not path.startswith("/api/"):
                    content.pop("application/json", None)
                content.setdefault(MEDIA_TYPE, _documented(422)["content"][MEDIA_TYPE])
    return schema


def _documented(status: int) -> dict[str, Any]:
    example = {
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": _DESCRIPTIONS[status],
        "code": _CODES[status],
        "request_id": "6f1c2f0a5d8e4b0f9a53b1c6f4a0d9e2",
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: content}}


def _title(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return response(error, request.scope)
    status, headers = error.status_code, dict(error.headers or {})
    if status == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    problem = Problem(status, _CODES.get(status, "error"), str(error.detail), headers=headers)
    return response(problem, request.scope)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes of a path; the framework names those of the first one only."""
    allowed = []
    for method in ("DELETE", "GET", "PATCH", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            allowed += ["GET", "HEAD"] if method == "GET" else [method]
    return allowed


async def _on_validation_error(request: Request, error: Exception) -> Response:
    """What does not fit and where; never the value itself, which may be a whole picture."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"type": one["type"], "loc": list(one["loc"]), "msg": redacted(one["msg"], LONGEST)}
        for one in error.errors()[:MOST_ERRORS]
    ]
    if request.url.path.startswith("/api/"):  # the shape that clients of the jobs API know
        content = json.dumps({"detail": errors}, ensure_ascii=True).encode("ascii")
        return Response(content, 422, media_type="application/json")
    first = errors[0]
    where = ".".join(map(str, first["loc"]))
    detail = f"{where}: {first['msg']}. Correct the request; /openapi.json describes it."
    return response(Problem(422, "request_invalid", detail), request.scope, errors=errors)
