"""What each precision costs in a model that has learnt something: the demo model, on its catalogue.

Random weights give all pictures much the same vector, which flatters a cosine; a trained model spreads them out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from connector.demo.catalogue import write_catalogue
from connector.engine import TextHandler, load_handler, models
from connector.engine.fusion import unit
from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.space import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler
from tests.benchmarks.ingest import COSINES, PRECISIONS, worst
from tests.benchmarks.measure import Effort, Row, Rows, absent, row
from tests.benchmarks.rivals import Vectors, encode


def trained(work: Path, effort: Effort) -> Rows:
    """Vectors of the catalogue's pictures and titles by precision, against sentence-transformers' own in float32."""
    from sentence_transformers import SentenceTransformer

    feed = write_catalogue(work / "trained", effort.of(300, 60))
    offers = [json.loads(line) for line in feed.read_text(encoding="utf-8").splitlines()]
    pictures = [Image.open(feed.parent / offer["photo"]).convert("RGB") for offer in offers]
    titles = [offer["title"] for offer in offers]
    folder = models.locate("demo", ModelHandler.SENTENCE_TRANSFORMERS)
    model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    images = encode(model, pictures)
    words = encode(model, [{"text": title} for title in titles])
    reference: Vectors = {
        "image": images,
        "text": words,
        "fused": np.asarray((images + words) / 2, np.float32),
    }
    return [_row(precision, pictures, titles, reference) for precision in PRECISIONS]


def _row(precision: str, pictures: list[Image.Image], titles: list[str], reference: Vectors) -> Row:
    """Whole pictures on both sides: what decoding at a reduced size costs is `decode`'s to say."""
    what = f"vectors of the demo model, which is trained, {precision}"
    options: dict[str, Any] = {"precision": precision}
    config = ImageEmbeddingConfig(
        "demo", ModelHandler.SENTENCE_TRANSFORMERS, None, EmbeddingEngineConfig(**options)
    )
    try:
        handler = load_handler(config)
    except (InvalidSpaceParamException, ModelUnavailable) as error:
        return absent(what, str(error))
    assert isinstance(handler, TextHandler)
    made: Vectors = {"image": unit(handler.embed_images(pictures)), "text": unit(handler.embed_texts(titles))}
    made["fused"] = unit(made["image"] + made["text"])
    alike = worst(made, reference)
    ours, rival = f"centred cosine {alike.centred:.6f}", "sentence-transformers' encode, float32"
    return row(what, ours, rival, alike=alike, cosine_bar=COSINES[precision])
