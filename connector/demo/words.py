"""The words the demo model was taught, and how a scene is told in them."""

from __future__ import annotations

import functools
import re
import unicodedata

from connector.demo.scene import THINGS, Scene

# The first word of each row is the one a plain sentence uses; the others mean the same.
THING_WORDS: dict[str, tuple[str, ...]] = {
    "mug": ("mug", "cup"), "teapot": ("teapot", "pot", "kettle"), "bottle": ("bottle", "flask"),
    "t-shirt": ("t-shirt", "shirt", "tee", "tshirt"), "hat": ("hat", "cap", "beanie"),
    "sock": ("sock", "stocking"), "bag": ("bag", "handbag", "purse"),
    "umbrella": ("umbrella", "parasol", "brolly"), "chair": ("chair", "seat"), "lamp": ("lamp", "lantern"),
    "key": ("key",), "house": ("house", "home", "cottage"), "car": ("car", "automobile"),
    "boat": ("boat", "ship", "sailboat"), "rocket": ("rocket", "spaceship"), "fish": ("fish",),
    "bird": ("bird", "chick"), "butterfly": ("butterfly", "moth"), "tree": ("tree",),
    "flower": ("flower", "blossom", "daisy"), "mushroom": ("mushroom", "toadstool"), "star": ("star",),
    "balloon": ("balloon",), "cupcake": ("cupcake", "muffin", "cake"),
}  # fmt: skip
KIND_WORDS: dict[str, tuple[str, ...]] = {
    "animal": ("fish", "bird", "butterfly"), "creature": ("fish", "bird", "butterfly"),
    "pet": ("fish", "bird"), "vehicle": ("car", "boat", "rocket"), "plant": ("tree", "flower", "mushroom"),
    "garment": ("t-shirt", "hat", "sock"), "accessory": ("hat", "bag", "umbrella"),
    "dish": ("mug", "teapot"), "drink": ("mug", "teapot", "bottle"), "building": ("house",),
    "treat": ("cupcake",), "dessert": ("cupcake",), "insect": ("butterfly",),
    "container": ("mug", "teapot", "bottle", "bag"),
}  # fmt: skip
MASS_WORDS: dict[str, tuple[str, ...]] = {
    "clothes": ("t-shirt", "hat", "sock"), "clothing": ("t-shirt", "hat", "sock"),
    "something to wear": ("t-shirt", "hat", "sock"), "furniture": ("chair", "lamp"),
    "kitchenware": ("mug", "teapot", "bottle"), "kitchen": ("mug", "teapot", "bottle"),
    "something to drink from": ("mug", "bottle"), "something to sit on": ("chair",),
    "something to eat": ("cupcake", "mushroom"), "food": ("cupcake", "mushroom"),
    "something that can fly": ("rocket", "bird", "butterfly", "balloon"),
    "something that can swim": ("fish",), "nature": ("tree", "flower", "mushroom"),
    "party": ("balloon", "cupcake"), "coffee": ("mug",), "tea": ("mug", "teapot"),
    "something for rain": ("umbrella",), "something for tea": ("teapot", "mug"),
    "something to drive": ("car",),
}  # fmt: skip
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "scarlet", "crimson"), "orange": ("orange",), "yellow": ("yellow", "gold", "golden"),
    "green": ("green",), "turquoise": ("turquoise", "teal", "cyan"), "blue": ("blue", "navy"),
    "purple": ("purple", "violet"), "pink": ("pink", "rosy"), "brown": ("brown", "chocolate"),
    "black": ("black",), "grey": ("grey", "gray", "silver"), "white": ("white", "cream"),
}  # fmt: skip
PATTERN_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("plain", "simple", "solid"), "striped": ("striped", "stripy", "stripey", "stripes"),
    "dotted": ("dotted", "spotted", "spotty", "polka-dot", "dots"),
    "checked": ("checked", "checkered", "chequered", "gingham", "plaid"),
}  # fmt: skip
BACKDROP_WORDS: dict[str, tuple[str, ...]] = {
    "pink": ("pink", "rose"), "sky": ("sky", "blue", "light blue"),
    "mint": ("mint", "green", "light green"), "lemon": ("lemon", "yellow", "light yellow"),
    "lilac": ("lilac", "purple", "lavender"), "peach": ("peach", "orange", "apricot"),
    "sand": ("sand", "beige", "brown"), "pearl": ("pearl", "grey", "gray"),
}  # fmt: skip
COPIES_WORDS: dict[int, tuple[str, ...]] = {
    1: ("one", "1", "single"),
    2: ("two", "2", "pair of"),
    3: ("three", "3"),
}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"), "medium": ("medium", "normal"), "large": ("large", "big", "huge"),
}  # fmt: skip

# Words without a meaning of their own here: a query of nothing else asks for nothing.
STOP_WORDS = frozenset({
    "a", "an", "the", "and", "of", "on", "in", "at", "with", "for", "from", "to", "by", "is", "are", "it",
    "that", "this", "these", "those", "some", "something", "any", "thing", "things", "can", "picture",
    "photo", "drawing", "image", "background", "backdrop", "before", "me", "show", "find", "pattern",
    "colour", "color", "i", "my", "light",
})  # fmt: skip


def plural(word: str) -> str:
    """The plural of one of the words above."""
    if word in ("fish", "clothes"):
        return word
    if word.endswith(("s", "sh", "ch")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def tokens(text: str) -> list[str]:
    """Lower-case runs of letters and single digits, without accents: what the model's tokenizer sees."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.findall(r"[a-z]+|[0-9]", bare.lower())


def _content_words() -> frozenset[str]:
    tables = (THING_WORDS, COLOUR_WORDS, PATTERN_WORDS, BACKDROP_WORDS, SIZE_WORDS)
    words = [word for table in tables for row in table.values() for word in row]
    words += [word for row in COPIES_WORDS.values() for word in row]
    words += [plural(word) for row in THING_WORDS.values() for word in row]
    words += [form for word in KIND_WORDS for form in (word, plural(word))]
    words += list(MASS_WORDS)
    return frozenset(token for word in words for token in tokens(word) if len(token) > 1) - STOP_WORDS


KNOWN_WORDS: frozenset[str] = _content_words()

VOCABULARY: tuple[str, ...] = tuple(sorted(KNOWN_WORDS | STOP_WORDS | {"t", "1", "2", "3"}))
"""Every word with a place in the tokenizer; the short ones mean nothing alone ("don't", "route 3")."""


def unknown_query(text: str) -> bool:
    """Whether `text` holds no word the demo model knows, so that its answer would mean nothing.

    >>> unknown_query("a zorblax on the table"), unknown_query("a striped zorblax")
    (True, False)
    """
    return KNOWN_WORDS.isdisjoint(tokens(text))


@functools.cache
def things_called(word: str) -> frozenset[str]:
    """The things a word for things may mean: "cup" is a mug, "animals" are fish, birds and butterflies."""
    for table in (KIND_WORDS, MASS_WORDS):
        for name, things in table.items():
            if word in (name, plural(name)):
                return frozenset(things)
    return frozenset(thing for thing in THINGS for name in THING_WORDS[thing] if word in (name, plural(name)))


def sentence(scene: Scene) -> str:
    """The scene in one full sentence.

    >>> sentence(Scene("mug", "red", "striped", "mint", copies=2))
    'two medium red striped mugs on a mint background'
    """
    thing = plural(scene.thing) if scene.copies > 1 else scene.thing
    count = COPIES_WORDS[scene.copies][0] if scene.copies > 1 else "a"
    return f"{count} {scene.size} {scene.colour} {scene.pattern} {thing} on a {scene.backdrop} background"
