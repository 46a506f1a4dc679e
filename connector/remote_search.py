"""Searching through a server instead of opening the collection: the same hits, no model and no store on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from connector.errors import CollectionMismatch, DataError, OperationalError
from connector.hit import Hit, PartScores
from connector.schema.schema import definition_of, from_payload

if TYPE_CHECKING:
    from connector.schema.schema import Schema
    from connector.space import ImageSpace

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0
MOST_AT_ONCE = 100  # hits in one answer of a server


def remote_search(
    url: str,
    space: ImageSpace[Any],
    *,
    key: str | None = None,
    picture: Path | None = None,
    limit: int = 10,
    offset: int = 0,
    **fields: object,
) -> list[Hit[Any]]:
    """Ask a server (`connector serve`) for the hits that `Connector.search` would find there.

    Args:
        url: where the server is, such as "http://shop.example:8888".
        space: what its records are.
        key: the API key, where it asks for one.
        picture: a file of this machine to send along.
        limit, offset: as for `Connector.search`; more hits than a server gives at once are asked for in several pages.
        fields: what else `POST /search` takes; those that are None are left out.

    Raises:
        DataError: the server says what is wrong with the search or the key, or its records are not this space's.
        OperationalError: it cannot be reached, or cannot answer now.
    """
    place = _place(url)
    asked = {name: value for name, value in fields.items() if value is not None}
    headers = {"Accept": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    hits: list[Hit[Any]] = []
    try:
        with httpx.Client(headers=headers, timeout=timeout) as client:
            while len(hits) < limit:
                page = {"limit": min(MOST_AT_ONCE, limit - len(hits)), "offset": offset + len(hits)}
                found = _found(_sent(client, f"{place}/search", asked | page, picture), place, space)
                hits += found
                if len(found) < page["limit"]:
                    break
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _no_url(url) from error
    except httpx.HTTPError as error:
        raise OperationalError(
            f"The server at {place} did not answer: {str(error) or type(error).__name__}. Check that it runs "
            "(connector serve) and can be reached, then run it again."
        ) from error
    return hits


def _found(response: httpx.Response, place: str, space: ImageSpace[Any]) -> list[Hit[Any]]:
    if response.status_code != 200:
        raise _refusal(response, place)
    try:
        return [_hit(each, space) for each in response.json()["hits"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperationalError(
            f"What answers at {place} is no connector server: its answer has no hits. Check --url."
        ) from error


def _place(url: str) -> str:
    """The server's address without a slash at its end; a user, a password or a query in it is refused."""
    try:
        parts = urlsplit(url)
        # Reading the port is what refuses one that is none.
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise _no_url(url) from error
    if (
        not sound
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or not url.isprintable()
        or " " in url
    ):
        raise _no_url(url)
    return url.rstrip("/")


def _no_url(url: str) -> DataError:
    return DataError(
        f"--url {url[:80].rpartition('@')[2]}: this is no server's address. Write one such as http://127.0.0.1:8888; "
        "a key goes into CONNECTOR_REMOTE_KEY."
    )


def _sent(client: httpx.Client, place: str, asked: dict[str, object], picture: Path | None) -> httpx.Response:
    if picture is None:
        return client.post(place, json=asked)
    written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asked.items()}
    try:
        content = picture.read_bytes()
    except OSError as error:
        raise DataError(f"--image {picture} cannot be read: {error.strerror}.") from error
    return client.post(place, data=written, files={"image": (picture.name, content)})


def _refusal(response: httpx.Response, place: str) -> DataError | OperationalError:
    """What an answer that is no success means here."""
    status, told = response.status_code, _detail(response)
    if status == 409:
        return CollectionMismatch(f"The server at {place}: {told}")
    if status in (401, 403):
        return DataError(f"The server at {place} does not let us in: {told} Set CONNECTOR_REMOTE_KEY.")
    if status == 404 or 300 <= status < 400:
        return DataError(f"There is no search at {place} (status {status}). Check --url.")
    if status == 429 or status >= 500:
        wait = response.headers.get("retry-after")
        soon = f" Run it again in {wait} seconds." if wait and wait.isdecimal() else " Run it again."
        return OperationalError(f"The server at {place} cannot answer now ({status}): {told}{soon}")
    return DataError(told)


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):  # something else between us and the server answered
        return f"It answered {response.status_code} {response.reason_phrase}.".replace(" .", ".")


def _hit(found: dict[str, Any], space: ImageSpace[Any]) -> Hit[Any]:
    schema = _schema(str(found["schema"]), space)
    record = from_payload(schema, found["record"])
    parts = PartScores(found["parts"]["image"], found["parts"]["text"])
    return Hit(record, float(found["score"]), getattr(record, definition_of(schema).id.name), parts)


def _schema(name: str, space: ImageSpace[Any]) -> type[Schema]:
    if (schema := space.schema_named(name)) is not None:
        return schema
    known = ", ".join(schema.__name__ for schema in space.schemas)
    raise DataError(
        f"The server's records are of schema {name[:60]!r}, but TARGET holds {known}. Name its space."
    )
