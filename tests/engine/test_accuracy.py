"""How near each precision stays to the library's own float32, on a CLIP of twelve layers with random weights.

The least cosine over all pictures and sentences, and beside it how many of the five nearest neighbours are the same.
The benchmarks say the same of the whole ViT-B/32.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import SentenceTransformer
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from connector.demo.drawings import draw
from connector.demo.words import sentence
from connector.engine import TextHandler, load_handler
from connector.engine.blocks import packs
from connector.engine.precision import Precision
from connector.space import ImageEmbeddingConfig
from tests.demo.split import scenes
from tests.engine.conftest import cosines
from tests.engine.models import WORDS, tokenizer

Configured = Callable[..., ImageEmbeddingConfig]
Rows = NDArray[np.float32]

COUNT, NEIGHBOURS = 24, 5
FLOORS: list[tuple[Precision, float, float]] = [
    ("float32", 0.99999, 0.99),
    ("bfloat16", 0.9995, 0.9),
    ("int8", 0.9995, 0.9),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of ViT-B/32's depth, patches and pictures, and a quarter of its width."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}
    ends = {"bos_token_id": WORDS.index("<s>"), "eos_token_id": WORDS.index("</s>"), "pad_token_id": 0}
    text = {**sizes, **ends, "vocab_size": len(WORDS), "num_hidden_layers": 12, "max_position_embeddings": 77}
    vision = {**sizes, "num_hidden_layers": 12, "patch_size": 32, "image_size": 224}
    path = tmp_path_factory.mktemp("clip-twelve-layers")
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=128)).save_pretrained(path)
    CLIPProcessor(CLIPImageProcessor(), tokenizer()).save_pretrained(path)  # type: ignore[no-untyped-call, unused-ignore] # has no types
    return path


@pytest.fixture(scope="module")
def shown() -> tuple[list[Image.Image], list[str]]:
    """Drawings, and a sentence of known words for each."""
    chosen = scenes(COUNT, 3, unseen=True)
    words = [
        f"{sentence(scene)} {' '.join(WORDS[3 + at % 12 : 6 + at % 12])}" for at, scene in enumerate(chosen)
    ]
    return [draw(scene, variant=at, side=256) for at, scene in enumerate(chosen)], words


@pytest.fixture(scope="module")
def exact(folder: Path, shown: tuple[list[Image.Image], list[str]]) -> tuple[Rows, Rows]:
    """The library's own vectors, of pictures and of sentences."""
    library = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    pictures, texts = shown
    return library.encode(pictures), library.encode([{"text": text} for text in texts])


def shared_neighbours(first: Rows, second: Rows) -> float:
    """The share of the nearest neighbours of each row, among the others, that both agree on."""

    def nearest(rows: Rows) -> list[set[int]]:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        scores = unit @ unit.T
        np.fill_diagonal(scores, -2)
        return [set(map(int, row[:NEIGHBOURS])) for row in np.argsort(-scores, axis=1)]

    pairs = zip(nearest(first), nearest(second), strict=True)
    return float(np.mean([len(one & other) / NEIGHBOURS for one, other in pairs]))


@pytest.mark.parametrize(("precision", "floor", "neighbours"), FLOORS)
def test_a_precision_keeps_what_is_said_of_it(
    precision: Precision,
    floor: float,
    neighbours: float,
    folder: Path,
    shown: tuple[list[Image.Image], list[str]],
    exact: tuple[Rows, Rows],
    configured: Configured,
) -> None:
    if not packs(precision):
        pytest.skip(f"this processor has no products in {precision}")
    handler = load_handler(configured(folder, precision=precision))
    assert isinstance(handler, TextHandler)
    assert handler.identity["precision"] == precision
    pictures, texts = shown
    for rows, wanted in ((handler.embed_images(pictures), exact[0]), (handler.embed_texts(texts), exact[1])):
        assert cosines(rows, wanted).min() >= floor
        assert shared_neighbours(rows, wanted) >= neighbours
