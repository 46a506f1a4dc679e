"""Which model folders are plainly a CLIP, so that it can be run without its library; all others are left to the library.

Every setting that a folder holds is either read here or known to change no vector. One that is neither sends the folder
to sentence-transformers, which knows more.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connector.engine import documents, pixels, words
from connector.engine.clip import Activation, Blocks, PictureSettings, Shapes, TextSettings
from connector.engine.pixels import Pixels
from connector.engine.resnet import ResNetSettings
from connector.engine.tensors import Tensors
from connector.engine.words import Words

_LEGACY_MODULES = {
    "sentence_transformers.models.CLIPModel",
    "sentence_transformers.sentence_transformer.modules.clip_model.CLIPModel",
}
_MODULES = {
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.models.Transformer",
}
_MODULE_SETTINGS = {
    "transformer_task": "feature-extraction",
    "modality_config": {
        "text": {"method": "get_text_features", "method_output_name": "pooler_output"},
        "image": {"method": "get_image_features", "method_output_name": "pooler_output"},
    },
    "module_output_name": "sentence_embedding",
}

_ACTIVATIONS: Mapping[object, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}
_TEXT: Mapping[str, Any] = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "eos_token_id": 49407,
}
_PICTURE: Mapping[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "image_size": 224,
    "patch_size": 32,
    "num_channels": 3,
}
_DEMO_PICTURE = {"architecture": "test_resnet", "num_classes": 0, "do_pooling": True, "hidden_size": 96}

_IGNORED = {
    # of training, of what other tasks make of the outputs, and of how a file came to be
    *("attention_dropout", "dropout", "gradient_checkpointing", "initializer_factor", "initializer_range"),
    *("logit_scale_init_value", "projection_dim", "bos_token_id", "pad_token_id", "id2label", "label2id"),
    *("return_dict", "tie_word_embeddings", "use_cache", "top_k", "top_p", "temperature", "typical_p"),
    *(
        "repetition_penalty",
        "length_penalty",
        "max_length",
        "num_beams",
        "num_beam_groups",
        "num_return_sequences",
    ),
    *("architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "model_type"),
}
"""Settings that change no vector; what is not read must be one of these, or null, false or empty."""


@dataclasses.dataclass(frozen=True)
class ClipParts:
    """All that it takes to run a folder's model.

    Attributes:
        length: values in a vector.
    """

    words: Words
    pixels: Pixels
    text: TextSettings
    picture: PictureSettings | ResNetSettings
    tensors: Tensors
    length: int


def read(folder: Path, weights: Sequence[Path]) -> ClipParts | None:
    """Read a folder of sentence-transformers' or transformers', of which `weights` are the weight files.

    Returns:
        None where it is another model, or asks for anything that is not known here.
    """
    try:
        return _read(folder, weights)
    # Settings of another shape than CLIP's: not plainly a CLIP, or damaged, which the library tells in full.
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _read(folder: Path, weights: Sequence[Path]) -> ClipParts | None:
    place = _module(folder)
    config = None if place is None else documents.read(place.folder / "config.json")
    if place is None or config is None:
        return None
    text, picture = _towers(config)
    if text is None or picture is None:
        return None
    preprocessing = pixels.read(place.folder)
    tokenizer = words.read(place.folder, config["model_type"], place.longest)
    if preprocessing is None or tokenizer is None or not _agree(text, picture, preprocessing, tokenizer):
        return None
    tensors = _tensors(place.folder, weights, {**text.shapes, **picture.shapes})
    if tensors is None:
        return None
    return ClipParts(tokenizer, preprocessing, text, picture, tensors, text.length)


@dataclasses.dataclass(frozen=True)
class _Place:
    """`longest`: how many ids a text may have, where the module says so."""

    folder: Path
    longest: int | None = None


def _module(folder: Path) -> _Place | None:
    """Where the one CLIP of a folder is; None where something comes before or after it."""
    if not _unprompted(folder / "config_sentence_transformers.json"):
        return None
    file = folder / "modules.json"
    if not file.is_file():
        return None if any(folder.glob("sentence_*_config.json")) else _Place(folder)
    modules = json.loads(file.read_text("utf-8"))
    if len(modules) != 1 or modules[0].get("kwargs"):
        return None
    kind, inner = modules[0]["type"], folder / modules[0]["path"]
    settings = documents.read(inner / "sentence_bert_config.json") or {}
    if [each.name for each in inner.glob("sentence_*_config.json")] not in (
        [],
        ["sentence_bert_config.json"],
    ):
        return None
    longest = settings.pop("max_seq_length", None)
    asked = {key: value for key, value in settings.items() if value not in (None, False, {})}
    if asked == _MODULE_SETTINGS and kind in _MODULES | _LEGACY_MODULES:
        return _Place(inner, longest)
    return _Place(inner, longest) if not asked and kind in _LEGACY_MODULES else None


def _unprompted(file: Path) -> bool:
    settings = documents.read(file) or {}
    known = {"__version__", "model_type", "prompts", "default_prompt_name", "similarity_fn_name"}
    return (
        {key for key, value in settings.items() if value is not None} <= known
        and settings.get("model_type", "SentenceTransformer") == "SentenceTransformer"
        and settings.get("default_prompt_name") is None
    )


def _towers(
    config: Mapping[str, Any],
) -> tuple[TextSettings | None, PictureSettings | ResNetSettings | None]:
    parts = {"text_config", "vision_config", "text_config_dict", "vision_config_dict"}
    kind, length = config.get("model_type"), config.get("projection_dim", 512)
    if not _known(config, parts) or not isinstance(length, int):
        return None, None
    text = _settings(config, "text_config", _TEXT)
    if kind == "clip":
        picture = _settings(config, "vision_config", _PICTURE)
        return _text(text, length), _picture(picture, length)
    if kind == "vision-text-dual-encoder" and (text or {}).get("model_type") == "clip_text_model":
        asked = {
            key: value for key, value in config["vision_config"].items() if key not in ("model_type", "dtype")
        }
        demo = config["vision_config"].get("model_type") == "timm_wrapper" and asked == _DEMO_PICTURE
        return _text(text, length), ResNetSettings(length) if demo else None
    return None, None


def _settings(config: Mapping[str, Any], part: str, defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    """One tower's settings; older files repeat them, and the repetition counts."""
    settings = {**defaults, **(config.get(part) or {})}
    if (repeated := config.get(f"{part}_dict")) is not None:
        settings |= {**defaults, **repeated}
    return settings if _known(settings, set(defaults)) else None


def _known(settings: Mapping[str, Any], read: set[str]) -> bool:
    asked = {key for key, value in settings.items() if value not in (None, False, [], {})}
    return asked <= read | _IGNORED


def _blocks(settings: Mapping[str, Any], prefix: str) -> Blocks | None:
    activation, width = _ACTIVATIONS.get(settings["hidden_act"]), settings["hidden_size"]
    heads = settings["num_attention_heads"]
    if activation is None or width % heads:
        return None
    return Blocks(
        f"{prefix}.encoder.layers",
        width,
        settings["intermediate_size"],
        settings["num_hidden_layers"],
        heads,
        activation,
        settings["layer_norm_eps"],
    )


def _text(settings: Mapping[str, Any] | None, length: int) -> TextSettings | None:
    blocks = None if settings is None else _blocks(settings, "text_model")
    if settings is None or blocks is None or not isinstance(settings["eos_token_id"], int):
        return None
    return TextSettings(
        blocks, settings["vocab_size"], settings["max_position_embeddings"], settings["eos_token_id"], length
    )


def _picture(settings: Mapping[str, Any] | None, length: int) -> PictureSettings | None:
    blocks = None if settings is None else _blocks(settings, "vision_model")
    if settings is None or blocks is None or settings["num_channels"] != 3:
        return None
    if not all(isinstance(settings[name], int) for name in ("image_size", "patch_size")):
        return None
    return PictureSettings(blocks, settings["image_size"], settings["patch_size"], length)


def _agree(
    text: TextSettings, picture: PictureSettings | ResNetSettings, preprocessing: Pixels, tokenizer: Words
) -> bool:
    """Whether the parts fit, and a text's vector cannot depend on how far it is padded."""
    if isinstance(picture, PictureSettings) and picture.side != preprocessing.crop:
        return False
    if tokenizer.longest > text.positions or tokenizer.highest >= text.words:
        return False
    # Where its end is found by its id, or as its highest id, padding must not be taken for it.
    plain = tokenizer.ids(["", "a"])
    return all(text.end_of(ids) == len(ids) - 1 for ids in plain) and all(
        text.end_of([*ids, tokenizer.padding]) == len(ids) - 1 for ids in plain
    )


def _tensors(folder: Path, weights: Sequence[Path], wanted: Shapes) -> Tensors | None:
    files = [file for file in weights if file.parent == folder]
    listed = documents.read(folder / "model.safetensors.index.json")
    named = {"model.safetensors"} if listed is None else set(listed.get("weight_map", {}).values())
    if {file.name for file in files} != named or (folder / "adapter_config.json").is_file():
        return None
    tensors = Tensors(files)
    return tensors if tensors.fit(wanted) else None
