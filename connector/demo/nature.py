"""The outlines of animals, plants and a star."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from connector.demo.geometry import Part, bar, ellipse, flipped, ribbon, soft, spline


def _eye(x: float, y: float, size: float) -> list[Part]:
    return [
        Part(ellipse(x, y, size, size), "white"),
        Part(ellipse(x + size * 0.2, y, size * 0.6, size * 0.6), "ink", False),
        Part(ellipse(x + size * 0.4, y - size * 0.25, size * 0.2, size * 0.2), "white", False),
    ]


def _smile(x: float, y: float, size: float) -> list[Part]:
    """Two dots, two rosy cheeks and a curve."""
    return [
        *(Part(ellipse(x + s * size, y, size * 0.19, size * 0.22), "ink", False) for s in (-1, 1)),
        *(
            Part(ellipse(x + s * size * 1.55, y + size * 0.5, size * 0.28, size * 0.2), "blush", False)
            for s in (-1, 1)
        ),
        Part(ribbon(ellipse(x, y + size * 0.1, size * 0.42, size * 0.5, 20, 160), size * 0.16), "ink", False),
    ]


def fish() -> list[Part]:
    """A fish swimming to the right."""
    return [
        Part(soft([(0.26, 0.5), (0.02, 0.24), (0.1, 0.5), (0.02, 0.78)], (0.05, 0.08, 0.06, 0.08)), "shade"),
        Part(soft([(0.42, 0.32), (0.5, 0.1), (0.74, 0.18), (0.76, 0.34)], (0.02, 0.1, 0.08, 0.02)), "shade"),
        Part(soft([(0.46, 0.7), (0.48, 0.9), (0.64, 0.84), (0.68, 0.7)], (0.02, 0.06, 0.06, 0.02)), "shade"),
        Part(
            spline(
                [
                    (0.18, 0.5),
                    (0.36, 0.32),
                    (0.6, 0.24),
                    (0.84, 0.34),
                    (0.96, 0.52),
                    (0.84, 0.7),
                    (0.6, 0.79),
                    (0.36, 0.69),
                ]
            )
        ),
        Part(spline([(0.48, 0.52), (0.56, 0.49), (0.6, 0.56), (0.53, 0.64), (0.44, 0.6)]), "tint"),
        *_eye(0.8, 0.45, 0.062),
        Part(ribbon(ellipse(0.9, 0.57, 0.06, 0.05, 70, 160), 0.022), "ink", False),
        Part(ellipse(0.77, 0.575, 0.04, 0.028), "blush", False),
    ]


def bird() -> list[Part]:
    """A round bird looking to the right."""
    return [
        Part(bar((0.46, 0.82), (0.45, 0.96), 0.03), "gold"),
        Part(bar((0.58, 0.82), (0.58, 0.96), 0.03), "gold"),
        Part(soft([(0.22, 0.46), (0.0, 0.3), (0.03, 0.52), (0.22, 0.7)], (0.03, 0.04, 0.06, 0.03)), "shade"),
        Part(soft([(0.86, 0.3), (1.0, 0.38), (0.86, 0.45)], (0.02, 0.02, 0.02)), "gold"),
        Part(
            spline(
                [
                    (0.7, 0.1),
                    (0.88, 0.22),
                    (0.9, 0.42),
                    (0.84, 0.68),
                    (0.64, 0.86),
                    (0.38, 0.84),
                    (0.17, 0.66),
                    (0.13, 0.48),
                    (0.34, 0.44),
                    (0.5, 0.34),
                    (0.54, 0.18),
                ]
            )
        ),
        Part(
            spline([(0.2, 0.55), (0.42, 0.47), (0.6, 0.52), (0.56, 0.68), (0.4, 0.75), (0.26, 0.68)]), "shade"
        ),
        *_eye(0.745, 0.28, 0.055),
        Part(ellipse(0.76, 0.385, 0.04, 0.028), "blush", False),
        Part(ribbon(spline([(0.67, 0.11), (0.63, 0.04), (0.57, 0.03)], closed=False), 0.028, 0.018), "shade"),
    ]


def butterfly() -> list[Part]:
    """A butterfly with open wings."""
    upper = spline([(0.53, 0.46), (0.6, 0.22), (0.78, 0.08), (0.96, 0.14), (0.95, 0.36), (0.8, 0.52)])
    lower = spline([(0.53, 0.52), (0.74, 0.52), (0.87, 0.64), (0.84, 0.84), (0.68, 0.9), (0.57, 0.74)])
    spot = ellipse(0.83, 0.25, 0.06, 0.07)
    feeler = ribbon(spline([(0.51, 0.26), (0.54, 0.14), (0.62, 0.08)], closed=False), 0.018, 0.026)
    return [
        Part(lower),
        Part(flipped(lower)),
        Part(upper),
        Part(flipped(upper)),
        Part(spot, "tint"),
        Part(flipped(spot), "tint"),
        Part(ellipse(0.74, 0.73, 0.045, 0.05), "tint"),
        Part(ellipse(0.26, 0.73, 0.045, 0.05), "tint"),
        Part(feeler, "ink", False),
        Part(flipped(feeler), "ink", False),
        Part(
            spline([(0.5, 0.3), (0.54, 0.45), (0.53, 0.7), (0.5, 0.84), (0.47, 0.7), (0.46, 0.45)]), "cocoa"
        ),
        Part(ellipse(0.5, 0.29, 0.055, 0.055), "cocoa"),
    ]


def tree() -> list[Part]:
    """A leafy tree."""
    lobes = [
        (0.5, 0.03),
        (0.7, 0.08),
        (0.78, 0.2),
        (0.93, 0.3),
        (0.92, 0.5),
        (0.8, 0.62),
        (0.62, 0.64),
        (0.5, 0.68),
        (0.36, 0.64),
        (0.19, 0.62),
        (0.08, 0.5),
        (0.07, 0.3),
        (0.22, 0.2),
        (0.3, 0.08),
    ]
    return [
        Part(
            soft(
                [(0.42, 0.55), (0.58, 0.55), (0.57, 0.84), (0.66, 0.96), (0.34, 0.96), (0.43, 0.84)],
                (0, 0, 0.08, 0.02, 0.02, 0.08),
            ),
            "wood",
        ),
        Part(spline(lobes)),
        Part(ribbon(ellipse(0.5, 0.36, 0.33, 0.26, 185, 230), 0.05), "gloss", False),
        Part(ribbon(ellipse(0.66, 0.4, 0.12, 0.1, 20, 110), 0.02), "dusk", False),
        Part(ribbon(ellipse(0.36, 0.5, 0.11, 0.08, 50, 140), 0.02), "dusk", False),
    ]


def flower() -> list[Part]:
    """A flower with six petals, smiling."""
    petals = []
    for turn in np.radians(np.arange(0, 360, 60) + 30):
        across, along = np.array([-np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
        circle = ellipse(0, 0, 0.16, 0.135)
        petals.append(Part(np.array([0.5, 0.35]) + along * (0.2 + circle[:, :1]) + across * circle[:, 1:]))
    stem = spline([(0.5, 0.4), (0.52, 0.7), (0.5, 0.97)], closed=False)
    leaf = spline([(0.52, 0.85), (0.6, 0.72), (0.78, 0.68), (0.72, 0.82), (0.6, 0.88)])
    return [
        Part(ribbon(stem, 0.045), "leaf"),
        Part(leaf, "leaf"),
        Part(flipped(leaf) + np.array([0.01, 0.04]), "leaf"),
        *petals,
        Part(ellipse(0.5, 0.35, 0.135, 0.135), "gold"),
        *_smile(0.5, 0.335, 0.055),
    ]


def mushroom() -> list[Part]:
    """A toadstool, smiling."""
    brim = ellipse(0.9, 0.53, 0.07, 0.07, 15, 90)
    dome = np.concatenate([ellipse(0.5, 0.53, 0.47, 0.49, 180, 360), brim, flipped(brim)[::-1]])
    return [
        Part(soft([(0.36, 0.5), (0.64, 0.5), (0.71, 0.95), (0.29, 0.95)], (0.02, 0.02, 0.12, 0.12)), "cream"),
        Part(ellipse(0.5, 0.56, 0.34, 0.06), "cocoa"),
        Part(dome),
        Part(ribbon(ellipse(0.5, 0.44, 0.35, 0.31, 190, 232), 0.05), "gloss", False),
        *_smile(0.5, 0.73, 0.07),
    ]


def star() -> list[Part]:
    """A rounded star, smiling."""
    turns = np.radians(np.arange(10) * 36 - 90)
    reach = np.where(np.arange(10) % 2 == 0, 0.52, 0.27)
    corners = [(0.5 + r * np.cos(a), 0.54 + r * np.sin(a)) for a, r in zip(turns, reach, strict=True)]
    return [
        Part(soft(corners, (0.09, 0.05) * 5)),
        Part(ellipse(0.5, 0.555, 0.19, 0.15), "tint", False),
        *_smile(0.5, 0.52, 0.085),
    ]


SHAPES: dict[str, Callable[[], list[Part]]] = {
    "fish": fish, "bird": bird, "butterfly": butterfly, "tree": tree, "flower": flower,
    "mushroom": mushroom, "star": star,
}  # fmt: skip
