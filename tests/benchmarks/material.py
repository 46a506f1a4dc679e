"""What benchmarks work on: photo-like JPEGs, and a ViT-B/32 of the real architecture with random weights."""

from __future__ import annotations

import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

WORDS = [
    "a",
    "red",
    "green",
    "blue",
    "canvas",
    "leather",
    "mug",
    "shoe",
    "hat",
    "lamp",
    "chair",
    "of",
    "on",
    "with",
    "small",
    "large",
    "old",
    "new",
]


def draw_photos(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """`count` JPEGs of `size` with the statistics of photos: smooth regions, edges and grain; about 0.4 bytes a pixel.

    Those that are there already are not drawn again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{number:03}.jpg" for number in range(count)]
    with ThreadPoolExecutor() as pool:
        missing = [number for number in range(count) if not paths[number].exists()]
        list(pool.map(lambda number: _draw_photo(paths[number], number, size), missing))
    return paths


def _draw_photo(path: Path, number: int, size: tuple[int, int]) -> None:
    width, height = size
    random = np.random.default_rng(number)
    coarse = random.integers(0, 256, (height // 160 + 2, width // 160 + 2, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    middle = random.integers(0, 60, (height // 16 + 1, width // 16 + 1), dtype=np.uint8)
    texture = Image.fromarray(middle).resize(size, Image.Resampling.BICUBIC)
    grain = 6 * random.standard_normal((height, width, 1), dtype=np.float32)
    pixels = np.asarray(image, np.float32) + np.asarray(texture, np.float32)[..., None] - 30 + grain
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def describe(number: int, words: int = 12) -> str:
    """A sentence of so many words, another one for each number."""
    random = np.random.default_rng(number)
    return f"{' '.join(random.choice(WORDS, words - 1))} {number}"


def random_vit_b32(folder: Path) -> Path:
    """Write CLIP ViT-B/32 with random weights as sentence-transformers reads it (600 MB), unless it is there."""
    if (folder / "modules.json").exists():
        return folder
    import torch
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

    torch.manual_seed(0)
    vocabulary = ["<pad>", "<unk>", "<s>", *WORDS, "</s>"]
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(vocabulary)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment, unused-ignore]
    words.post_processor = processors.TemplateProcessing(  # type: ignore[assignment, unused-ignore]
        single="<s> $A </s>",
        special_tokens=[("<s>", vocabulary.index("<s>")), ("</s>", vocabulary.index("</s>"))],
    )
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call, unused-ignore]
        tokenizer_object=words,
        model_max_length=77,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )
    ends = {
        "bos_token_id": vocabulary.index("<s>"),
        "eos_token_id": vocabulary.index("</s>"),
        "pad_token_id": 0,
    }
    config = CLIPConfig(text_config=ends)  # every other default is ViT-B/32's own
    plain = folder.with_name(folder.name + "-plain")
    CLIPModel(config).save_pretrained(plain)
    processor = CLIPProcessor(CLIPImageProcessor(), tokenizer)  # type: ignore[no-untyped-call, unused-ignore]
    processor.save_pretrained(plain)
    SentenceTransformer(str(plain), local_files_only=True).save(str(folder))
    shutil.rmtree(plain)
    return folder


def random_open_clip_vit_b32(folder: Path) -> Path:
    """Write open_clip's ViT-B-32 with random weights as open_clip reads it (600 MB), unless it is there."""
    settings = folder / "open_clip_config.json"
    if settings.exists():
        return folder
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    logging.disable(logging.WARNING)  # it warns that the weights are random
    model = open_clip.create_model("ViT-B-32", load_weights=False)
    logging.disable(logging.NOTSET)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    described = {"model_cfg": open_clip.get_model_config("ViT-B-32"), "preprocess_cfg": {}}
    settings.write_text(json.dumps(described), encoding="utf-8")
    return folder
