"""The application without its routes: guards in their order, problems, and the OpenAPI document."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from connector.server.config import ServerConfig
from connector.server.deadlines import Deadlines
from connector.server.guard import Guard, Standing
from connector.server.keys import OPEN, Keys
from connector.server.metrics import Metrics
from connector.server.problems import document, install

DESCRIPTION = """\
Records with pictures, found again by picture, by words, or by both; and the jobs API that makes vectors of pictures and words.

Every error is a problem document (`application/problem+json`) with a stable `code`;
under `/api/` a body that does not fit is answered as the jobs API's clients know it.
Where the server has keys, send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
"""
_TAGS = [
    {"name": "search", "description": "Find records by words, by a picture, or by both."},
    {"name": "records", "description": "Records in, out, and away; their pictures; what can be filtered."},
    {
        "name": "jobs",
        "description": "Vectors of pictures and words, as vitrivr's feature-extraction-server makes them.",
    },
    {"name": "operation", "description": "Is it up, is it ready, how is it doing."},
]
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def new_app(
    config: ServerConfig,
    metrics: Metrics,
    standing: Standing,
    lifespan: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]],
) -> FastAPI:
    """An application that has everything but routes. `app.state.standing` is where a server says that it will stop."""
    app = FastAPI(
        title="connector",
        version=_version(),
        summary="Search by picture and by words.",
        description=DESCRIPTION,
        openapi_tags=_TAGS,
        docs_url=None,  # FastAPI's page of it loads its scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(Guard, config=config, metrics=metrics, standing=standing),
            *_cors(config),
            Middleware(Keys, config=config),
            Middleware(Deadlines, config=config),
        ],
    )
    app.state.standing = standing
    install(app, metrics)
    app.openapi = functools.partial(_openapi, app, config)  # type: ignore[method-assign]
    return app


def _cors(config: ServerConfig) -> list[Middleware]:
    if not config.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=config.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("Authorization", "X-API-Key", "Content-Type", "X-Request-ID", "Idempotency-Key"),
            expose_headers=("X-Request-ID", "Retry-After"),
        )
    ]


def _openapi(app: FastAPI, config: ServerConfig) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
        if config.has_keys:
            schema["security"] = [{name: []} for name in _SCHEMES]
            for path in OPEN & schema["paths"].keys():
                for operation in schema["paths"][path].values():
                    operation["security"] = []
        app.openapi_schema = document(schema)
    return app.openapi_schema


def _version() -> str:
    try:
        return version("qdrant-image-connector")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
