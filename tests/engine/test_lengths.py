"""How long vectors are, without loading a model where that can be known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.engine import lengths, load_handler, vector_length
from connector.errors import ModelUnavailable
from connector.space import ImageEmbeddingConfig, ModelHandler

ST, OPEN_CLIP, DINOV2 = ModelHandler.SENTENCE_TRANSFORMERS, ModelHandler.OPEN_CLIP, ModelHandler.DINOV2
Configured = Callable[..., ImageEmbeddingConfig]


@pytest.fixture
def unloadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make loading a model an error."""

    def refuse(config: ImageEmbeddingConfig) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(lengths, "load_handler", refuse)


@pytest.mark.usefixtures("unloadable")
@pytest.mark.parametrize(
    ("model", "handler", "length"),
    [
        ("clip-ViT-B-32", ST, 512),
        ("sentence-transformers/clip-ViT-L-14", ST, 768),
        ("facebook/dinov2-small", DINOV2, 384),
        ("ViT-B-32/laion2b_s34b_b79k", OPEN_CLIP, 512),
        ("ViT-L-14/openai", OPEN_CLIP, 768),
    ],
)
def test_a_known_name_is_enough(
    model: str, handler: ModelHandler, length: int, configured: Configured
) -> None:
    assert vector_length(configured(model, handler)) == length


@pytest.mark.usefixtures("unloadable")
@pytest.mark.parametrize(
    ("family", "handler"),
    [
        ("clip", ST),
        ("clip_saved", ST),
        ("clip_legacy", ST),
        ("dinov2", DINOV2),
        ("open_clip", OPEN_CLIP),
        ("open_clip_words", OPEN_CLIP),
    ],
)
def test_a_folders_configuration_is_enough(
    family: str, handler: ModelHandler, folders: dict[str, Path], configured: Configured
) -> None:
    assert vector_length(configured(folders[family], handler)) == 24


@pytest.mark.parametrize("family", ["siglip", "dual"])
def test_what_the_configuration_says_or_leaves_out_agrees_with_the_model(
    family: str, folders: dict[str, Path], configured: Configured
) -> None:
    config = configured(folders[family], ST)
    assert vector_length(config) == load_handler(config).length


def test_vectors_cut_short_are_measured_on_the_loaded_model(
    folders: dict[str, Path], configured: Configured, tmp_path: Path
) -> None:
    shutil.copytree(folders["clip_saved"], tmp_path / "short")
    settings = tmp_path / "short" / "config_sentence_transformers.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"truncate_dim": 8}))
    config = configured(tmp_path / "short", ST)
    assert vector_length(config) == load_handler(config).length


def test_a_damaged_configuration_is_reported_by_the_loading(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelUnavailable):
        vector_length(configured(tmp_path, ST))
