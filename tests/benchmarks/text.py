"""Sentences to vectors: the engine's way with the text tower, against sentence-transformers' own encode."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.space import ImageEmbeddingConfig
from tests.benchmarks.ingest import COSINES
from tests.benchmarks.material import describe, random_vit_b32
from tests.benchmarks.measure import Effort, Rows, Side, absent, compared, in_turn, likeness
from tests.benchmarks.ours import photo_space
from tests.benchmarks.rivals import encode

PRECISIONS = ("auto", "float32", "int8")


def texts(work: Path, effort: Effort) -> Rows:
    """Sentences of 3 to 40 words in no order, each another one."""
    from sentence_transformers import SentenceTransformer

    folder = random_vit_b32(work / "vit-b-32")
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    lengths = np.random.default_rng(0).integers(3, 41, effort.of(256, 48))
    sentences = [describe(number, int(length)) for number, length in enumerate(lengths)]
    theirs: Side[Any] = Side(functools.partial(encode, model, [{"text": each} for each in sentences]))
    sides: dict[str, Side[Any]] = {"theirs": theirs}
    rows: Rows = []
    refused = {}
    for precision in PRECISIONS:
        try:
            config = photo_space(folder, precision).transformation_config.embedding_config
            embed(config, sentences[:8])
        except (InvalidSpaceParamException, ModelUnavailable) as error:
            refused[precision] = str(error)
            continue
        sides[precision] = Side(functools.partial(embed, config, sentences))
    encode(model, [{"text": each} for each in sentences[:8]])
    in_turn(sides, effort.of(5, 2))
    for precision in PRECISIONS:
        what = f"sentences of 3 to 40 words to vectors, {precision}"
        if precision in refused:
            rows.append(absent(what, refused[precision]))
            continue
        ours = sides[precision]
        alike = likeness(ours.result, theirs.result)
        against = "sentence-transformers' encode"
        bar = COSINES[precision]
        rows.append(compared(what, ours, theirs, len(sentences), against, alike=alike, cosine_bar=bar))
    return rows


def embed(config: ImageEmbeddingConfig, sentences: list[str]) -> NDArray[np.float32]:
    """The vectors (n, length) of an engine that has seen none of the sentences before."""
    from connector.engine.engine import Engine
    from connector.engine.handlers import load_handler
    from connector.errors import EmbeddingError

    made = Engine(load_handler(config), config.embedding_engine_config).embed_texts(sentences)
    return np.stack([each for each in made if not isinstance(each, EmbeddingError)])
