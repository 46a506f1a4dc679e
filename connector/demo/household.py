"""The outlines of things from the kitchen, the wardrobe and the home."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from connector.demo.geometry import Part, bar, box, ellipse, flipped, mirrored, ribbon, soft, spline


def mug() -> list[Part]:
    """A mug of something hot."""
    return [
        Part(ribbon(ellipse(0.71, 0.57, 0.17, 0.17, -95, 95), 0.085), "shade"),
        Part(soft([(0.12, 0.3), (0.76, 0.3), (0.72, 0.93), (0.16, 0.93)], (0.01, 0.01, 0.12, 0.12))),
        Part(ellipse(0.44, 0.3, 0.32, 0.075), "tint"),
        Part(ellipse(0.44, 0.31, 0.265, 0.05), "coffee"),
        Part(bar((0.215, 0.46), (0.24, 0.78), 0.045), "gloss", False),
        Part(
            ribbon(spline([(0.34, 0.2), (0.3, 0.13), (0.36, 0.07), (0.33, 0.0)], closed=False), 0.035, 0.01),
            "steam",
            False,
        ),
        Part(
            ribbon(spline([(0.53, 0.2), (0.49, 0.13), (0.55, 0.07), (0.52, 0.0)], closed=False), 0.035, 0.01),
            "steam",
            False,
        ),
    ]


def teapot() -> list[Part]:
    """A round teapot with its spout to the right."""
    return [
        Part(ribbon(ellipse(0.2, 0.58, 0.155, 0.19, 80, 285), 0.07), "shade"),
        Part(
            soft(
                [
                    (0.66, 0.66),
                    (0.8, 0.56),
                    (0.86, 0.36),
                    (0.97, 0.34),
                    (0.93, 0.6),
                    (0.76, 0.83),
                    (0.64, 0.84),
                ],
                0.06,
            ),
            "shade",
        ),
        Part(
            spline(
                [
                    (0.46, 0.33),
                    (0.68, 0.39),
                    (0.79, 0.6),
                    (0.68, 0.86),
                    (0.46, 0.92),
                    (0.24, 0.86),
                    (0.13, 0.6),
                    (0.24, 0.39),
                ]
            )
        ),
        Part(
            soft(
                [(0.27, 0.37), (0.35, 0.26), (0.57, 0.26), (0.65, 0.37), (0.46, 0.42)],
                (0.03, 0.08, 0.08, 0.03, 0.2),
            ),
            "tint",
        ),
        Part(ellipse(0.46, 0.22, 0.065, 0.06), "shade"),
        Part(ribbon(ellipse(0.46, 0.62, 0.245, 0.22, 165, 225), 0.05), "gloss", False),
    ]


def bottle() -> list[Part]:
    """A bottle with a cork."""
    half = soft(
        [(0.5, 0.2), (0.595, 0.2), (0.6, 0.36), (0.72, 0.5), (0.72, 0.96), (0.5, 0.96)],
        (0, 0.01, 0.06, 0.12, 0.06, 0),
    )
    return [
        Part(box(0.43, 0.04, 0.57, 0.22, 0.03), "wood"),
        Part(mirrored(half)),
        Part(box(0.385, 0.18, 0.615, 0.255, 0.03), "shade"),
        Part(bar((0.35, 0.57), (0.35, 0.84), 0.05), "gloss", False),
    ]


def t_shirt() -> list[Part]:
    """A T-shirt laid flat."""
    half = soft(
        [
            (0.5, 0.14),
            (0.63, 0.1),
            (0.76, 0.14),
            (0.98, 0.36),
            (0.85, 0.51),
            (0.755, 0.43),
            (0.76, 0.93),
            (0.5, 0.93),
        ],
        (0, 0, 0.06, 0.04, 0.04, 0.03, 0.05, 0),
    )
    half = np.concatenate([ellipse(0.5, 0.1, 0.13, 0.11, 90, 0), half[2:]])
    sleeve = bar((0.925, 0.385), (0.825, 0.475), 0.03)
    return [
        Part(ellipse(0.5, 0.105, 0.14, 0.045), "shade"),
        Part(mirrored(half)),
        Part(ribbon(ellipse(0.5, 0.1, 0.14, 0.125, 4, 176), 0.045), "shade"),
        Part(sleeve, "dusk", False),
        Part(flipped(sleeve), "dusk", False),
        Part(bar((0.28, 0.865), (0.72, 0.865), 0.018), "dusk", False),
    ]


def hat() -> list[Part]:
    """A knitted hat with a bobble."""
    ribs = [Part(bar((x, 0.72), (x, 0.85), 0.014), "dusk", False) for x in np.linspace(0.2, 0.8, 9)]
    bobble = [
        (0.5 + r * np.cos(a), 0.17 + r * np.sin(a))
        for a, r in zip(np.linspace(0, 2 * np.pi, 20, endpoint=False), [0.15, 0.125] * 10, strict=True)
    ]
    return [
        Part(soft([(0.1, 0.76), (0.14, 0.24), (0.86, 0.24), (0.9, 0.76)], (0, 0.3, 0.3, 0))),
        Part(spline(bobble), "cream"),
        Part(box(0.06, 0.68, 0.94, 0.9, 0.07), "shade"),
        *ribs,
        Part(ribbon(ellipse(0.5, 0.62, 0.31, 0.3, 190, 235), 0.045), "gloss", False),
    ]


def sock() -> list[Part]:
    """A sock with a plain heel, toe and cuff."""
    whole = soft(
        [(0.32, 0.1), (0.66, 0.1), (0.67, 0.52), (0.92, 0.7), (0.9, 0.94), (0.62, 0.94), (0.33, 0.78)],
        (0.02, 0.02, 0.12, 0.14, 0.12, 0.2, 0.2),
    )
    return [
        Part(whole),
        Part(spline([(0.335, 0.6), (0.45, 0.68), (0.47, 0.83), (0.36, 0.77)]), "shade"),
        Part(
            spline([(0.8, 0.64), (0.74, 0.8), (0.78, 0.93), (0.88, 0.91), (0.925, 0.78), (0.88, 0.68)]),
            "shade",
        ),
        Part(box(0.28, 0.05, 0.7, 0.21, 0.04), "tint"),
        Part(bar((0.4, 0.085), (0.4, 0.175), 0.012), "dusk", False),
        Part(bar((0.49, 0.085), (0.49, 0.175), 0.012), "dusk", False),
        Part(bar((0.58, 0.085), (0.58, 0.175), 0.012), "dusk", False),
        Part(bar((0.39, 0.3), (0.395, 0.5), 0.04), "gloss", False),
    ]


def bag() -> list[Part]:
    """A handbag with a clasp."""
    return [
        Part(ribbon(ellipse(0.5, 0.42, 0.22, 0.32, 180, 360), 0.06), "shade"),
        Part(soft([(0.16, 0.4), (0.84, 0.4), (0.93, 0.93), (0.07, 0.93)], (0.06, 0.06, 0.1, 0.1))),
        Part(
            soft(
                [(0.14, 0.38), (0.86, 0.38), (0.83, 0.52), (0.5, 0.66), (0.17, 0.52)],
                (0.05, 0.05, 0.08, 0.12, 0.08),
            ),
            "shade",
        ),
        Part(ellipse(0.5, 0.6, 0.045, 0.045), "gold"),
        Part(ellipse(0.31, 0.41, 0.022, 0.022), "gold"),
        Part(ellipse(0.69, 0.41, 0.022, 0.022), "gold"),
    ]


def umbrella() -> list[Part]:
    """An open umbrella."""
    scallops = [ellipse(x, 0.52, 0.147, 0.07, 360, 180) for x in (0.793, 0.5, 0.207)]
    canopy = np.concatenate([ellipse(0.5, 0.52, 0.44, 0.4, 180, 360), *scallops])
    ribs = [
        spline([(0.5, 0.12), (0.5 + d * 0.7, 0.28), (0.5 + d, 0.5)], closed=False) for d in (-0.147, 0.147)
    ]
    stick = np.concatenate([[(0.5, 0.4), (0.5, 0.6), (0.5, 0.84)], ellipse(0.58, 0.86, 0.08, 0.09, 175, 10)])
    return [
        Part(bar((0.5, 0.05), (0.5, 0.14), 0.03), "wood"),
        Part(ribbon(stick, 0.04), "wood"),
        Part(canopy),
        *(Part(ribbon(rib, 0.014), "dusk", False) for rib in ribs),
        Part(ribbon(ellipse(0.5, 0.52, 0.34, 0.3, 200, 240), 0.045), "gloss", False),
    ]


def chair() -> list[Part]:
    """A chair with a cushioned seat and back on wooden legs."""
    return [
        Part(bar((0.3, 0.7), (0.27, 0.84), 0.05), "wood"),
        Part(bar((0.7, 0.7), (0.73, 0.84), 0.05), "wood"),
        Part(bar((0.3, 0.5), (0.3, 0.64), 0.055), "wood"),
        Part(bar((0.7, 0.5), (0.7, 0.64), 0.055), "wood"),
        Part(soft([(0.2, 0.05), (0.8, 0.05), (0.77, 0.52), (0.23, 0.52)], (0.14, 0.14, 0.05, 0.05))),
        Part(bar((0.22, 0.72), (0.17, 0.95), 0.06), "wood"),
        Part(bar((0.78, 0.72), (0.83, 0.95), 0.06), "wood"),
        Part(soft([(0.2, 0.56), (0.8, 0.56), (0.9, 0.74), (0.1, 0.74)], (0.05, 0.05, 0.07, 0.07)), "body"),
        Part(soft([(0.1, 0.71), (0.9, 0.71), (0.88, 0.79), (0.12, 0.79)], 0.03), "shade"),
        Part(bar((0.29, 0.15), (0.305, 0.38), 0.04), "gloss", False),
    ]


def lamp() -> list[Part]:
    """A table lamp, switched on."""
    return [
        Part(soft([(0.2, 0.5), (0.8, 0.5), (0.98, 0.9), (0.02, 0.9)], 0.06), "glow", False),
        Part(bar((0.5, 0.48), (0.5, 0.86), 0.05), "gold"),
        Part(ellipse(0.5, 0.66, 0.06, 0.06), "gold"),
        Part(
            soft([(0.29, 0.95), (0.34, 0.85), (0.66, 0.85), (0.71, 0.95)], (0.02, 0.05, 0.05, 0.02)), "wood"
        ),
        Part(ellipse(0.5, 0.5, 0.1, 0.07), "light"),
        Part(soft([(0.3, 0.06), (0.7, 0.06), (0.9, 0.52), (0.1, 0.52)], (0.05, 0.05, 0.03, 0.03))),
        Part(soft([(0.115, 0.47), (0.885, 0.47), (0.9, 0.53), (0.1, 0.53)], 0.015), "shade"),
        Part(bar((0.335, 0.16), (0.26, 0.38), 0.045), "gloss", False),
    ]


def key() -> list[Part]:
    """A chunky key."""
    return [
        Part(
            soft(
                [
                    (0.44, 0.5),
                    (0.56, 0.5),
                    (0.56, 0.66),
                    (0.74, 0.66),
                    (0.74, 0.75),
                    (0.66, 0.75),
                    (0.66, 0.79),
                    (0.74, 0.79),
                    (0.74, 0.89),
                    (0.56, 0.89),
                    (0.56, 0.97),
                    (0.44, 0.97),
                ],
                0.02,
            )
        ),
        Part(
            spline(
                [
                    (0.5, 0.03),
                    (0.68, 0.09),
                    (0.76, 0.27),
                    (0.68, 0.46),
                    (0.5, 0.53),
                    (0.32, 0.46),
                    (0.24, 0.27),
                    (0.32, 0.09),
                ]
            )
        ),
        Part(ellipse(0.5, 0.22, 0.085, 0.085), "backdrop"),
        Part(box(0.4, 0.5, 0.6, 0.57, 0.025), "shade"),
        Part(ribbon(ellipse(0.5, 0.28, 0.2, 0.2, 165, 225), 0.035), "gloss", False),
    ]


SHAPES: dict[str, Callable[[], list[Part]]] = {
    "mug": mug, "teapot": teapot, "bottle": bottle, "t-shirt": t_shirt, "hat": hat, "sock": sock,
    "bag": bag, "umbrella": umbrella, "chair": chair, "lamp": lamp, "key": key,
}  # fmt: skip
