"""A tiny CLIP with a byte-pair tokenizer of CLIP's own kind, in the layouts that are found on the hub."""

# mypy: disable-error-code="no-untyped-call"
# (transformers leaves its processors without types)

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from tests.engine import models

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = [
    ("r", "e"), ("re", "d</w>"), ("m", "u"), ("mu", "g</w>"), ("a", "n"), ("an", "d</w>"), ("1", "2"),
    ("'", "s</w>"), ("h", "a"), ("ha", "t</w>"), ("Ã", "©</w>"),
]  # fmt: skip
PREPROCESSING = {
    "crop_size": models.SIDE,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": models.SIDE,
}


def words() -> dict[str, int]:
    """Every byte, every byte at a word's end, what the merges make, start and end: as CLIP numbers them."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    rest = [chr(256 + at) for at in range(256 - len(printable))]
    letters = [*map(chr, printable), *rest]
    made = [*letters, *(f"{each}</w>" for each in letters), *map("".join, MERGES), START, END]
    return {word: number for number, word in enumerate(made)}


def _token(content: str, **more: Any) -> dict[str, Any]:
    return {
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": True,
        **more,
    }


def _settings() -> dict[str, Any]:
    kind = {"__type": "AddedToken"}
    return {
        "unk_token": _token(END, **kind),
        "bos_token": _token(START, **kind),
        "eos_token": _token(END, **kind),
        "pad_token": END,
        "add_prefix_space": False,
        "errors": "replace",
        "do_lower_case": True,
        "name_or_path": "openai/clip-vit-base-patch32",
        "model_max_length": 77,
        "special_tokens_map_file": "./special_tokens_map.json",
        "tokenizer_class": "CLIPTokenizer",
    }


def _write(folder: Path, **files: Any) -> None:
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _model(folder: Path, end: int | None = None) -> Path:
    known = words()
    torch.manual_seed(0)
    text = models._text(
        vocab_size=len(known), max_position_embeddings=77, hidden_act="quick_gelu", pad_token_id=1
    )
    text |= {"bos_token_id": known[START], "eos_token_id": known[END] if end is None else end}
    config = CLIPConfig(
        text_config=text, vision_config=models._vision(hidden_size=32), projection_dim=models.LENGTH
    )
    model = CLIPModel(config)
    models.lively(model)
    model.save_pretrained(folder)
    _write(folder, preprocessor_config=PREPROCESSING, tokenizer_config=_settings())
    return folder


def slow(folder: Path) -> Path:
    """As OpenAI's first: words and merges in files of their own, and an end of text that is none of its ids."""
    _model(folder, end=2)
    listed = {
        "bos_token": _token(START),
        "eos_token": _token(END),
        "unk_token": _token(END),
        "pad_token": END,
    }
    _write(folder, vocab=words(), special_tokens_map=listed)
    lines = "".join(f"{one} {other}\n" for one, other in MERGES)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}", encoding="utf-8")
    return folder


def legacy(folder: Path) -> Path:
    """As sentence-transformers' clip-ViT-B-32."""
    slow(folder / "0_CLIPModel")
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    versions = {"sentence_transformers": "2.0.0", "transformers": "4.7.0", "pytorch": "1.9.0+cu102"}
    _write(folder, modules=[module], config_sentence_transformers={"__version__": versions})
    return folder


def _tokenizer_file(folder: Path) -> dict[str, Any]:
    source = slow(folder / "source")
    CLIPTokenizer.from_pretrained(source).save_pretrained(folder / "saved")
    written: dict[str, Any] = json.loads((folder / "saved" / "tokenizer.json").read_text("utf-8"))
    shutil.rmtree(source)
    shutil.rmtree(folder / "saved")
    return written


def four(folder: Path) -> Path:
    """As transformers 4 wrote it, its added tokens in both files."""
    file = _tokenizer_file(folder)
    _model(folder)
    ids = words()
    added = {str(ids[each]): _token(each, special=True, normalized=each == START) for each in (START, END)}
    named = {"bos_token": START, "eos_token": END, "unk_token": END, "clean_up_tokenization_spaces": True}
    _write(folder, tokenizer=file, tokenizer_config={**_settings(), **named, "added_tokens_decoder": added})
    return folder


def old(folder: Path) -> Path:
    """A tokenizer.json of older days, which cuts words otherwise than its class does, and names no class."""
    file = _tokenizer_file(folder)
    _model(folder, end=2)
    ids = words()
    file["added_tokens"] = [{"id": ids[each], "special": True, **_token(each)} for each in (START, END)]
    file["model"]["merges"] = [" ".join(pair) for pair in MERGES]
    parts = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    file["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": parts}
    settings = _settings()
    del settings["tokenizer_class"]
    _write(folder, tokenizer=file, tokenizer_config=settings)
    return folder


def filled(folder: Path) -> Path:
    """Filled up with another word than the end's, as Stable Diffusion's second text tower."""
    file = _tokenizer_file(folder)
    _model(folder)
    _write(folder, tokenizer=file, tokenizer_config={**_settings(), "pad_token": "!"})
    return folder


def repeated(folder: Path) -> Path:
    """A config.json that says things twice, the second time otherwise, and much that changes nothing."""
    four(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    text = config["text_config"]
    config["text_config_dict"] = dict(text)
    config["vision_config_dict"] = None
    text |= {
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "top_k": 50,
        "typical_p": 1.0,
        "id2label": {"0": "LABEL_0"},
    }
    _write(folder, config=config)
    return folder


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "slow": slow,
    "legacy": legacy,
    "four": four,
    "old": old,
    "filled": filled,
    "repeated": repeated,
}
