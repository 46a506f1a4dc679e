"""Other weights are other fused vectors, made of the stored parts: nothing is embedded, and a broken-off run goes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from connector import (
    CollectionMismatch,
    Connector,
    DataError,
    ImageSpace,
    ModelHandler,
    Rejection,
    Report,
    StoreLocked,
    StoreUnavailable,
)
from connector.migration.weights import can_fuse_again, fuse_again
from connector.store.store import Point
from tests.conftest import SPACE, Opened, Product, Shop

Vectors = dict[str, dict[str, NDArray[np.float32]]]


def space(image: float, text: float, **options: Any) -> ImageSpace[Any]:
    """The shop's space with weights of its own."""
    return ImageSpace(
        Product.photo + Product.title,
        model_handler=ModelHandler.STAND_IN,
        weights=(image, text),
        **options,
    )


def over(other: ImageSpace[Any], connector: Connector[Any]) -> Connector[Any]:
    """A connector over another space and the same opened store: in memory there is no other way to the collection."""
    second = Connector(other, connector.qdrant, connector.collection)
    second._collection._opened = connector.store
    return second


def reweighted(connector: Connector[Any], image: float, text: float, **options: Any) -> Connector[Any]:
    """A connector that wants other weights for the same collection."""
    return over(space(image, text, **options), connector)


def vectors_of(connector: Connector[Any]) -> Vectors:
    return {point.id: dict(point.vectors) for point in connector.store.scan(vectors=True)}


def freshly_made(image: float, text: float, rows: list[dict[str, Any]], shop: Shop) -> Vectors:
    """The vectors of a collection that had these weights from the start."""
    with Connector(space(image, text), ":memory:") as fresh:
        fresh.ingest(rows, base=shop.folder)
        return vectors_of(fresh)


def assert_same(ours: Vectors, theirs: Vectors) -> None:
    assert ours.keys() == theirs.keys()
    for id, vectors in ours.items():
        assert vectors.keys() == theirs[id].keys()
        for name, vector in vectors.items():
            np.testing.assert_allclose(vector, theirs[id][name], atol=2e-6)


def test_other_weights_are_what_they_would_have_been_from_the_start(opened: Opened, shop: Shop) -> None:
    rows = [*shop.rows(10), shop.row(10, photo=None), shop.row(0, sku="wordless", title=None)]
    connector = opened()
    connector.ingest(rows, base=shop.folder)
    payloads = {point.id: point.payload for point in connector.store.scan()}
    report = fuse_again(reweighted(connector, 0.8, 0.2))
    assert (report.read, report.changed, report.unchanged, report.rejected) == (12, 10, 2, 0)
    assert (report.embedded_images, report.embedded_texts, report.fetched, report.written) == (0, 0, 0, 10)
    assert_same(vectors_of(connector), freshly_made(0.8, 0.2, rows, shop))
    assert {point.id: point.payload for point in connector.store.scan()} == payloads


def test_from_then_on_the_collection_has_these_weights(opened: Opened, shop: Shop) -> None:
    connector = opened()
    connector.ingest(shop.rows(4), base=shop.folder)
    second = reweighted(connector, 0.8, 0.2)
    fuse_again(second)
    again = second.ingest(shop.rows(4), base=shop.folder)
    assert (again.unchanged, again.written) == (4, 0)
    with pytest.raises(CollectionMismatch, match="weights"):
        connector.search("red mug")


def test_a_run_that_broke_off_goes_on(opened: Opened, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.migration.weights.AT_ONCE", 4)
    connector = opened()
    connector.ingest(shop.rows(10), base=shop.folder)
    second = reweighted(connector, 0.8, 0.2)

    def crash(report: Report, fraction: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuse_again(second, on_progress=crash)
    stored: Any = connector.store.describe()
    assert stored["fusion"]["weights"] == [0.5, 0.5]
    assert can_fuse_again(second.space, stored)
    assert can_fuse_again(SPACE, stored), "the way back is to the old weights"
    report = fuse_again(second)
    assert (report.changed, report.unchanged) == (6, 4)
    assert_same(vectors_of(connector), freshly_made(0.8, 0.2, shop.rows(10), shop))
    assert not can_fuse_again(second.space, connector.store.describe() or {})


def test_parts_that_cancel_out_are_rejected_and_keep_what_they_have(opened: Opened, shop: Shop) -> None:
    connector = opened(space(0.8, 0.2))
    connector.ingest(shop.rows(3), base=shop.folder)
    store = connector.store
    odd = next(iter(store.scan(vectors=True)))
    store.upsert([Point(odd.id, {**odd.vectors, "text": -odd.vectors["image"]}, odd.payload)])
    rejected: list[Rejection] = []
    report = fuse_again(reweighted(connector, 0.5, 0.5), on_rejection=rejected.append)
    assert (report.changed, report.rejected, report.balances) == (2, 1, True)
    assert [each.reason for each in rejected] == [
        f"Product {odd.payload['sku']}: the picture's and the description's vectors cancel out at weights 0.5 and 0.5, so "
        "there is no fused vector. Change one of them, or the weights."
    ]
    assert vectors_of(connector)[odd.id].keys() == {"image", "text"}
    assert connector.count() == 3
    assert len(reweighted(connector, 0.5, 0.5).search("red mug")) == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"keep_parts": False}, "keep_parts=False kept nothing to fuse"),
        (
            {"parts": "raw"},
            "parts='raw' fuses what the model puts out, of which only the directions are stored",
        ),
    ],
)
def test_without_parts_it_is_refused(opened: Opened, shop: Shop, options: Any, reason: str) -> None:
    connector = opened(space(0.5, 0.5, **options))
    connector.ingest(shop.rows(2), base=shop.folder)
    with pytest.raises(DataError) as refused:
        fuse_again(reweighted(connector, 0.8, 0.2))
    assert str(refused.value) == (
        f"Collection 'product' cannot be fused again: {reason}. "
        "Migrate it, which embeds its pictures and words anew."
    )
    assert not can_fuse_again(space(0.8, 0.2), connector.store.describe() or {})


def test_where_more_differs_it_is_refused(opened: Opened, shop: Shop) -> None:
    connector = opened()
    connector.ingest(shop.rows(2), base=shop.folder)
    second = over(ImageSpace(Product.photo, model_handler=ModelHandler.STAND_IN), connector)
    with pytest.raises(CollectionMismatch, match=r"Product embeds photo, was photo \+ title"):
        fuse_again(second)
    assert not can_fuse_again(second.space, connector.store.describe() or {})


def test_only_other_weights_can_be_fused_again(opened: Opened, shop: Shop) -> None:
    connector = opened()
    connector.ingest(shop.rows(2), base=shop.folder)
    stored = connector.store.describe() or {}
    assert can_fuse_again(space(0.8, 0.2), stored)
    assert not can_fuse_again(SPACE, stored)
    assert not can_fuse_again(space(0.8, 0.2).with_model("another"), stored)


def test_a_running_sync_is_respected(opened: Opened, shop: Shop) -> None:
    connector = opened()
    connector.ingest(shop.rows(2), base=shop.folder)
    with connector.store.lock("a sync"), pytest.raises(StoreLocked, match="a sync"):
        fuse_again(reweighted(connector, 0.8, 0.2))


def test_nothing_there_is_said(opened: Opened) -> None:
    with pytest.raises(StoreUnavailable, match="There is no collection 'product'"):
        fuse_again(opened())
