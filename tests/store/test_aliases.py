"""Aliases: what a name points to, switched in one step, wherever Qdrant is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connector.errors import DataError, StoreLocked, StoreUnavailable
from connector.store.opening import open_aliases, open_store
from connector.store.retry import Retries
from connector.store.store import Store
from tests.store.conftest import Place
from tests.store.qdrant_server import Seen, reset, running_server, status
from tests.store.samples import points, spec, vector


def made(place: Place, name: str, count: int) -> Store:
    store = place.open(name)
    store.create(spec(place.name(name), color=name))
    store.upsert(points(count))
    return store


def test_an_alias_leads_to_a_collection_and_can_be_switched(place: Place) -> None:
    made(place, "blue", 2).close()
    made(place, "green", 5).close()
    aliases, shop = place.aliases(), place.name("shop")
    assert aliases.target(shop) is None
    for color, count in (("blue", 2), ("green", 5), ("green", 5), ("blue", 2)):
        aliases.switch(shop, place.name(color))
        assert aliases.target(shop) == place.name(color)
        store = place.open("shop")
        assert (store.count(), len(store.query(vector(1), using="fused"))) == (count, count)
        assert (store.describe() or {})["color"] == color
        store.close()
    assert {place.name("blue"), place.name("green")} <= set(aliases.collections())
    assert shop not in aliases.collections()


def test_all_calls_follow_an_alias(place: Place) -> None:
    made(place, "blue", 2).close()
    place.aliases().switch(place.name("shop"), place.name("blue"))
    store = place.open("shop")
    store.create(spec(place.name("shop"), more=1))
    store.renew({"last_version": 7})
    with store.lock("tests"):
        store.upsert(points(3))
        store.overwrite(points(1))
        store.bury([points(1)[0].id], schema="Thing", version=1)
    assert store.purge(2) == 1
    store.close()
    real = place.open("blue")
    assert real.count() == 2
    metadata = real.describe() or {}
    assert (metadata["more"], metadata["last_version"], metadata["color"]) == (1, 7, "blue")


def test_an_alias_survives_reopening(place: Place) -> None:
    made(place, "blue", 2).close()
    place.aliases().switch(place.name("shop"), place.name("blue"))
    assert place.aliases().target(place.name("shop")) == place.name("blue")
    assert place.open("shop").count() == 2


def test_an_alias_of_nothing_is_refused_and_changes_nothing(place: Place) -> None:
    made(place, "blue", 2).close()
    aliases, shop = place.aliases(), place.name("shop")
    aliases.switch(shop, place.name("blue"))
    with pytest.raises(DataError, match="no such collection"):
        aliases.switch(shop, place.name("red"))
    assert aliases.target(shop) == place.name("blue")


def test_what_an_alias_points_to_is_not_dropped(place: Place) -> None:
    made(place, "blue", 2).close()
    made(place, "green", 2).close()
    aliases, shop = place.aliases(), place.name("shop")
    aliases.switch(shop, place.name("blue"))
    with pytest.raises(DataError, match=r"alias .*shop.* points to, and was not deleted"):
        aliases.drop(place.name("blue"))
    aliases.switch(shop, place.name("green"))
    aliases.drop(place.name("blue"))
    aliases.drop(place.name("blue"))
    assert place.name("blue") not in aliases.collections()
    assert place.open("blue").describe() is None
    assert place.open("shop").count() == 2


@pytest.mark.parametrize("name", ["../up", "", ".hidden"])
def test_a_name_that_could_leave_the_folder_is_refused(place: Place, name: str) -> None:
    aliases = place.aliases()
    for use in (aliases.target, aliases.drop, aliases.open):
        with pytest.raises(DataError, match="cannot name a collection"):
            use(name)


def test_in_a_folder_an_alias_may_have_a_collections_name(tmp_path: Path) -> None:
    for name, count in (("shop", 2), ("shop2", 5)):
        store = open_store(tmp_path, name)
        store.create(spec(name))
        store.upsert(points(count))
        store.close()
    aliases = open_aliases(tmp_path)
    for target, count in (("shop2", 5), ("shop", 2)):
        aliases.switch("shop", target)
        store = open_store(tmp_path, "shop")
        assert store.count() == count
        store.close()


def test_on_a_server_it_may_not(retries: Retries) -> None:
    with running_server() as server:
        aliases = open_aliases(server.url, retries=retries)
        for name in ("shop", "shop2"):
            store = open_store(server.url, name, retries=retries)
            store.create(spec(name))
            store.close()
        with pytest.raises(DataError, match=r"'shop' is a collection at .* no alias can have its name"):
            aliases.switch("shop", "shop2")
        aliases.close()


def test_a_store_of_a_server_follows_a_switch_at_once(retries: Retries) -> None:
    with running_server() as server:
        for name, count in (("blue", 2), ("green", 5)):
            store = open_store(server.url, name, retries=retries)
            store.create(spec(name))
            store.upsert(points(count))
            store.close()
        aliases = open_aliases(server.url, retries=retries)
        aliases.switch("shop", "blue")
        shop = open_store(server.url, "shop", retries=retries)
        assert shop.count() == 2
        aliases.switch("shop", "green")
        assert shop.count() == 5
        shop.close()
        aliases.close()


@pytest.mark.parametrize("fault", [status(500, applied=True), status(503), reset(applied=True), reset()])
def test_a_switch_is_one_operation_and_may_be_repeated(retries: Retries, fault: object) -> None:
    def switches(seen: Seen) -> bool:
        return seen.path == "/collections/aliases"

    with running_server(faulty=switches, faults=[None, fault]) as server:  # type: ignore[list-item]  # any of them
        for name in ("blue", "green"):
            store = open_store(server.url, name, retries=retries)
            store.create(spec(name))
            store.close()
        aliases = open_aliases(server.url, retries=retries)
        aliases.switch("shop", "blue")
        aliases.switch("shop", "green")
        assert aliases.target("shop") == "green"
        assert len([seen for seen in server.requests if switches(seen)]) == 3
        aliases.close()


def test_a_switch_that_fails_half_way_leaves_the_old_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("blue", "green"):
        store = open_store(tmp_path, name)
        store.create(spec(name))
        store.close()
    aliases = open_aliases(tmp_path)
    aliases.switch("shop", "blue")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable, match=r"could not be switched.*No space left on device"):
            aliases.switch("shop", "green")
    assert aliases.target("shop") == "blue"


def test_a_collection_that_is_open_is_not_dropped(tmp_path: Path) -> None:
    store = open_store(tmp_path, "blue")
    store.create(spec("blue"))
    store.upsert(points(2))
    with pytest.raises(StoreLocked):
        open_aliases(tmp_path).drop("blue")
    assert store.count() == 2
    store.close()


def test_remains_of_an_interrupted_drop_are_no_obstacle(tmp_path: Path) -> None:
    store = open_store(tmp_path, "blue")
    store.create(spec("blue"))
    store.close()
    (tmp_path / ".blue.dropped" / "shard").mkdir(parents=True)
    open_aliases(tmp_path).drop("blue")
    assert list(tmp_path.iterdir()) == []
