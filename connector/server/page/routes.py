"""The page's files, read once and served from a fixed table; nothing else can be read through it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, Request, Response

_SCRIPT = "text/javascript; charset=utf-8"

# What is served where, and as what. A file that is not named here does not exist for the web.
FILES: Mapping[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
    "/theme.js": ("theme.js", _SCRIPT),
    "/page.js": ("page.js", _SCRIPT),
    "/answers.js": ("answers.js", _SCRIPT),
    "/conditions.js": ("conditions.js", _SCRIPT),
    "/details.js": ("details.js", _SCRIPT),
    "/elements.js": ("elements.js", _SCRIPT),
    "/filters.js": ("filters.js", _SCRIPT),
    "/groups.js": ("groups.js", _SCRIPT),
    "/hits.js": ("hits.js", _SCRIPT),
    "/messages.js": ("messages.js", _SCRIPT),
    "/pictures.js": ("pictures.js", _SCRIPT),
    "/query.js": ("query.js", _SCRIPT),
    "/records.js": ("records.js", _SCRIPT),
    "/tokens.js": ("tokens.js", _SCRIPT),
    "/welcome.js": ("welcome.js", _SCRIPT),
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    # Browsers keep the files and ask each time whether they are still the same: an upgrade shows at once.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    etag: str
    content_type: str

    def answer(self, request: Request) -> Response:
        """The file, or 304 where the browser has this very content. HEAD is answered with headers only."""
        headers = {**_HEADERS, "ETag": self.etag}
        if self._known(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            headers["Content-Length"] = str(len(self.content))
            return Response(headers=headers, media_type=self.content_type)
        return Response(self.content, headers=headers, media_type=self.content_type)

    def _known(self, tags: str) -> bool:
        return any(tag.strip().removeprefix("W/") in (self.etag, "*") for tag in tags.split(","))


def page_router() -> APIRouter:
    """Routes for the page and its files, for GET and HEAD; they are not part of the OpenAPI document."""
    router = APIRouter()
    for path, (name, content_type) in FILES.items():
        file = _read(name, content_type)
        router.add_api_route(
            path, file.answer, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
        )
    return router


def _read(name: str, content_type: str) -> _File:
    content = files("connector.server.page").joinpath(name).read_bytes()
    return _File(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', content_type)
