"""What a drawing shows: one kind of thing, so many of them, in a colour, with a pattern, on a background."""

from __future__ import annotations

from dataclasses import dataclass

THINGS = (
    "mug", "teapot", "bottle", "t-shirt", "hat", "sock", "bag", "umbrella", "chair", "lamp", "key", "house",
    "car", "boat", "rocket", "fish", "bird", "butterfly", "tree", "flower", "mushroom", "star", "balloon",
    "cupcake",
)  # fmt: skip
COLOURS = (
    "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "black", "grey",
    "white",
)  # fmt: skip
PATTERNS = ("plain", "striped", "dotted", "checked")
BACKDROPS = ("pink", "sky", "mint", "lemon", "lilac", "peach", "sand", "pearl")
COPIES = (1, 2, 3)
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Scene:
    """What is to be seen. Two drawings of it differ in details: place, tilt, the run of the stripes."""

    thing: str
    colour: str
    pattern: str = "plain"
    backdrop: str = "pearl"
    copies: int = 1
    size: str = "medium"

    @property
    def look(self) -> tuple[str, str, str]:
        """Thing, colour and pattern: the combination that training holds some of back."""
        return (self.thing, self.colour, self.pattern)

    def __str__(self) -> str:
        """Its name, such as "mug/red/striped/mint/2/large", which also seeds its drawings."""
        return f"{self.thing}/{self.colour}/{self.pattern}/{self.backdrop}/{self.copies}/{self.size}"
