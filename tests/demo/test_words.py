"""Words: what the demo model knows, and when a query asks for nothing it knows."""

from __future__ import annotations

import doctest
import subprocess
import sys
from types import ModuleType

import pytest

import connector.demo
from connector.demo import KNOWN_WORDS, catalogue, unknown_query, words
from connector.demo.scene import BACKDROPS, COLOURS, PATTERNS, THINGS, Scene
from connector.demo.words import STOP_WORDS, VOCABULARY, plural, sentence, things_called, tokens


def test_every_name_of_a_scene_is_known_and_so_is_a_plural() -> None:
    names = [*THINGS, *COLOURS, *PATTERNS, *BACKDROPS, *map(plural, THINGS)]
    unknown = {token for name in names for token in tokens(name)} - KNOWN_WORDS
    assert unknown == {"t"}
    assert {"mug", "cup", "striped", "polka", "two", "animals", "wear", "furniture"} <= KNOWN_WORDS


def test_known_words_are_about_two_hundred_and_none_is_a_stop_word() -> None:
    assert 190 <= len(KNOWN_WORDS) <= 240
    assert KNOWN_WORDS.isdisjoint(STOP_WORDS)
    assert set(VOCABULARY) > KNOWN_WORDS | STOP_WORDS


@pytest.mark.parametrize(
    "query", ["zorblax", "", "a thing on the background", "don't", "route 3", "日本", "?!"]
)
def test_a_query_without_a_known_word_is_unknown(query: str) -> None:
    assert unknown_query(query)


@pytest.mark.parametrize(
    "query", ["a MUG", "Zorblax mug!", "something to wear", "polka-dot", "t-shirt", "rosé mûg"]
)
def test_one_known_word_is_enough(query: str) -> None:
    assert not unknown_query(query)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("fish", "fish"),
        ("butterfly", "butterflies"),
        ("dish", "dishes"),
        ("key", "keys"),
        ("t-shirt", "t-shirts"),
    ],
)
def test_plurals(word: str, expected: str) -> None:
    assert plural(word) == expected


def test_a_word_means_one_thing_or_a_kind_of_things() -> None:
    assert things_called("cups") == {"mug"}
    assert things_called("animals") == {"fish", "bird", "butterfly"}
    assert things_called("something to wear") == {"t-shirt", "hat", "sock"}
    assert things_called("zorblax") == frozenset()


def test_a_sentence_names_all_six_attributes() -> None:
    one = Scene("umbrella", "grey", "plain", "sky", 1, "small")
    assert sentence(one) == "a small grey plain umbrella on a sky background"
    assert sentence(Scene("fish", "red", copies=3)) == "three medium red plain fish on a pearl background"


@pytest.mark.parametrize("module", [words, catalogue])
def test_docstrings_tell_the_truth(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_importing_it_loads_neither_torch_nor_tokenizers_nor_pillow() -> None:
    code = (
        "import sys, connector.demo; "
        "print([m for m in ('torch', 'tokenizers', 'transformers', 'PIL', 'numpy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_public_names() -> None:
    assert connector.demo.__all__ == ["KNOWN_WORDS", "MODEL_FOLDER", "unknown_query"]
