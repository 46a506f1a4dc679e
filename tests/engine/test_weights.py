"""Weight files: which, whole, safe, and their digest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from connector.engine.weights import digest, weight_files
from connector.errors import ModelUnavailable
from connector.space import ModelHandler

ST, OPEN_CLIP = ModelHandler.SENTENCE_TRANSFORMERS, ModelHandler.OPEN_CLIP


def _weights(file: Path, value: float = 1.0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({"a": np.full((4, 4), value, np.float32)}, file)
    return file


def _names(folder: Path, handler: ModelHandler, *, unsafe: bool = False) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in weight_files(folder, handler, unsafe=unsafe)]


def test_every_module_of_a_model_is_found_and_other_programs_files_are_not(tmp_path: Path) -> None:
    for name in ("model.safetensors", "2_Dense/model.safetensors", "open_clip_model.safetensors"):
        _weights(tmp_path / name)
    assert _names(tmp_path, ST) == ["model.safetensors", "2_Dense/model.safetensors"]
    assert _names(tmp_path, OPEN_CLIP) == ["open_clip_model.safetensors"]


@pytest.mark.parametrize("handler", [ST, OPEN_CLIP, ModelHandler.DINOV2])
def test_a_folder_without_weights_is_refused(tmp_path: Path, handler: ModelHandler) -> None:
    with pytest.raises(ModelUnavailable, match="no weight file"):
        weight_files(tmp_path, handler)


@pytest.mark.parametrize(
    ("name", "handler"), [("pytorch_model.bin", ST), ("open_clip_pytorch_model.bin", OPEN_CLIP)]
)
def test_pickles_are_refused_unless_told_otherwise(tmp_path: Path, name: str, handler: ModelHandler) -> None:
    (tmp_path / name).write_bytes(b"pickle")
    with pytest.raises(ModelUnavailable, match=r"pickle.*unsafe_weights=True"):
        weight_files(tmp_path, handler)
    assert _names(tmp_path, handler, unsafe=True) == [name]


def test_a_pickle_beside_safe_weights_is_not_read(tmp_path: Path) -> None:
    _weights(tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    assert _names(tmp_path, ST) == ["model.safetensors"]


def test_a_pickle_that_open_clip_would_prefer_is_refused(tmp_path: Path) -> None:
    _weights(tmp_path / "model.safetensors")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelUnavailable, match=r"open_clip_pytorch_model\.bin"):
        weight_files(tmp_path, OPEN_CLIP)


def test_a_pickled_module_beside_a_safe_one_is_refused(tmp_path: Path) -> None:
    _weights(tmp_path / "model.safetensors")
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelUnavailable, match="2_Dense"):
        weight_files(tmp_path, ST)


@pytest.mark.parametrize("keep", [0, 5, 30, -10])
def test_a_file_cut_short_is_named(tmp_path: Path, keep: int) -> None:
    file = _weights(tmp_path / "model.safetensors")
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors' is damaged"):
        weight_files(tmp_path, ST)


@pytest.mark.parametrize(
    "content", [b"\xff" * 64, b"\x02" + b"\0" * 7 + b"[]", b"\x07" + b"\0" * 7 + b'{"a":1}']
)
def test_a_file_of_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelUnavailable, match="damaged"):
        weight_files(tmp_path, ST)


def test_a_missing_part_of_several_is_named(tmp_path: Path) -> None:
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    _weights(tmp_path / first)
    listing = tmp_path / "model.safetensors.index.json"
    listing.write_text(json.dumps({"weight_map": {"a": first, "b": second}}))
    with pytest.raises(ModelUnavailable, match=r"1 of the 2 weight files .* are missing, 'model-00002"):
        weight_files(tmp_path, ST)
    _weights(tmp_path / second)
    assert _names(tmp_path, ST) == [first, second]


def test_a_link_to_nothing_is_no_weight_file(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blobs" / "gone")
    with pytest.raises(ModelUnavailable, match="no weight file"):
        weight_files(tmp_path, ST)


def test_the_digest_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    one, other, changed = tmp_path / "one", tmp_path / "renamed", tmp_path / "changed"
    files = [_weights(folder / "model.safetensors") for folder in (one, other)]
    different = _weights(changed / "model.safetensors", 2.0)
    assert digest(one, files[:1]) == digest(other, files[1:])
    assert digest(one, files[:1]) != digest(changed, [different])


def test_a_hub_caches_link_gives_the_same_digest_without_being_read(tmp_path: Path) -> None:
    import hashlib

    file = _weights(tmp_path / "plain" / "model.safetensors")
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    blob, snapshot = tmp_path / "blobs" / sha, tmp_path / "snapshot"
    blob.parent.mkdir()
    blob.write_bytes(b"not read")
    snapshot.mkdir()
    (snapshot / "model.safetensors").symlink_to(blob)
    assert digest(snapshot, [snapshot / "model.safetensors"]) == digest(file.parent, [file])
