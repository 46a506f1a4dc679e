"""Records one by one, their pictures, their number, their schemas and their values."""

from __future__ import annotations

import datetime as dt
import enum
import io
import json
import math
import uuid
from typing import Any, Literal
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from connector import Blob, Field, Id, ImageSpace, ModelHandler, Schema, Text, field
from connector.hit import record_object
from connector.server.records.desk import to_json
from tests.conftest import Product, Shop
from tests.server.conftest import READ_KEY, WRITE_KEY, Live, OpenLive, ask, new_client


class Colour(enum.Enum):
    """An Enum of strings."""

    RED = "red"
    BLUE = "blue"


class Thing(Schema):
    """A field of every kind."""

    key: Id[str]
    photo: Blob[str | bytes | None]
    title: Text[str | None]
    brand: Field[str | None]
    price: Field[float | None]
    stock: Field[int] = field(default=0)
    new: Field[bool | None]
    seen: Field[dt.datetime | None]
    day: Field[dt.date | None]
    batch: Field[uuid.UUID | None]
    colour: Field[Colour | None]
    size: Field[Literal["S", "M"] | None]
    tags: Field[list[str]] = field(default=[])
    sizes: Field[list[int] | None]
    ratings: Field[list[float] | None]


THINGS = ImageSpace(Thing.photo + Thing.title, model_handler=ModelHandler.STAND_IN)
FULL = {
    "key": "k1", "title": "red mug", "brand": "Acme", "price": 2.5, "stock": 2**63 - 1, "new": True,
    "seen": "2026-05-01T10:00:00.000001Z", "day": "2026-05-01", "batch": "00000000-0000-0000-0000-000000000001",
    "colour": "red", "size": "S", "tags": ["a", "b"], "sizes": [1, 2], "ratings": [0.5],
}  # fmt: skip
OTHER = {
    "key": "k2", "title": "blue hat", "brand": "Bolt", "price": -1.0, "stock": -(2**63), "new": False,
    "seen": "2026-05-01T10:00:00Z", "day": "1999-12-31", "colour": "red", "tags": ["b"],
}  # fmt: skip


@pytest.fixture
def things(open_live: OpenLive) -> Live:
    live = open_live(space=THINGS, rows=0)
    assert live.shop.ingest([FULL, OTHER]).new == 2
    return live


def body(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return json.loads(response.content, parse_constant=pytest.fail)


def test_a_record_is_what_was_ingested(things: Live) -> None:
    found = body(things.client.get("/records/k1"))
    assert found == {"id": "k1", "schema": "Thing", "record": {**FULL, "photo": None}}
    record = things.shop.get("k1")
    assert record is not None
    assert found["record"] == record_object(record)


def test_no_record_is_a_404(live: Live) -> None:
    for id in (
        "zz",
        "%00",
        "a/b/c",
        "..%2f..%2fetc%2fpasswd",
        "%F0%9F%98%80",
        "%ff%fe",
        "9" * 5_000,
        "x" * 16_000,
    ):
        problem = body(live.client.get(f"/records/{id}"), 404)
        assert problem["code"] == "record_not_found"
        assert len(problem["detail"]) < 300
    assert body(live.client.get("/records/" + "x" * 16_385), 422)["code"] == "request_invalid"
    assert live.client.get("/records/").status_code in (404, 422)


def test_ids_with_slashes_and_signs(open_live: OpenLive) -> None:
    live = open_live(rows=0)
    ids = ["a/b.jpg", "a b", "a?b#c", "ä/ß", "100%", "a%2Fb", "..", ".", "a//b", "+", "a\\b"]
    assert live.shop.ingest([{"sku": id, "title": "mug"} for id in ids]).new == len(ids)
    for id in ids:
        # A client normalises dot segments away, even escaped ones; such ids are reached by /search alone.
        if id not in ("..", "."):
            assert body(live.client.get(f"/records/{quote(id, safe='')}"))["id"] == id
    assert body(live.client.get("/records/a/b.jpg"))["id"] == "a/b.jpg"
    assert body(live.client.delete("/records/a/b.jpg")) == {"removed": 1}
    assert body(live.client.get("/count"))["count"] == len(ids) - 1


def test_numbers_are_found_where_only_they_are_stored(open_live: OpenLive) -> None:
    live = open_live(rows=0)
    live.shop.ingest([{"sku": sku, "title": f"mug {sku!r}"} for sku in (7, 8, "8")])
    assert body(live.client.get("/records/7"))["id"] == 7
    assert body(live.client.get("/records/8"))["id"] == "8"
    assert body(live.client.delete("/records/8")) == {"removed": 1}
    assert body(live.client.get("/records/8"))["id"] == 8


def test_deleting(live: Live) -> None:
    assert body(live.client.delete("/records/a1")) == {"removed": 1}
    assert body(live.client.delete("/records/a1")) == {"removed": 0}
    assert body(live.client.get("/records/a1"), 404)
    assert body(live.client.get("/count")) == {"count": 11}


def test_counting(live: Live) -> None:
    assert body(live.client.get("/count")) == {"count": 12}
    assert body(live.client.get("/count", params={"where": "price < 3"})) == {"count": 3}
    by_json = json.dumps({"field": "brand", "op": "==", "value": "Acme"})
    assert body(live.client.get("/count", params={"where": by_json, "schema": "Product"})) == {"count": 6}
    assert body(live.client.get("/count", params={"where": "prcie < 3"}), 422)["code"] == "condition_invalid"
    assert body(live.client.get("/count", params={"where": '{"field": NaN}'}), 400)["code"] == "json_invalid"
    assert body(live.client.get("/count?schema=Nope"), 422)["code"] == "data_invalid"


def test_before_the_first_ingest(open_live: OpenLive) -> None:
    client = open_live(rows=0).client
    assert body(client.get("/count")) == {"count": 0}
    assert body(client.get("/facets")) == {"facets": {"brand": [], "tags": []}, "ranges": {}}
    assert body(client.get("/records/a1"), 404)
    assert body(client.get("/images/a1"), 404)
    assert body(client.delete("/records/a1")) == {"removed": 0}
    assert body(client.get("/schema"))["collection"] == "product"


def test_the_schema_says_what_fits_to_filter(things: Live) -> None:
    found = body(things.client.get("/schema"))
    assert (found["collection"], found["text"]) == ("thing", True)
    (schema,) = found["schemas"]
    assert [schema[part] for part in ("name", "id", "blob", "description")] == [
        "Thing",
        "key",
        "photo",
        "title",
    ]
    assert {each["name"]: (each["kind"], each["optional"], each["filter"]) for each in schema["fields"]} == {
        "key": ("id", False, None),
        "photo": ("blob", True, None),
        "title": ("text", True, "words"),
        "brand": ("str", True, "choice"),
        "price": ("float", True, "range"),
        "stock": ("int", False, "range"),
        "new": ("bool", True, "flag"),
        "seen": ("datetime", True, "range"),
        "day": ("date", True, "range"),
        "batch": ("uuid", True, None),
        "colour": ("str", True, "choice"),
        "size": ("str", True, "choice"),
        "tags": ("list[str]", False, "choice"),
        "sizes": ("list[int]", True, "choice"),
        "ratings": ("list[float]", True, None),
    }


def test_facets_and_ranges(things: Live) -> None:
    found = body(things.client.get("/facets"))
    assert found == {
        "facets": {
            "brand": [{"value": "Acme", "count": 1}, {"value": "Bolt", "count": 1}],
            "new": [{"value": False, "count": 1}, {"value": True, "count": 1}],
            "colour": [{"value": "red", "count": 2}],
            "size": [{"value": "S", "count": 1}],
            "tags": [{"value": "b", "count": 2}, {"value": "a", "count": 1}],
            "sizes": [{"value": 1, "count": 1}, {"value": 2, "count": 1}],
        },
        "ranges": {
            "price": {"min": -1.0, "max": 2.5},
            "stock": {"min": -(2**63), "max": 2**63 - 1},
            "seen": {"min": "2026-05-01T10:00:00Z", "max": "2026-05-01T10:00:00.000001Z"},
            "day": {"min": "1999-12-31", "max": "2026-05-01"},
        },
    }
    some = body(things.client.get("/facets", params={"where": "price < 0", "schema": "Thing"}))
    assert some["facets"]["brand"] == [{"value": "Bolt", "count": 1}]
    assert some["ranges"]["price"] == {"min": -1.0, "max": -1.0}
    assert body(things.client.get("/facets", params={"where": "x ="}), 422)["code"] == "condition_invalid"


def test_every_condition_that_facets_suggest_can_be_asked(things: Live) -> None:
    found = body(things.client.get("/facets"))
    for name, values in found["facets"].items():
        for one in values:
            operator = "contains" if name in ("tags", "sizes") else "=="
            where = json.dumps({"field": name, "op": operator, "value": one["value"]})
            assert body(things.client.get("/count", params={"where": where})) == {"count": one["count"]}
    for name, ends in found["ranges"].items():
        if name == "stock":  # beyond 2**53 Qdrant does not order exactly, and says so
            continue
        for operator, end in ((">=", "min"), ("<=", "max")):
            where = json.dumps({"field": name, "op": operator, "value": ends[end]})
            assert body(things.client.get("/count", params={"where": where})) == {"count": 2}


def test_facets_of_a_space_of_several_schemas(open_live: OpenLive) -> None:
    live = open_live(space=ImageSpace([Product.photo + Product.title, Thing.photo + Thing.title], model_handler=ModelHandler.STAND_IN), rows=0)  # fmt: skip
    live.shop.ingest([FULL, OTHER], schema=Thing)
    live.shop.ingest([{"sku": "a", "title": "mug", "brand": "Acme", "price": 99.0}], schema=Product)
    whole = body(live.client.get("/facets"))
    assert whole["facets"]["brand"] == [{"value": "Acme", "count": 2}, {"value": "Bolt", "count": 1}]
    assert whole["ranges"]["price"] == {"min": -1.0, "max": 99.0}
    one = body(live.client.get("/facets?schema=Product"))
    assert list(one["facets"]) == ["brand", "tags"]
    assert one["ranges"]["price"] == {"min": 99.0, "max": 99.0}


def test_what_others_stored_is_still_sound_json(live: Live) -> None:
    store: Any = live.shop.store
    payload = {"price": math.nan, "title": "odd one", "brand": "x\u2028\0"}
    store._to.client.set_payload(store._to.collection, payload=payload, points=[point_of("a1")])
    record = body(live.client.get("/records/a1"))["record"]
    assert record["price"] is None
    assert record["brand"] == "x\u2028\0"
    hits = body(live.client.post("/search", json={"text": "mug", "limit": 12}))["hits"]
    assert [hit["record"]["price"] for hit in hits if hit["id"] == "a1"] == [None]
    assert body(live.client.get("/facets"))["facets"]["tags"]


def point_of(key: str) -> str:
    from connector.store.points import point_id

    return point_id("Product", key)


def test_json_of_anything() -> None:
    odd = {
        "nan": math.nan,
        "inf": [math.inf],
        "big": 10**30,
        "at": dt.datetime(2026, 1, 1),
        "id": uuid.UUID(int=1),
        "set": {1},
    }
    found = json.loads(to_json(odd), parse_constant=pytest.fail)
    assert found["nan"] is None
    assert found["inf"] == [None]
    assert found["big"] == 10**30
    assert found["at"].startswith("2026-01-01")
    assert found["set"] == [1]


def test_a_picture_is_a_small_jpeg(live: Live, shop: Shop) -> None:
    response = live.client.get("/images/a3?side=32")
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "private, max-age=300"
    assert response.headers["x-content-type-options"] == "nosniff"
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.format == "JPEG"
        assert max(image.size) == 32
    assert live.client.get("/images/a3").status_code == 200


def test_pictures_that_cannot_be_had(live: Live, shop: Shop) -> None:
    live.shop.ingest(
        [{"sku": "c1", "photo": (shop.folder / "p1.png").read_bytes()}, {"sku": "t1", "title": "words"}]
    )
    assert body(live.client.get("/images/c1"), 404)["code"] == "no_picture"
    assert body(live.client.get("/images/t1"), 404)["code"] == "no_picture"
    assert body(live.client.get("/images/zz"), 404)["code"] == "no_picture"
    (shop.folder / "p2.png").unlink()
    problem = body(live.client.get("/images/a2"), 404)
    assert problem["code"] == "blob_not_found"
    assert str(shop.folder) not in problem["detail"]
    assert "p2.png" not in problem["detail"]
    (shop.folder / "p3.png").write_bytes((shop.folder / "p4.png").read_bytes())  # another picture by now
    assert body(live.client.get("/images/a3"), 404)["code"] == "no_picture"
    for side in ("0", "15", "1025", "x", "1e2", "-1"):
        assert body(live.client.get(f"/images/a1?side={side}"), 422)["code"] == "request_invalid"


def test_a_picture_outside_of_the_roots_is_forbidden(
    live: Live, shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from connector.blobs.files import Files
    from connector.errors import BlobForbidden

    def refuse(*args: object, **kwargs: object) -> None:
        raise BlobForbidden("'/secret/place.png' lies outside")

    monkeypatch.setattr(Files, "read", refuse)
    problem = body(live.client.get("/images/a1"), 403)
    assert "/secret" not in problem["detail"]


def test_a_key_that_reads_does_not_write(open_live: OpenLive) -> None:
    live = open_live(read_keys=(READ_KEY,), write_keys=(WRITE_KEY,))
    with new_client(live.url, headers={"X-API-Key": READ_KEY}) as reader:
        for path in ("/search?text=mug", "/records/a1", "/count", "/schema", "/facets", "/images/a1"):
            assert reader.get(path).status_code == 200
            assert ask(live.url + path).status_code == 401
        assert reader.post("/search", json={"text": "mug"}).status_code == 200
        assert body(reader.delete("/records/a1"), 403)["code"] == "key_reads_only"
        rows = {"content": b'{"sku": "n", "title": "x"}', "headers": {"content-type": "application/x-ndjson"}}
        assert reader.post("/ingest", **rows).status_code == 403  # type: ignore[arg-type]
        assert live.client.post("/ingest", **rows).status_code == 200  # type: ignore[arg-type]
    assert body(live.client.delete("/records/a1")) == {"removed": 1}


def test_other_methods_and_places(live: Live) -> None:
    assert live.client.put("/search", json={}).status_code == 405
    assert live.client.post("/count").status_code == 405
    assert live.client.delete("/search").status_code == 405
    assert live.client.get("/recordss/a1").status_code == 404
