"""Which folders are run without their library: those of which every setting is known, and no other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from connector.engine import clip_folder
from connector.engine.resnet import ResNetSettings
from connector.space import ImageEmbeddingConfig
from tests.engine import byte_pairs

Configured = Callable[..., ImageEmbeddingConfig]


@pytest.fixture(scope="module")
def sources(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A CLIP as transformers saves it, as sentence-transformers saves it, in its old layout, with byte pairs."""
    root = tmp_path_factory.mktemp("byte_pairs")
    return {**folders, "slow": byte_pairs.slow(root / "slow"), "four": byte_pairs.four(root / "four")}


def read(folder: Path) -> clip_folder.ClipParts | None:
    return clip_folder.read(folder, sorted(folder.rglob("*.safetensors")))


def changed(source: Path, copy: Path, file: str, change: dict[str, Any]) -> Path:
    """A copy of a model, one of its JSON files changed: a dotted key reaches inside, None removes."""
    shutil.copytree(source, copy)
    value = json.loads((copy / file).read_text("utf-8")) if (copy / file).is_file() else {}
    for key, new in change.items():
        *path, last = key.split(".")
        inner = value
        for part in path:
            inner = inner[int(part)] if isinstance(inner, list) else inner[part]
        inner[int(last) if isinstance(inner, list) else last] = new
    (copy / file).write_text(json.dumps(value), encoding="utf-8")
    return copy


@pytest.mark.parametrize("name", ["clip", "clip_saved", "clip_legacy", "slow", "four"])
def test_a_plain_clip_is_recognised(name: str, sources: dict[str, Path]) -> None:
    parts = read(sources[name])
    assert parts is not None
    assert parts.length == 24


@pytest.mark.parametrize("name", ["siglip", "siglip2", "dual", "dinov2"])
def test_other_families_are_left_to_the_library(name: str, sources: dict[str, Path]) -> None:
    assert read(sources[name]) is None


OTHERWISE: list[tuple[str, str, dict[str, Any]]] = [
    ("clip", "config.json", {"model_type": "clipseg"}),
    ("clip", "config.json", {"quantization_config": {"bits": 4}}),
    ("clip", "config.json", {"auto_map": {"AutoModel": "model.Model"}}),
    ("clip", "config.json", {"vision_config.image_size": 64}),
    ("clip", "config.json", {"vision_config.num_channels": 1}),
    ("clip", "config.json", {"vision_config.hidden_act": "relu"}),
    ("clip", "config.json", {"vision_config.num_attention_heads": 3}),
    ("clip", "config.json", {"vision_config.patch_size": [8, 8]}),
    ("clip", "config.json", {"vision_config.rotary": True}),
    ("clip", "config.json", {"text_config.eos_token_id": [20]}),
    ("clip", "config.json", {"text_config.eos_token_id": 3}),
    ("clip", "config.json", {"text_config.max_position_embeddings": 8}),
    ("clip", "config.json", {"text_config.vocab_size": 20}),
    ("clip", "config.json", {"text_config.hidden_size": 48}),
    ("clip", "config.json", {"projection_dim": 23}),
    ("clip", "sentence_bert_config.json", {"max_seq_length": 8}),
    ("clip", "adapter_config.json", {"peft_type": "LORA"}),
    ("clip", "config_sentence_transformers.json", {"truncate_dim": 8}),
    (
        "clip",
        "config_sentence_transformers.json",
        {"prompts": {"q": "a photo of "}, "default_prompt_name": "q"},
    ),
    ("clip_saved", "sentence_bert_config.json", {"do_lower_case": True}),
    ("clip_saved", "sentence_bert_config.json", {"modality_config.text.method": "forward"}),
    ("clip_saved", "sentence_bert_config.json", {"processing_kwargs": {"text": {"padding": "max_length"}}}),
    ("clip_saved", "sentence_bert_config.json", {"modality_config": None, "module_output_name": None}),
    ("clip_saved", "modules.json", {"0.type": "models.Own"}),
    ("clip_saved", "modules.json", {"0.kwargs": ["task"]}),
    ("clip", "tokenizer_config.json", {"model_max_length": 17}),
    ("clip", "tokenizer_config.json", {"model_max_length": None}),
    ("clip", "tokenizer_config.json", {"padding_side": "left"}),
    ("clip", "tokenizer_config.json", {"truncation_side": "left"}),
    ("clip", "tokenizer_config.json", {"pad_token": "<fill>"}),
    ("clip", "tokenizer_config.json", {"extra_special_tokens": ["<image>"]}),
    ("clip", "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"}),
    ("clip", "tokenizer_config.json", {"split_special_tokens": True}),
    ("clip", "tokenizer.json", {"truncation": {"max_length": 4, "stride": 0}}),
    ("clip", "tokenizer.json", {"post_processor": None}),
    ("clip", "special_tokens_map.json", {"sep_token": "<sep>"}),
    ("clip", "added_tokens.json", {"<new>": 21}),
    ("four", "tokenizer_config.json", {"added_tokens_decoder": {"7": {"content": "red", "special": False}}}),
    ("four", "tokenizer.json", {"model.type": "Unigram"}),
    ("slow", "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"}),
    ("four", "tokenizer_config.json", {"eos_token": "<end>"}),
]


@pytest.mark.parametrize(("name", "file", "change"), OTHERWISE, ids=str)
def test_a_setting_that_is_not_known_leaves_it_to_the_library(
    name: str, file: str, change: dict[str, Any], sources: dict[str, Path], tmp_path: Path
) -> None:
    assert read(changed(sources[name], tmp_path / "changed", file, change)) is None


@pytest.mark.parametrize(
    ("name", "file", "change"),
    [
        (
            "clip",
            "config.json",
            {"transformers_version": "4.1", "text_config.use_cache": True, "new_setting": None},
        ),
        ("clip_saved", "sentence_bert_config.json", {"max_seq_length": 9, "do_lower_case": False}),
        ("clip", "config_sentence_transformers.json", {"prompts": {"query": "a photo of "}}),
        (
            "clip",
            "tokenizer_config.json",
            {"clean_up_tokenization_spaces": True, "tokenizer_class": "PreTrainedTokenizerFast"},
        ),
    ],
    ids=str,
)
def test_a_setting_that_changes_no_vector_is_no_matter(
    name: str, file: str, change: dict[str, Any], sources: dict[str, Path], tmp_path: Path
) -> None:
    parts = read(changed(sources[name], tmp_path / "changed", file, change))
    assert parts is not None
    assert parts.words.longest == change.get("max_seq_length", 16)


def test_a_second_module_is_left_to_the_library(sources: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(sources["clip_saved"], tmp_path / "changed")
    modules = json.loads((copy / "modules.json").read_text("utf-8"))
    modules.append({"idx": 1, "name": "1", "path": "1", "type": "sentence_transformers.models.Normalize"})
    (copy / "modules.json").write_text(json.dumps(modules))
    assert read(copy) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors: tensors.pop("text_projection.weight"),
        lambda tensors: tensors.update({"visual_projection.weight": torch.zeros(24, 31)}),
        lambda tensors: tensors.update({"text_projection.weight": torch.zeros(24, 24, dtype=torch.int8)}),
    ],
    ids=["missing", "another shape", "no floats"],
)
def test_weights_that_do_not_fit_are_left_to_the_library(
    spoil: Callable[[dict[str, torch.Tensor]], object], sources: dict[str, Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(sources["clip"], tmp_path / "changed")
    tensors = load_file(copy / "model.safetensors")
    spoil(tensors)
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    assert read(copy) is None


def test_weights_in_several_files_are_read(sources: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(sources["clip"], tmp_path / "changed")
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, some in parts.items():
        save_file({name: tensors[name] for name in some}, copy / file)
    listing = {name: file for file, some in parts.items() for name in some}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listing}))
    found = read(copy)
    assert found is not None
    torch.testing.assert_close(found.tensors.read(names[1]), tensors[names[1]])
    (copy / "model.safetensors.index.json").unlink()
    assert read(copy) is None, "parts that nothing lists"


def test_the_demo_model_is_recognised_by_all_that_it_says(tmp_path: Path) -> None:
    from connector.demo import MODEL_FOLDER

    def found(change: dict[str, Any], name: str) -> clip_folder.ClipParts | None:
        folder = changed(MODEL_FOLDER, tmp_path / name, "config.json", change)
        return clip_folder.read(folder, [folder / "model.safetensors"])

    parts = found({}, "same")
    assert parts is not None
    assert parts.picture == ResNetSettings(128)
    assert found({"vision_config.architecture": "resnet18"}, "other") is None
    assert found({"vision_config.model_args": {"in_chans": 1}}, "more") is None
    assert found({"text_config.model_type": "bert"}, "text") is None
