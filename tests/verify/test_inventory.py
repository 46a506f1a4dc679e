"""An inventory is small, finds any point again, and knows which cannot be right whatever the source says."""

from __future__ import annotations

import tracemalloc
import uuid

import numpy as np

from connector.store.points import point_id
from connector.store.store import Point
from connector.verify.audit import Kind
from connector.verify.inventory import Inventory, Mark, faults


def test_an_inventory_holds_sixty_bytes_a_record_at_most() -> None:
    vector = np.ones(4, np.float32)

    def held(count: int) -> int:
        tracemalloc.start()
        inventory = Inventory()
        for number in range(count):
            inventory.add(Point(str(uuid.UUID(int=number)), {"fused": vector}, {"_payload": "d"}), Mark(0))
        inventory.seal()
        bytes_held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return bytes_held

    few = held(10)  # what does not grow with the records
    assert (held(20_010) - few) / 20_000 <= 60


def test_an_inventory_finds_points_in_whatever_order_they_came() -> None:
    ids = [point_id("Product", number) for number in range(100)]
    inventory = Inventory()
    for id in ids:
        inventory.add(Point(id, {}, {}), Mark.FAULTY)
    inventory.seal()
    places = inventory.places([*ids, point_id("Product", 100)])
    assert [inventory.id(place) for place in places[:-1]] == ids
    assert places[-1] == -1


def test_what_no_store_keeps_is_still_told_apart() -> None:
    payload = {"_schema": "Product", "_payload": "d", "_at": "now", "_picture": "d"}
    vectors = {
        "nan": np.full(4, np.nan, np.float32),
        "long": np.full(4, 2, np.float32),
        "short": np.ones(3, np.float32),
    }
    point = Point(point_id("Product", 1), {"fused": np.array([1, 0, 0, 0], np.float32), **vectors}, payload)
    assert list(faults(point, ("fused", *vectors), 4)) == [
        (Kind.NAN_VECTOR, "its vector 'nan' holds NaN or infinity"),
        (Kind.NOT_UNIT, "its vector 'long' has length 4.000, not 1"),
        (Kind.WRONG_MODEL, "its vector 'short' has 3 values, not 4"),
    ]
