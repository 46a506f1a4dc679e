"""What sentence-transformers reads, equal to its own reference use and without its traps."""

# mypy: disable-error-code="no-untyped-call"
# (transformers leaves its processors without types)

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoProcessor

from connector.engine import Engine, ImageHandler, TextHandler, load_handler
from connector.engine.frames import resized
from connector.errors import EmbeddingError, ModelUnavailable
from connector.space import ImageEmbeddingConfig, PictureFrame
from tests.engine.conftest import cosines

Configured = Callable[..., ImageEmbeddingConfig]
Folders = dict[str, Path]

FAMILIES = ["clip", "clip_saved", "clip_legacy", "siglip", "siglip2", "dual"]
TEXTS = ["a red mug", "two old blue hat on the striped canvas", "shoe", "a", ""]
ODD_TEXTS = ["", " ", "word " * 500, "café naïve", "赤いマグ", "a\nb\tc", "😀 smile", "https://", "."]


def _text_handler(config: ImageEmbeddingConfig) -> TextHandler:
    handler = load_handler(config)
    assert isinstance(handler, TextHandler)
    return handler


def _reference(folder: Path) -> tuple[Any, Any]:
    inner = folder / "0_CLIPModel"
    source = inner if inner.is_dir() else folder
    return AutoModel.from_pretrained(source, local_files_only=True).eval(), AutoProcessor.from_pretrained(
        source
    )


@torch.inference_mode()
def _reference_images(folder: Path, pictures: list[Image.Image]) -> NDArray[np.float32]:
    model, processor = _reference(folder)
    rows: NDArray[np.float32] = model.get_image_features(
        **processor(images=pictures, return_tensors="pt")
    ).pooler_output.numpy()
    return rows


@torch.inference_mode()
def _reference_texts(folder: Path, texts: list[str], **padding: Any) -> NDArray[np.float32]:
    """Each text alone, as the families' own model cards do it."""
    model, processor = _reference(folder)
    rows = []
    for text in texts:
        inputs = processor(text=[text], return_tensors="pt", truncation=True, **padding)
        rows.append(model.get_text_features(**inputs).pooler_output.numpy())
    return np.concatenate(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_equal_the_models_own_features(
    family: str, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    rows = load_handler(configured(folders[family])).embed_images(pictures)
    assert rows.dtype == np.float32
    assert cosines(rows, _reference_images(folders[family], pictures)).min() >= 0.99999
    assert cosines(rows[:1].repeat(2, 0), rows[2:4]).max() < 0.99, "the model tells pictures apart"


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_equal_the_librarys_encode(
    family: str, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    library = SentenceTransformer(str(folders[family]), device="cpu", local_files_only=True)
    rows = load_handler(configured(folders[family])).embed_images(pictures)
    np.testing.assert_allclose(rows, library.encode(pictures), atol=1e-5)
    assert np.linalg.norm(rows, axis=1).max() > 1.01, "raw, as the library gives them"


@pytest.mark.parametrize("family", ["clip", "clip_saved", "clip_legacy", "dual"])
def test_texts_equal_the_models_own_features(family: str, folders: Folders, configured: Configured) -> None:
    rows = _text_handler(configured(folders[family])).embed_texts(TEXTS)
    assert cosines(rows, _reference_texts(folders[family], TEXTS)).min() >= 0.99999
    assert cosines(rows[:1], rows[2:3]).max() < 0.99, "the model tells texts apart"


@pytest.mark.parametrize("family", ["siglip", "siglip2"])
def test_siglip_texts_are_padded_as_it_was_trained(
    family: str, folders: Folders, configured: Configured
) -> None:
    rows = _text_handler(configured(folders[family])).embed_texts(TEXTS)
    reference = _reference_texts(folders[family], TEXTS, padding="max_length", max_length=64)
    assert cosines(rows, reference).min() >= 0.99999
    unpadded = _reference_texts(folders[family], TEXTS[:1], padding=False)
    assert cosines(rows[:1], unpadded).max() < 0.99999, "padding makes a difference to this model"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_texts_vector_does_not_depend_on_its_neighbours(
    family: str, folders: Folders, configured: Configured
) -> None:
    handler = _text_handler(configured(folders[family]))
    together = handler.embed_texts(TEXTS)
    alone = np.concatenate([handler.embed_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_all_layouts_of_one_model_give_the_same_vectors(
    folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    bare, saved, legacy = (
        _text_handler(configured(folders[name])) for name in ("clip", "clip_saved", "clip_legacy")
    )
    for other in (saved, legacy):
        np.testing.assert_allclose(bare.embed_images(pictures), other.embed_images(pictures), atol=1e-5)
        np.testing.assert_allclose(bare.embed_texts(TEXTS), other.embed_texts(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("family", "frame"),
    [
        ("clip", PictureFrame(32)),
        ("siglip", PictureFrame(32, "squash")),
        ("dual", PictureFrame(32, "squash", "bilinear")),
    ],
)
def test_a_picture_resized_to_the_frame_has_the_vector_of_the_whole_picture(
    family: str, frame: PictureFrame, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    handler = load_handler(configured(folders[family]))
    assert handler.frame == frame
    large = [picture for picture in pictures if min(picture.size) > 2 * frame.size]
    rows = handler.embed_images([resized(picture, frame) for picture in large])
    assert cosines(rows, _reference_images(folders[family], large)).min() >= 0.99999


def test_a_model_that_keeps_proportions_in_its_own_way_has_no_frame(
    folders: Folders, configured: Configured
) -> None:
    assert load_handler(configured(folders["siglip2"])).frame is None


# a text is a text


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_text_that_looks_like_a_picture_is_never_opened(
    family: str, folders: Folders, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mug.jpg").write_bytes(b"no picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "hat.png")
    texts = ["mug.jpg", "hat.png", str(tmp_path / "hat.png"), "data:image/png;base64,iVBORw0KGgo="]
    rows = _text_handler(configured(folders[family])).embed_texts(texts)
    padding = {"padding": "max_length", "max_length": 64} if family == "siglip" else {}
    assert cosines(rows, _reference_texts(folders[family], texts, **padding)).min() >= 0.99999


def test_a_text_that_is_a_url_is_never_fetched(folders: Folders, configured: Configured) -> None:
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        text = f"http://127.0.0.1:{server.server_port}/mug.png"
        rows = _text_handler(configured(folders["clip"])).embed_texts([text])
        server.shutdown()
        thread.join()
    assert asked == []
    assert cosines(rows, _reference_texts(folders["clip"], [text])).min() >= 0.99999


@pytest.mark.parametrize("family", FAMILIES)
def test_any_text_can_be_embedded(family: str, folders: Folders, configured: Configured) -> None:
    handler = _text_handler(configured(folders[family]))
    rows = handler.embed_texts(ODD_TEXTS)
    assert rows.shape == (len(ODD_TEXTS), handler.length)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("size", [(1, 1), (2000, 3), (3, 700)])
def test_pictures_of_any_shape_can_be_embedded(
    size: tuple[int, int], folders: Folders, configured: Configured
) -> None:
    for family in ("clip", "siglip", "siglip2"):
        assert np.isfinite(
            load_handler(configured(folders[family])).embed_images([Image.new("RGB", size)])
        ).all()


def test_a_text_that_is_no_unicode_is_refused_alone(folders: Folders, configured: Configured) -> None:
    first, bad, last = Engine(load_handler(configured(folders["clip"]))).embed_texts(["a", "\ud83d", "mug"])
    assert isinstance(bad, EmbeddingError)
    assert isinstance(first, np.ndarray)
    assert isinstance(last, np.ndarray)


# loading


@pytest.mark.parametrize("family", ["clip", "clip_legacy"])
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_gives_float32_vectors_close_to_the_exact_ones(
    family: str, precision: str, folders: Folders, configured: Configured, pictures: list[Image.Image]
) -> None:
    exact = _text_handler(configured(folders[family]))
    half = _text_handler(configured(folders[family], precision=precision))
    assert half.identity["precision"] == precision
    for one, other in (
        (half.embed_images(pictures), exact.embed_images(pictures)),
        (half.embed_texts(TEXTS), exact.embed_texts(TEXTS)),
    ):
        assert one.dtype == np.float32
        assert cosines(one, other).min() >= 0.99
        assert not np.array_equal(one, other)


def test_nothing_is_printed_while_a_model_loads(
    folders: Folders, configured: Configured, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_handler(configured(shutil.copytree(folders["clip_saved"], tmp_path / "copy")))
    assert capfd.readouterr() == ("", "")


def test_weights_that_lack_a_part_of_the_model_are_refused(
    folders: Folders, configured: Configured, tmp_path: Path
) -> None:
    file = shutil.copytree(folders["clip"], tmp_path / "copy") / "model.safetensors"
    weights = load_file(file)
    del weights["visual_projection.weight"], weights["logit_scale"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"lack 1 parts of the model \(visual_projection\.weight\)"):
        load_handler(configured(tmp_path / "copy"))


def test_code_that_comes_with_a_model_is_not_run(
    folders: Folders, configured: Configured, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["clip_saved"], tmp_path / "copy")
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([modules[0] | {"type": "evil.Evil"}]))
    with pytest.raises(ModelUnavailable, match="cannot be loaded by SENTENCE_TRANSFORMERS"):
        load_handler(configured(folder))
    assert not ran.exists()


def test_a_bare_dinov2_is_sent_to_its_own_handler(folders: Folders, configured: Configured) -> None:
    with pytest.raises(ModelUnavailable, match=r"ModelHandler\.DINOV2"):
        load_handler(configured(folders["dinov2"]))


def test_a_model_that_reads_no_pictures_is_refused(configured: Configured, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    from tests.engine.models import WORDS, tokenizer

    settings = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    BertModel(settings).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailable, match="reads no pictures"):
        load_handler(configured(tmp_path))


def test_a_model_that_reads_no_texts_has_no_method_for_them(configured: Configured, tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    settings = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=32
    )
    ViTModel(settings).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    handler = load_handler(configured(tmp_path))
    assert isinstance(handler, ImageHandler)
    assert not isinstance(handler, TextHandler)
