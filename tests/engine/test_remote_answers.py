"""What servers say of their models and results, read strictly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from connector.engine.remote_answers import (
    Address,
    address_of,
    description_of,
    description_of_original,
    rows_of,
)
from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.space import PictureFrame

ADDRESS = Address("http://gpu.example:8888", "demo")
GOOD: dict[str, Any] = {
    "name": "demo",
    "tasks": ["image-embedding", "text-embedding"],
    "length": 128,
    "frame": {"size": 64, "fit": "shortest", "resample": "bicubic"},
    "identity": {
        "handler": "open_clip",
        "weights": "abc",
        "preprocess": "size=64",
        "library": "open_clip 3.3",
    },
}


@pytest.mark.parametrize(
    ("url", "base", "model"),
    [
        ("http://gpu.example:8888/demo", "http://gpu.example:8888", "demo"),
        (
            "https://fes.example/a/prefix/clip-vit-large-patch14/",
            "https://fes.example/a/prefix",
            "clip-vit-large-patch14",
        ),
        ("http://[::1]:8888/dino_v2_vits14", "http://[::1]:8888", "dino_v2_vits14"),
    ],
)
def test_a_model_is_the_last_part_of_a_servers_url(url: str, base: str, model: str) -> None:
    assert address_of(url) == Address(base, model)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("demo", "is no remote model"),
        ("ftp://gpu.example/demo", "is no remote model"),
        ("http:///demo", "is no remote model"),
        ("http://gpu.example:8888", "is no remote model"),
        ("http://gpu.example:8888/", "is no remote model"),
        ("http://gpu.example:8888/a b", "is no remote model"),
        ("http://gpu.example:8888/..", "is no remote model"),
        ("http://gpu.example:99999/demo", "no URL that can be read"),
        ("http://[gpu/demo", "no URL that can be read"),
        ("http://gpu.example/demo?key=s3cret", "has a query"),
        ("http://me:s3cret@gpu.example/demo", "a user name or a password"),
    ],
)
def test_a_url_that_names_no_model_is_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidSpaceParamException, match=why) as raised:
        address_of(url)
    assert "s3cret" not in str(raised.value)


def test_our_servers_description() -> None:
    read = description_of(GOOD, ADDRESS)
    assert read.frame == PictureFrame(64)
    assert (read.length, read.identity) == (128, GOOD["identity"])
    assert description_of(GOOD | {"frame": None}, ADDRESS).frame is None


def test_two_descriptions_differ_in_what_makes_vectors() -> None:
    one = description_of(GOOD, ADDRESS)
    newer = description_of(GOOD | {"identity": GOOD["identity"] | {"library": "open_clip 4.0"}}, ADDRESS)
    other = description_of(GOOD | {"identity": GOOD["identity"] | {"weights": "def"}}, ADDRESS)
    assert one.differences(newer) == []
    assert one.differences(other) == ["weights"]


@pytest.mark.parametrize(
    "change",
    [
        {"identity": {}},
        {"identity": {"handler": "x", "weights": "y", "preprocess": 3}},
        {"identity": "demo"},
        {"length": "64"},
        {"length": 0},
        {"length": True},
        {"frame": {"size": 64}},
        {"frame": "shortest"},
        {"frame": {"size": 10**9, "fit": "shortest", "resample": "bicubic"}},
        {"frame": {"size": 64, "fit": "tall", "resample": "bicubic"}},
        {"tasks": None},
    ],
)
def test_a_description_that_cannot_be_read_is_refused(change: dict[str, Any]) -> None:
    unreadable: list[Any] = [GOOD | change, None, [], "demo"]
    for body in unreadable:
        with pytest.raises(ModelUnavailable, match="describes its model 'demo' in a way that cannot be read"):
            description_of(body, ADDRESS)


def test_of_the_originals_models_three_are_known_by_either_spelling() -> None:
    for name in ("dino-v2-vits14", "dino_v2_vits14"):
        read = description_of_original(["image-embedding"], Address("http://fes", name))
        assert (read.length, read.frame, read.identity["weights"]) == (384, None, "dino-v2-vits14")
    unknown = description_of_original(["image-embedding"], Address("http://fes", "other"))
    assert (unknown.length, unknown.frame) == (None, None)


def test_rows_are_float32_in_order() -> None:
    rows = rows_of([{"embedding": [1, 2.5]}, {"embedding": [3e-1, -4]}], 2, None)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.asarray([[1, 2.5], [0.3, -4]], np.float32))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1e300, 10**400])
def test_a_number_beyond_float32_harms_its_own_vector_only(number: float) -> None:
    rows = rows_of([{"embedding": [number, 1.0]}, {"embedding": [1.0, 2.0]}], 2, 2)
    assert np.isfinite(rows).all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ("vectors", "str for 1 inputs"),
        ([], "0 results for 1 inputs"),
        ([{"embedding": []}], "without a vector"),
        ([{"embedding": [1.0, 2.0, 3.0]}], "3 numbers, not 2"),
        ([{"embedding": [True, False]}], "something else than numbers"),
        ([{"embedding": [[1.0], [2.0]]}], "something else than numbers"),
    ],
)
def test_what_is_no_vectors_is_refused(result: object, why: str) -> None:
    with pytest.raises(ModelUnavailable, match=why):
        rows_of(result, 1, 2)
