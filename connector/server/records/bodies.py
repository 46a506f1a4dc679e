"""Reading what a client sent, strictly: what two programs could read differently is refused, not repaired."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pydantic_core
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from connector.server.problems import Problem
from connector.server.records.models import SearchBody

FORM_FIELDS = len(SearchBody.model_fields) + 128  # `unlike` may come a hundred times
LARGE = 64 * 1024  # bytes of JSON that are read in another thread

# Form fields that are plain text; all others are written as JSON is.
_TEXTS = frozenset({"text", "like", "where", "schema", "using"})


def media_type(request: Request) -> str:
    """The body's media type, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def client_gone() -> Problem:
    """The client went away in the middle of its request; nobody will read this, but it ends the request in order."""
    return Problem(400, "client_gone", "The client went away before its request was whole.")


async def read_object(
    request: Request, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]
) -> dict[str, Any]:
    """A request's body, a JSON object; a large one is read `in_thread`.

    Raises:
        Problem: 400 where it is no sound JSON, 422 where it is another kind of value.
    """
    try:
        data = await request.body()
    except ClientDisconnect as error:
        raise client_gone() from error
    value = read_json(data) if len(data) <= LARGE else await in_thread(lambda: read_json(data))
    if not isinstance(value, dict):
        raise Problem(422, "request_invalid", f"The body is a JSON {type(value).__name__}, not an object.")
    return value


def read_json(data: bytes | str, what: str = "The body") -> Any:
    """Parse JSON (RFC 8259, UTF-8); `what` is how the message calls it.

    Raises:
        Problem: 400; it is no JSON, or it holds NaN, a key twice in one object, a lone surrogate, or more levels than
            any request needs.
    """
    try:
        value = pydantic_core.from_json(data, allow_inf_nan=False, cache_strings=False)
        json.loads(
            data, object_pairs_hook=_no_key_twice
        )  # the faster parser keeps the last of them in silence
    except (ValueError, RecursionError) as error:
        raise Problem(400, "json_invalid", f"{what} is no sound JSON: {error}. Correct it.") from error
    return value


def _no_key_twice(pairs: list[tuple[str, object]]) -> None:
    names = Counter(key for key, _ in pairs)
    if len(names) < len(pairs):
        twice = names.most_common(1)[0][0]
        raise ValueError(f"the key {twice[:60]!r} comes twice in one object")


async def read_form(request: Request) -> tuple[dict[str, Any], bytes | None]:
    """A multipart form as the fields of a `SearchBody`, and the bytes of its file `image`, if it has one.

    Raises:
        Problem: 400; it is no sound form.
    """
    fields: dict[str, Any] = {}
    picture: bytes | None = None
    try:
        async with request.form(max_files=1, max_fields=FORM_FIELDS) as form:
            for name, value in form.multi_items():
                if not isinstance(value, str):
                    if name != "image":
                        raise Problem(
                            400, "form_invalid", f"{name[:60]!r} is a file. Only 'image' may be one."
                        )
                    picture = await value.read()
                else:
                    _add(fields, name, value)
    except Problem:
        raise
    except ClientDisconnect as error:
        raise client_gone() from error
    except HTTPException as error:
        raise Problem(400, "form_invalid", f"The form cannot be read: {error.detail}") from error
    if picture is not None and "image" in fields:
        raise Problem(400, "form_invalid", "There are two images in the form. Send one.")
    return fields, picture


def _add(fields: dict[str, Any], name: str, value: str) -> None:
    if name == "unlike":  # once with a JSON list, or once for each id
        ids = read_json(value, name) if value.startswith("[") else [value]
        fields.setdefault(name, []).extend(ids)
    elif name in fields:
        raise Problem(400, "form_invalid", f"The form has the field {name[:60]!r} twice. Send it once.")
    elif name in _TEXTS or name == "image" or name not in SearchBody.model_fields:
        fields[name] = value
    else:
        fields[name] = read_json(value, f"The field {name!r}")
