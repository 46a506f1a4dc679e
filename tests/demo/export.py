"""Writes the demo model as one folder that open_clip and sentence-transformers both load.

The two libraries name the same tensors differently and neither reads the other's file, so there are two weight files,
made from one state.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors.torch import save_file

from connector.demo.words import VOCABULARY

SIDE = 64
CONTEXT = 20
EMBED = 128
TEXT_WIDTH = 96
TEXT_HEADS = 3
TEXT_LAYERS = 1
TOWER = "test_resnet"  # of timm's registry: 0.37 million parameters
TRUNK_WIDTH = 96  # what it gives before the projection
# open_clip pools a text at its highest token id, so the end token must be the last of the vocabulary.
TOKENS: tuple[str, ...] = ("<pad>", "<s>", "<unk>", *VOCABULARY, "</s>")
PAD, START, UNKNOWN, END = 0, 1, 2, len(TOKENS) - 1

_VISION = {
    "image_size": SIDE,
    "timm_model_name": TOWER,
    "timm_model_pretrained": False,
    "timm_pool": "avg",
    "timm_proj": "linear",
}
_TEXT = {
    "context_length": CONTEXT,
    "vocab_size": len(TOKENS),
    "width": TEXT_WIDTH,
    "heads": TEXT_HEADS,
    "layers": TEXT_LAYERS,
    "hf_tokenizer_name": "local",  # any name will do; without one, open_clip takes its own 49,408 words
}

State: TypeAlias = dict[str, torch.Tensor]


def write_model(state: State, folder: Path) -> None:
    """Write every file of the model; `state` is that of the trained open_clip model.

    Weights are stored as float16 to halve the files, and computed with as float32 by both libraries.
    """
    write_configuration(folder)
    half = {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in state.items()}
    save_file(half, folder / "open_clip_model.safetensors", {"format": "pt"})
    save_file(_transformers_state(half), folder / "model.safetensors", {"format": "pt"})
    for file in folder.iterdir():
        file.chmod(0o644)  # save_file makes them private to whoever trained, which a wheel would carry along


def write_configuration(folder: Path) -> None:
    """Write every file but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _documents().items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _transformers_state(state: State) -> State:
    """The same tensors under the names of transformers' VisionTextDualEncoderModel."""
    block = "transformer.resblocks."
    out: State = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["visual.head.proj.weight"],
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.final_layer_norm.weight": state["ln_final.weight"],
        "text_model.final_layer_norm.bias": state["ln_final.bias"],
    }
    for name, tensor in state.items():
        if name.startswith("visual.trunk."):
            out["vision_model.timm_model." + name.removeprefix("visual.trunk.")] = tensor
        elif name.startswith(block):
            number, inner = name.removeprefix(block).split(".", 1)
            out |= _layer(number, inner, tensor)
    return out


def _layer(number: str, name: str, tensor: torch.Tensor) -> State:
    prefix = f"text_model.encoder.layers.{number}."
    stem, kind = name.rsplit(".", 1) if "." in name else (name, "")
    if name.startswith("attn.in_proj_"):
        kind = name.removeprefix("attn.in_proj_")
        parts = zip("qkv", tensor.chunk(3), strict=True)
        return {f"{prefix}self_attn.{letter}_proj.{kind}": part.contiguous() for letter, part in parts}
    names = {
        "attn.out_proj": "self_attn.out_proj",
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    return {f"{prefix}{names[stem]}.{kind}": tensor}


def _documents() -> dict[str, object]:
    half = [0.5, 0.5, 0.5]
    picture = {"mean": half, "std": half, "interpolation": "bicubic", "resize_mode": "shortest"}
    return {
        "open_clip_config.json": {
            "model_cfg": {"embed_dim": EMBED, "vision_cfg": _VISION, "text_cfg": _TEXT},
            "preprocess_cfg": picture,
        },
        "config.json": _transformers_config(),
        "preprocessor_config.json": {
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": True,
            "size": {"shortest_edge": SIDE},
            "resample": 3,
            "do_center_crop": True,
            "crop_size": {"height": SIDE, "width": SIDE},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": half,
            "image_std": half,
            "do_convert_rgb": True,
        },
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": CONTEXT,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "padding_side": "right",
            "truncation_side": "right",
            "model_input_names": ["input_ids", "attention_mask"],
        },
        **_sentence_transformers(),
    }


def _sentence_transformers() -> dict[str, object]:
    def method(name: str) -> dict[str, str]:
        return {"method": name, "method_output_name": "pooler_output"}

    return {
        "modules.json": [
            {
                "idx": 0,
                "name": "0",
                "path": "",
                "type": "sentence_transformers.base.modules.transformer.Transformer",
            }
        ],
        "sentence_bert_config.json": {
            "transformer_task": "feature-extraction",
            "modality_config": {"text": method("get_text_features"), "image": method("get_image_features")},
            "module_output_name": "sentence_embedding",
        },
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }


def _transformers_config() -> dict[str, object]:
    return {
        "architectures": ["VisionTextDualEncoderModel"],
        "model_type": "vision-text-dual-encoder",
        "projection_dim": EMBED,
        "logit_scale_init_value": 2.6592,
        # float16 here would make sentence-transformers compute in it, on a CPU too.
        "dtype": "float32",
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": TOWER,
            "num_classes": 0,
            "do_pooling": True,
            "hidden_size": TRUNK_WIDTH,
        },
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": len(TOKENS),
            "hidden_size": TEXT_WIDTH,
            "intermediate_size": TEXT_WIDTH * 4,
            "num_hidden_layers": TEXT_LAYERS,
            "num_attention_heads": TEXT_HEADS,
            "max_position_embeddings": CONTEXT,
            "projection_dim": EMBED,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
            "pad_token_id": PAD,
            "bos_token_id": START,
            # The real one: 2 would switch transformers to an older way of pooling.
            "eos_token_id": END,
        },
    }


def _tokenizer() -> dict[str, object]:
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import NFKD, Lowercase, Sequence, StripAccents
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(
        WordLevel({token: number for number, token in enumerate(TOKENS)}, unk_token="<unk>")
    )
    tokenizer.normalizer = Sequence([NFKD(), StripAccents(), Lowercase()])
    tokenizer.pre_tokenizer = Split(Regex("[a-z]+|[0-9]"), "removed", invert=True)
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", START), ("</s>", END)]
    )
    tokenizer.add_special_tokens(["<pad>", "<s>", "<unk>", "</s>"])
    written: dict[str, object] = json.loads(tokenizer.to_str())
    return written
