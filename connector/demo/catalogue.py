"""Draws a shop: `python -m connector.demo.catalogue FOLDER` writes its pictures and its feed."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from connector.demo.drawings import draw
from connector.demo.scene import BACKDROPS, COLOURS, PATTERNS, THINGS, Scene
from connector.demo.words import COPIES_WORDS, plural

SIDE = 480
_EDITION = 1  # raise it when drawings change, so that catalogues drawn before are drawn again

BRANDS = ("Fernhope", "Lumette", "Mintwell", "Oakmoor", "Pikola", "Saltbird", "Tumbelo", "Zippet")


class _Shelf(NamedTuple):
    category: str
    cheapest: int
    dearest: int


_SHELVES = {
    "mug": _Shelf("kitchen", 6, 24), "teapot": _Shelf("kitchen", 18, 69),
    "bottle": _Shelf("kitchen", 9, 35), "t-shirt": _Shelf("clothing", 12, 45),
    "hat": _Shelf("clothing", 11, 39), "sock": _Shelf("clothing", 4, 15), "bag": _Shelf("outdoor", 24, 119),
    "umbrella": _Shelf("outdoor", 14, 59), "chair": _Shelf("home", 49, 249),
    "lamp": _Shelf("home", 25, 139), "key": _Shelf("home", 3, 12), "house": _Shelf("home", 29, 99),
    "car": _Shelf("vehicles", 8, 49), "boat": _Shelf("vehicles", 12, 59),
    "rocket": _Shelf("vehicles", 10, 55), "fish": _Shelf("animals", 5, 25),
    "bird": _Shelf("animals", 6, 28), "butterfly": _Shelf("animals", 5, 22),
    "tree": _Shelf("nature", 15, 79), "flower": _Shelf("nature", 4, 19),
    "mushroom": _Shelf("nature", 4, 18), "star": _Shelf("fun", 3, 16), "balloon": _Shelf("fun", 2, 9),
    "cupcake": _Shelf("fun", 3, 8),
}  # fmt: skip


@dataclass(frozen=True)
class Offer:
    """One row of the feed."""

    sku: str
    photo: str
    title: str
    brand: str
    category: str
    price: float
    in_stock: bool


def write_catalogue(folder: Path, count: int = 300, seed: int = 7) -> Path:
    """Write `count` products into `folder`: `pictures/*.jpg` and `feed.jsonl`, whose path is returned.

    The first products of a longer catalogue are those of a shorter one.
    What is there already and right stays untouched, so a second run changes no file.

    Raises:
        ValueError: `count` is less than 1.
    """
    if count < 1:
        raise ValueError(f"A catalogue of {count} products cannot be written. Give a count from 1.")
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (scene, offer) in enumerate(_offers(count, seed)):
        lines.append(json.dumps(asdict(offer)) + "\n")
        _write_picture(folder / offer.photo, scene, variant=seed * 100_000 + number)
    feed = folder / "feed.jsonl"
    text = "".join(lines)
    if not feed.is_file() or feed.read_text(encoding="utf-8") != text:
        feed.write_text(text, encoding="utf-8", newline="\n")
    return feed


def title(scene: Scene) -> str:
    """What a shop would call it.

    >>> title(Scene("mug", "red", "striped")), title(Scene("sock", "blue", copies=2))
    ('Red striped mug', 'Two blue socks')
    """
    words = [] if scene.copies == 1 else [COPIES_WORDS[scene.copies][0]]
    words += [scene.colour] if scene.pattern == "plain" else [scene.colour, scene.pattern]
    words.append(scene.thing if scene.copies == 1 else plural(scene.thing))
    return " ".join(words).capitalize()


def _offers(count: int, seed: int) -> Iterator[tuple[Scene, Offer]]:
    # A string seeds `random.Random` the same way in every process.
    rng = random.Random(f"catalogue/{seed}")  # noqa: S311
    looks = {thing: rng.sample([(c, p) for c in COLOURS for p in PATTERNS], 48) for thing in THINGS}
    things: list[str] = []
    for number in range(count):
        # Every thing once a round, so that any beginning of the catalogue is varied.
        things = things or rng.sample(THINGS, len(THINGS))
        thing = things.pop()
        colour, pattern = looks[thing][number // len(THINGS) % 48]
        copies = rng.choices((1, 2, 3), (8, 2, 1))[0]
        scene = Scene(
            thing, colour, pattern, rng.choice(BACKDROPS), copies, rng.choices(("medium", "large"), (1, 2))[0]
        )
        yield scene, _offer(number, scene, rng)


def _offer(number: int, scene: Scene, rng: random.Random) -> Offer:
    shelf = _SHELVES[scene.thing]
    each = rng.randint(shelf.cheapest, shelf.dearest - 1) + rng.choice((0.5, 0.9, 0.95, 0.99, 1.0))
    sku = f"p{number + 1:04d}"
    return Offer(
        sku=sku,
        photo=f"pictures/{sku}.jpg",
        title=title(scene),
        brand=rng.choice(BRANDS),
        category=shelf.category,
        price=round(each * scene.copies, 2),
        in_stock=rng.random() < 0.85,
    )


def _write_picture(path: Path, scene: Scene, variant: int) -> None:
    # The file says what was drawn, so that another run leaves the right ones alone without drawing.
    comment = f"connector demo, edition {_EDITION}: {scene}, variant {variant}, {SIDE} px"
    if _comment(path) == comment:
        return
    unfinished = path.with_suffix(".part")
    draw(scene, variant, SIDE).save(unfinished, "JPEG", quality=88, comment=comment)
    unfinished.replace(path)


def _comment(path: Path) -> str | None:
    """The comment of a JPEG, without decoding it; None where there is no such picture."""
    try:
        with Image.open(path) as picture:
            found = picture.info.get("comment")
    except (FileNotFoundError, UnidentifiedImageError):
        return None
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m connector.demo.catalogue", description="Draw a small shop."
    )
    parser.add_argument("folder", type=Path, help="where to write pictures/ and feed.jsonl")
    parser.add_argument("--count", type=int, default=300, help="how many products (default 300)")
    parser.add_argument("--seed", type=int, default=7, help="another number is another shop")
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error("--count must be 1 or more")
    feed = write_catalogue(arguments.folder, arguments.count, arguments.seed)
    sys.stdout.write(f"{arguments.count} products in {feed}\n")


if __name__ == "__main__":
    main()
