"""`unlike`: turning a search away from records, with words, a picture or a record to start from, or alone."""

from __future__ import annotations

import numpy as np
import pytest

from connector import Connector
from connector.engine.fusion import away_from, unit
from connector.errors import DataError, EmbeddingError
from tests.conftest import Opened, Product, Shop


@pytest.fixture
def filled(opened: Opened, shop: Shop) -> Connector[Product]:
    connector: Connector[Product] = opened()
    connector.ingest(shop.rows(20), base=shop.folder)
    return connector


def vectors(connector: Connector[Product], *ids: str, name: str = "fused") -> list[np.ndarray]:
    found = {hit.id: hit.vectors for hit in connector.search("x", limit=100, with_vectors=True)}
    return [(found[id] or {})[name] for id in ids]


def test_the_query_moves_away_by_half_the_mean_of_their_vectors(filled: Connector[Product]) -> None:
    a1, a2, a5 = vectors(filled, "a1", "a2", "a5")
    query = unit(a1 - 0.5 * (a2 + a5) / 2)
    hits = filled.search(like="a1", unlike=["a2", "a5"], limit=100)
    scored = {hit.id: hit.score for hit in hits}
    everything = {hit.id: hit.vectors for hit in filled.search("x", limit=100, with_vectors=True)}
    for id, score in scored.items():
        assert score == pytest.approx(float(query @ (everything[id] or {})["fused"]), abs=1e-5)
    assert set(scored) == set(everything) - {"a1", "a2", "a5"}


def test_words_can_be_turned_away_from_a_record(filled: Connector[Product]) -> None:
    plain = [hit.id for hit in filled.search("red mug", limit=3)]
    turned = filled.search("red mug", unlike=[plain[0]], limit=3)
    assert plain[0] not in [hit.id for hit in turned]


def test_alone_it_asks_for_what_is_least_like_them(filled: Connector[Product]) -> None:
    far = filled.search(unlike=["a3"], limit=100)
    near = filled.search(like="a3", limit=100)
    assert [hit.id for hit in far] == [hit.id for hit in reversed(near)]
    assert [hit.score for hit in far] == pytest.approx([-hit.score for hit in reversed(near)], abs=1e-5)


def test_it_compares_the_vector_that_is_asked_for(filled: Connector[Product]) -> None:
    (a3,) = vectors(filled, "a3", name="text")
    hits = filled.search(unlike=["a3"], using="text", limit=100)
    (first,) = vectors(filled, str(hits[0].id), name="text")
    assert hits[0].score == pytest.approx(float(-a3 @ first), abs=1e-5)


def test_pages_fit_together(filled: Connector[Product]) -> None:
    whole = [hit.id for hit in filled.search("mug", like="a1", unlike=["a2", "a5"], limit=100)]
    pages = [
        hit.id
        for offset in range(0, 20, 5)
        for hit in filled.search("mug", like="a1", unlike=["a2", "a5"], limit=5, offset=offset)
    ]
    assert pages == whole
    assert len(whole) == 17


def test_an_id_that_is_not_there_is_told(filled: Connector[Product]) -> None:
    with pytest.raises(
        DataError, match=r"^unlike is 'zz', but there is no such record with a vector 'fused'"
    ):
        filled.search("mug", unlike=["zz"])


def test_a_record_and_itself_cancel_out_only_when_nothing_is_left(filled: Connector[Product]) -> None:
    # q - 0.5 q is still q: half of what is not wanted never outweighs what is.
    assert [hit.id for hit in filled.search(like="a1", unlike=["a1"], limit=3)] == [
        hit.id for hit in filled.search(like="a1", limit=3)
    ]


def test_what_cancels_out_is_refused() -> None:
    east = np.array([1, 0], np.float32)
    with pytest.raises(EmbeddingError, match="Nothing is left to search with"):
        away_from(None, [east, -east])
    with pytest.raises(EmbeddingError, match="Leave one of the unlike records out"):
        away_from(east, [2 * east])


def test_the_arithmetic() -> None:
    east, north = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    np.testing.assert_allclose(away_from(east, [north]), unit([1, -0.5]), atol=1e-6)
    np.testing.assert_allclose(away_from(None, [north]), [0, -1], atol=1e-6)
    assert away_from(east, [north]).dtype == np.float32


def test_a_picture_that_was_decoded_before_is_the_same_query(filled: Connector[Product], shop: Shop) -> None:
    path = shop.folder / "p4.png"
    decoded = filled.picture(path.read_bytes())
    ahead, plain = filled.search(image=decoded, limit=5), filled.search(image=path.read_bytes(), limit=5)
    assert [hit.id for hit in ahead] == [hit.id for hit in plain]
    assert [hit.score for hit in ahead] == pytest.approx([hit.score for hit in plain], abs=1e-6)


def test_what_is_embedded_ahead_is_not_embedded_again(filled: Connector[Product], shop: Shop) -> None:
    picture = filled.picture((shop.folder / "p4.png").read_bytes())
    filled.embed_ahead(["never seen words", "others", "never seen words"], [picture])
    counts = filled._embedder.counts
    filled.search("never seen words", image=picture)
    filled.search("others")
    assert filled._embedder.counts == counts


def test_what_the_model_refuses_ahead_is_refused_when_it_is_asked(filled: Connector[Product]) -> None:
    filled.embed_ahead(["unembeddable", "fine"])
    with pytest.raises(EmbeddingError):
        filled.search("unembeddable")
    assert filled.search("fine")
