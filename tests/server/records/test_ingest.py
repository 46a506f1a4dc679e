"""`/ingest`: JSON Lines stored while they come, a rejection a line, one writer at a time, and little memory."""

from __future__ import annotations

import base64
import json
import resource
import socket
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connector.blobs.policy import BlobPolicy
from tests.blobs.pictures import corners, photo, saved
from tests.blobs.servers import World, played
from tests.blobs.test_web import HOSTILE, NAMES
from tests.conftest import Product, Shop, until
from tests.server.conftest import ROWS, Live, OpenLive, dial, rest
from tests.server.records.test_records import THINGS, Thing

NDJSON = {"content-type": "application/x-ndjson"}


def lines(*rows: object) -> bytes:
    return b"".join(
        row + b"\n" if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows
    )


def ingest(live: Live, content: Any, **more: Any) -> dict[str, Any]:
    response = live.client.post("/ingest", content=content, headers=NDJSON, **more)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    report = answer["report"]
    assert report["read"] == sum(report[part] for part in ("new", "changed", "unchanged", "rejected"))
    return answer


def row(number: int, **more: object) -> dict[str, object]:
    return {"sku": f"n{number}", "title": f"green lamp {number}", "price": float(number)} | more


def test_rows_are_stored_and_reported(live: Live) -> None:
    content = lines(row(1), row(2), row(3))
    answer = ingest(live, content)
    assert {**answer["report"], "seconds": 0} == {
        "read": 3, "new": 3, "changed": 0, "unchanged": 0, "rejected": 0, "deleted": 0, "seconds": 0,
    }  # fmt: skip
    assert (answer["rejects"], answer["rejects_cut"]) == ([], False)
    assert live.client.get("/records/n2").json()["record"]["title"] == "green lamp 2"
    again = ingest(live, content + lines(row(1, price=9.5)))
    assert (again["report"]["unchanged"], again["report"]["changed"]) == (3, 1)
    assert live.client.get("/records/n1").json()["record"]["price"] == 9.5


def test_each_line_that_does_not_fit_is_a_rejection_of_its_own(live: Live) -> None:
    surrogate = b'{"sku": "s", "title": "\\ud800"}'
    answer = ingest(
        live,
        b"\xef\xbb\xbf"
        + lines(
            row(1),
            b"{half",
            b"",
            b"   ",
            b"[1, 2]",
            row(2, price="cheap"),
            b'{"sku": "x", "price": NaN}',
            surrogate,
            b'{"sku": "d", "title": ' + b"[" * 300 + b"]" * 300 + b"}",
            b'{"sku": ' + b"9" * 5_000 + b"}",
            b"\xff\xfe",
            {"sku": True, "title": "a"},
            {"title": "no id"},
            {"sku": "nothing"},
            row(3, photo="/etc/passwd"),
            row(4, photo="p1.png"),
            row(5, photo="data:image/png;base64,AAAA"),
            row(6, title="unembeddable"),
            row(7),
        )
        + json.dumps(row(8)).encode(),
    )
    assert answer["report"]["new"] == 3
    assert answer["report"]["rejected"] == len(answer["rejects"]) == 15
    assert not answer["rejects_cut"]
    by_row = {each["row"]: each for each in answer["rejects"]}
    assert by_row[3]["id"] == "n2"
    assert by_row[3]["field"] == "price"
    for each in answer["rejects"]:
        assert set(each) == {"row", "id", "field", "code", "reason"}
        assert len(each["reason"]) < 1_000
    codes = [each["code"] for each in answer["rejects"]]
    assert codes.count("blob_forbidden") == 2
    assert codes.count("not_embeddable") == 1
    shown = live.client.get("/metrics").text
    assert 'connector_rejections_total{code="record_invalid"} 11.0' in shown
    assert 'connector_rejections_total{code="blob_forbidden"} 2.0' in shown


def test_an_empty_body_and_one_line_without_its_end(live: Live) -> None:
    assert ingest(live, b"")["report"]["read"] == 0
    assert ingest(live, b"\n\n\r\n")["report"]["read"] == 0
    assert ingest(live, json.dumps(row(1)).encode())["report"]["new"] == 1
    assert ingest(live, lines(row(1)).replace(b"\n", b"\r\n"))["report"]["unchanged"] == 1


def test_lines_cut_anywhere_by_the_network(live: Live) -> None:
    content = lines(*(row(number, brand="größer 😀") for number in range(20)))

    def dribble() -> Iterator[bytes]:
        for start in range(0, len(content), 7):
            yield content[start : start + 7]

    assert ingest(live, dribble())["report"]["new"] == 20


def test_only_a_thousand_rejections_are_shown(live: Live) -> None:
    answer = ingest(live, b"x\n" * 1_500)
    assert answer["report"]["rejected"] == 1_500
    assert len(answer["rejects"]) == 1_000
    assert answer["rejects_cut"] is True
    assert [each["row"] for each in answer["rejects"]] == list(range(1_000))


def test_pictures_come_inline_or_from_public_places(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = saved(corners(), "PNG")
    world = World(NAMES, played(picture))
    monkeypatch.setattr("connector.blobs.web.Wire", lambda: world.wire)
    text = base64.b64encode(picture).decode()
    answer = ingest(
        live,
        lines(
            row(1, photo=text),
            row(2, photo=f"data:image/png;base64,{text}"),
            row(3, photo="http://public.example/a.png"),
        ),
    )
    assert answer["report"]["new"] == 3, answer
    assert world.dialled == [("93.184.215.14", 80)]
    assert live.client.get("/records/n3").json()["record"]["photo"] == "http://public.example/a.png"
    hit = live.client.post("/search", json={"image": text, "limit": 3}).json()["hits"]
    assert {each["id"] for each in hit} == {"n1", "n2", "n3"}


def test_no_hostile_url_is_dialled_and_no_path_is_read(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(NAMES, played(b"reached"))
    monkeypatch.setattr("connector.blobs.web.Wire", lambda: world.wire)
    hostile = [
        *HOSTILE,
        "/etc/passwd",
        "p1.png",
        "file:p1.png",
        "../shop/p1.png",
        "memory://x",
        "s3://b/x.png",
    ]
    answer = ingest(live, lines(*(row(number, photo=url) for number, url in enumerate(hostile))))
    assert answer["report"]["rejected"] == len(hostile)
    assert {each["code"] for each in answer["rejects"]} == {"blob_forbidden"}
    assert world.dialled == []


def test_paths_are_read_where_a_root_is_configured(open_live: OpenLive, shop: Shop) -> None:
    live = open_live(blob_policy=BlobPolicy(allow_files=True))
    assert ingest(live, lines(row(1, photo="p1.png")))["rejects"][0]["code"] == "blob_forbidden"
    live = open_live(blob_policy=BlobPolicy(roots=(shop.folder,)))
    assert ingest(live, lines(row(1, photo="p1.png")))["report"]["new"] == 1
    assert ingest(live, lines(row(2, photo="/etc/passwd")))["rejects"][0]["code"] == "blob_forbidden"


def test_a_schema_can_be_named_and_must_be_known(open_live: OpenLive) -> None:
    from connector import ImageSpace, ModelHandler

    both = ImageSpace(
        [Product.photo + Product.title, Thing.photo + Thing.title], model_handler=ModelHandler.STAND_IN
    )
    live = open_live(space=both, rows=0)
    content = lines({"key": "t", "title": "mug"})
    assert "could be any of Product, Thing" in ingest(live, content)["rejects"][0]["reason"]
    assert ingest(live, content, params={"schema": "Thing"})["report"]["new"] == 1
    response = live.client.post("/ingest", content=content, headers=NDJSON, params={"schema": "Nope"})
    assert (response.status_code, response.json()["code"]) == (422, "data_invalid")


def test_the_first_ingest_makes_the_collection(open_live: OpenLive) -> None:
    live = open_live(space=THINGS, rows=0)
    assert ingest(live, lines({"key": "a", "title": "mug"}))["report"]["new"] == 1
    assert live.client.get("/count").json() == {"count": 1}


class Slow:
    """A body that is sent up to where it waits to be let go."""

    def __init__(self, live: Live, first: bytes) -> None:
        self._connection = dial(live.url)
        head = b"POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        self._connection.sendall(head)
        self.send(first)

    def send(self, part: bytes) -> None:
        self._connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))

    def finish(self) -> dict[str, Any]:
        self._connection.sendall(b"0\r\n\r\n")
        head, _, content = rest(self._connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        self._connection.close()
        answer: dict[str, Any] = json.loads(content)
        return answer

    def vanish(self) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()


def ingest_nothing(live: Live) -> httpx.Response:
    return live.client.post("/ingest", content=b"", headers=NDJSON)


def until_busy(live: Live) -> httpx.Response:
    """Ask until the server is at another ingest."""

    def refusal() -> httpx.Response | None:
        response = ingest_nothing(live)
        return None if response.status_code == 200 else response

    return until(refusal)


def until_free(live: Live) -> None:
    until(lambda: ingest_nothing(live).status_code == 200)


def test_one_ingest_at_a_time(live: Live) -> None:
    first = Slow(live, lines(row(1)))
    busy = until_busy(live)
    assert (busy.status_code, busy.json()["code"]) == (503, "ingest_busy")
    assert busy.headers["retry-after"]
    assert live.client.get("/search?text=mug").status_code == 200
    first.send(lines(row(2)))
    assert first.finish()["report"]["new"] == 2
    assert ingest(live, lines(row(3)))["report"]["new"] == 1


def test_a_client_that_goes_half_way_leaves_what_it_sent(live: Live) -> None:
    slow = Slow(live, lines(row(1), row(2)) + b'{"sku": "half')
    until_busy(live)
    slow.vanish()
    until_free(live)
    assert live.client.get("/records/n1").status_code == 200
    assert live.client.get("/records/n2").status_code == 200
    assert live.client.get("/records/half").status_code == 404


@pytest.mark.parametrize("at_a_time", [1_000, 2_000_000])
def test_more_than_is_taken_is_a_413_and_what_came_is_stored(open_live: OpenLive, at_a_time: int) -> None:
    live = open_live(max_ingest_bytes=50_000)
    content = lines(*(row(number, brand="x" * 1_000) for number in range(1_000)))
    assert len(content) > 1_000_000
    told = live.client.post("/ingest", content=content, headers=NDJSON)
    assert told.status_code == 413

    def streamed() -> Iterator[bytes]:
        for start in range(0, len(content), at_a_time):
            yield content[start : start + at_a_time]

    response = live.client.post("/ingest", content=streamed(), headers=NDJSON)
    assert response.status_code == 413
    until_free(live)
    whole = content[:50_000].count(b"\n")
    assert live.client.get("/count").json() == {"count": ROWS + whole}
    assert live.client.get(f"/records/n{whole - 1}").status_code == 200
    assert live.client.get(f"/records/n{whole}").status_code == 404


def test_a_line_that_is_too_long_is_a_rejection_and_the_next_is_read(open_live: OpenLive) -> None:
    live = open_live(max_body_bytes=2**20)
    answer = ingest(live, lines(row(1), row(2, title="x" * 2**21), row(3)))
    assert answer["report"]["new"] == 2
    assert answer["rejects"][0]["reason"].startswith("A line is longer than 1 MiB")


def test_a_store_that_does_not_answer_is_a_503_and_the_server_goes_on(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.errors import StoreUnavailable
    from connector.store.client import ClientStore

    def broken(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("Qdrant is away. Wait for it.")

    with monkeypatch.context() as patched:
        patched.setattr(ClientStore, "upsert", broken)
        response = live.client.post("/ingest", content=lines(row(1)), headers=NDJSON)
        assert (response.status_code, response.json()["detail"]) == (503, "Qdrant is away. Wait for it.")
        endless = live.client.post("/ingest", content=(lines(row(n)) for n in range(100_000)), headers=NDJSON)
        assert endless.status_code == 503
    assert ingest(live, lines(row(1)))["report"]["new"] == 1


def test_large_pictures_in_many_rows_do_not_pile_up(live: Live) -> None:
    """Sixty rows of six megabytes each: the server holds some of them, never all."""
    picture = photo(1_500, 1_100)
    texts = []
    for number in range(4):
        picture.putpixel((0, 0), (number, 0, 0))
        texts.append(base64.b64encode(saved(picture, "PNG", compress_level=0)).decode())
    size = len(texts[0])
    assert size > 4 * 2**20
    count = 60

    def streamed() -> Iterator[bytes]:
        for number in range(count):
            yield lines(row(number, photo=texts[number % 4]))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer = ingest(live, streamed())
    assert answer["report"]["new"] == count, answer["rejects"][:2]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert grown < count * size * 0.7, (grown / 2**20, count * size / 2**20)
