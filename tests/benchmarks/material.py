"""What benchmarks work on: photo-like JPEGs, and a ViT-B/32 of the real architecture with random weights."""

from __future__ import annotations

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
    """`count` JPEGs of `size` with the statistics of photos: smooth regions, edges and grain; about 0.4 bytes a pixel."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = size
    paths = []
    for number in range(count):
        path = folder / f"photo-{number:03}.jpg"
        random = np.random.default_rng(number)
        coarse = random.integers(0, 256, (height // 160 + 2, width // 160 + 2, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        middle = random.integers(0, 60, (height // 16 + 1, width // 16 + 1), dtype=np.uint8)
        texture = Image.fromarray(middle).resize(size, Image.Resampling.BICUBIC)
        grain = random.normal(0, 6, (height, width, 1)).astype(np.float32)
        pixels = np.asarray(image, np.float32) + np.asarray(texture, np.float32)[..., None] - 30 + grain
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(path)
    return paths


def describe(number: int) -> str:
    """A sentence of about twelve words, another one for each number."""
    random = np.random.default_rng(number)
    return f"{' '.join(random.choice(WORDS, 11))} {number}"


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
    return folder
