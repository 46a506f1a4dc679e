"""Verify finds every kind of difference between a collection and its source; repair mends those and nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connector import (
    Blob,
    CollectionMismatch,
    Connector,
    DataError,
    DeletionRefused,
    Field,
    Id,
    ImageSpace,
    ModelHandler,
    ModelUnavailable,
    Schema,
    SourceUnavailable,
)
from connector.store.points import point_id
from connector.store.store import Point
from connector.verify.audit import Audit, Finding, Kind
from connector.verify.verify import check, repair, verify
from tests.conftest import SPACE, Opened, Product, Shop
from tests.store.qdrant_server import running_server

ROWS = 24
Change = Callable[[Point], Point]


def kinds(audit: Audit) -> dict[str, int]:
    return {kind.value: number for kind, number in audit.counts.items()}


def found(audit: Audit) -> list[tuple[str, str | int | None]]:
    return sorted((finding.kind.value, finding.id) for finding in audit.findings)


def identity(number: int) -> str:
    return point_id("Product", f"a{number}")


def plant(shop: Connector[Any], number: int, change: Change) -> None:
    """Write a changed point over a stored one, past everything that guards it."""
    store = shop._collection.store
    id = identity(number)
    point = change(store.get([id], vectors=True)[id])
    store.delete([id])
    assert store.upsert([point]) == [None]


def with_vectors(**vectors: Any) -> Change:
    """Replace vectors; None takes one away."""

    def change(point: Point) -> Point:
        kept = {**point.vectors, **vectors}
        return dataclasses.replace(
            point, vectors={name: value for name, value in kept.items() if value is not None}
        )

    return change


def with_payload(**payload: Any) -> Change:
    """Replace values of the payload; None takes one away."""

    def change(point: Point) -> Point:
        kept = {**point.payload, **payload}
        return dataclasses.replace(
            point, payload={name: value for name, value in kept.items() if value is not None}
        )

    return change


@pytest.fixture
def full(opened: Opened, shop: Shop) -> Connector[Any]:
    """A collection that equals its source."""
    connector = opened()
    connector.ingest(shop.rows(ROWS), base=shop.folder)
    return connector


def audited(connector: Connector[Any], shop: Shop, rows: list[Any] | None = None, **options: Any) -> Audit:
    return verify(connector, shop.rows(ROWS) if rows is None else rows, base=shop.folder, **options)


def assert_repairs(
    connector: Connector[Any],
    shop: Shop,
    rows: list[Any] | None = None,
    *,
    written: int,
    pictures: int,
    texts: int,
) -> None:
    """A repair writes and embeds exactly so many, and leaves nothing to find."""
    counted = Written(connector)
    connector._embedder._loaded = (
        None  # and with it the vectors that it remembers, which would not be counted
    )
    with counted:
        report = repair(connector, shop.rows(ROWS) if rows is None else rows, base=shop.folder)
    assert report.balances
    assert (len(counted.ids), report.embedded_images, report.embedded_texts) == (written, pictures, texts)
    assert audited(connector, shop, rows).clean
    assert connector.sync(shop.rows(ROWS) if rows is None else rows, base=shop.folder).stored == 0


class Written:
    """The ids of the points that are written while it is entered."""

    def __init__(self, connector: Connector[Any]) -> None:
        self.ids: list[str] = []
        self._store = connector._collection.store
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        for name in ("upsert", "overwrite"):
            self._patch.setattr(self._store, name, self._noting(getattr(self._store, name)))

    def _noting(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def noted(points: Any) -> Any:
            self.ids += [point.id for point in points]
            return write(points)

        return noted

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


# --- nothing to find ----------------------------------------------------------------------------------------------


def test_nothing_is_found_after_an_ingest(full: Connector[Any], shop: Shop) -> None:
    audit = audited(full, shop)
    assert audit.clean
    assert (audit.rows, audit.stored, audit.rejected, audit.found) == (ROWS, ROWS, 0, 0)
    assert audited(full, shop, bytes=False).clean


def test_nothing_is_found_after_a_sync_that_changed_and_deleted(full: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(ROWS + 2)[3:]
    rows[0]["title"], rows[1]["price"], rows[2]["brand"] = "another title", 0.5, None
    shop.picture("p9.png", 999)
    rows[9]["photo"], rows[10]["title"] = None, None
    full.sync(rows, base=shop.folder, delete_missing=True)
    assert kinds(audited(full, shop, rows)) == {}


def test_pictures_as_content_and_values_from_hell_are_no_findings(opened: Opened, shop: Shop) -> None:
    shop.rows(4)
    rows: list[dict[str, Any]] = [
        {
            "sku": "🥿",
            "photo": (shop.folder / "p0.png").read_bytes(),
            "title": "\u202eright to left\0",
            "price": 1e300,
        },
        {"sku": "x" * 10_000, "photo": "p1.png", "title": "long " * 20_000, "price": -0.0, "tags": [""]},
        {"sku": "1", "title": "only words", "price": 5e-324},
        {"sku": "2", "photo": "p2.png", "tags": []},
    ]
    connector = opened()
    assert connector.ingest(rows, base=shop.folder).new == 4
    assert kinds(audited(connector, shop, rows)) == {}
    assert kinds(audited(connector, shop, rows, bytes=False)) == {}


def test_records_that_really_have_the_same_vector_are_no_findings(opened: Opened, shop: Shop) -> None:
    shop.rows(1)
    Image.open(shop.folder / "p0.png").save(
        shop.folder / "same.png", compress_level=0
    )  # other bytes, equal pixels
    rows = [shop.row(0), shop.row(1, photo="same.png", title=shop.row(0)["title"].upper())]
    connector = opened()
    connector.ingest(rows, base=shop.folder)
    assert kinds(audited(connector, shop, rows)) == {}
    assert kinds(audited(connector, shop, rows, bytes=False)) == {}


@pytest.mark.parametrize("run", ["ingest", "sync"])
def test_a_record_named_twice_is_right_where_it_equals_either_row(
    opened: Opened, shop: Shop, run: str
) -> None:
    rows = [*shop.rows(3), shop.row(1, title="said again", photo="p2.png")]
    connector = opened()
    getattr(connector, run)(rows, base=shop.folder)
    assert kinds(audited(connector, shop, rows)) == {}


# --- what the rows say --------------------------------------------------------------------------------------------


def test_missing_and_extra_records_are_named(full: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(ROWS + 2)[1:]
    audit = audited(full, shop, rows)
    assert found(audit) == [("extra", "a0"), ("missing", f"a{ROWS}"), ("missing", f"a{ROWS + 1}")]
    assert [finding.reason for finding in audit.findings] == [
        f"Product a{ROWS} is in the source (row {ROWS - 1}), but not stored. Repair ingests it.",
        f"Product a{ROWS + 1} is in the source (row {ROWS}), but not stored. Repair ingests it.",
        "Product a0 is stored, but not in the source. Repair removes it.",
    ]
    assert_repairs(full, shop, rows, written=2, pictures=2, texts=2)
    assert full.count() == len(rows)


def test_without_a_collection_everything_is_missing_and_repair_makes_it(opened: Opened, shop: Shop) -> None:
    connector = opened()
    assert kinds(audited(connector, shop)) == {"missing": ROWS}
    assert_repairs(connector, shop, written=ROWS, pictures=ROWS, texts=ROWS)


def test_stale_records_say_which_parts_differ(full: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(ROWS)
    rows[2]["price"], rows[3]["title"] = 99.0, "other words"
    shop.picture("p4.png", 4444)
    shop.picture("p5.png", 5555)
    rows[5]["title"], rows[5]["tags"] = "all of it", ["new"]
    audit = audited(full, shop, rows)
    assert {finding.id: finding.parts for finding in audit.findings} == {
        "a2": ("values",),
        "a3": ("words",),
        "a4": ("picture",),
        "a5": ("picture", "words", "values"),
    }
    assert kinds(audit) == {"stale": 4}
    assert "Product a4 is stored with another picture than in the source. Repair writes it again." in {
        finding.reason for finding in audit.findings
    }
    assert {finding.id for finding in audited(full, shop, rows, bytes=False).findings} == {"a2", "a3", "a5"}
    assert_repairs(full, shop, rows, written=4, pictures=2, texts=2)


def test_values_altered_under_an_unaltered_digest_are_stale(full: Connector[Any], shop: Shop) -> None:
    plant(full, 3, with_payload(price=1_000_000.0))
    assert full.ingest(shop.rows(ROWS), base=shop.folder).unchanged == ROWS  # what it says of itself is a lie
    audit = audited(full, shop)
    assert [(finding.kind, finding.id, finding.parts) for finding in audit.findings] == [
        (Kind.STALE, "a3", ("values",))
    ]
    assert_repairs(full, shop, written=1, pictures=1, texts=1)


def test_rejected_rows_are_neither_missing_nor_extra_nor_stale(full: Connector[Any], shop: Shop) -> None:
    rows = [
        *shop.rows(ROWS),
        shop.row(90, photo="not-there.png"),  # never stored
        shop.row(91, photo="broken.png"),
        {"sku": "a92", "price": "much"},
    ]
    (shop.folder / "broken.png").write_bytes((shop.folder / "p0.png").read_bytes()[:60])
    (shop.folder / "p7.png").unlink()  # stored, its picture gone
    (shop.folder / "p8.png").write_bytes(
        (shop.folder / "p8.png").read_bytes()[:60]
    )  # stored, its picture spoilt
    rows[9]["price"] = "much"  # stored, its row spoilt
    audit = audited(full, shop, rows)
    assert kinds(audit) == {}
    assert audit.rejected == 6
    assert sorted((each.row, each.code) for each in audit.rejections) == [
        (7, "blob_not_found"),
        (8, "blob_unreadable"),
        (9, "record_invalid"),
        (24, "blob_not_found"),
        (25, "blob_unreadable"),
        (26, "record_invalid"),
    ]
    assert kinds(audited(full, shop, rows, bytes=False)) == {}
    assert full.ingest(rows, base=shop.folder).rejected == 6
    report = repair(full, rows, base=shop.folder)
    assert (report.read, report.deleted, full.count()) == (0, 0, ROWS)


def test_a_source_that_breaks_off_is_no_audit(full: Connector[Any], shop: Shop) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield shop.row(0)
        raise SourceUnavailable("The feed broke off.")

    with pytest.raises(SourceUnavailable, match="broke off"):
        verify(full, broken(), base=shop.folder)


# --- what is stored -----------------------------------------------------------------------------------------------

ZERO = np.zeros(64, np.float32)


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        (Kind.ZERO_VECTOR, with_vectors(fused=ZERO), "its vector 'fused' is all zeros"),
        (Kind.ZERO_VECTOR, with_vectors(image=ZERO), "its vector 'image' is all zeros"),
        (Kind.WRONG_MODEL, with_vectors(text=None), "it has no vector 'text'"),
        (Kind.WRONG_MODEL, with_vectors(fused=None), "it has no vector 'fused'"),
        (Kind.HALF_WRITTEN, with_payload(_payload=None), "it lacks _payload"),
        (Kind.HALF_WRITTEN, with_payload(_at=None), "it lacks _at"),
        (Kind.HALF_WRITTEN, with_payload(_schema=None), "it lacks _schema"),
    ],
)
def test_a_point_that_is_not_whole_is_found_and_written_again(
    full: Connector[Any], shop: Shop, kind: Kind, change: Change, reason: str
) -> None:
    plant(full, 5, change)
    (finding,) = audited(full, shop).findings
    assert (finding.kind, finding.point) == (kind, identity(5))
    assert f": {reason}. Repair " in finding.reason
    assert_repairs(full, shop, written=1, pictures=1, texts=1)


def test_a_point_without_digests_of_what_it_was_made_of_is_half_written(
    full: Connector[Any], shop: Shop
) -> None:
    plant(full, 5, with_payload(_picture=None, _text=None))
    assert kinds(audited(full, shop)) == {"half_written": 1, "stale": 1}
    assert_repairs(full, shop, written=1, pictures=1, texts=1)


def test_a_digest_that_is_not_of_the_stored_values_is_half_written(full: Connector[Any], shop: Shop) -> None:
    plant(full, 5, with_payload(_payload="0" * 32))
    audit = audited(full, shop)
    assert found(audit) == [("half_written", "a5")]
    assert_repairs(full, shop, written=1, pictures=1, texts=1)


def test_a_point_of_nobody_is_found_and_removed(full: Connector[Any], shop: Shop) -> None:
    vector = np.ones(64, np.float32)
    full._collection.store.upsert([Point("00000000-0000-0000-0000-0000000000aa", {"fused": vector}, {})])
    (finding,) = audited(full, shop).findings
    assert (finding.kind, finding.schema, finding.id) == (Kind.HALF_WRITTEN, None, None)
    assert finding.reason.startswith(
        "Point 00000000-0000-0000-0000-0000000000aa: it lacks _schema, _payload, _at"
    )
    assert_repairs(full, shop, written=0, pictures=0, texts=0)


def test_a_vector_that_is_another_records_is_found_on_the_one_it_is_not_of(
    full: Connector[Any], shop: Shop
) -> None:
    store = full._collection.store
    other = store.get([identity(6)], vectors=True)[identity(6)]
    plant(full, 5, with_vectors(fused=other.vectors["fused"]))
    for pictures in (True, False):
        (finding,) = audited(full, shop, bytes=pictures).findings
        assert (finding.kind, finding.id) == (Kind.DUPLICATE_VECTOR, "a5")
    assert_repairs(
        full, shop, written=1, pictures=0, texts=0
    )  # its vectors were made to settle whose they are


# --- what made the collection -------------------------------------------------------------------------------------


def test_a_collection_of_another_model_is_found_and_not_repaired(opened: Opened, shop: Shop) -> None:
    connector = opened()
    connector.ingest(shop.rows(3), base=shop.folder)
    store = connector._collection.store
    before = store.describe()
    assert before is not None
    store.renew({"model": {**before["model"], "weights": "other weights"}})  # type: ignore[dict-item]
    connector._embedder._loaded = None
    audit = audited(connector, shop, shop.rows(3))
    assert kinds(audit) == {"wrong_model": 1}
    assert "weights is 'stand-in 1', was 'other weights'" in audit.findings[0].reason
    connector._embedder._loaded = None
    with pytest.raises(CollectionMismatch):
        repair(connector, shop.rows(3), base=shop.folder)


class Older(Schema):
    """A record as it was."""

    id: Id
    photo: Blob


def newer() -> type[Schema]:
    class Older(Schema):
        id: Id
        photo: Blob
        price: Field[float | None]

    return Older


def test_a_field_without_its_index_is_found_and_repaired(tmp_path: Path, shop: Shop) -> None:
    rows = [{"id": str(number), "photo": f"p{number}.png"} for number in range(len(shop.rows(3)))]
    stand_in = ModelHandler.STAND_IN
    with Connector(ImageSpace(Older.photo, model_handler=stand_in), tmp_path / "q", "c") as connector:
        connector.ingest(rows, base=shop.folder)
        assert verify(connector, rows, base=shop.folder).clean
    changed: Any = newer()
    with Connector(ImageSpace(changed.photo, model_handler=stand_in), tmp_path / "q", "c") as connector:
        (finding,) = verify(connector, rows, base=shop.folder).findings
        assert finding.kind is Kind.UNINDEXED
        assert finding.reason == (
            "Older.price has no payload index, so conditions on it are slow. Repair, or any sync, makes one."
        )
        seen: list[Finding] = []
        assert repair(connector, rows, base=shop.folder, on_finding=seen.append).read == 0
        assert seen == [finding]
        assert verify(connector, rows, base=shop.folder).clean


def test_an_index_that_was_dropped_by_hand_is_found_and_made_again(shop: Shop) -> None:
    rows = shop.rows(3)
    with running_server() as server, Connector(SPACE, server.url) as connector:
        connector.sync(rows, base=shop.folder)
        assert verify(connector, rows, base=shop.folder).clean
        server.drop_indexes("product")
        found = verify(connector, rows, base=shop.folder).findings
        assert {finding.kind for finding in found} == {Kind.UNINDEXED}
        assert any("Product.price has no payload index" in finding.reason for finding in found)
        assert connector.sync(rows, base=shop.folder).written == 0
        assert verify(connector, rows, base=shop.folder).clean


# --- care ---------------------------------------------------------------------------------------------------------


def test_repair_does_not_remove_more_than_it_may(full: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(ROWS)[:10]
    rows[0]["price"] = 0.25
    with pytest.raises(DeletionRefused, match=f"14 of {ROWS} records are no longer in the source"):
        repair(full, rows, base=shop.folder)
    assert full.count() == ROWS
    assert kinds(audited(full, shop, rows)) == {"extra": 14}  # the rest was mended
    report = repair(full, rows, base=shop.folder, max_delete=1)
    assert (report.read, report.deleted, full.count()) == (0, 14, 10)


def test_a_row_of_no_readable_id_keeps_records_from_being_removed(full: Connector[Any], shop: Shop) -> None:
    rows: list[Any] = [*shop.rows(ROWS)[1:], {"photo": "p0.png", "title": "who is it?"}]
    assert repair(full, rows, base=shop.folder).deleted == 0
    assert kinds(audited(full, shop, rows)) == {"extra": 1}
    assert full.count() == ROWS


def test_repair_refuses_rows_that_can_be_read_only_once(full: Connector[Any], shop: Shop) -> None:
    for rows in (iter(shop.rows(2)), "-"):
        with pytest.raises(DataError, match=r"can be read only once\. Pass a list, or a feed's path"):
            repair(full, rows, base=shop.folder)


def test_an_untrustworthy_point_stays_where_its_row_cannot_be_taken(full: Connector[Any], shop: Shop) -> None:
    plant(full, 5, with_vectors(fused=ZERO))
    (shop.folder / "p5.png").unlink()
    rows = [shop.row(number) for number in range(ROWS)]
    assert repair(full, rows, base=shop.folder).read == 0
    assert full.get("a5") is not None


def test_nothing_is_deleted_while_there_is_no_model_to_make_it_again(
    full: Connector[Any], shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(full, 5, with_payload(_payload="0" * 32))

    def unavailable(_: object) -> None:
        raise ModelUnavailable("The model is not on this machine. Fetch it first.")

    full._embedder._loaded = None
    monkeypatch.setattr(full._embedder, "_check", unavailable)
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        repair(full, shop.rows(ROWS), base=shop.folder)
    assert full.get("a5") is not None


def test_other_schemas_of_a_collection_are_left_alone(opened: Opened, shop: Shop) -> None:
    space: ImageSpace[Any] = ImageSpace(
        [Product.photo + Product.title, Other.photo], model_handler=ModelHandler.STAND_IN
    )
    connector = opened(space)
    rows = shop.rows(6)
    connector.ingest(rows, schema=Product, base=shop.folder)
    others = [{"id": "a1", "photo": "p1.png"}, {"id": "o2", "photo": "p2.png"}]
    connector.ingest(others, schema=Other, base=shop.folder)
    assert verify(connector, others, schema=Other, base=shop.folder).clean
    assert repair(connector, others[:1], schema=Other, base=shop.folder, max_delete=0.5).deleted == 1
    assert connector.count(schema=Product) == 6
    assert verify(connector, rows, schema=Product, base=shop.folder).clean
    records = [*(Product(**row) for row in rows), Other(id="a1", photo="p1.png")]
    assert verify(connector, records, base=shop.folder).clean


class Other(Schema):
    """A second schema in the same collection, its pictures the same."""

    id: Id
    photo: Blob


def test_a_file_is_read_on_both_passes(full: Connector[Any], shop: Shop) -> None:
    feed = shop.folder / "feed.jsonl"
    rows = shop.rows(ROWS)
    rows[3]["price"] = 77.0
    feed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert found(verify(full, feed)) == [("stale", "a3")]
    assert repair(full, str(feed)).changed == 1
    assert verify(full, str(feed)).clean


def test_a_check_repairs_when_asked_and_looks_again(full: Connector[Any], shop: Shop) -> None:
    rows = shop.rows(ROWS + 1)
    found = check(full, rows, base=shop.folder)
    assert (found.exit_code, found.report, found.left) == (1, None, None)
    mended = check(full, rows, base=shop.folder, repair=True)
    assert mended.report is not None
    assert mended.left is not None
    assert (kinds(mended.audit), mended.report.new, kinds(mended.left), mended.exit_code) == (
        {"missing": 1},
        1,
        {},
        0,
    )
    again = check(full, rows, base=shop.folder, repair=True)
    assert (again.exit_code, again.report, again.left) == (0, None, None)
