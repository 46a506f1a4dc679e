"""What each precision costs in a model that has learnt something: the demo model, on its catalogue.

Random weights give all pictures much the same vector, which flatters a cosine; a trained model spreads them out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from connector import Connector
from connector.demo.catalogue import write_catalogue
from connector.engine import models
from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.space import EmbeddingEngineConfig, ModelHandler
from schemas.product import space as products
from tests.benchmarks.ingest import COSINES, PRECISIONS, worst
from tests.benchmarks.measure import Effort, Row, Rows, absent, row
from tests.benchmarks.rivals import Vectors, encode


def trained(work: Path, effort: Effort) -> Rows:
    """Vectors of the catalogue's pictures and titles by precision, against sentence-transformers' own in float32."""
    from sentence_transformers import SentenceTransformer

    feed = write_catalogue(work / "trained", effort.of(300, 60))
    offers = [json.loads(line) for line in feed.read_text(encoding="utf-8").splitlines()]
    folder = models.locate("demo", ModelHandler.SENTENCE_TRANSFORMERS)
    model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    images = encode(model, [Image.open(feed.parent / offer["photo"]).convert("RGB") for offer in offers])
    words = encode(model, [{"text": offer["title"]} for offer in offers])
    reference: Vectors = {
        "image": images,
        "text": words,
        "fused": np.asarray((images + words) / 2, np.float32),
    }
    return [_row(precision, feed, [offer["sku"] for offer in offers], reference) for precision in PRECISIONS]


def _row(precision: str, feed: Path, skus: list[str], reference: Vectors) -> Row:
    what = f"vectors of the demo model, which is trained, {precision}"
    options: dict[str, Any] = {"precision": precision}
    try:
        space = products.with_model("demo", None, EmbeddingEngineConfig(**options))
        with Connector(space, feed.parent / f"{precision}.qdrant") as shop:
            assert shop.ingest(feed).new == len(skus)
            points = {str(point.payload["sku"]): point.vectors for point in shop.store.scan(vectors=True)}
    except (InvalidSpaceParamException, ModelUnavailable) as error:
        return absent(what, str(error))
    made = {name: np.stack([points[sku][name] for sku in skus]) for name in reference}
    alike = worst(made, reference)
    ours, rival = f"centred cosine {alike.centred:.6f}", "sentence-transformers' encode, float32"
    return row(what, ours, rival, alike=alike, cosine_bar=COSINES[precision])
