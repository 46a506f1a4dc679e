"""Tiny random models of each family, written to disk the way their libraries write real ones. No hub."""

# mypy: disable-error-code="no-untyped-call"
# (transformers leaves its processors without types)

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    BertConfig,
    BertModel,
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    Dinov2Config,
    Dinov2Model,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessor,
    Siglip2Model,
    Siglip2Processor,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
    VisionTextDualEncoderModel,
    VisionTextDualEncoderProcessor,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    XLMRobertaConfig,
)

WORDS = [
    "<pad>", "<unk>", "<s>", "a", "red", "green", "blue", "mug", "shoe", "hat", "of", "on", "the",
    "canvas", "striped", "two", "old", "photo", "jpg", "/", "</s>",
]  # fmt: skip
SIDE = 32
LENGTH = 24
CONTEXT = 16


def build_all(root: Path) -> dict[str, Path]:
    """Write every family beneath `root`: its name to its folder."""
    folders = {}
    for name, build in _BUILDERS.items():
        torch.manual_seed(0)
        folders[name] = build(root / name)
    return folders


def tokenizer(known: list[str] = WORDS) -> PreTrainedTokenizerFast:
    """A tokenizer of twenty words; `</s>` has the highest id, as CLIP's pooling wants it."""
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(known)}, unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()  # type: ignore[assignment, unused-ignore]
    words.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment, unused-ignore]
    words.post_processor = processors.TemplateProcessing(  # type: ignore[assignment, unused-ignore]
        single="<s> $A </s>", special_tokens=[("<s>", known.index("<s>")), ("</s>", known.index("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_max_length=CONTEXT,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        padding_side="right",
        truncation_side="right",
    )


def lively(model: torch.nn.Module) -> None:
    """Give a model weights so large that its vectors depend on what it sees; fresh ones hardly do."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                scale = 1.5 / weight[0].numel() ** 0.5
                weight.copy_(torch.randn(weight.shape, generator=generator) * scale)


def _save(model: Any, processor: Any, folder: Path) -> Path:
    lively(model)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _text(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(WORDS),
        "hidden_size": LENGTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT,
        "pad_token_id": 0,
        "bos_token_id": WORDS.index("<s>"),
        "eos_token_id": WORDS.index("</s>"),
    } | more


def _padded_text() -> dict[str, Any]:
    return _text(max_position_embeddings=64, projection_size=LENGTH)


def _vision(**more: Any) -> dict[str, Any]:
    return {
        "hidden_size": LENGTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": 8,
    } | more


def clip(folder: Path) -> Path:
    """A bare CLIP, as transformers saves it."""
    config = CLIPConfig(text_config=_text(), vision_config=_vision(hidden_size=32), projection_dim=LENGTH)
    images = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return _save(CLIPModel(config), CLIPProcessor(images, tokenizer()), folder)


def clip_saved(folder: Path) -> Path:
    """A CLIP, as sentence-transformers saves it."""
    SentenceTransformer(str(clip(folder / "bare")), local_files_only=True).save(str(folder / "saved"))
    return folder / "saved"


def clip_legacy(folder: Path) -> Path:
    """A CLIP in the layout of clip-ViT-B-32: a subfolder, and a module class of long ago."""
    clip(folder / "0_CLIPModel")
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    (folder / "modules.json").write_text(json.dumps([module]))
    return folder


def siglip(folder: Path) -> Path:
    """A SigLIP: squashes pictures, pools the last position of a text."""
    config = SiglipConfig(text_config=_padded_text(), vision_config=_vision())
    images = SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    return _save(SiglipModel(config), SiglipProcessor(images, tokenizer()), folder)


def siglip2(folder: Path) -> Path:
    """A SigLIP 2 that keeps proportions: its processor cuts a picture into as many patches as fit."""
    vision = _vision(num_patches=256, patch_size=16)
    del vision["image_size"]
    config = Siglip2Config(text_config=_padded_text(), vision_config=vision)
    return _save(Siglip2Model(config), Siglip2Processor(Siglip2ImageProcessor(), tokenizer()), folder)


def dual(folder: Path) -> Path:
    """Two towers of different families, joined."""
    vision, text = ViTModel(ViTConfig(**_vision())), BertModel(BertConfig(**_text()))
    model = VisionTextDualEncoderModel(vision_model=vision, text_model=text)
    images = ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    return _save(model, VisionTextDualEncoderProcessor(images, tokenizer()), folder)


def dinov2(folder: Path) -> Path:
    """A DINOv2 that resizes to 40 and crops 32, as the real one does with 256 and 224."""
    images = BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": SIDE, "width": SIDE})
    return _save(Dinov2Model(Dinov2Config(**_vision(mlp_ratio=2))), images, folder)


def open_clip_model(folder: Path, *, text: dict[str, Any] | None = None, **preprocess: Any) -> Path:
    """An open_clip folder; `preprocess` goes into its `preprocess_cfg`, `text` into its text tower's
    settings."""
    folder.mkdir(parents=True)
    config = {
        "embed_dim": LENGTH,
        "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
        | (text or {}),
    }
    described = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the weights are the same whatever ran before
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    lively(model)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def open_clip_words(folder: Path) -> Path:
    """An open_clip folder with a tokenizer of its own, in Hugging Face's files."""
    open_clip_model(folder, text={"vocab_size": len(WORDS), "hf_tokenizer_name": "local"})
    tokenizer().save_pretrained(folder)
    return folder


def open_clip_multilingual(folder: Path) -> Path:
    """An open_clip folder with a text tower of transformers', as xlm-roberta-base-ViT-B-32: mean pool and MLP.

    Its text tower is named as the real one's is; the tower's settings and tokenizer lie in the folder, too.
    """
    folder.mkdir(parents=True)
    words = ["<s>", "<pad>", "</s>", "<unk>", *WORDS[3:-1]]
    ids: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "type_vocab_size": 1}
    towers = XLMRobertaConfig(**_text(vocab_size=len(words), max_position_embeddings=90, **ids))
    towers.save_pretrained(folder)
    tokenizer(words).save_pretrained(folder)
    text: dict[str, Any] = {"hf_model_name": "xlm-roberta-base", "hf_tokenizer_name": "xlm-roberta-base"}
    config = {
        "embed_dim": LENGTH,
        "vision_cfg": {"image_size": 224, "layers": 2, "width": 32, "head_width": 16, "patch_size": 32},
        "text_cfg": {**text, "hf_pooler_type": "mean_pooler"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    model = open_clip.create_model(
        f"local-dir:{folder}",
        load_weights=False,
        text_cfg={**text, "hf_model_name": str(folder), "hf_model_pretrained": False},
    )
    lively(model)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def clip_224(folder: Path) -> Path:
    """A CLIP with the real one's sizes of pictures, and its old mistake: an end-of-text id of 2 in its settings."""
    settings = _text(eos_token_id=2, hidden_act="quick_gelu", max_position_embeddings=77)
    vision = _vision(hidden_size=32, image_size=224, patch_size=32, hidden_act="quick_gelu")
    config = CLIPConfig(text_config=settings, vision_config=vision, projection_dim=LENGTH)
    words = tokenizer()
    words.model_max_length = 77
    return _save(CLIPModel(config), CLIPProcessor(CLIPImageProcessor(), words), folder)


def dinov2_518(folder: Path) -> Path:
    """A DINOv2 with the real one's table of positions, 37 x 37 patches of 14."""
    images = BitImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224})
    config = Dinov2Config(**_vision(mlp_ratio=2, image_size=518, patch_size=14))
    return _save(Dinov2Model(config), images, folder)


def open_clip_squash(folder: Path) -> Path:
    """An open_clip folder that squashes pictures, as its SigLIP models do."""
    return open_clip_model(
        folder, mean=[0.5] * 3, std=[0.5] * 3, interpolation="bicubic", resize_mode="squash"
    )


_BUILDERS: dict[str, Callable[[Path], Path]] = {
    "clip": clip,
    "clip_saved": clip_saved,
    "clip_legacy": clip_legacy,
    "siglip": siglip,
    "siglip2": siglip2,
    "dual": dual,
    "dinov2": dinov2,
    "open_clip": open_clip_model,
    "open_clip_words": open_clip_words,
    "open_clip_squash": open_clip_squash,
}
