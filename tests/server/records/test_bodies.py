"""Hostile bodies: whatever comes, the answer is a 4xx problem, and the server lives on."""

from __future__ import annotations

import json

import pytest

from connector.server.problems import Problem
from connector.server.records.bodies import read_json
from tests.server.conftest import Live, dial, rest

JSON = {"content-type": "application/json"}
DEEP = 5_000

NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "blank": b"  ",
    "a word": b"hello",
    "half": b'{"text": "a',
    "two": b'{"text": "a"} {"text": "b"}',
    "single quotes": b"{'text': 'a'}",
    "trailing comma": b'{"text": "a",}',
    "comment": b'{"text": "a"} // b',
    "NaN": b'{"text": "a", "min_score": NaN}',
    "Infinity": b'{"text": "a", "min_score": Infinity}',
    "-Infinity": b'{"text": "a", "weights": {"image": -Infinity}}',
    "too many digits": b'{"text": "a", "limit": ' + b"9" * 10_000 + b"}",
    "leading zero": b'{"text": "a", "limit": 010}',
    "deep lists": b'{"unlike": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep condition": b'{"text": "a", "where": ' + b'{"not":' * 300 + b"{}" + b"}" * 300 + b"}",
    "open for ever": b"[" * 100_000,
    "lone surrogate": b'{"text": "\\ud800"}',
    "lone surrogate in a condition": b'{"text": "a", "where": {"field": "brand", "op": "==", "value": "\\udc00"}}',
    "surrogate as bytes": b'{"text": "\xed\xa0\x80"}',
    "no UTF-8": b'{"text": "\xff\xfe"}',
    "overlong": b'{"text": "\xc0\xaf"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"text": "a"}',
    "NUL between": b'{"text":\0"a"}',
    "raw newline": b'{"text": "a\nb"}',
    "key twice": b'{"text": "a", "text": "b"}',
    "key twice, deep": b'{"text": "a", "where": {"not": {"field": "brand", "op": "is none", "op": "is none"}}}',
}
NO_SEARCH: dict[str, bytes] = {
    "null": b"null",
    "a number": b"17",
    "a list": b'[{"text": "a"}]',
    "a string": b'"text"',
    "an empty object": b"{}",
    "NUL in words": b'{"text": "a\\u0000b"}',
    "a megabyte of words": b'{"text": "' + b"x" * 2**20 + b'"}',
    "a megabyte of id": b'{"like": "' + b"x" * 2**20 + b'"}',
    "a megabyte of condition": b'{"text": "a", "where": "' + b"x" * 2**20 + b'"}',
    "a megabyte of a field's name": b'{"text": "a", "where": {"field": "' + b"x" * 2**20 + b'", "op": "==", "value": 1}}',
    "a megabyte of key": b'{"text": "a", "' + b"x" * 2**20 + b'": 1}',
    "a million ids": b'{"text": "a", "where": {"field": "brand", "op": "in", "value": [' + b'"a",' * 10**6 + b'"a"]}}',
    "a large number": b'{"text": "a", "limit": ' + b"9" * 4_000 + b"}",
    "a large id": b'{"like": ' + b"9" * 4_000 + b"}",
    "a large number in a condition": b'{"text": "a", "where": {"field": "price", "op": "<", "value": ' + b"9" * 4_000 + b"}}",
    "beyond doubles": b'{"text": "a", "min_score": 1e400}',
    "beyond doubles in a condition": b'{"text": "a", "where": {"field": "price", "op": "<", "value": 1e400}}',
    "a condition 150 deep": b'{"text": "a", "where": ' + b'{"not":' * 150 + b'{"field":"brand","op":"is none"}' + b"}" * 150 + b"}",
    "a text condition 300 deep": json.dumps({"text": "a", "where": "not " * 300 + "brand is none"}).encode(),
    "parentheses 5,000 deep": json.dumps({"text": "a", "where": "(" * 5_000}).encode(),
    "a condition of lists": b'{"text": "a", "where": {"field": ["brand"], "op": {"a": 1}, "value": {}}}',
    "a condition of itself": b'{"text": "a", "where": {"and": {"or": []}}}',
    "a NUL field": b'{"text": "a", "where": {"field": "br\\u0000and", "op": "==", "value": "x"}}',
}  # fmt: skip


def test_what_is_no_sound_json_is_a_400(live: Live) -> None:
    wrong = {}
    for name, body in NO_JSON.items():
        response = live.client.post("/search", content=body, headers=JSON)
        problem = response.json()
        if (response.status_code, problem["code"]) != (400, "json_invalid") or len(response.content) > 2_000:
            wrong[name] = response.text[:300]
    assert wrong == {}
    assert live.client.post("/search", json={"text": "mug"}).status_code == 200


def test_json_that_is_no_search_is_a_422(live: Live) -> None:
    wrong = {}
    for name, body in NO_SEARCH.items():
        response = live.client.post("/search", content=body, headers=JSON)
        if response.status_code not in (400, 422) or len(response.content) > 20_000:
            wrong[name] = f"{response.status_code} {response.text[:300]}"
        elif response.headers["content-type"] != "application/problem+json":
            wrong[name] = response.headers["content-type"]
    assert wrong == {}
    assert live.client.post("/search", json={"text": "mug"}).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonp", "image/png",
     "multipart/mixed; boundary=x", "application/json-patch+json", "*/*", "json"],
)  # fmt: skip
def test_other_kinds_of_body_are_a_415(live: Live, content_type: str) -> None:
    for path in ("/search", "/ingest"):
        headers = {"content-type": content_type} if content_type else {}
        response = live.client.post(path, content=b'{"text": "mug"}', headers=headers)
        assert response.status_code == 415
        assert response.json()["code"] == "media_type_unsupported"


def test_the_kind_is_read_as_it_should_be(live: Live) -> None:
    for content_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;x=y"):
        response = live.client.post(
            "/search", content=b'{"text":"mug"}', headers={"content-type": content_type}
        )
        assert response.status_code == 200


def form(*parts: bytes, boundary: bytes = b"xx") -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )


def field(name: bytes, value: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value


def file(name: bytes, value: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"; filename="a.png"\r\n\r\n' + value


WORDS = field(b"text", b"mug")
BROKEN_FORMS: dict[str, tuple[bytes, bytes]] = {
    "no boundary": (b"multipart/form-data", form(WORDS)),
    "another boundary": (b"multipart/form-data; boundary=yy", form(WORDS)),
    "empty boundary": (b"multipart/form-data; boundary=", form(WORDS)),
    "a boundary of 10,000": (b"multipart/form-data; boundary=" + b"x" * 10_000, form(WORDS)),
    "nothing": (b"multipart/form-data; boundary=xx", b""),
    "no end": (b"multipart/form-data; boundary=xx", b"--xx\r\n" + WORDS),
    "line feeds only": (b"multipart/form-data; boundary=xx", form(WORDS).replace(b"\r\n", b"\n")),
    "no name": (b"multipart/form-data; boundary=xx", form(b"Content-Disposition: form-data\r\n\r\nmug")),
    "no disposition": (b"multipart/form-data; boundary=xx", form(b"X: y\r\n\r\nmug")),
    "10,000 parts": (b"multipart/form-data; boundary=xx", form(*[field(b"unlike", b"a")] * 10_000)),
    "two megabytes of field": (b"multipart/form-data; boundary=xx", form(field(b"text", b"x" * 2**21))),
    "a megabyte of header": (b"multipart/form-data; boundary=xx", form(b"X: " + b"y" * 2**20 + b"\r\n\r\n")),
    "text twice": (b"multipart/form-data; boundary=xx", form(WORDS, WORDS)),
    "two files": (b"multipart/form-data; boundary=xx", form(file(b"image", b"a"), file(b"image", b"b"))),
    "file and field": (b"multipart/form-data; boundary=xx", form(file(b"image", b"a"), field(b"image", b"b"))),
    "file elsewhere": (b"multipart/form-data; boundary=xx", form(file(b"text", b"a"))),
    "an unknown field": (b"multipart/form-data; boundary=xx", form(WORDS, field(b"colour", b"red"))),
    "no JSON in a field": (b"multipart/form-data; boundary=xx", form(WORDS, field(b"limit", b"ten"))),
    "NaN in a field": (b"multipart/form-data; boundary=xx", form(WORDS, field(b"min_score", b"NaN"))),
    "a key twice in a field": (b"multipart/form-data; boundary=xx", form(WORDS, field(b"weights", b'{"text":1,"text":1}'))),
    "no UTF-8": (b"multipart/form-data; boundary=xx; charset=utf-99", form(field(b"limit", b"\xff\xfe"))),
    "NUL in words": (b"multipart/form-data; boundary=xx", form(field(b"text", b"a\0b"))),
    "an empty file": (b"multipart/form-data; boundary=xx", form(file(b"image", b""))),
    "a file that is no picture": (b"multipart/form-data; boundary=xx", form(file(b"image", b"hello"))),
}  # fmt: skip


def test_broken_forms_are_a_4xx(live: Live) -> None:
    wrong = {}
    for name, (content_type, body) in BROKEN_FORMS.items():
        response = live.client.post("/search", content=body, headers={"content-type": content_type.decode()})
        if response.status_code not in (400, 413, 422):
            wrong[name] = f"{response.status_code} {response.text[:300]}"
        elif response.headers["content-type"] != "application/problem+json":
            wrong[name] = response.headers["content-type"]
    assert wrong == {}
    form_type = {"content-type": "multipart/form-data; boundary=xx"}
    assert live.client.post("/search", content=form(WORDS), headers=form_type).status_code == 200


def test_a_body_that_says_it_is_a_gigabyte_is_refused_before_it_is_read(live: Live) -> None:
    with dial(live.url) as connection:
        connection.sendall(
            b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
            b"Content-Length: 1073741824\r\nConnection: close\r\n\r\n--xx\r\n"
        )
        assert rest(connection).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_half_way_leaves_the_server_well(live: Live) -> None:
    for path, kind in (
        ("/search", b"application/json"),
        ("/search", b"multipart/form-data; boundary=xx"),
        ("/ingest", b"application/x-ndjson"),
    ):
        with dial(live.url) as connection:
            connection.sendall(
                b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n{"
                % (path.encode(), kind)
            )
    assert live.client.post("/search", json={"text": "mug"}).status_code == 200


@pytest.mark.parametrize(
    "body", [b"1", b'"a"', b"[]", b'{"a": {"b": [1, {"c": null}]}}', '{"ä": "😀"}'.encode()]
)
def test_sound_json_is_read(body: bytes) -> None:
    assert read_json(body) == json.loads(body)


def test_the_message_tells_which_key_comes_twice() -> None:
    with pytest.raises(Problem, match=r"The body is no sound JSON: the key 'text' comes twice in one object"):
        read_json(b'{"where": {"text": 1, "x": 2, "text": 3}}')
