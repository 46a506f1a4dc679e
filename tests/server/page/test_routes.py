"""The page's files: their types, their strict policy, their caching, and nothing beside them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from importlib.resources import files

import httpx
import pytest

from connector.server.page.routes import FILES, POLICY, page_router
from tests.server.conftest import new_client, shell

IN_PACKAGE = {file.name for file in files("connector.server.page").iterdir() if file.is_file()}


@contextlib.contextmanager
def served(**settings: object) -> Iterator[httpx.Client]:
    """The page behind the guards of the real server, on a real socket, without what it searches."""
    inside = shell(**settings)
    inside.app.include_router(page_router())
    with inside.running() as url, new_client(url) as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of a server without keys."""
    with served() as client:
        yield client


def test_every_file_of_the_page_is_served_and_no_other() -> None:
    assert {name for name, _ in FILES.values()} == {name for name in IN_PACKAGE if not name.endswith(".py")}


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_file_comes_as_it_is_with_its_type_and_the_strict_policy(client: httpx.Client, path: str) -> None:
    name, content_type = FILES[path]
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content == files("connector.server.page").joinpath(name).read_bytes()
    assert answer.headers["content-type"] == content_type
    assert answer.headers.get_list("content-security-policy") == [POLICY]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_policy_lets_nothing_in_from_elsewhere_and_nothing_inline() -> None:
    assert POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def test_a_browser_that_has_the_file_is_told_so(client: httpx.Client) -> None:
    etag = client.get("/page.js").headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
    for known in (etag, f"W/{etag}", f'"another", {etag}', "*"):
        answer = client.get("/page.js", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert answer.headers["content-security-policy"] == POLICY
    assert client.get("/page.js", headers={"If-None-Match": '"another"'}).status_code == 200


def test_every_file_has_its_own_tag(client: httpx.Client) -> None:
    assert len({client.get(path).headers["etag"] for path in FILES}) == len(FILES)


def test_head_says_what_get_would(client: httpx.Client) -> None:
    got, asked = client.get("/page.css"), client.head("/page.css")
    assert (asked.status_code, asked.content) == (200, b"")
    for header in ("content-length", "content-type", "content-security-policy", "etag"):
        assert asked.headers[header] == got.headers[header]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_are_only_read(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/page.js").status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/routes.py", "/__init__.py", "/page/page.js", "/index.html", "/..%2fapp.py", "/%2e%2e/app.py",
     "/page.js%00", "/PAGE.JS", "/static/page.js"],
)  # fmt: skip
def test_nothing_outside_the_table_can_be_read(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_files_are_open_where_everything_else_needs_a_key() -> None:
    with served(read_keys=("only-with-this-key-1234",)) as stranger:
        assert {stranger.get(path).status_code for path in FILES} == {200}
        assert stranger.get("/schema").status_code == 401


def test_the_files_are_not_in_the_openapi_document(client: httpx.Client) -> None:
    assert not set(FILES) & set(client.get("/openapi.json").json()["paths"])


def test_no_script_and_no_style_is_inline_and_nothing_is_asked_elsewhere(client: httpx.Client) -> None:
    html = client.get("/").text
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", html) == []
    for path in FILES:
        text = client.get(path).text.replace("http://www.w3.org/", "")
        assert re.findall(r"https?://[\w.]+|@import|\beval\(|innerHTML|insertAdjacentHTML", text) == []
