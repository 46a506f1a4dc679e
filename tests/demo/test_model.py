"""The shipped model: both libraries load it and agree, it is small, and it knows what it is said to know."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from connector.demo import MODEL_FOLDER
from connector.demo.drawings import draw
from connector.demo.scene import Scene
from connector.demo.words import VOCABULARY
from tests.demo import export, train
from tests.demo.embedders import OpenClip, SentenceTransformers, ThroughConnector
from tests.demo.evaluate import Figure, evaluate

TEXTS = (
    "mug", "two large red striped mugs on a sky background", "Rosé T-Shirt, 2 of them!", "zorblax", "", "日本",
    "word " * 500, "chair.jpg", "http://localhost/mug.png",
)  # fmt: skip


@pytest.fixture(scope="module")
def open_clip_model() -> OpenClip:
    return OpenClip(MODEL_FOLDER)


@pytest.fixture(scope="module")
def sentence_transformers_model() -> SentenceTransformers:
    return SentenceTransformers(MODEL_FOLDER)


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    drawn = [
        draw(Scene("mug", "red"), 1),
        draw(Scene("fish", "blue", "dotted", "lemon", 3, "large"), 2, side=480),
    ]
    wide = draw(Scene("star", "pink"), 3).crop((0, 60, 320, 280))
    return [_png(picture) for picture in (*drawn, wide, Image.new("RGB", (40, 90), "grey"))]


def test_both_libraries_give_the_same_picture_vectors(
    open_clip_model: OpenClip, sentence_transformers_model: SentenceTransformers, pictures: list[bytes]
) -> None:
    one, other = open_clip_model.images(pictures), sentence_transformers_model.images(pictures)
    assert one.shape == other.shape == (4, export.EMBED)
    assert one.dtype == other.dtype == np.float32
    assert (one * other).sum(axis=1).min() >= 0.99999


def test_the_connector_gives_those_too(
    sentence_transformers_model: SentenceTransformers, pictures: list[bytes]
) -> None:
    connector = ThroughConnector(MODEL_FOLDER)
    shown = sentence_transformers_model.images(pictures)
    # It brings pictures to the model's size itself, as the library would: rounding may differ.
    assert (connector.images(pictures) * shown).sum(axis=1).min() >= 0.9999
    told = connector.texts(TEXTS[:4])
    assert (told * sentence_transformers_model.texts(TEXTS[:4])).sum(axis=1).min() >= 0.99999


def test_both_libraries_give_the_same_text_vectors(
    open_clip_model: OpenClip, sentence_transformers_model: SentenceTransformers
) -> None:
    one, other = open_clip_model.texts(TEXTS), sentence_transformers_model.texts(TEXTS)
    assert one.dtype == other.dtype == np.float32
    assert (one * other).sum(axis=1).min() >= 0.99999


def test_a_texts_vector_does_not_depend_on_its_neighbours(
    sentence_transformers_model: SentenceTransformers,
) -> None:
    together = sentence_transformers_model.texts(TEXTS)
    alone = np.concatenate([sentence_transformers_model.texts([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() >= 0.99999


def test_it_is_small() -> None:
    files = [file for file in MODEL_FOLDER.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 2.5e6
    for name in ("open_clip_model.safetensors", "model.safetensors"):
        assert 450_000 <= _parameters(MODEL_FOLDER / name) <= 600_000


def test_everybody_may_read_its_files() -> None:
    for file in MODEL_FOLDER.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o444 == 0o444, file.name


def test_its_tokenizer_is_the_vocabulary_and_ends_with_the_end_token() -> None:
    written = json.loads((MODEL_FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    ids = written["model"]["vocab"]
    assert set(ids) == {"<pad>", "<s>", "<unk>", "</s>", *VOCABULARY}
    assert ids["</s>"] == max(ids.values()) == len(ids) - 1
    assert ids["<pad>"] == 0


def test_its_configuration_is_the_one_the_trainer_writes(tmp_path: Path) -> None:
    export.write_configuration(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_text(encoding="utf-8") == (MODEL_FOLDER / file.name).read_text(encoding="utf-8")


def test_training_reads_texts_as_the_shipped_tokenizer_does() -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(MODEL_FOLDER / "tokenizer.json"))
    for text in TEXTS[:6]:
        row = train.token_ids([text])[0].tolist()
        assert row[: row.index(export.END) + 1] == tokenizer.encode(text).ids


def test_training_twice_gives_the_same_weights(tmp_path: Path) -> None:
    for name in ("one", "two"):
        export.write_model(train.train(steps=3, pictures=70, seed=4), tmp_path / name)
    for file in ("open_clip_model.safetensors", "model.safetensors", "tokenizer.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_it_finds_what_it_was_never_shown() -> None:
    # A fifth of the drawings that `python -m tests.demo.evaluate` looks at, so some bars stand a little lower.
    measured = evaluate(ThroughConnector(MODEL_FOLDER), full=100, short=300)
    figures = {figure.name: figure.value for figure in measured}
    assert figures["full sentence -> its picture, R@1"] >= 0.90
    assert figures["full sentence -> its picture, R@5"] >= 0.99
    assert figures['"mug", P@5'] >= 0.97
    assert figures['"red mug", P@5'] >= 0.90
    assert figures["zero-shot thing"] >= 0.95
    assert figures["zero-shot colour"] >= 0.90


@pytest.mark.parametrize(
    ("query", "scene"),
    [
        ("a cup", Scene("mug", "green")),
        ("an animal", Scene("bird", "orange", "plain")),
        ("something to wear", Scene("hat", "blue", "striped")),
        ("something to wear", Scene("sock", "yellow", "dotted")),
        ("vehicles", Scene("boat", "red", "checked")),
    ],
)
def test_synonyms_and_kinds_find_their_things(open_clip_model: OpenClip, query: str, scene: Scene) -> None:
    others = [
        Scene("key", "grey"),
        Scene("umbrella", "pink"),
        Scene("tree", "green"),
        Scene("chair", "brown"),
    ]
    shown = open_clip_model.images([_png(draw(s, 11)) for s in (scene, *others)])
    assert (shown @ open_clip_model.texts([query])[0]).argmax() == 0


def test_a_figure_below_its_bar_is_missed() -> None:
    assert Figure("x", 0.89, 0.9).missed
    assert not Figure("x", 0.9, 0.9).missed
    assert not Figure("x", 0.0).missed


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _parameters(path: Path) -> int:
    """Numbers in a safetensors file, running statistics of the batch norms included."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(int(np.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")
