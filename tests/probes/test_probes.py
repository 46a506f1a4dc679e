"""Golden probes: the same model passes in any precision and through any handler; another one is refused, and told why."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from connector.engine.engine import Engine
from connector.engine.handlers import ImageHandler, load_handler
from connector.errors import CollectionMismatch
from connector.probes import marks, probe_set, probes
from connector.space import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler, PictureFrame
from connector.testing import StandInHandler

NOW = dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC)
DEMO = Path(probes.__file__).parents[1] / "demo" / "model"
BUILDERS = {
    "clip": ModelHandler.SENTENCE_TRANSFORMERS,
    "siglip": ModelHandler.SENTENCE_TRANSFORMERS,
    "siglip2": ModelHandler.SENTENCE_TRANSFORMERS,
    "dinov2": ModelHandler.DINOV2,
    "open_clip_model": ModelHandler.OPEN_CLIP,
}


def loaded(model: str | Path, handler: ModelHandler, **engine: Any) -> ImageHandler:
    """A model on the CPU, in float32 unless said otherwise."""
    config = EmbeddingEngineConfig(**{"device": "cpu", "precision": "float32", **engine})
    return load_handler(ImageEmbeddingConfig(str(model), handler, None, config))


def stored(handler: ImageHandler) -> dict[str, Any]:
    """What a collection's metadata gives back: through JSON."""
    read: dict[str, Any] = json.loads(json.dumps(probes.record(handler, NOW)))
    return read


class Changed(StandInHandler):
    """The stand-in, with another identity, or turning its vectors by an angle."""

    def __init__(self, *, pictures: float = 1.0, texts: float = 1.0, **identity: str) -> None:
        super().__init__()
        self.identity = self.identity | identity
        self._pictures, self._texts = pictures, texts

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        return turned(super().embed_images(pictures), self._pictures)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return turned(super().embed_texts(texts), self._texts)


def turned(rows: NDArray[np.float32], cosine: float) -> NDArray[np.float32]:
    """Each vector of length one turned so far that it has this cosine to what it was."""
    across = np.roll(rows, 1, axis=1)
    across -= (across * rows).sum(axis=1, keepdims=True) * rows
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.asarray(cosine * rows + np.sqrt(1 - cosine**2) * across, np.float32)


# --- the probes themselves ------------------------------------------------------------------------------------------


def test_the_probes_are_the_same_for_ever() -> None:
    """Change one, and no collection can be checked any more."""
    assert probe_set.digest() == "57846159123d2813"
    assert len(probe_set.drawn()) == len(probe_set.PICTURES) == len(probe_set.SENTENCES) == 4


def test_a_probe_picture_is_a_png_as_drawn(tmp_path: Path) -> None:
    for png, (name, (width, height, draw)) in zip(probe_set.drawn(), probe_set.PICTURES.items(), strict=True):
        (tmp_path / name).write_bytes(png)
        with Image.open(tmp_path / name) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert pixels.shape == (height, width, 3)
        y, x = np.array([[height - 1]]), np.array([[width - 1]])
        assert [int(channel[0, 0]) & 255 for channel in draw(x, y)] == pixels[-1, -1].tolist()
        assert pixels.std(axis=(0, 1)).min() > 20


# --- what is recorded -----------------------------------------------------------------------------------------------


def test_what_is_recorded_is_small_and_says_when_and_by_what() -> None:
    recorded = stored(StandInHandler())
    assert recorded["at"] == "2026-11-21T10:00:00.000000Z"
    assert recorded["made"].items() >= StandInHandler().identity.items()
    assert {"length", "numpy", "pillow", "machine"} <= recorded["made"].keys()
    assert len(recorded["images"]) == len(recorded["texts"]) == 4 * (4 * 64 * 2 + 2) // 3 // 4 * 4
    assert None not in recorded.values()


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_a_collections_metadata_keeps_probes(kind: str, tmp_path: Path) -> None:
    from connector.store.opening import open_store
    from connector.store.store import CollectionSpec

    metadata = {"probes": probes.record(StandInHandler(), NOW), "checked": marks.marked(None, NOW)}
    location = ":memory:" if kind == "memory" else str(tmp_path / "store.qdrant")
    store = open_store(location, "shop")
    store.create(CollectionSpec("shop", 64, ("fused",), {}, metadata))
    kept: Any = store.describe()
    store.close()
    assert not probes.check("shop", StandInHandler(), kept["probes"]).moved
    assert not marks.due(kept["checked"], NOW)


def test_recording_goes_by_one_batch_of_pictures_and_one_of_texts_at_the_models_own_frame() -> None:
    seen: list[list[Any]] = []

    class Watched(StandInHandler):
        frame = PictureFrame(40, "squash")

        def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
            seen.append([picture.size for picture in pictures])
            return super().embed_images(pictures)

        def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
            seen.append(sorted(texts))
            return super().embed_texts(texts)

    probes.record(Watched(), NOW)
    assert seen == [[(40, 40)] * 4, sorted(probe_set.SENTENCES.values())]


def test_probes_neither_count_as_embedded_nor_come_from_what_an_engine_remembers() -> None:
    handler = Changed()
    engine = Engine(handler)
    recorded = stored(handler)
    engine.embed_texts(list(probe_set.SENTENCES.values()))
    handler._texts = 0.9
    with pytest.raises(CollectionMismatch, match=r"cosine of 0\.9000"):
        probes.check("shop", handler, recorded)
    assert (engine.embedded_images, engine.embedded_texts) == (0, 4)


def test_nothing_here_imports_a_model_library_or_a_store() -> None:
    code = (
        "import datetime, sys\n"
        "from connector.probes import marks, probes\n"
        "from connector.testing import StandInHandler\n"
        "handler = StandInHandler()\n"
        "probes.check('c', handler, probes.record(handler, datetime.datetime.now(datetime.UTC)))\n"
        "marks.due(None, datetime.datetime.now())\n"
        "print({'torch', 'transformers', 'qdrant_client', 'qdrant_edge'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- the same model ---------------------------------------------------------------------------------------------


def test_the_same_model_has_not_moved() -> None:
    drift = probes.check("shop", StandInHandler(), stored(StandInHandler()))
    assert not drift.moved
    assert drift.images == pytest.approx(dict.fromkeys(probe_set.PICTURES, 1.0), abs=1e-6)
    assert drift.texts == pytest.approx(dict.fromkeys(probe_set.SENTENCES, 1.0), abs=1e-6)
    assert (drift.differs, drift.floor) == ({}, probes.FLOOR)
    assert str(drift) == (
        "since 2026-11-21T10:00:00.000000Z, of 4 pictures "
        f"'{min(drift.images, key=drift.images.__getitem__)}' moved furthest, to a cosine of 1.0000; of 4 sentences "
        f"'{min(drift.texts, key=drift.texts.__getitem__)}' moved furthest, to a cosine of 1.0000."
    )


def test_the_demo_model_is_the_same_through_both_handlers() -> None:
    recorded = stored(loaded("demo", ModelHandler.SENTENCE_TRANSFORMERS))
    drift = probes.check("shop", loaded("demo", ModelHandler.OPEN_CLIP), recorded)
    assert min(drift.images.values()) > 0.9999
    assert min(drift.texts.values()) > 0.9999
    assert {"handler", "library"} <= drift.differs.keys()
    assert drift.differs["handler"] == ("sentence_transformers", "open_clip")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A tiny random model of each kind."""
    import torch

    from tests.engine import models

    root, built = tmp_path_factory.mktemp("models"), {}
    for name in BUILDERS:
        torch.manual_seed(0)
        built[name] = getattr(models, name)(root / name)
    return built


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "int8"])
@pytest.mark.parametrize("family", ["demo", *BUILDERS])
def test_another_precision_of_the_same_model_passes(
    family: str, precision: str, folders: Mapping[str, Path]
) -> None:
    from connector.engine.blocks import packs

    if precision == "int8" and not packs("int8"):
        pytest.skip("no exact 8-bit products on this processor")
    handler = BUILDERS.get(family, ModelHandler.OPEN_CLIP)
    model = "demo" if family == "demo" else folders[family]
    recorded = stored(loaded(model, handler))
    drift = probes.check("shop", loaded(model, handler, precision=precision), recorded)
    assert drift.differs == {"precision": ("float32", precision)}
    assert drift.floor == (probes.FLOOR if precision == "float16" else probes.EIGHT_BITS_FLOOR)
    back = stored(loaded(model, handler, precision=precision))
    assert not probes.check("shop", loaded(model, handler), back).moved


def test_a_model_without_words_is_checked_by_its_pictures(folders: Mapping[str, Path]) -> None:
    handler = loaded(folders["dinov2"], ModelHandler.DINOV2)
    recorded = stored(handler)
    assert "texts" not in recorded
    drift = probes.check("shop", handler, recorded)
    assert (len(drift.images), drift.texts) == (4, {})
    assert "sentence" not in str(drift)


# --- another one ------------------------------------------------------------------------------------------------


def demo_with(folder: Path, **preprocess: Any) -> Path:
    """A copy of the demo model for open_clip, with another preprocessing."""
    shutil.copytree(DEMO, folder)
    settings = json.loads((folder / "open_clip_config.json").read_text())
    settings["preprocess_cfg"] |= preprocess
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    "preprocess", [{"interpolation": "bilinear"}, {"resize_mode": "squash"}, {"std": [0.3] * 3}]
)
def test_another_preprocessing_is_refused_and_named(preprocess: dict[str, Any], tmp_path: Path) -> None:
    recorded = stored(loaded("demo", ModelHandler.OPEN_CLIP))
    model = loaded(demo_with(tmp_path / "demo", **preprocess), ModelHandler.OPEN_CLIP)
    with pytest.raises(CollectionMismatch, match=r"It differs: preprocess is '.*', was '.*'\. A cosine"):
        probes.check("shop", model, recorded)
    drift = probes.compare("shop", model, recorded)
    assert list(drift.differs) == ["preprocess"]
    assert min(drift.images.values()) < probes.FLOOR < min(drift.texts.values())


@pytest.mark.parametrize("family", ["clip", "open_clip_model"])
def test_other_weights_are_refused_and_named(
    family: str, folders: Mapping[str, Path], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / family
    shutil.copytree(folders[family], folder)
    (file,) = folder.glob("*.safetensors")
    noise = torch.Generator().manual_seed(1)
    weights = {
        name: weight + 0.2 * weight.std() * torch.randn(weight.shape, generator=noise)
        if weight.ndim > 1
        else weight
        for name, weight in load_file(file).items()
    }
    file.unlink()
    save_file(weights, file, {"format": "pt"})
    recorded = stored(loaded(folders[family], BUILDERS[family]))
    with pytest.raises(
        CollectionMismatch, match=r"It differs: weights is '[0-9a-f]{12}…', was '[0-9a-f]{12}…'\."
    ):
        probes.check("shop", loaded(folder, BUILDERS[family]), recorded)


@pytest.mark.parametrize(
    ("key", "now", "told"),
    [
        ("weights", "b" * 64, "weights is 'bbbbbbbbbbbb…', was 'stand-in 1'"),
        ("revision", "c" * 40, "revision is 'cccccccccccc…', was ''"),
        ("preprocess", "size=32", "preprocess is 'size=32', was 'size=64'"),
        ("precision", "float16", "precision is 'float16', was 'float32'"),
        ("library", "connector 9", "library is 'connector 9', was 'connector'"),
        ("handler", "open_clip", "handler is 'open_clip', was 'stand_in'"),
    ],
)
def test_what_differs_is_named(key: str, now: str, told: str) -> None:
    model = Changed(pictures=0.7, texts=0.7, **{key: now})
    with pytest.raises(CollectionMismatch, match=rf"It differs: {told}\. A cosine of 0\.999 is needed"):
        probes.check("shop", model, stored(StandInHandler()))


def test_drift_under_an_identity_that_is_the_same_says_what_moved_and_what_to_do() -> None:
    with pytest.raises(CollectionMismatch) as refused:
        probes.check("shop", Changed(texts=0.99), stored(StandInHandler()))
    said = str(refused.value)
    assert said.startswith(
        "Collection 'shop' holds vectors that this model does not make any more: since 2026-11-21T10:00:00.000000Z, "
        "of 4 pictures '"
    )
    assert "' moved furthest, to a cosine of 1.0000; of 4 sentences '" in said
    assert said.endswith(
        "' moved furthest, to a cosine of 0.9900. Nothing that is known differs: the device, a driver or a library "
        "underneath changed. A cosine of 0.999 is needed. Go back to what made the collection, or embed it again "
        "with what is here now."
    )


def test_a_name_is_told_but_is_no_explanation() -> None:
    with pytest.raises(
        CollectionMismatch, match=r"name is 'other', was 'stand-in'\. Nothing else that is known differs: the"
    ):
        probes.check("shop", Changed(pictures=0.5, name="other"), stored(StandInHandler()))


def test_a_library_beneath_that_was_replaced_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = stored(StandInHandler())
    monkeypatch.setattr(probes, "beneath", lambda: {"torch": "99.1"})
    with pytest.raises(CollectionMismatch, match=r"torch is '99\.1', was '"):
        probes.check("shop", Changed(pictures=0.5), recorded)


def test_the_floor_can_be_set() -> None:
    recorded, model = stored(StandInHandler()), Changed(pictures=0.95)
    assert not probes.check("shop", model, recorded, floor=0.94).moved
    with pytest.raises(CollectionMismatch, match=r"A cosine of 0\.96 is needed"):
        probes.check("shop", model, recorded, floor=0.96)


class Refusing(StandInHandler):
    """The stand-in, refusing pictures that are higher than wide."""

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        if any(picture.height > picture.width for picture in pictures):
            raise ValueError("too high")
        return super().embed_images(pictures)


def test_a_probe_that_a_model_never_took_is_left_out_and_one_it_takes_no_more_has_moved() -> None:
    drift = probes.check("shop", Refusing(), stored(Refusing()))
    assert sorted(drift.images) == ["ramp", "rings", "tiles"]
    with pytest.raises(CollectionMismatch, match=r"'stripes' moved furthest, to a cosine of 0\.0000"):
        probes.check("shop", Refusing(), stored(StandInHandler()))


def test_a_model_of_another_length_or_without_words_is_refused() -> None:
    class Longer(Changed):
        length = 65

        def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
            return np.pad(super().embed_images(pictures), ((0, 0), (0, 1)))

        def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.pad(super().embed_texts(texts), ((0, 0), (0, 1)))

    class Wordless:
        length, frame, identity = 64, PictureFrame(64), StandInHandler().identity

        def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
            return StandInHandler().embed_images(pictures)

    recorded = stored(StandInHandler())
    with pytest.raises(CollectionMismatch, match="length is '65', was '64'"):
        probes.check("shop", Longer(), recorded)
    with pytest.raises(
        CollectionMismatch, match=r"of 4 sentences 'plain' moved furthest, to a cosine of 0\.0000"
    ):
        probes.check("shop", Wordless(), recorded)
    assert not probes.check("shop", StandInHandler(), stored(Wordless())).moved


# --- what others have done to the metadata ----------------------------------------------------------------------


def test_probes_of_another_set_are_not_compared() -> None:
    recorded = stored(StandInHandler()) | {"set": "feedbeef"}
    with pytest.raises(
        CollectionMismatch, match=r"'shop' keeps vectors of other probes \('feedbeef'\).*or a newer one\."
    ):
        probes.check("shop", StandInHandler(), recorded)


NAN = "AH4A" * (4 * 64 * 2 // 3) + "AH4="


@pytest.mark.parametrize(
    "damage",
    [
        {"images": "%%%"},
        {"images": "AAAA"},
        {"images": NAN},
        {"images": None},
        {"texts": 7},
        {"made": "nobody"},
        {"made": {}},
        {"made": {"length": "long"}},
    ],
)
def test_probes_that_cannot_be_read_are_told_so(damage: dict[str, object]) -> None:
    recorded = stored(StandInHandler()) | damage
    with pytest.raises(CollectionMismatch, match="The probes that collection 'shop' keeps cannot be read"):
        probes.check("shop", StandInHandler(), recorded)
