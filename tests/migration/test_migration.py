"""Another model is built beside the old one, compared and switched to in one step, and searches never notice before."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from connector import (
    Blob,
    BlobUnavailable,
    CollectionMismatch,
    Connector,
    DataError,
    DeletionRefused,
    Field,
    Id,
    ImageSpace,
    ModelHandler,
    Rejection,
    Report,
    Schema,
    StoreLocked,
    StoreUnavailable,
    Text,
)
from connector import testing as stand_in
from connector.engine.fusion import unit
from connector.migration.migration import Migration, migrate, migrate_or_fuse
from connector.migration.switching import beside, create_behind_alias, finish, rollback
from connector.space import ImageEmbeddingConfig
from connector.store.aliases import Aliases
from connector.store.opening import kind_of, open_aliases
from connector.store.store import CollectionSpec, Store
from tests.conftest import SPACE, Product, Shop
from tests.store.qdrant_server import running_server

OTHER = SPACE.with_model("other")
COLLECTION = "product"


class OtherModel(stand_in.StandInHandler):
    """A second model: other weights, half the length."""

    length = 32

    def __init__(self) -> None:
        super().__init__()
        self.identity = {**self.identity, "weights": "stand-in 2"}

    def embed_images(self, pictures: Any) -> NDArray[np.float32]:
        """The first model's vectors, folded."""
        return _folded(super().embed_images(pictures))

    def embed_texts(self, texts: Any) -> NDArray[np.float32]:
        """The first model's vectors, folded."""
        return _folded(super().embed_texts(texts))


def _folded(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return unit(rows[:, :32] * 2 - rows[:, 32:])


@pytest.fixture(autouse=True)
def _two_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that listens to the model's name."""

    def load(config: ImageEmbeddingConfig) -> stand_in.StandInHandler:
        return OtherModel() if config.model == "other" else stand_in.StandInHandler()

    monkeypatch.setattr(stand_in, "load", load)


@dataclasses.dataclass
class Place:
    """Somewhere that collections are kept."""

    location: str
    aliases: Aliases
    connectors: list[Connector[Any]] = dataclasses.field(default_factory=list)

    def connect(self, space: ImageSpace[Any] = SPACE, name: str = COLLECTION) -> Connector[Any]:
        """A connector, closed after the test at the latest."""
        connector = Connector(space, self.location, name)
        if self.location == ":memory:":  # every connector has a memory of its own, but these are to share one
            connector._collection._opened = self.aliases.open(name)
        self.connectors.append(connector)
        return connector

    def first(self, space: ImageSpace[Any] = SPACE) -> Connector[Any]:
        """A new collection; where an alias cannot have a collection's name, it is behind one from the start."""
        if kind_of(self.location) != "folder":
            own = self.beside(space)
            own.ingest([])
            self.aliases.switch(COLLECTION, own.collection)
        return self.connect(space)

    def beside(self, space: ImageSpace[Any] = OTHER) -> Connector[Any]:
        """A connector to migrate to."""
        return self.connect(space, beside(COLLECTION, space))

    @property
    def serving(self) -> str:
        """The collection that has the public name."""
        return self.aliases.target(COLLECTION) or COLLECTION

    def close(self) -> None:
        """Let others in."""
        while self.connectors:
            self.connectors.pop().close()


@pytest.fixture(params=["memory", "folder", "rest"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Memory, a folder, and a server over REST."""
    with contextlib.ExitStack() as stack:
        location = ":memory:" if request.param == "memory" else str(tmp_path / "store.qdrant")
        if request.param == "rest":
            location = stack.enter_context(running_server()).url
        opened = Place(location, stack.enter_context(contextlib.closing(open_aliases(location))))
        stack.callback(opened.close)
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Place]:
    """A folder."""
    location = str(tmp_path / "store.qdrant")
    opened = Place(location, open_aliases(location))
    yield opened
    opened.close()


def found(connector: Connector[Any], text: str = "red mug") -> list[tuple[object, float]]:
    """What a search finds, and how near."""
    return [(hit.id, round(hit.score, 5)) for hit in connector.search(text, limit=5)]


def freshly_made(
    space: ImageSpace[Any], rows: list[dict[str, Any]], shop: Shop
) -> list[tuple[object, float]]:
    """What a search finds in a collection that this model made from the start."""
    with Connector(space, ":memory:") as fresh:
        fresh.ingest(rows, base=shop.folder)
        return found(fresh)


# --- building and switching -------------------------------------------------------------------------------------------


def test_a_collection_is_built_beside_the_old_one_and_switched_to(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(30), base=shop.folder)
    new, serving = place.beside(), place.serving
    done = migrate(old, new, aliases=place.aliases)
    assert (done.before, done.after, done.switched) == (serving, new.collection, True)
    assert (done.records_before, done.records_after, done.left_behind) == (30, 30, 0)
    assert (done.report.new, done.report.embedded_images, done.report.balances) == (30, 30, True)
    assert done.sampled == 20
    assert done.overlap is not None
    assert 0 < done.overlap < 1
    assert place.aliases.target(COLLECTION) == new.collection
    assert found(new) == freshly_made(OTHER, shop.rows(30), shop)
    with (
        place.connect(SPACE, done.before)
        if done.before != COLLECTION
        else contextlib.nullcontext(old) as kept
    ):
        assert found(kept) == freshly_made(SPACE, shop.rows(30), shop), "the old one is as it was"


def test_what_is_carried_over_is_what_the_source_would_have_given(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(6), base=shop.folder)
    records = [old.get(f"a{number}") for number in range(6)]
    new = place.beside()
    migrate(old, new, aliases=place.aliases)
    assert [new.get(f"a{number}") for number in range(6)] == records
    again = new.ingest(shop.rows(6), base=shop.folder)
    assert (again.unchanged, again.embedded_images, again.written) == (6, 0, 0)


def test_pictures_are_fetched_from_the_folder_each_record_came_from(place: Place, tmp_path: Path) -> None:
    old = place.first()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shop = Shop(tmp_path / name)
        shop.picture("p.png", len(name))
        old.ingest([{"sku": name, "photo": "p.png", "title": "red mug"}], base=shop.folder)
    old.ingest([{"sku": "words", "title": "only words"}])
    done = migrate(old, new := place.beside(), aliases=place.aliases)
    assert done.records_after == 3
    first, second = (new.search(like=name, with_vectors=True, limit=5) for name in ("first", "second"))
    assert {hit.id for hit in first} == {"second", "words"}
    assert first[0].score < 0.999, "one name, two pictures"
    assert {hit.id for hit in second} == {"first", "words"}


def test_a_source_can_bring_what_the_collection_lacks(place: Place, shop: Shop) -> None:
    rows = shop.rows(8)
    rows[3]["photo"] = (shop.folder / "p3.png").read_bytes()
    old = place.first()
    old.ingest(rows[:6], base=shop.folder)
    done = migrate(old, place.beside(), rows, aliases=place.aliases, base=shop.folder)
    assert (done.records_before, done.records_after, done.left_behind) == (6, 8, 0)
    assert done.report.new == 8


def test_a_second_migration_to_the_same_model_has_nothing_to_do(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(4), base=shop.folder)
    assert not migrate(old, place.beside(SPACE), aliases=place.aliases).switched
    new = place.beside()
    migrate(old, new, aliases=place.aliases)
    done = migrate(old, new, aliases=place.aliases)
    assert not done.switched
    assert str(done) == "'product' is made by this model already; there is nothing to migrate."


def test_a_folder_that_was_opened_before_the_last_migration_must_be_opened_again(
    folder: Place, shop: Shop
) -> None:
    old = folder.first()
    old.ingest(shop.rows(2), base=shop.folder)
    migrate(old, folder.beside(), aliases=folder.aliases)
    third = ImageSpace(Product.photo, "other", ModelHandler.STAND_IN)
    with pytest.raises(
        StoreUnavailable, match=r"'product' stands for product__\w+ since this one was opened"
    ):
        migrate(old, folder.beside(third), aliases=folder.aliases)


def test_the_name_says_which_model_and_fusion() -> None:
    fused_alone = ImageSpace(
        Product.photo + Product.title, model_handler=ModelHandler.STAND_IN, keep_parts=False
    )
    names = {beside("shop", space) for space in (SPACE, OTHER, fused_alone)}
    assert len(names) == 3
    assert all(name.startswith("shop__") and len(name) == len("shop__") + 8 for name in names)
    assert beside("shop", SPACE.with_model("same weights, other name")) == beside("shop", SPACE)
    assert beside("shop", weighted(0.7, 0.3)) == beside("shop", SPACE), "these weights can change in place"
    assert beside(beside("shop", OTHER), OTHER) == beside("shop", OTHER)


def test_a_collection_can_begin_behind_an_alias(place: Place, shop: Shop) -> None:
    spec = CollectionSpec(COLLECTION, 64, ("fused", "image", "text"), {}, {"made": "by a test"})
    for _ in range(2):  # the second time is after a crash in between
        create_behind_alias(spec, SPACE, aliases=place.aliases)
    assert place.aliases.collections() == [beside(COLLECTION, SPACE)]
    with contextlib.closing(place.aliases.open(COLLECTION)) as store:
        assert store.describe() == {"made": "by a test", "built_for": COLLECTION}


def weighted(image: float, text: float) -> ImageSpace[Any]:
    """The shop's space with other weights."""
    return ImageSpace(
        Product.photo + Product.title, model_handler=ModelHandler.STAND_IN, weights=(image, text)
    )


# --- what cannot come along -------------------------------------------------------------------------------------------


def test_a_picture_that_came_as_bytes_is_left_behind_and_said(place: Place, shop: Shop) -> None:
    rows = shop.rows(10)
    rows[3]["photo"] = (shop.folder / "p3.png").read_bytes()
    old = place.first()
    old.ingest(rows, base=shop.folder)
    rejected: list[Rejection] = []
    done = migrate(old, place.beside(), aliases=place.aliases, on_rejection=rejected.append)
    assert (done.records_before, done.records_after, done.left_behind) == (10, 9, 1)
    assert (done.report.read, done.report.new, done.report.rejected) == (10, 9, 1)
    assert [(each.id, each.field, each.code) for each in rejected] == [("a3", "photo", "blob_not_found")]
    assert rejected[0].reason == (
        "Product a3: photo came as content and not as a place, so it cannot be fetched again. "
        "Name the source of the rows."
    )


def test_too_many_left_behind_is_refused(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(10), base=shop.folder)
    before = place.serving
    for number in range(3):
        (shop.folder / f"p{number}.png").unlink()
    new = place.beside()
    with pytest.raises(
        DeletionRefused, match=r"3 of 10 records would be left behind, more than 20% .* 'p\d.png'"
    ):
        migrate(old, new, aliases=place.aliases)
    assert place.serving == before
    assert len(found(old)) == 5
    with pytest.raises(DataError, match="max_lost is 30"):
        migrate(old, new, aliases=place.aliases, max_lost=30)
    done = migrate(old, new, aliases=place.aliases, max_lost=0.3)
    assert (done.left_behind, done.report.unchanged, done.report.rejected) == (3, 7, 3)


def test_a_source_that_lacks_records_is_refused(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(5), base=shop.folder)
    before = place.serving
    with pytest.raises(CollectionMismatch, match="2 are missing for no reason, 0 are too many"):
        migrate(old, place.beside(), shop.rows(3), aliases=place.aliases, base=shop.folder)
    assert place.serving == before


def test_pictures_that_are_away_for_a_moment_are_worth_another_run(
    place: Place, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = place.first()
    old.ingest(shop.rows(10), base=shop.folder)
    new = place.beside()
    from connector.blobs.fetch import BlobFetcher

    fetch = BlobFetcher.fetch

    def away(self: BlobFetcher, source: Any, *rest: Any, **more: Any) -> Any:
        if source == "p3.png":
            raise BlobUnavailable("'p3.png' did not answer.")
        return fetch(self, source, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(BlobFetcher, "fetch", away)
        with pytest.raises(BlobUnavailable, match="1 pictures could not be fetched just now"):
            migrate(old, new, aliases=place.aliases)
    done = migrate(old, new, aliases=place.aliases)
    assert (done.report.new, done.report.unchanged, done.left_behind) == (1, 9, 0)


def product_with_words_for_a_price() -> ImageSpace[Any]:
    """The shop's space over a schema of the same name, one field of another type."""

    class Product(Schema):
        sku: Id
        photo: Blob[str | bytes | None]
        title: Text[str | None]
        price: Field[str | None]

    return ImageSpace(Product.photo + Product.title, "other", ModelHandler.STAND_IN)


def test_a_field_of_another_type_needs_a_source(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(3), base=shop.folder)
    space = product_with_words_for_a_price()
    new = place.beside(space)
    with pytest.raises(
        CollectionMismatch, match=r"Product\.price is Field\[str\], was Field\[float\]\. Name a source"
    ):
        migrate(old, new, aliases=place.aliases)
    rows = [row | {"price": "cheap"} for row in shop.rows(3)]
    assert migrate(old, new, rows, aliases=place.aliases, base=shop.folder).switched


def test_records_of_a_schema_that_would_be_lost_are_not(place: Place, shop: Shop) -> None:
    class Note(Schema):
        id: Id
        photo: Blob[str]

    both: ImageSpace[Any] = ImageSpace(
        [Product.photo + Product.title, Note.photo], model_handler=ModelHandler.STAND_IN
    )
    old = place.first(both)
    rows: list[Any] = [*(Product(**row) for row in shop.rows(3)), Note(id="n", photo="p0.png")]
    old.ingest(rows, base=shop.folder)
    with pytest.raises(CollectionMismatch, match="also holds 1 records of Note"):
        migrate(old, place.beside(), aliases=place.aliases)
    new = place.beside(both.with_model("other"))
    assert migrate(old, new, aliases=place.aliases).records_after == 4


@pytest.mark.parametrize("place", ["memory"], indirect=True)  # on a server ours begin behind an alias
def test_where_an_alias_cannot_have_a_collections_name_it_is_said_before_anything_is_built(
    place: Place, shop: Shop
) -> None:
    old = place.connect(SPACE)
    old.ingest(shop.rows(2), base=shop.folder)
    with pytest.raises(CollectionMismatch, match=r"'product' is a collection's own name in (http|:memory:)"):
        migrate(old, place.beside(), aliases=place.aliases)
    assert place.aliases.collections() == [COLLECTION]


def test_an_empty_place_has_nothing_to_migrate(place: Place) -> None:
    with pytest.raises(StoreUnavailable, match="There is no collection 'product'"):
        migrate(place.connect(SPACE), place.beside(), aliases=place.aliases)


# --- breaking off, and others at work ---------------------------------------------------------------------------------


class Crash(Exception):
    """The process ends here."""


def test_a_migration_that_broke_off_goes_on_where_it_was(
    place: Place, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.migration.transfer.TOGETHER", 8)
    old = place.first()
    old.ingest(shop.rows(30), base=shop.folder)
    before = place.serving
    new = place.beside()

    def crash(report: Report, fraction: float | None) -> None:
        if report.new >= 16:
            raise Crash

    with pytest.raises(Crash):
        migrate(old, new, aliases=place.aliases, on_progress=crash)
    assert place.serving == before
    assert new.count() == 16
    done = migrate(old, new, aliases=place.aliases)
    assert (done.report.unchanged, done.report.new, done.report.embedded_images) == (16, 14, 14)
    assert found(new) == freshly_made(OTHER, shop.rows(30), shop)


def test_what_is_written_meanwhile_comes_along_in_the_end(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(10), base=shop.folder)
    new = place.beside()
    once = iter([True])

    def meanwhile(report: Report, fraction: float | None) -> None:
        if next(once, False):
            old.ingest([shop.row(3, title="blue hat, second hand"), *shop.rows(12)[10:]], base=shop.folder)
            old.remove("a5")

    done = migrate(old, new, aliases=place.aliases, on_progress=meanwhile)
    assert (done.records_before, done.records_after) == (11, 11)
    rows = [row for row in shop.rows(12) if row["sku"] != "a5"]
    rows[3] = shop.row(3, title="blue hat, second hand")
    assert found(new) == freshly_made(OTHER, rows, shop)
    assert (done.report.new, done.report.changed) == (12, 1)


def test_a_running_sync_is_waited_for_or_refused(place: Place, shop: Shop) -> None:
    old = place.first()
    old.ingest(shop.rows(3), base=shop.folder)
    before = place.serving
    with old.store.lock("a sync"), pytest.raises(StoreLocked, match="a sync"):
        migrate(old, place.beside(), aliases=place.aliases)
    assert place.serving == before


def test_searches_see_the_old_collection_until_they_see_the_new_one(folder: Place, shop: Shop) -> None:
    """One thread searches the open connector throughout; another asks, over and over, what the name stands for."""
    old = folder.connect(SPACE)
    old.ingest(shop.rows(60), base=shop.folder)
    before, new = found(old), folder.beside()
    stop = threading.Event()
    hits: list[list[tuple[object, float]]] = []
    models: list[object] = []

    def search() -> None:
        while not stop.is_set():
            hits.append(found(old))

    def ask() -> None:
        while not stop.is_set():
            store = folder.aliases.open(COLLECTION)
            models.append(model_of(store))
            store.close()

    threads = [threading.Thread(target=search), threading.Thread(target=ask)]
    for thread in threads:
        thread.start()
    try:
        migrate(old, new, aliases=folder.aliases)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert hits
    assert all(each == before for each in hits)
    after = models.index("stand-in 2") if "stand-in 2" in models else len(models)
    assert models == ["stand-in 1"] * after + ["stand-in 2"] * (len(models) - after)
    folder.close()
    assert found(folder.connect(OTHER)) == freshly_made(OTHER, shop.rows(60), shop)


def model_of(store: Store) -> object:
    """The weights that a collection's metadata names."""
    metadata: Any = store.describe()
    return metadata["model"]["weights"]


# --- by the least that will do ----------------------------------------------------------------------------------------


def test_other_weights_are_fused_and_another_model_is_migrated_to(place: Place, shop: Shop) -> None:
    with place.first() as first:
        first.ingest(shop.rows(5), base=shop.folder)

    def bring(space: ImageSpace[Any]) -> Migration | Report:
        with place.connect(space) as shop:
            return migrate_or_fuse(
                shop, connect=lambda name: place.connect(space, name), aliases=place.aliases
            )

    fused = bring(weighted(0.7, 0.3))
    assert isinstance(fused, Report)
    assert (fused.changed, fused.embedded_images) == (5, 0)
    moved = bring(OTHER)
    assert isinstance(moved, Migration)
    assert (moved.records_after, moved.report.embedded_images) == (5, 5)
    again = bring(OTHER)
    assert isinstance(again, Migration)
    assert not again.switched


# --- back, and on -----------------------------------------------------------------------------------------------------


@pytest.fixture
def migrated(place: Place, shop: Shop) -> Migration:
    """A migration that is done, and everything closed."""
    old = place.first()
    old.ingest(shop.rows(12), base=shop.folder)
    done = migrate(old, place.beside(), aliases=place.aliases)
    place.close()
    return done


def test_the_public_name_finds_the_new_model_and_refuses_the_old(
    place: Place, shop: Shop, migrated: Migration
) -> None:
    with place.connect(OTHER) as new:
        assert found(new) == freshly_made(OTHER, shop.rows(12), shop)
        assert new.sync(shop.rows(12), base=shop.folder).unchanged == 12
    with place.connect(SPACE) as old, pytest.raises(CollectionMismatch):
        old.sync(shop.rows(12), base=shop.folder)


def test_a_migration_can_be_rolled_back_and_forth(place: Place, shop: Shop, migrated: Migration) -> None:
    assert rollback(COLLECTION, aliases=place.aliases) == migrated.before
    with place.connect(SPACE) as old:
        assert found(old) == freshly_made(SPACE, shop.rows(12), shop)
        assert old.sync(shop.rows(12), base=shop.folder).unchanged == 12
    assert rollback(COLLECTION, aliases=place.aliases) == migrated.after
    with place.connect(OTHER) as new:
        assert found(new) == freshly_made(OTHER, shop.rows(12), shop)


def test_finishing_removes_the_old_collection_and_nothing_else(
    place: Place, shop: Shop, migrated: Migration
) -> None:
    with place.connect(SPACE, "product__staging") as stranger:
        stranger.ingest(shop.rows(2), base=shop.folder)
    assert finish(COLLECTION, aliases=place.aliases) == [migrated.before]
    mine, strangers = sorted(
        place.aliases.collections(), key=lambda name: name.startswith("product__staging")
    )
    assert mine == migrated.after
    assert strangers.startswith("product__staging")
    with place.connect(OTHER) as new:
        assert new.count() == 12
    with pytest.raises(DataError, match="There is nothing to roll back: 'product' stands for product__"):
        rollback(COLLECTION, aliases=place.aliases)
    assert finish(COLLECTION, aliases=place.aliases) == []


def test_finishing_after_a_rollback_removes_the_new_collection(
    place: Place, shop: Shop, migrated: Migration
) -> None:
    rollback(COLLECTION, aliases=place.aliases)
    assert finish(COLLECTION, aliases=place.aliases) == [migrated.after]
    with place.connect(SPACE) as old:
        assert found(old) == freshly_made(SPACE, shop.rows(12), shop)
        done = migrate(old, place.beside(), aliases=place.aliases)
    assert done.report.new == 12


def test_finishing_removes_all_that_came_before(place: Place, shop: Shop, migrated: Migration) -> None:
    third = ImageSpace(Product.photo, "other", ModelHandler.STAND_IN)
    done = migrate(place.connect(OTHER), place.beside(third), aliases=place.aliases)
    place.close()
    assert finish(COLLECTION, aliases=place.aliases) == sorted([migrated.before, migrated.after])
    assert place.aliases.collections() == [done.after]
    with place.connect(third) as newest:
        assert newest.count() == 12


def test_what_was_built_and_never_used_can_be_removed(place: Place, shop: Shop) -> None:
    old, new = place.first(), place.beside()
    old.ingest(shop.rows(5), base=shop.folder)
    before = place.serving

    def crash(report: Report, fraction: float | None) -> None:
        raise Crash

    with pytest.raises(Crash):
        migrate(old, new, aliases=place.aliases, on_progress=crash)
    place.close()
    assert finish(COLLECTION, aliases=place.aliases) == [new.collection]
    assert place.aliases.collections() == [before]


def test_a_crash_right_before_the_switch_leaves_the_old_one_to_go_back_to(
    place: Place, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = place.first(), place.beside()
    old.ingest(shop.rows(5), base=shop.folder)
    before = place.serving

    def crash(name: str, collection: str) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(place.aliases, "switch", crash)
        with pytest.raises(Crash):
            migrate(old, new, aliases=place.aliases)
    place.close()
    assert rollback(COLLECTION, aliases=place.aliases) == before
    done = migrate(place.connect(SPACE), place.beside(), aliases=place.aliases)
    assert done.switched
    assert (done.report.unchanged, done.report.embedded_images) == (5, 0)
