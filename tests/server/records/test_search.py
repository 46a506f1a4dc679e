"""`/search`: what the library finds, over HTTP, in each of its three forms."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from connector import Blob, Connector, Field, Id, ImageSpace, ModelHandler, Schema, Text
from connector.hit import hit_object
from tests.conftest import Product, Shop
from tests.server.conftest import Live, OpenLive


class Tagged(Schema):
    """Another schema, with ids of another kind."""

    key: Id[uuid.UUID]
    cover: Blob[str | bytes | None]
    words: Text[str | None]
    pages: Field[int | None]


BOTH = ImageSpace(
    [Product.photo + Product.title, Tagged.cover + Tagged.words], model_handler=ModelHandler.STAND_IN
)
KEY = uuid.UUID("0b2c6f1e-8d5a-4c53-9f0e-2f6d1a7b9c11")


def found(live: Live, **fields: Any) -> list[dict[str, Any]]:
    response = live.client.post("/search", json=fields)
    assert response.status_code == 200, response.text
    hits: list[dict[str, Any]] = response.json()["hits"]
    return hits


def local(shop: Connector[Any], *args: Any, **fields: Any) -> list[dict[str, Any]]:
    return [hit_object(hit) for hit in shop.search(*args, **fields)]


def same(here: list[dict[str, Any]], there: list[dict[str, Any]]) -> bool:
    """Equal but for the last bits of a float."""
    return [
        hit | {"score": pytest.approx(hit["score"], abs=2e-6), "parts": pytest.approx(hit["parts"], abs=1e-6)}
        for hit in here
    ] == there


def refused(live: Live, status: int, code: str, **fields: Any) -> str:
    response = live.client.post("/search", json=fields)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    return str(body["detail"])


def test_words_find_what_the_library_finds(live: Live) -> None:
    hits = found(live, text="red mug", limit=3)
    assert same(local(live.shop, "red mug", limit=3), hits)
    assert list(hits[0]) == ["id", "score", "parts", "schema", "record"]
    assert hits[0]["record"]["title"] == "red mug 0"


def test_a_picture_in_each_of_its_forms_is_the_same_query(live: Live, shop: Shop) -> None:
    data = (shop.folder / "p4.png").read_bytes()
    text = base64.b64encode(data).decode()
    expected = local(live.shop, image=data, limit=4)
    for image in (text, f"data:image/png;base64,{text}", f"DATA:;base64,{text}"):
        assert same(expected, found(live, image=image, limit=4))
    form = live.client.post("/search", files={"image": ("x.png", data)}, data={"limit": "4"})
    assert same(expected, form.json()["hits"])
    assert set(form.json()["took"]) == {"decode_ms", "embed_ms", "search_ms"}


def test_words_and_picture_are_weighted(live: Live, shop: Shop) -> None:
    data = (shop.folder / "p4.png").read_bytes()
    for weights in ({"image": 0.7, "text": 0.3}, {"image": 1, "text": -0.5}, {"text": 1}):
        expected = local(live.shop, "red mug", image=data, weights=weights, limit=5)
        image = base64.b64encode(data).decode()
        assert same(expected, found(live, text="red mug", image=image, weights=weights, limit=5))
        fields = {"text": "red mug", "weights": json.dumps(weights), "limit": "5"}
        form = live.client.post("/search", data=fields, files={"image": data})
        assert same(expected, form.json()["hits"])


def test_like_and_unlike(live: Live) -> None:
    expected = local(live.shop, like="a1", unlike=["a2", "a3"], limit=5)
    assert same(expected, found(live, like="a1", unlike=["a2", "a3"], limit=5))
    address = live.client.get("/search?like=a1&unlike=a2&unlike=a3&limit=5")
    assert same(expected, address.json()["hits"])
    form = {"like": (None, "a1"), "unlike": (None, '["a2", "a3"]'), "limit": (None, "5")}
    assert same(expected, live.client.post("/search", files=form).json()["hits"])
    alone = live.client.get("/search", params={"unlike": "a2"})
    assert same(local(live.shop, unlike=["a2"]), alone.json()["hits"])
    assert set(alone.json()["took"]) == {"search_ms"}


def test_a_condition_in_either_form(live: Live) -> None:
    expected = local(live.shop, "mug", where=(Product.price < 6) & (Product.brand == "Acme"))
    assert 0 < len(expected) < 12
    text = "price < 6 and brand = 'Acme'"
    tests = [
        {"field": "price", "op": "<", "value": 6},
        {"field": "brand", "op": "==", "value": "Acme"},
    ]
    for where in (text, {"and": tests}, json.dumps({"and": tests})):
        assert same(expected, found(live, text="mug", where=where))
    address = live.client.get("/search", params={"text": "mug", "where": text})
    assert same(expected, address.json()["hits"])
    assert same(
        expected,
        live.client.post("/search", files={"text": (None, "mug"), "where": (None, text)}).json()["hits"],
    )
    assert found(live, text="mug", where="") == found(live, text="mug")


def test_pages_scores_and_single_vectors(live: Live) -> None:
    whole = found(live, text="red mug", limit=12)
    paged = [hit for offset in range(0, 12, 5) for hit in found(live, text="red mug", limit=5, offset=offset)]
    assert paged == whole
    bar = whole[4]["score"] - 1e-5
    assert found(live, text="red mug", limit=12, min_score=bar) == whole[:5]
    assert same(local(live.shop, "red mug", using="text"), found(live, text="red mug", using="text"))
    address = live.client.get(
        "/search?text=red+mug&using=image&limit=2&offset=1&weights=0.5,0.5&min_score=-1"
    )
    assert same(local(live.shop, "red mug", using="image", limit=2, offset=1), address.json()["hits"])


def test_ids_are_what_is_stored(open_live: OpenLive) -> None:
    live = open_live(space=BOTH, rows=0)
    rows = [{"sku": sku, "title": f"red mug {sku}"} for sku in (7, "8", 8)]
    live.shop.ingest(rows, schema=Product)
    live.shop.ingest([{"key": KEY, "words": "red mug of another kind", "pages": 3}], schema=Tagged)
    for like, left in ((7, ["8", 8]), ("7", ["8", 8]), ("8", [7, 8]), (8, [7, "8"])):
        ids = [hit["id"] for hit in found(live, like=like, schema="Product")]
        assert sorted(map(repr, ids)) == sorted(map(repr, left))
    assert [hit["id"] for hit in found(live, like=str(KEY))] != []
    (hit,) = found(live, text="mug", schema="Tagged")
    assert hit["id"] == str(KEY)
    assert hit["schema"] == "Tagged"


def test_several_schemas(open_live: OpenLive) -> None:
    live = open_live(space=BOTH, rows=0)
    live.shop.ingest([{"sku": "a", "title": "red mug", "price": 3.0}], schema=Product)
    live.shop.ingest([{"key": KEY, "words": "red mug", "pages": 3}], schema=Tagged)
    assert {hit["schema"] for hit in found(live, text="red mug")} == {"Product", "Tagged"}
    assert [hit["schema"] for hit in found(live, text="red mug", schema="Tagged", where="pages = 3")] == [
        "Tagged"
    ]
    told = refused(live, 422, "condition_invalid", text="x", where="pages = 3")
    assert told.startswith("where needs schema here")
    told = refused(live, 422, "data_invalid", text="x", schema="Nope")
    assert told == "There is no schema 'Nope' here. Use one of Product, Tagged, or leave it out."


def test_a_condition_that_does_not_fit_is_told_in_its_own_words(live: Live) -> None:
    from connector.errors import ConditionError
    from connector.schema.conditions import condition_from_json, parse_condition

    for where in ("prcie < 3", "price <", "brand < 'a'", "x" * 20_000):
        told = refused(live, 422, "condition_invalid", text="x", where=where)
        if len(where) < 10_000:
            with pytest.raises(ConditionError) as caught:
                parse_condition(where, Product)
            assert told == str(caught.value)
    bad = {"or": [{"field": "price", "op": "<", "value": "x"}]}
    with pytest.raises(ConditionError) as caught:
        condition_from_json(bad, Product)
    assert refused(live, 422, "condition_invalid", text="x", where=bad) == str(caught.value)


def test_what_cannot_be_asked(live: Live) -> None:
    assert (
        refused(live, 422, "data_invalid")
        == "There is nothing to search for. Send text, image, like or unlike."
    )
    assert "no such record" in refused(live, 422, "data_invalid", like="zz")
    assert "no such record" in refused(live, 422, "data_invalid", unlike=["zz"])
    assert "both stand for the picture" in refused(live, 422, "data_invalid", like="a1", image="aGVsbG8=" * 9)
    assert "unembeddable" in refused(live, 422, "not_embeddable", text="unembeddable")


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": "  "},
        {"text": "a\0b"},
        {"text": "x" * 10_001},
        {"text": 5},
        {"text": ["a"]},
        {"text": "a", "limit": 0},
        {"text": "a", "limit": 101},
        {"text": "a", "limit": "10"},
        {"text": "a", "limit": 1.5},
        {"text": "a", "limit": True},
        {"text": "a", "limit": 10**400},
        {"text": "a", "offset": -1},
        {"text": "a", "offset": 10_001},
        {"text": "a", "min_score": "0.5"},
        {"text": "a", "using": "none"},
        {"text": "a", "weights": {"image": "1"}},
        {"text": "a", "weights": {"picture": 1}},
        {"text": "a", "weights": [1, 2]},
        {"text": "a", "where": 5},
        {"text": "a", "schema": ""},
        {"text": "a", "colour": "red"},
        {"like": True},
        {"like": 1.5},
        {"like": 2**63},
        {"like": ""},
        {"like": "x" * 16_385},
        {"unlike": "a1"},
        {"unlike": [None]},
        {"unlike": ["a1"] * 101},
        {"image": 5},
        {"image": ""},
    ],
)
def test_a_field_that_does_not_fit_is_named(live: Live, fields: dict[str, Any]) -> None:
    response = live.client.post("/search", json=fields)
    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "request_invalid"
    assert problem["errors"][0]["loc"][:2] == ["body", list(fields)[-1]]


@pytest.mark.parametrize(
    "address",
    ["limit=x&text=a", "limit=0&text=a", "min_score=nan&text=a", "min_score=inf&text=a", "using=x&text=a", "text=%00", "text=+",
     "weights=1&text=a", "weights=nan,1&text=a", "weights=0,0&text=a", "where=price+%3C&text=a", "text=" + "x" * 10_001, "like=", ""],
)  # fmt: skip
def test_an_address_that_does_not_fit_is_refused(live: Live, address: str) -> None:
    response = live.client.get(f"/search?{address}")
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_no_collection_yet_is_a_503(open_live: OpenLive) -> None:
    live = open_live(rows=0)
    response = live.client.get("/search?text=mug")
    assert response.status_code == 503
    assert "There is no collection" in response.json()["detail"]
    assert response.headers["retry-after"]


def test_a_model_that_reads_no_words_says_so(open_live: OpenLive, monkeypatch: pytest.MonkeyPatch) -> None:
    live = open_live()
    monkeypatch.setattr(ModelHandler, "reads_text", property(lambda self: False))
    response = live.client.get("/search?text=mug")
    assert response.status_code == 422
    assert "embeds pictures only" in response.json()["detail"]


def test_what_is_measured_can_be_read(live: Live) -> None:
    found(live, text="red mug")
    shown = live.client.get("/metrics").text
    for line in (
        'connector_stage_seconds_count{stage="search"} 1.0',
        'connector_stage_seconds_count{stage="embed"} 1.0',
    ):
        assert line in shown
    assert "connector_batch_size_count" in shown
