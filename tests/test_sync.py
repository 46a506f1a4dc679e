"""A sync makes the collection equal to the source, does no more than it must, and deletes with care."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector import (
    Blob,
    Connector,
    DataError,
    DeletionRefused,
    Id,
    ImageSpace,
    ModelHandler,
    Rejection,
    Report,
    Schema,
    SourceUnavailable,
    Text,
    TooManyRejections,
)
from connector.demo.catalogue import write_catalogue
from connector.store.points import point_id
from connector.sync import SyncOptions
from tests.conftest import SPACE, Opened, Product, Shop


def counts(report: Report) -> tuple[int, int, int, int, int]:
    assert report.balances
    return report.new, report.changed, report.unchanged, report.rejected, report.deleted


def work(report: Report) -> dict[str, int]:
    """What a run did, without what it did not do."""
    names = ("fetched", "embedded_images", "embedded_texts", "reused_images", "reused_texts", "written")
    return {name: number for name in names if (number := getattr(report, name))}


@pytest.fixture
def synced(opened: Opened, shop: Shop) -> Connector[Any]:
    connector = opened()
    assert counts(connector.sync(shop.rows(40), base=shop.folder)) == (40, 0, 0, 0, 0)
    return connector


def test_an_unchanged_source_costs_nothing(synced: Connector[Any], shop: Shop) -> None:
    again = synced.sync(shop.rows(40), base=shop.folder)
    assert counts(again) == (0, 0, 40, 0, 0)
    assert work(again) == {}


def test_values_alone_are_rewritten_without_embedding_or_reading(synced: Connector[Any], shop: Shop) -> None:
    before = vectors_of(synced)
    rows = shop.rows(40)
    rows[3]["price"], rows[4]["brand"], rows[5]["tags"] = 99.0, None, ["new"]
    report = synced.sync(rows, base=shop.folder)
    assert counts(report) == (0, 3, 37, 0, 0)
    assert work(report) == {"written": 3}
    assert [synced.get(f"a{number}") for number in (3, 4, 5)] == [
        Product(**rows[number]) for number in (3, 4, 5)
    ]
    assert_same_vectors(vectors_of(synced), before)
    assert counts(synced.sync(rows, base=shop.folder)) == (0, 0, 40, 0, 0)


def test_new_words_reuse_the_pictures_vector(synced: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(40)
    rows[3]["title"] = "something new"
    report = synced.sync(rows, base=shop.folder)
    assert counts(report) == (0, 1, 39, 0, 0)
    assert work(report) == {"embedded_texts": 1, "reused_images": 1, "written": 1}
    assert_same_vectors(vectors_of(synced), fresh_vectors(rows, shop))


def test_a_new_picture_reuses_the_words_vector(synced: Connector[Any], shop: Shop) -> None:
    shop.picture("p3.png", 999)
    report = synced.sync(shop.rows(40), base=shop.folder)
    assert counts(report) == (0, 1, 39, 0, 0)
    assert work(report) == {"fetched": 1, "embedded_images": 1, "reused_texts": 1, "written": 1}
    assert_same_vectors(vectors_of(synced), fresh_vectors(shop.rows(40), shop))


def test_a_part_that_goes_or_comes_is_a_change(synced: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(40)
    rows[3]["title"], rows[4]["photo"] = None, None
    report = synced.sync(rows, base=shop.folder)
    assert counts(report) == (0, 2, 38, 0, 0)
    assert work(report) == {"reused_images": 1, "reused_texts": 1, "written": 2}
    assert_same_vectors(vectors_of(synced), fresh_vectors(rows, shop))
    back = synced.sync(shop.rows(40), base=shop.folder)
    # The picture and the words that came back are still in the engine's cache, so the model need not see them again.
    assert work(back) == {"fetched": 1, "reused_images": 1, "reused_texts": 1, "written": 2}
    assert_same_vectors(vectors_of(synced), fresh_vectors(shop.rows(40), shop))


@pytest.mark.parametrize("options", [{"keep_parts": False}, {"parts": "raw"}])
def test_where_parts_cannot_be_used_again_both_are_embedded(opened: Opened, shop: Shop, options: Any) -> None:
    space = ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN, **options)
    connector = opened(space)
    connector.sync(shop.rows(3), base=shop.folder)
    rows = shop.rows(3)
    rows[1]["title"] = "something new"
    report = connector.sync(rows, base=shop.folder)
    assert counts(report) == (0, 1, 2, 0, 0)
    assert (report.reused_images, report.embedded_texts, report.written) == (0, 1, 1)
    assert connector.search("something new", limit=1)[0].id == "a1"


def test_a_touched_file_is_read_once_and_not_again(synced: Connector[Any], shop: Shop) -> None:
    os.utime(shop.folder / "p3.png", ns=(1, 1))
    report = synced.sync(shop.rows(40), base=shop.folder)
    assert counts(report) == (0, 0, 40, 0, 0)
    assert work(report) == {"fetched": 1, "written": 1}
    assert work(synced.sync(shop.rows(40), base=shop.folder)) == {}


def test_verify_bytes_sees_what_size_and_time_hide(synced: Connector[Any], shop: Shop) -> None:
    path = shop.folder / "p3.png"
    Image.new("RGB", (48, 32), (1, 2, 3)).save(path, "BMP")  # of one size whatever it shows
    synced.sync(shop.rows(40), base=shop.folder)
    before = path.stat()
    Image.new("RGB", (48, 32), (3, 2, 1)).save(path, "BMP")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert counts(synced.sync(shop.rows(40), base=shop.folder)) == (0, 0, 40, 0, 0)
    report = synced.sync(shop.rows(40), base=shop.folder, verify_bytes=True)
    assert counts(report) == (0, 1, 39, 0, 0)
    assert report.fetched == 40


def test_the_same_rows_from_another_folder_are_read_and_found_unchanged(
    synced: Connector[Any], shop: Shop, tmp_path: Path
) -> None:
    moved = shop.folder.rename(tmp_path / "moved")
    report = synced.sync(Shop(moved).rows(40), base=moved)
    assert counts(report) == (0, 0, 40, 0, 0)
    assert work(report) == {"fetched": 40}


def test_an_id_that_comes_twice_is_a_rejection_that_names_both_rows(opened: Opened, shop: Shop) -> None:
    rows = [*shop.rows(700), shop.row(5, title="again")]
    shop.rows(1)
    connector = opened()
    report = connector.sync(rows, base=shop.folder)
    assert counts(report) == (700, 0, 0, 1, 0)
    assert report.rejections[0].row == 700
    assert "rows 5 and 700 have the same id" in report.rejections[0].reason
    assert connector.get("a5") == Product(**rows[5])


# --- deleting ---------------------------------------------------------------------------------------------------


def test_nothing_is_deleted_unasked(synced: Connector[Any], shop: Shop) -> None:
    assert counts(synced.sync(shop.rows(40)[:30], base=shop.folder)) == (0, 0, 30, 0, 0)
    assert synced.count() == 40


def test_what_the_source_no_longer_has_is_deleted(synced: Connector[Any], shop: Shop) -> None:
    assert counts(synced.sync(shop.rows(40)[:35], base=shop.folder, delete_missing=True)) == (0, 0, 35, 0, 5)
    assert synced.count() == 35
    assert synced.get("a37") is None
    assert "a37" not in {hit.id for hit in synced.search("mug", limit=100)}
    again = synced.sync(shop.rows(40)[:35], base=shop.folder, delete_missing=True)
    assert counts(again) == (0, 0, 35, 0, 0)
    assert work(again) == {}


def test_a_deleted_record_may_come_back(synced: Connector[Any], shop: Shop) -> None:
    synced.sync(shop.rows(40)[:35], base=shop.folder, delete_missing=True)
    assert counts(synced.sync(shop.rows(40), base=shop.folder, delete_missing=True)) == (5, 0, 35, 0, 0)
    assert synced.count() == 40
    assert_same_vectors(vectors_of(synced), fresh_vectors(shop.rows(40), shop))


def test_too_much_is_not_deleted_and_the_rest_is_done(synced: Connector[Any], shop: Shop) -> None:
    rows = [*shop.rows(20), shop.row(100, photo="p1.png")]
    with pytest.raises(DeletionRefused, match=r"20 of 41 records .* more than 20%.*--max-delete 49%"):
        synced.sync(rows, base=shop.folder, delete_missing=True)
    assert synced.count() == 41
    assert counts(synced.sync(rows, base=shop.folder, delete_missing=True, max_delete=0.49)) == (
        0,
        0,
        21,
        0,
        20,
    )


def test_an_empty_source_deletes_nothing_unless_insisted(synced: Connector[Any], shop: Shop) -> None:
    with pytest.raises(DeletionRefused, match="no rows, and all 40 records"):
        synced.sync([], base=shop.folder, delete_missing=True, schema=Product)
    assert synced.count() == 40
    assert counts(synced.sync([], base=shop.folder, delete_missing=True, max_delete=1)) == (0, 0, 0, 0, 40)
    assert synced.count() == 0


def test_a_source_that_breaks_off_deletes_nothing(synced: Connector[Any], shop: Shop) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from shop.rows(39)
        raise SourceUnavailable("the feed broke off")

    with pytest.raises(SourceUnavailable):
        synced.sync(rows(), base=shop.folder, delete_missing=True)
    assert synced.count() == 40


def test_a_rejected_row_keeps_its_record(synced: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(40)
    rows[3]["price"] = "cheap"
    rows[4]["photo"] = "gone.png"
    rows[5] = {"sku": "a5"}
    assert counts(synced.sync(rows, base=shop.folder, delete_missing=True)) == (0, 0, 37, 3, 0)
    assert synced.count() == 40


def test_a_row_without_an_id_could_be_any_record_so_nothing_is_deleted(
    synced: Connector[Any], shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    rows: list[dict[str, Any]] = [*shop.rows(39), {"photo": "p0.png"}]
    assert counts(synced.sync(rows, base=shop.folder, delete_missing=True)) == (0, 0, 39, 1, 0)
    assert synced.count() == 40
    assert "Nothing was deleted" in caplog.text


def test_only_the_schemas_own_records_are_deleted(opened: Opened, shop: Shop) -> None:
    class Article(Schema):
        slug: Id
        cover: Blob
        headline: Text

    both: ImageSpace[Product | Article] = ImageSpace(
        [Product.photo + Product.title, Article.cover + Article.headline], model_handler=ModelHandler.STAND_IN
    )
    connector = opened(both)
    articles = [Article(slug=f"s{n}", cover=f"p{n}.png", headline="x") for n in range(5)]
    connector.sync(shop.rows(10), schema=Product, base=shop.folder)
    connector.sync(articles, base=shop.folder, delete_missing=True)
    assert connector.count() == 15
    assert (
        connector.sync(shop.rows(10)[:9], schema=Product, base=shop.folder, delete_missing=True).deleted == 1
    )
    assert connector.sync(articles[:4], base=shop.folder, delete_missing=True).deleted == 1
    assert (connector.count(schema=Product), connector.count(schema=Article)) == (9, 4)


# --- dry runs, limits, replays, stops ---------------------------------------------------------------------------


def test_a_dry_run_tells_what_would_happen_and_does_nothing(synced: Connector[Any], shop: Shop) -> None:
    rows = [*shop.rows(42)[:3], *shop.rows(42)[6:]]
    rows[1]["title"] = "changed"
    before = vectors_of(synced)
    report = synced.sync(rows, base=shop.folder, delete_missing=True, dry_run=True)
    assert counts(report) == (2, 1, 36, 0, 3)
    assert {name: n for name, n in work(report).items() if name != "fetched"} == {}
    assert_same_vectors(vectors_of(synced), before)
    assert counts(synced.sync(rows, base=shop.folder, delete_missing=True)) == (2, 1, 36, 0, 3)


def test_a_dry_run_before_anything_is_there_makes_nothing(opened: Opened, shop: Shop) -> None:
    connector = opened()
    assert counts(connector.sync(shop.rows(5), base=shop.folder, dry_run=True)) == (5, 0, 0, 0, 0)
    assert connector.count() == 0


def test_a_limit_takes_the_first_rows_and_deletes_nothing(synced: Connector[Any], shop: Shop) -> None:
    assert counts(synced.sync(shop.rows(40), base=shop.folder, limit=7, delete_missing=True)) == (
        0,
        0,
        7,
        0,
        0,
    )
    assert synced.count() == 40


def test_only_the_rejected_rows_are_tried_again(opened: Opened, shop: Shop, tmp_path: Path) -> None:
    rows = shop.rows(20)
    rows[3]["photo"], rows[7]["photo"] = "late3.png", "late7.png"
    connector = opened()
    rejects = tmp_path / "rejects.jsonl"
    seen: list[Rejection] = []
    assert counts(connector.sync(rows, base=shop.folder, on_rejection=seen.append)) == (18, 0, 0, 2, 0)
    rejects.write_text("".join(rejection.to_json() + "\n" for rejection in seen), encoding="utf-8")
    shop.picture("late3.png", 3000)
    report = connector.sync(rows, base=shop.folder, only_rejected=rejects, delete_missing=True)
    assert counts(report) == (1, 0, 0, 1, 0)
    assert report.rejections[0].row == 7
    assert connector.count() == 19


def test_a_run_that_goes_wrong_is_stopped_and_keeps_what_was_done(opened: Opened, shop: Shop) -> None:
    rows = [
        shop.row(number, photo="gone.png") if number % 2 else row for number, row in enumerate(shop.rows(400))
    ]
    connector = opened()
    with pytest.raises(TooManyRejections, match="more than max_rejects allows"):
        connector.sync(rows, base=shop.folder, max_rejects=10)
    stored = connector.count()
    assert 0 < stored < 200
    with pytest.raises(TooManyRejections):
        connector.sync(rows, base=shop.folder, max_rejects=0.4)
    assert counts(connector.sync(rows, base=shop.folder, max_rejects=0.6))[3] == 200


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_delete": 1.5}, "share from 0 to 1"),
        ({"limit": 0}, "number of rows"),
        ({"max_rejects": -1}, "max_rejects"),
    ],
)
def test_options_that_cannot_work_are_refused(options: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        SyncOptions(**options)


def test_a_rejects_file_that_is_none_is_refused(synced: Connector[Any], shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="could not be read"):
        synced.sync(shop.rows(1), base=shop.folder, only_rejected=tmp_path / "no.jsonl")
    (tmp_path / "x.jsonl").write_text("[1]\n", encoding="utf-8")
    with pytest.raises(DataError, match="is no rejects file"):
        synced.sync(shop.rows(1), base=shop.folder, only_rejected=tmp_path / "x.jsonl")


# --- time -------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    now = [dt.datetime(2030, 1, 1, tzinfo=dt.UTC)]
    with Connector(SPACE, tmp_path / "store.qdrant", clock=lambda: now[0]) as connector:
        connector.sync(shop.rows(10), base=shop.folder)
        now[0] = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        rows = shop.rows(10)
        rows[2]["title"] = "written in the past"
        assert counts(connector.sync(rows[:9], base=shop.folder, delete_missing=True)) == (0, 1, 8, 0, 1)
        record: Any = connector.get("a2")
        assert record.title == "written in the past"
        now[0] = dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
        assert counts(connector.sync(shop.rows(10), base=shop.folder)) == (1, 1, 8, 0, 0)


def test_a_file_that_vanishes_after_it_was_listed_is_a_rejection(shop: Shop) -> None:
    rows = shop.rows(5)

    def vanishing() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows):
            if number == 2:
                (shop.folder / "p2.png").unlink()
            yield row

    with Connector(SPACE) as connector:
        assert counts(connector.sync(vanishing(), base=shop.folder)) == (4, 0, 0, 1, 0)


def test_a_slow_disk_is_asked_by_many_threads_and_says_the_same(
    synced: Connector[Any], shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.stages.compare.SLOW_CHECK", 0.0)  # any disk is slow now
    monkeypatch.setattr("connector.stages.parse.COMPARED_AT_ONCE", 8)
    rows = shop.rows(40)
    rows[3]["title"] = "another"
    again = synced.sync(rows, base=shop.folder)
    assert counts(again) == (0, 1, 39, 0, 0)
    assert work(again) == {"embedded_texts": 1, "reused_images": 1, "written": 1}


def test_rows_of_a_slow_source_are_stored_as_they_come(
    opened: Opened, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("parse", "embed"):
        monkeypatch.setattr(f"connector.stages.{stage}.PATIENCE", 0.0)  # no row waits for another
    arrived = threading.Event()

    def slow() -> Iterator[dict[str, Any]]:
        yield from shop.rows(3)[:2]
        assert arrived.wait(30), "the first two rows waited for the third"
        yield shop.rows(3)[2]

    def watch(report: Report, fraction: float | None) -> None:
        if report.read >= 2:
            arrived.set()

    assert counts(opened().ingest(slow(), base=shop.folder, on_progress=watch)) == (3, 0, 0, 0, 0)


def test_tombstones_are_cleared_away_when_no_writer_can_be_so_late(shop: Shop, tmp_path: Path) -> None:
    now = [dt.datetime(2030, 1, 1, tzinfo=dt.UTC)]
    with Connector(SPACE, tmp_path / "store.qdrant", clock=lambda: now[0]) as connector:
        connector.sync(shop.rows(10), base=shop.folder)
        gone = point_id("Product", "a9")
        connector.sync(shop.rows(9), base=shop.folder, delete_missing=True)
        assert gone in connector.store.get([gone], tombstones=True)
        now[0] += dt.timedelta(days=29)
        connector.sync(shop.rows(8), base=shop.folder, delete_missing=True)
        assert gone in connector.store.get([gone], tombstones=True)
        now[0] += dt.timedelta(days=2)
        connector.sync(shop.rows(7), base=shop.folder, delete_missing=True)
        assert gone not in connector.store.get([gone], tombstones=True)


# --- the demo catalogue -----------------------------------------------------------------------------------------


def test_an_edited_catalogue_is_told_exactly(tmp_path: Path) -> None:
    """Ten rows edited (three pictures, three titles, four prices), five removed, five added."""
    from schemas.product import space

    feed = write_catalogue(tmp_path, 60)
    with Connector(space.with_model("demo"), tmp_path / "shop.qdrant") as shop:
        shop.sync(feed)
        rows = [json.loads(line) for line in feed.read_text(encoding="utf-8").splitlines()]
        extra = write_catalogue(tmp_path / "more", 65)
        added = [json.loads(line) for line in extra.read_text(encoding="utf-8").splitlines()][60:]
        for row in rows[:3]:
            (tmp_path / row["photo"]).write_bytes(
                (tmp_path / "more" / added[0]["photo"]).read_bytes() + row["sku"].encode()
            )
        for row in rows[3:6]:
            row["title"] = f"Edited {row['title']}"
        for row in rows[6:10]:
            row["price"] += 1
        for row in added:
            row["photo"] = f"more/{row['photo']}"
        feed.write_text("".join(json.dumps(row) + "\n" for row in [*rows[:55], *added]), encoding="utf-8")
        report = shop.sync(feed, delete_missing=True)
        assert counts(report) == (5, 10, 45, 0, 5)
        assert work(report) == {
            "fetched": 8, "embedded_images": 8, "embedded_texts": 8, "reused_images": 3, "reused_texts": 3, "written": 15,
        }  # fmt: skip
        assert counts(shop.sync(feed, delete_missing=True)) == (0, 0, 60, 0, 0)


def vectors_of(connector: Connector[Any]) -> dict[str, dict[str, Any]]:
    return {point.id: dict(point.vectors) for point in connector._collection.store.scan(vectors=True)}


def fresh_vectors(rows: list[dict[str, Any]], shop: Shop) -> dict[str, dict[str, Any]]:
    with Connector(SPACE) as fresh:
        fresh.ingest(rows, base=shop.folder)
        return vectors_of(fresh)


def assert_same_vectors(ours: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> None:
    assert ours.keys() == theirs.keys()
    for id, vectors in ours.items():
        assert vectors.keys() == theirs[id].keys()
        for name, vector in vectors.items():
            np.testing.assert_allclose(vector, theirs[id][name], atol=1e-5)
