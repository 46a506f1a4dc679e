"""A batch is shared between handlers, and its vectors come back in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from connector.engine.engine import Engine
from connector.engine.handlers import ImageHandler, TextHandler
from connector.engine.replicas import PictureAndTextReplicas, replicated


class Card:
    """A handler that tells how much it was given; a picture's vector is its width and height."""

    length, frame, identity = 2, None, {"name": "card"}

    def __init__(self, name: str) -> None:
        self.device, self.given = name, list[int]()

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        self.given.append(len(pictures))
        return np.array([picture.size for picture in pictures], np.float32)


class Reader(Card):
    """Likewise, of words, by their length."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.given.append(len(texts))
        if "" in texts:
            raise ValueError("nothing to read")
        return np.array([[len(text), 1] for text in texts], np.float32)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_vectors_come_in_order(count: int) -> None:
    cards = [Card("cuda"), Card("cuda:1"), Card("cuda:2")]
    rows = replicated(cards).embed_images([Image.new("RGB", (width + 1, 5)) for width in range(count)])
    assert rows[:, 0].tolist() == list(range(1, count + 1))
    assert sum(sum(card.given) for card in cards) == count
    assert max(sum(card.given) for card in cards) <= -(-count // 3)


def test_texts_are_shared_where_all_read() -> None:
    cards = [Reader("cuda"), Reader("cuda:1")]
    handler = replicated(cards)
    assert isinstance(handler, TextHandler)
    assert handler.embed_texts(["a", "bb", "ccc"])[:, 0].tolist() == [1, 2, 3]
    assert [card.given for card in cards] == [[2], [1]]


def test_a_model_of_pictures_has_no_method_for_texts() -> None:
    assert not isinstance(replicated([Card("cuda"), Card("cuda:1")]), TextHandler)


def test_one_card_needs_no_sharing() -> None:
    card = Card("cuda")
    assert replicated([card]) is card


def test_it_is_the_model_that_it_replicates() -> None:
    handler = replicated([Reader("cuda"), Reader("cuda:1")])
    assert isinstance(handler, PictureAndTextReplicas)
    assert isinstance(handler, ImageHandler)
    assert (handler.length, handler.frame, handler.identity, handler.device) == (
        2,
        None,
        {"name": "card"},
        "cuda",
    )


def test_pictures_are_resized_where_the_model_does_so_itself() -> None:
    class Resizing(Card):
        def resize(self, picture: Image.Image) -> Image.Image:
            return picture.resize((4, 3))

    picture = Image.new("RGB", (8, 6))
    both = [replicated([kind("cuda"), kind("cuda:1")]) for kind in (Resizing, Card)]
    assert [Engine(handler).resize(picture).size for handler in both] == [(4, 3), (8, 6)]


def test_what_one_card_refuses_is_refused() -> None:
    handler = replicated([Reader("cuda"), Reader("cuda:1")])
    assert isinstance(handler, TextHandler)
    with pytest.raises(ValueError, match="nothing to read"):
        handler.embed_texts(["a", ""])
