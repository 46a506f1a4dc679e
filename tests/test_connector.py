"""Records in, hits out: what `Connector` promises, over both embedded stores."""

from __future__ import annotations

import datetime as dt
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector import (
    Blob,
    BlobPolicy,
    CollectionMismatch,
    ConditionError,
    Connector,
    DataError,
    Field,
    Id,
    ImageSpace,
    InvalidSpaceParamException,
    ModelHandler,
    Rejection,
    Report,
    Schema,
    SourceUnavailable,
    StoreUnavailable,
    Text,
)
from tests.conftest import SPACE, Opened, Product, Shop


def counts(report: Report) -> tuple[int, int, int, int]:
    assert report.balances
    return report.new, report.changed, report.unchanged, report.rejected


# --- ingest -----------------------------------------------------------------------------------------------------


def test_what_is_ingested_is_there_and_a_second_run_changes_nothing(opened: Opened, shop: Shop) -> None:
    connector = opened()
    rows = shop.rows(70)
    first = connector.ingest(rows, base=shop.folder)
    assert counts(first) == (70, 0, 0, 0)
    assert (first.embedded_images, first.embedded_texts) == (70, 70)
    assert connector.count() == 70
    assert connector.get("a3") == Product(**rows[3])

    again = connector.ingest(rows, base=shop.folder)
    assert counts(again) == (0, 0, 70, 0)
    assert (again.embedded_images, again.embedded_texts) == (0, 0)


def test_a_change_of_picture_words_or_value_is_a_change(opened: Opened, shop: Shop) -> None:
    connector = opened()
    connector.ingest(shop.rows(10), base=shop.folder)
    shop.picture("p1.png", 999)
    rows = shop.rows(10)
    rows[2]["title"] = "something else"
    rows[3]["price"] = 99.0
    rows[4]["brand"] = None
    assert counts(connector.ingest(rows, base=shop.folder)) == (0, 4, 6, 0)
    changed: Any = [connector.get(f"a{number}") for number in range(5)]
    assert (changed[2].title, changed[3].price, changed[4].brand) == ("something else", 99.0, None)
    assert counts(connector.ingest(rows, base=shop.folder)) == (0, 0, 10, 0)


def test_equal_pictures_and_equal_words_are_embedded_once(opened: Opened, shop: Shop) -> None:
    connector = opened()
    shop.rows(1)
    rows = [shop.row(number, photo="p0.png", title="the same words") for number in range(50)]
    report = connector.ingest(rows, base=shop.folder)
    assert counts(report) == (50, 0, 0, 0)
    assert (report.embedded_images, report.embedded_texts) == (1, 1)


@pytest.mark.parametrize("distance", [1, 5, 40, 300])
def test_the_last_row_of_an_id_wins_however_far_apart_they_are(
    opened: Opened, shop: Shop, distance: int
) -> None:
    connector = opened()
    rows = shop.rows(distance + 1)
    rows[distance] = shop.row(0, title="second version")
    report = connector.ingest(rows, base=shop.folder)
    assert counts(report) == (distance, 1, 0, 0)
    record: Any = connector.get("a0")
    assert record.title == "second version"


def test_rows_of_one_id_are_compared_with_one_another(opened: Opened, shop: Shop) -> None:
    connector = opened()
    shop.rows(1)
    rows = [
        shop.row(0),
        shop.row(0),
        shop.row(0, photo="gone.png"),
        shop.row(0),
        shop.row(0, title="new"),
        shop.row(0, title="new"),
        shop.row(0),
    ]
    assert counts(connector.ingest(rows, base=shop.folder)) == (1, 2, 3, 1)
    assert connector.get("a0") == Product(**rows[0])
    assert connector.count() == 1


BAD_ROWS: list[tuple[dict[str, Any], str | None, str | None, str]] = [
    ({"photo": "gone.png"}, "photo", "blob_not_found", "'gone.png' was not found"),
    ({"photo": "broken.jpg"}, "photo", "blob_unreadable", "broken.jpg"),
    ({"photo": "/etc/passwd"}, "photo", "blob_forbidden", "roots"),
    ({"photo": "http://127.0.0.1/x.jpg"}, "photo", "blob_forbidden", "127.0.0.1"),
    ({"photo": b"no picture"}, "photo", "blob_unreadable", "bytes"),
    ({"photo": "magenta.png"}, "photo", "not_embeddable", "magenta"),
    ({"title": "unembeddable"}, "title", "not_embeddable", "unembeddable"),
    ({"price": "cheap"}, "price", "record_invalid", "cheap"),
    ({"photo": None, "title": None}, None, "record_invalid", "neither a picture nor a description"),
    ({"sku": None}, "sku", "record_invalid", "sku"),
]


@pytest.mark.parametrize(("changes", "field", "code", "told"), BAD_ROWS, ids=[row[3] for row in BAD_ROWS])
@pytest.mark.parametrize("position", [0, 31, 39])
def test_one_bad_row_is_one_rejection_wherever_it_stands(
    opened: Opened,
    shop: Shop,
    changes: dict[str, Any],
    field: str | None,
    code: str,
    told: str,
    position: int,
) -> None:
    (shop.folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    Image.new("RGB", (48, 32), (255, 0, 255)).save(shop.folder / "magenta.png")
    rows = shop.rows(40)
    rows[position] |= changes
    seen: list[Rejection] = []
    connector = opened()
    report = connector.ingest(rows, base=shop.folder, on_rejection=seen.append)
    assert counts(report) == (39, 0, 0, 1)
    assert connector.count() == 39
    (rejection,) = seen
    assert (rejection.row, rejection.field, rejection.code) == (position, field, code)
    assert rejection.id == (None if "sku" in changes else f"a{position}")
    assert told in rejection.reason
    assert report.rejections == seen


def test_a_reason_names_record_field_and_cure(opened: Opened, shop: Shop) -> None:
    report = opened().ingest([shop.row(1, photo="shoe.jpg")], base=shop.folder)
    assert report.rejections[0].reason == (
        f"Product a1: photo 'shoe.jpg' was not found. Paths are relative to {shop.folder}; pass an absolute path or a URL."
    )


def test_rejections_come_in_the_order_of_the_rows(opened: Opened, shop: Shop) -> None:
    rows = shop.rows(100)
    for number in range(0, 100, 3):
        rows[number] |= BAD_ROWS[number % len(BAD_ROWS)][0]
    seen: list[Rejection] = []
    report = opened().ingest(rows, base=shop.folder, on_rejection=seen.append)
    assert report.balances
    assert [rejection.row for rejection in seen] == sorted(rejection.row for rejection in seen)
    assert report.rejected == len(seen) > 20


def test_a_rejected_new_version_leaves_the_stored_one(opened: Opened, shop: Shop) -> None:
    connector = opened()
    rows = shop.rows(3)
    connector.ingest(rows, base=shop.folder)
    partial = [{"sku": "a0", "price": 2.0}, shop.row(1, photo="gone.png")]
    assert counts(connector.ingest(partial, base=shop.folder)) == (0, 0, 0, 2)
    assert connector.get("a0") == Product(**rows[0])
    assert connector.search(like="a0", limit=5)[0].score > -1


def test_a_record_with_one_part_gets_that_part(opened: Opened, shop: Shop) -> None:
    connector = opened()
    shop.rows(2)
    connector.ingest([shop.row(0, title=None), shop.row(1, photo=None)], base=shop.folder)
    by_id = {hit.id: hit for hit in connector.search("green mug 1", with_vectors=True)}
    picture_only, words_only = by_id["a0"].vectors, by_id["a1"].vectors
    assert picture_only is not None
    assert words_only is not None
    assert set(picture_only) == {"fused", "image"}
    assert set(words_only) == {"fused", "text"}
    np.testing.assert_allclose(picture_only["fused"], picture_only["image"], atol=1e-6)
    np.testing.assert_allclose(words_only["fused"], words_only["text"], atol=1e-6)
    assert by_id["a1"].score == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.9, 0.1)])
def test_the_fused_vector_is_the_weighted_mean_of_unit_parts(
    opened: Opened, shop: Shop, weights: tuple[float, float]
) -> None:
    space = ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN, weights=weights)
    connector = opened(space)
    connector.ingest(shop.rows(3), base=shop.folder)
    for hit in connector.search("mug", with_vectors=True):
        assert hit.vectors is not None
        mean = weights[0] * hit.vectors["image"] + weights[1] * hit.vectors["text"]
        np.testing.assert_allclose(hit.vectors["fused"], mean / np.linalg.norm(mean), atol=1e-6)


def test_a_space_may_keep_the_fused_vector_alone(opened: Opened, shop: Shop) -> None:
    space = ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN, keep_parts=False)
    connector = opened(space)
    connector.ingest(shop.rows(3), base=shop.folder)
    (hit, *_) = connector.search("mug", with_vectors=True)
    assert hit.vectors is not None
    assert set(hit.vectors) == {"fused"}
    assert hit.parts.image is hit.parts.text is None
    with pytest.raises(DataError, match="This space stores fused"):
        connector.search("mug", using="image")


def test_pictures_may_come_as_content(opened: Opened, shop: Shop) -> None:
    shop.rows(1)
    data = (shop.folder / "p0.png").read_bytes()
    connector = opened()
    rows = [shop.row(0, photo=data), shop.row(1, photo="p0.png")]
    assert counts(connector.ingest(rows, base=shop.folder)) == (2, 0, 0, 0)
    assert counts(connector.ingest(rows, base=shop.folder)) == (0, 0, 2, 0)
    (first, second) = connector.search(image=data)
    assert first.parts.image == pytest.approx(second.parts.image)


def test_records_are_rows_too_and_others_are_rejected(opened: Opened, shop: Shop) -> None:
    class Other(Schema):
        id: Id
        image: Blob

    rows: list[Any] = [Product(**row) for row in shop.rows(2)]
    report = opened().ingest([*rows, Other(id="x", image="p0.png")], base=shop.folder)
    assert counts(report) == (2, 0, 0, 1)
    assert "A record is a Other, but this space holds Product" in report.rejections[0].reason


def test_unknown_columns_are_left_out_and_told_once(
    opened: Opened, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    opened().ingest([row | {"colour": "red"} for row in shop.rows(5)], base=shop.folder)
    assert [record.getMessage() for record in caplog.records] == [
        "Column 'colour' is no field of Product and is left out."
    ]


def test_of_a_source_that_breaks_off_everything_before_is_stored(opened: Opened, shop: Shop) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from shop.rows(50)
        raise SourceUnavailable("the feed broke off")

    connector = opened()
    with pytest.raises(SourceUnavailable, match="broke off"):
        connector.ingest(rows(), base=shop.folder)
    assert connector.count() == 50
    assert counts(connector.ingest(shop.rows(60), base=shop.folder)) == (10, 0, 50, 0)


def test_an_interrupted_run_balances_and_the_next_one_finishes_it(opened: Opened, shop: Shop) -> None:
    rows = shop.rows(200)
    connector = opened()
    reports: list[Report] = []

    def interrupt(report: Report, fraction: float | None) -> None:
        reports.append(report)
        if report.read >= 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        connector.ingest(rows, base=shop.folder, on_progress=interrupt)
    assert reports[-1].balances
    done = connector.count()
    assert done == reports[-1].new >= 64
    assert counts(connector.ingest(rows, base=shop.folder)) == (200 - done, 0, done, 0)
    assert connector.count() == 200
    assert not [thread for thread in threading.enumerate() if thread.name == "connector-stage"]


def test_rows_are_streamed_not_gathered(opened: Opened, shop: Shop) -> None:
    shop.rows(1)
    read = 0
    furthest = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal read
        for number in range(6000):
            read = number
            yield shop.row(number, photo="p0.png")

    def watch(report: Report, fraction: float | None) -> None:
        nonlocal furthest
        furthest = max(furthest, read - report.read)

    opened().ingest(rows(), base=shop.folder, on_progress=watch)
    assert 0 < furthest < 4000


def test_an_empty_source_makes_an_empty_collection(opened: Opened) -> None:
    connector = opened()
    assert counts(connector.ingest([])) == (0, 0, 0, 0)
    assert connector.count() == 0
    assert connector.search("anything") == []


def test_when_a_point_was_written_comes_from_the_clock(shop: Shop) -> None:
    moment = dt.datetime(2031, 5, 4, 3, 2, 1, tzinfo=dt.UTC)
    with Connector(SPACE, clock=lambda: moment) as connector:
        connector.ingest(shop.rows(1), base=shop.folder)
        (point,) = connector._collection.store.scan()
    assert point.payload["_at"] == "2031-05-04T03:02:01.000000Z"


# --- search -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stocked(opened: Opened, shop: Shop) -> Connector[Any]:
    connector = opened()
    connector.ingest(shop.rows(40), base=shop.folder)
    return connector


def test_search_by_words_by_picture_and_by_both(stocked: Connector[Any], shop: Shop) -> None:
    assert stocked.search("blue hat 10", limit=1)[0].id == "a10"
    picture = (shop.folder / "p7.png").read_bytes()
    assert stocked.search(image=picture, limit=1)[0].id == "a7"
    assert stocked.search(image=Image.open(shop.folder / "p7.png"), limit=1)[0].id == "a7"
    both = stocked.search("blue hat 10", image=picture, limit=2)
    assert {hit.id for hit in both} == {"a7", "a10"}
    assert stocked.search("blue hat 10", image=picture, weights=(0.9, 0.1), limit=1)[0].id == "a7"
    assert (
        stocked.search("blue hat 10", image=picture, weights={"image": 0.1, "text": 0.9}, limit=1)[0].id
        == "a10"
    )


def test_a_negative_weight_turns_away_from_words(stocked: Connector[Any], shop: Shop) -> None:
    picture = (shop.folder / "p10.png").read_bytes()
    plain = {hit.id: hit.score for hit in stocked.search(image=picture, limit=40)}
    without = {hit.id: hit.score for hit in stocked.search("blue", image=picture, weights=(1, -1), limit=40)}
    blue = [f"a{number}" for number in range(40) if number % 8 == 2 and number != 10]
    assert all(without[id] < plain[id] for id in blue)


def test_hits_carry_the_record_the_score_and_the_scores_of_the_parts(stocked: Connector[Any]) -> None:
    (hit,) = stocked.search("blue hat 10", limit=1, with_vectors=True)
    assert isinstance(hit.record, Product)
    assert hit.record.title == "blue hat 10"
    assert hit.parts.text == pytest.approx(1.0, abs=1e-5)
    assert hit.vectors is not None
    assert hit.parts.image == pytest.approx(float(hit.vectors["image"] @ hit.vectors["text"]), abs=1e-5)
    assert stocked.search("blue hat 10", limit=1)[0].vectors is None


def test_where_limits_what_is_found(stocked: Connector[Any]) -> None:
    cheap = stocked.search("mug", where=(Product.price < 10) & (Product.brand == "Acme"), limit=40)
    assert {hit.id for hit in cheap} == {"a0", "a2", "a4", "a6", "a8"}
    tagged = stocked.search("mug", where=Product.tags.contains("even") & ~(Product.price >= 4), limit=40)
    assert {hit.id for hit in tagged} == {"a0", "a2"}


def test_like_starts_from_a_record_and_leaves_it_out(stocked: Connector[Any]) -> None:
    hits = stocked.search(like="a10", limit=39)
    assert len(hits) == 39
    assert "a10" not in {hit.id for hit in hits}
    assert stocked.search("red", like="a10", weights=(1.0, 0.2), limit=1)[0].id != "a10"


def test_pages_fit_together(stocked: Connector[Any]) -> None:
    whole = [hit.id for hit in stocked.search("mug", limit=40)]
    pages = [hit.id for offset in range(0, 40, 7) for hit in stocked.search("mug", limit=7, offset=offset)]
    assert pages == whole
    like = [hit.id for hit in stocked.search(like="a3", limit=40)]
    assert [
        hit.id for offset in range(0, 40, 7) for hit in stocked.search(like="a3", limit=7, offset=offset)
    ] == like


def test_min_score_leaves_out_what_scores_less_and_zero_counts(stocked: Connector[Any]) -> None:
    scores = [hit.score for hit in stocked.search("mug", limit=40)]
    kept = [hit.score for hit in stocked.search("mug", limit=40, min_score=0.0)]
    assert kept == pytest.approx([score for score in scores if score >= 0], abs=1e-5)
    assert 0 < len(kept) < 40
    assert len(stocked.search("mug", limit=40, min_score=-1.0)) == 40


def test_using_compares_with_one_part_alone(stocked: Connector[Any], shop: Shop) -> None:
    (hit,) = stocked.search("blue hat 10", using="text", limit=1)
    assert hit.score == pytest.approx(1.0, abs=1e-5)
    (hit,) = stocked.search(image=(shop.folder / "p9.png").read_bytes(), using="image", limit=1)
    assert (hit.id, round(hit.score, 4)) == ("a9", 1.0)


NO_SEARCH: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing to search for"),
    ({"text": " "}, "blank"),
    ({"text": 5}, "are a int"),
    ({"image": "x.png", "like": "a1"}, "Pass one of them"),
    ({"text": "mug", "limit": 0}, "limit starts at 1"),
    ({"text": "mug", "offset": -1}, "offset at 0"),
    ({"text": "mug", "using": "fuzed"}, "This space stores fused, image, text"),
    ({"text": "mug", "weights": (0.0, 0.0)}, "both 0"),
    ({"text": "mug", "weights": (1.0, 0.0)}, "cancel"),
    ({"text": "mug", "where": True}, "Give a condition"),
    ({"like": "nobody"}, "no such record"),
    ({"text": "unembeddable"}, "unembeddable"),
    ({"image": b"no picture"}, "bytes"),
]


@pytest.mark.parametrize(("query", "told"), NO_SEARCH, ids=[told for _, told in NO_SEARCH])
def test_a_search_that_cannot_work_says_what_to_change(
    stocked: Connector[Any], query: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        stocked.search(**query)


def test_a_model_without_words_cannot_be_asked_in_words() -> None:
    with (
        Connector(ImageSpace(Product.photo, "facebook/dinov2-small", ModelHandler.DINOV2)) as connector,
        pytest.raises(DataError, match=r"cannot read words. Search with image="),
    ):
        connector.search("mug")


def test_searching_from_several_threads_gives_each_its_own_answer(stocked: Connector[Any]) -> None:
    rows = {f"a{number}": stocked.get(f"a{number}") for number in range(40)}
    wrong: list[str] = []

    def look(ids: list[str]) -> None:
        for id in ids:
            record: Any = rows[id]
            if stocked.search(record.title, limit=1)[0].id != id:
                wrong.append(id)

    threads = [threading.Thread(target=look, args=(list(rows),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- get, remove, count, thumbnails -----------------------------------------------------------------------------


def test_remove_forgets_and_counts_only_what_was_there(stocked: Connector[Any]) -> None:
    assert stocked.remove("a1", "a2", "a1", "nobody") == 2
    assert stocked.get("a1") is None
    assert stocked.count() == 38
    assert stocked.remove() == 0


def test_count_of_a_condition(stocked: Connector[Any]) -> None:
    assert stocked.count(Product.brand == "Acme") == 20
    assert stocked.count(Product.title.matches("HAT blue")) == len(
        [n for n in range(40) if n % 8 == 2 and n // 8 % 4 == 1]
    )


def test_before_anything_was_ingested_there_is_nothing(opened: Opened) -> None:
    connector = opened()
    assert connector.count() == 0
    assert connector.get("a1") is None
    assert connector.remove("a1") == 0
    with pytest.raises(StoreUnavailable, match=r"There is no collection 'product' in .*Ingest into it first"):
        connector.search("mug")


def test_a_thumbnail_is_the_picture_that_was_ingested_and_no_other(opened: Opened, shop: Shop) -> None:
    connector = opened()
    rows = [*shop.rows(2), shop.row(2, photo=(shop.folder / "p0.png").read_bytes()), shop.row(3, photo=None)]
    connector.ingest(rows, base=shop.folder)
    data = connector.thumbnail("a0", side=24)
    assert data is not None
    assert Image.open(io.BytesIO(data)).size == (24, 16)
    assert connector.thumbnail("a2") is None
    assert connector.thumbnail("a3") is None
    assert connector.thumbnail("nobody") is None
    shop.picture("p1.png", 4321)
    assert connector.thumbnail("a1") is None


# --- several schemas --------------------------------------------------------------------------------------------


class Article(Schema):
    slug: Id
    cover: Blob
    headline: Text


BOTH = ImageSpace(
    [Product.photo + Product.title, Article.cover + Article.headline], model_handler=ModelHandler.STAND_IN
)


def test_records_of_several_schemas_come_back_as_their_own_class(opened: Opened, shop: Shop) -> None:
    connector = opened(BOTH)
    assert connector.collection == "product_article"
    articles = [
        Article(slug=f"a{number}", cover=f"p{number}.png", headline=f"article {number}")
        for number in range(5)
    ]
    assert counts(connector.ingest(shop.rows(5), schema=Product, base=shop.folder)) == (5, 0, 0, 0)
    assert counts(connector.ingest(articles, base=shop.folder)) == (5, 0, 0, 0)
    assert connector.count() == 10
    assert {type(hit.record) for hit in connector.search("article 3", limit=10)} == {Product, Article}
    assert {type(hit.record) for hit in connector.search("mug", schema=Article)} == {Article}
    assert {type(hit.record) for hit in connector.search("article", where=Product.price >= 0)} == {Product}
    assert connector.count(schema=Article) == 5
    assert isinstance(connector.get("a1", Article), Article)
    assert isinstance(connector.get("a1"), Product)
    assert connector.remove("a1", schema=Article) == 1
    assert connector.count(schema=Product) == 5


def test_rows_without_a_class_need_to_be_told_their_schema(opened: Opened, shop: Shop) -> None:
    report = opened(BOTH).ingest(shop.rows(2), base=shop.folder)
    assert report.rejected == 2
    assert "Pass schema=" in report.rejections[0].reason


def test_conditions_and_schemas_outside_the_space_are_refused(opened: Opened) -> None:
    class Other(Schema):
        id: Id
        image: Blob
        size: Field[int]

    connector = opened(BOTH)
    with pytest.raises(InvalidSpaceParamException, match="Other is not in this space"):
        connector.search("x", schema=Other)
    with pytest.raises(InvalidSpaceParamException, match="Other is not in this space"):
        connector.count(Other.size > 3)
    with pytest.raises(ConditionError, match="Make them agree"):
        connector.search("x", where=Product.price > 3, schema=Article)


# --- what made a collection -------------------------------------------------------------------------------------


def reopened(connector: Connector[Any], space: ImageSpace[Any], tmp_path: Path) -> Connector[Any]:
    connector.close()
    return Connector(space, tmp_path / "store.qdrant", connector.collection)


@pytest.fixture
def folder_stocked(tmp_path: Path, shop: Shop) -> Connector[Any]:
    connector = Connector(SPACE, tmp_path / "store.qdrant")
    connector.ingest(shop.rows(3), base=shop.folder)
    return connector


def test_a_folder_keeps_everything(folder_stocked: Connector[Any], tmp_path: Path, shop: Shop) -> None:
    with reopened(folder_stocked, SPACE, tmp_path) as connector:
        assert connector.count() == 3
        assert connector.search("green mug 1", limit=1)[0].id == "a1"
        assert counts(connector.ingest(shop.rows(3), base=shop.folder)) == (0, 0, 3, 0)


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (
            ImageSpace(
                Product.photo + Product.title, model_handler=ModelHandler.STAND_IN, weights=(0.9, 0.1)
            ),
            r"weights is \[0.9, 0.1\], was \[0.5, 0.5\]",
        ),
        (
            ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN, keep_parts=False),
            "keep_parts is False, was True",
        ),
        (
            ImageSpace(Product.photo, model_handler=ModelHandler.STAND_IN),
            r"Product embeds photo, was photo \+ title",
        ),
    ],
)
def test_another_fusion_is_refused_with_the_difference(
    folder_stocked: Connector[Any], tmp_path: Path, shop: Shop, space: ImageSpace[Any], told: str
) -> None:
    with reopened(folder_stocked, space, tmp_path) as connector:
        with pytest.raises(CollectionMismatch, match=told):
            connector.ingest(shop.rows(4), base=shop.folder)
        with pytest.raises(CollectionMismatch, match=told):
            connector.search(like="a1")
        assert connector.count() == 3


def test_another_model_is_refused_before_anything_is_written(
    folder_stocked: Connector[Any], tmp_path: Path, shop: Shop
) -> None:
    space = SPACE.with_model("demo", ModelHandler.SENTENCE_TRANSFORMERS)
    with reopened(folder_stocked, space, tmp_path) as connector:
        with pytest.raises(CollectionMismatch, match=r"handler is 'sentence_transformers', was 'stand_in'"):
            connector.ingest(shop.rows(4), base=shop.folder)
        assert connector.count() == 3


def test_another_name_for_the_same_model_is_the_same_model(
    folder_stocked: Connector[Any], tmp_path: Path, shop: Shop
) -> None:
    with reopened(folder_stocked, SPACE.with_model("another-name"), tmp_path) as connector:
        assert counts(connector.ingest(shop.rows(3), base=shop.folder)) == (0, 0, 3, 0)


def test_a_field_of_another_type_is_refused_and_a_new_field_is_not(
    folder_stocked: Connector[Any], tmp_path: Path, shop: Shop
) -> None:
    def with_words_for_price() -> Any:
        class Product(Schema):
            sku: Id
            photo: Blob
            title: Text[str | None]
            price: Field[str | None]

        return Product

    def with_stock() -> Any:
        class Product(Schema):
            sku: Id
            photo: Blob
            title: Text[str | None]
            price: Field[float | None]
            stock: Field[int | None]

        return Product

    def space_of(schema: Any) -> ImageSpace[Any]:
        return ImageSpace(schema.photo + schema.title, model_handler=ModelHandler.STAND_IN)

    told = r"Product.price is Field\[str\], was Field\[float\]"
    with reopened(folder_stocked, space_of(with_words_for_price()), tmp_path) as connector:
        with pytest.raises(CollectionMismatch, match=told):
            connector.ingest([])
    wider = with_stock()
    with reopened(connector, space_of(wider), tmp_path) as connector:
        row = {"sku": "a9", "photo": "p0.png", "title": "new", "price": 1.0, "stock": 7}
        assert counts(connector.ingest([row], base=shop.folder)) == (1, 0, 0, 0)
        assert connector.count(wider.stock == 7) == 1
        assert connector.get("a1") is not None


def test_a_policy_decides_what_may_be_fetched(shop: Shop, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    Image.new("RGB", (8, 8)).save(outside / "x.png")
    row = shop.row(1, photo=str(outside / "x.png"))
    with Connector(SPACE) as connector:
        assert connector.ingest([row], base=shop.folder).codes == {"blob_forbidden": 1}
    with Connector(SPACE, blob_policy=BlobPolicy(roots=(outside,))) as connector:
        assert connector.ingest([row], base=shop.folder).new == 1
