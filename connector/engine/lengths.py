"""How long a model's vectors are, without loading it where its name or its configuration says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from connector.engine.handlers import load_handler
from connector.engine.models import cached, locate, open_clip_architecture
from connector.transformation import ImageEmbeddingConfig, ModelHandler

_KNOWN = {
    "clip-ViT-B-32": 512,
    "clip-ViT-B-16": 512,
    "clip-ViT-L-14": 768,
    "facebook/dinov2-small": 384,
    "facebook/dinov2-base": 768,
    "facebook/dinov2-large": 1024,
    "facebook/dinov2-giant": 1536,
}


def vector_length(config: ImageEmbeddingConfig) -> int:
    """Say how long a model's vectors are: by its name, else by its files on this machine, else by loading it.

    Raises:
        ModelUnavailable: only loading the model would tell, and that is not possible.
    """
    handler = config.model_handler
    if handler in (ModelHandler.STAND_IN, ModelHandler.REMOTE):
        return load_handler(config).length
    if handler is ModelHandler.OPEN_CLIP and not Path(config.model).is_dir():
        architecture = open_clip_architecture(config.model.partition("/")[0])
        if architecture is not None and "/" in config.model:
            return _int(architecture.get("embed_dim")) or load_handler(config).length
    place = locate(config.model, handler)
    if isinstance(place, str):
        known = _KNOWN.get(place.removeprefix("sentence-transformers/"))
        if known is not None and handler is not ModelHandler.OPEN_CLIP:
            return known
    folder = place if isinstance(place, Path) else cached(place, config)
    declared = _declared(folder, handler) if folder is not None else None
    return declared or load_handler(config).length


def _declared(folder: Path, handler: ModelHandler) -> int | None:
    if handler is ModelHandler.OPEN_CLIP:
        return _int(_read(folder / "open_clip_config.json").get("model_cfg", {}).get("embed_dim"))
    if handler in (ModelHandler.DINOV2, ModelHandler.VITRIVR_DINOV2):
        return _int(_read(folder / "config.json").get("hidden_size"))
    modules = _read(folder / "modules.json")
    if len(modules) > 1 or "truncate_dim" in _read(folder / "config_sentence_transformers.json"):
        # A dense layer after the towers, or vectors cut short: only the loaded model knows.
        return None
    first = modules[0]["path"] if modules else ""
    return _int(_read(folder / first / "config.json").get("projection_dim"))


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        # Absent is normal; what is damaged is reported in full by the loading that follows.
        return {}


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
