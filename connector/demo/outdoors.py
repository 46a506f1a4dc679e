"""The outlines of things from the street and the fair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from connector.demo.geometry import Part, bar, box, ellipse, flipped, mirrored, ribbon, soft, spline


def house() -> list[Part]:
    """A house with a chimney, a door and a window."""
    return [
        Part(box(0.68, 0.1, 0.8, 0.4, 0.015), "shade"),
        Part(box(0.655, 0.08, 0.825, 0.15, 0.015), "tint"),
        Part(box(0.14, 0.42, 0.86, 0.95, 0.02)),
        Part(soft([(0.5, 0.06), (0.97, 0.5), (0.03, 0.5)], (0.05, 0.04, 0.04)), "shade"),
        Part(soft([(0.26, 0.95), (0.26, 0.64), (0.46, 0.64), (0.46, 0.95)], (0, 0.09, 0.09, 0)), "wood"),
        Part(ellipse(0.42, 0.81, 0.018, 0.018), "gold", False),
        Part(box(0.57, 0.62, 0.77, 0.8, 0.015), "light"),
        Part(bar((0.67, 0.63), (0.67, 0.79), 0.016), "ink", False),
        Part(bar((0.58, 0.71), (0.76, 0.71), 0.016), "ink", False),
        Part(ellipse(0.5, 0.35, 0.075, 0.075), "light"),
    ]


def car() -> list[Part]:
    """A small round car, driving to the right."""
    wheels = [
        part
        for x in (0.26, 0.75)
        for part in (Part(ellipse(x, 0.77, 0.13, 0.13), "ink"), Part(ellipse(x, 0.77, 0.06, 0.06), "silver"))
    ]
    return [
        Part(
            soft(
                [
                    (0.03, 0.5),
                    (0.2, 0.43),
                    (0.3, 0.17),
                    (0.62, 0.17),
                    (0.77, 0.45),
                    (0.95, 0.5),
                    (0.97, 0.78),
                    (0.03, 0.78),
                ],
                (0.06, 0.06, 0.15, 0.15, 0.1, 0.12, 0.06, 0.06),
            )
        ),
        Part(
            soft([(0.27, 0.46), (0.335, 0.25), (0.45, 0.25), (0.45, 0.46)], (0.02, 0.06, 0.02, 0.02)), "glass"
        ),
        Part(soft([(0.5, 0.46), (0.5, 0.25), (0.6, 0.25), (0.71, 0.46)], (0.02, 0.02, 0.06, 0.02)), "glass"),
        Part(box(0.0, 0.71, 1.0, 0.79, 0.035), "silver"),
        *wheels,
        Part(ellipse(0.935, 0.59, 0.04, 0.05), "light"),
        Part(box(0.02, 0.55, 0.07, 0.64, 0.02), "ruby"),
        Part(bar((0.5, 0.54), (0.57, 0.54), 0.022), "ink", False),
    ]


def boat() -> list[Part]:
    """A sailing boat on a wave."""
    wave = [(x, 0.93 + 0.018 * np.cos(i * np.pi)) for i, x in enumerate(np.linspace(0.02, 0.98, 9))]
    return [
        Part(bar((0.47, 0.05), (0.47, 0.74), 0.035), "wood"),
        Part(soft([(0.49, 0.03), (0.7, 0.07), (0.49, 0.13)], 0.02), "ruby"),
        Part(soft([(0.52, 0.16), (0.9, 0.62), (0.52, 0.62)], (0.02, 0.05, 0.03)), "cream"),
        Part(soft([(0.42, 0.22), (0.42, 0.62), (0.12, 0.62)], (0.02, 0.03, 0.05)), "tint"),
        Part(soft([(0.02, 0.66), (0.98, 0.66), (0.82, 0.93), (0.19, 0.93)], (0.03, 0.03, 0.12, 0.12))),
        Part(soft([(0.0, 0.645), (1.0, 0.645), (0.97, 0.71), (0.03, 0.71)], 0.03), "shade"),
        Part(ribbon(spline(wave, closed=False), 0.045), "water", False),
    ]


def rocket() -> list[Part]:
    """A rocket taking off."""
    fin = soft([(0.66, 0.5), (0.88, 0.68), (0.86, 0.86), (0.64, 0.76)], (0.02, 0.08, 0.04, 0.02))
    half = spline([(0.5, 0.02), (0.64, 0.16), (0.7, 0.4), (0.66, 0.66), (0.6, 0.79)], closed=False)
    return [
        Part(
            spline(
                [(0.4, 0.8), (0.37, 0.9), (0.44, 0.92), (0.5, 1.0), (0.56, 0.92), (0.63, 0.9), (0.6, 0.8)]
            ),
            "flame",
        ),
        Part(spline([(0.45, 0.8), (0.44, 0.87), (0.5, 0.93), (0.56, 0.87), (0.55, 0.8)]), "light", False),
        Part(fin, "shade"),
        Part(flipped(fin), "shade"),
        Part(mirrored(half)),
        Part(
            mirrored(
                spline([(0.5, 0.02), (0.58, 0.09), (0.637, 0.165), (0.58, 0.2), (0.5, 0.21)], closed=False)
            ),
            "shade",
        ),
        Part(ellipse(0.5, 0.4, 0.105, 0.105), "silver"),
        Part(ellipse(0.5, 0.4, 0.07, 0.07), "glass"),
        Part(ribbon(ellipse(0.5, 0.4, 0.04, 0.04, 190, 260), 0.016), "gloss", False),
        Part(box(0.39, 0.75, 0.61, 0.82, 0.025), "silver"),
    ]


def balloon() -> list[Part]:
    """A balloon on a string."""
    string = spline([(0.5, 0.72), (0.55, 0.8), (0.46, 0.88), (0.51, 0.99)], closed=False)
    return [
        Part(ribbon(string, 0.016), "ink", False),
        Part(soft([(0.5, 0.66), (0.57, 0.76), (0.43, 0.76)], 0.02), "shade"),
        Part(
            spline(
                [
                    (0.5, 0.01),
                    (0.71, 0.09),
                    (0.8, 0.32),
                    (0.69, 0.56),
                    (0.5, 0.71),
                    (0.31, 0.56),
                    (0.2, 0.32),
                    (0.29, 0.09),
                ]
            )
        ),
        Part(ribbon(ellipse(0.5, 0.33, 0.21, 0.23, 190, 245), 0.05), "gloss", False),
    ]


def cupcake() -> list[Part]:
    """A cupcake with cream and a cherry."""
    cream = [
        (0.5, 0.16),
        (0.64, 0.22),
        (0.69, 0.33),
        (0.82, 0.4),
        (0.83, 0.52),
        (0.9, 0.58),
        (0.84, 0.68),
        (0.5, 0.7),
        (0.16, 0.68),
        (0.1, 0.58),
        (0.17, 0.52),
        (0.18, 0.4),
        (0.31, 0.33),
        (0.36, 0.22),
    ]
    sprinkles = [
        (0.4, 0.34, 30),
        (0.58, 0.3, -40),
        (0.3, 0.5, -30),
        (0.48, 0.47, 60),
        (0.67, 0.46, 20),
        (0.24, 0.61, 50),
        (0.42, 0.6, -20),
        (0.6, 0.59, 40),
        (0.76, 0.6, -50),
    ]
    return [
        Part(soft([(0.15, 0.62), (0.85, 0.62), (0.75, 0.96), (0.25, 0.96)], (0.01, 0.01, 0.05, 0.05))),
        Part(spline(cream), "tint"),
        *(
            Part(
                bar(
                    (x - 0.025 * np.cos(np.radians(a)), y - 0.025 * np.sin(np.radians(a))),
                    (x + 0.025 * np.cos(np.radians(a)), y + 0.025 * np.sin(np.radians(a))),
                    0.022,
                ),
                "shade",
                False,
            )
            for x, y, a in sprinkles
        ),
        Part(ribbon(spline([(0.5, 0.1), (0.53, 0.04), (0.6, 0.01)], closed=False), 0.016), "leaf", False),
        Part(ellipse(0.5, 0.145, 0.07, 0.07), "ruby"),
        Part(ellipse(0.475, 0.12, 0.018, 0.018), "gloss", False),
    ]


SHAPES: dict[str, Callable[[], list[Part]]] = {
    "house": house, "car": car, "boat": boat, "rocket": rocket, "balloon": balloon, "cupcake": cupcake,
}  # fmt: skip
