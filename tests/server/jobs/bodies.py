"""What tests send to each task's routes, and pictures of every kind."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from connector.server.jobs.catalogue import IMAGE, QUERY, TEXT, ZERO_SHOT
from tests.server.jobs.conftest import png, raw, url

SERVICE = ("clip-vit-large-patch14", "open-clip-vit-b32", "dino-v2-vits14")
MODELS = (*SERVICE, "demo", "stand-in")
CLASSES = ["a mug", "a red hat", "the shoe"]
BODIES: dict[str, dict[str, Any]] = {
    IMAGE: {"image": url(png(1))},
    TEXT: {"text": "a red mug"},
    QUERY: {"query": "a red mug", "instruction": "find it"},
    ZERO_SHOT: {"image": url(png(1)), "classes": CLASSES},
}
BATCHES: dict[str, dict[str, Any]] = {
    IMAGE: {"image": [url(png(1)), raw(png(2)), url(png(3))]},
    TEXT: {"text": ["a red mug", "a hat", "blue"]},
    QUERY: {"query": ["a red mug", "a hat", "blue"], "instruction": "find it"},
    ZERO_SHOT: {"image": [url(png(1)), url(png(2)), url(png(3))], "classes": CLASSES},
}


def file(format_name: str, mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> bytes:
    """A picture file of a kind."""
    out = io.BytesIO()
    picture = Image.radial_gradient("L").resize(size)
    if mode == "I;16":
        Image.fromarray(np.asarray(picture).astype(np.uint16) * 257).save(out, format_name)
    else:
        picture.convert("RGB").convert(mode).save(out, format_name)
    return out.getvalue()
