"""Training sentences: a few true words about a scene, and which other scenes they are just as true of."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.demo import words
from connector.demo.scene import BACKDROPS, COLOURS, COPIES, PATTERNS, SIZES, THINGS, Scene

AXES: tuple[tuple[object, ...], ...] = (THINGS, COLOURS, PATTERNS, BACKDROPS, COPIES, SIZES)
WIDTH = sum(len(axis) for axis in AXES)
_STARTS = np.cumsum([0, *(len(axis) for axis in AXES)])
_WORD_TABLES = (words.KIND_WORDS, words.MASS_WORDS)
_KINDS_OF = {
    thing: [w for table in _WORD_TABLES for w, row in table.items() if thing in row] for thing in THINGS
}
_NAMES = ("thing", "colour", "pattern", "backdrop", "copies", "size")
# What a query of a few words says about the thing it names; "red mug" is asked most.
_SHORT: tuple[tuple[str, ...], ...] = (
    (),
    ("colour",),
    ("colour",),
    ("pattern",),
    ("copies",),
    ("colour", "pattern"),
    ("backdrop",),
)
# How often a longer sentence says each.
_CHANCES = {"thing": 0.9, "colour": 0.75, "pattern": 0.65, "backdrop": 0.55, "copies": 0.65, "size": 0.55}
_FILLERS = sorted(words.STOP_WORDS)


@dataclass(frozen=True)
class Description:
    """Words, and the values they allow on each axis: (WIDTH,) of zeros and ones."""

    text: str
    allowed: NDArray[np.float32]


def numbers(scene: Scene) -> list[int]:
    """The scene's value on each of the six axes, as an index."""
    values = (scene.thing, scene.colour, scene.pattern, scene.backdrop, scene.copies, scene.size)
    return [axis.index(value) for axis, value in zip(AXES, values, strict=True)]


def one_hot(index: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, 6) indices to (n, WIDTH); a description is true of a scene where `allowed @ one_hot` is 6."""
    flags = np.zeros((len(index), WIDTH), dtype=np.float32)
    flags[np.arange(len(index))[:, None], index + _STARTS[:-1]] = 1
    return flags


def describe(scene: Scene, rng: random.Random) -> Description:
    """A true sentence or query about `scene`, in one of the ways people ask."""
    style = rng.random()
    if style < 0.14:
        return _told(
            scene, rng, {"thing", "colour", "pattern", "backdrop", "copies", "size"}, words.sentence(scene)
        )
    if style < 0.42:
        return _told(scene, rng, {"thing", *rng.choice(_SHORT)})
    if style < 0.50:
        return _told(scene, rng, {rng.choice(("backdrop", "backdrop", "colour", "pattern", "copies"))})
    said = {name for name, chance in _CHANCES.items() if rng.random() < chance}
    return _told(scene, rng, said or {"thing"})


def _told(scene: Scene, rng: random.Random, said: set[str], text: str | None = None) -> Description:
    allowed = np.ones(WIDTH, dtype=np.float32)
    for axis, name, value in zip(range(6), _NAMES, numbers(scene), strict=True):
        if name in said:
            allowed[_STARTS[axis] : _STARTS[axis + 1]] = 0
            allowed[_STARTS[axis] + value] = 1
    if text is None:
        noun, things = _noun(scene, rng, said)
        if "thing" in said:
            allowed[: len(THINGS)] = [thing in things for thing in THINGS]
        text = _arranged(scene, rng, said, noun)
    return Description(_muddled(text, rng), allowed)


def _noun(scene: Scene, rng: random.Random, said: set[str]) -> tuple[str, frozenset[str]]:
    """A word for the thing, and everything it may mean."""
    many = scene.copies > 1 if "copies" in said else rng.random() < 0.3
    if "thing" not in said:
        return rng.choice(("things", "something", "") if many else ("thing", "something", "")), frozenset(
            THINGS
        )
    if rng.random() < 0.16 and _KINDS_OF[scene.thing]:
        word = rng.choice(_KINDS_OF[scene.thing])
        if word in words.MASS_WORDS:
            return word, words.things_called(word)
        return words.plural(word) if many else word, words.things_called(word)
    own = words.THING_WORDS[scene.thing]
    word = own[0] if rng.random() < 0.6 else rng.choice(own)
    return words.plural(word) if many else word, frozenset({scene.thing})


def _arranged(scene: Scene, rng: random.Random, said: set[str], noun: str) -> str:
    count = _one_of(words.COPIES_WORDS[scene.copies], rng) if "copies" in said else ""
    size = _one_of(words.SIZE_WORDS[scene.size], rng) if "size" in said else ""
    colour = _one_of(words.COLOUR_WORDS[scene.colour], rng) if "colour" in said else ""
    pattern = _one_of(words.PATTERN_WORDS[scene.pattern], rng) if "pattern" in said else ""
    after = ""
    if pattern in ("stripes", "dots") or (pattern == "polka-dot" and rng.random() < 0.3):
        pattern, after = "", f"with {pattern}"
    looks = [colour, pattern] if rng.random() < 0.75 else [pattern, colour]
    if noun.startswith("something ") and rng.random() < 0.5:
        spoken = ["something", *looks, noun.removeprefix("something ")]
    else:
        spoken = [count or rng.choice(("", "a", "the")), size, *looks, noun, after]
    if "backdrop" in said:
        backdrop = _one_of(words.BACKDROP_WORDS[scene.backdrop], rng)
        spoken.append(
            rng.choice(
                (
                    f"on a {backdrop} background",
                    f"on a {backdrop} backdrop",
                    f"on {backdrop}",
                    f"{backdrop} background",
                )
            )
        )
    return " ".join(word for word in spoken if word)


def _one_of(choices: tuple[str, ...], rng: random.Random) -> str:
    return choices[0] if rng.random() < 0.55 else rng.choice(choices)


def _muddled(text: str, rng: random.Random) -> str:
    """Now and then with a word that means nothing to the model, so that it learns to pass over those."""
    if rng.random() < 0.7:
        return text
    spoken = text.split()
    filler = "zzz" if rng.random() < 0.6 else rng.choice(_FILLERS)
    spoken.insert(rng.randrange(len(spoken) + 1), filler)
    return " ".join(spoken)
