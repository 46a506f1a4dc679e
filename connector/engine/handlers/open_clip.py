"""Models that open_clip reads: hub names, architectures with a pretrained tag, and folders."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from connector.engine import device, frames, models
from connector.engine.fusion import unit
from connector.engine.layers import replace_layers
from connector.engine.streams import spread
from connector.transformation import ImageEmbeddingConfig, ModelHandler, PictureFrame

_PRECISION = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "int8": "fp32"}

TEXTS = 16
"""Texts embedded at once: they are padded to the longest of them."""


class OpenClipModel:
    """Embeds pictures and words; each vector is of length one, as open_clip's users store them."""

    def __init__(
        self,
        model: Any,
        transform: Callable[[Image.Image], torch.Tensor],
        tokenizer: Callable[[list[str]], torch.Tensor],
        where: device.Device,
        identity: dict[str, str],
    ) -> None:
        self._model, self._transform, self._tokenizer = model, transform, tokenizer
        self._where = where
        self.device = where.name
        self._encode = _encoder(model)
        self.identity = identity
        self.frame: PictureFrame | None = frames.from_open_clip(model.visual.preprocess_cfg, transform)
        self.length = self.embed_images([Image.new("RGB", (32, 32))]).shape[1]

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length)."""
        return spread(self._embed_images, pictures, self._where.name)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: float32 (n, length). Longer texts than the model reads are cut."""
        # Here and not in the streams: tokenizers are changed while they work.
        ids = self._tokenizer(list(texts)).to(self._where.name)
        return spread(self._embed_ids, ids.unbind(), self._where.name, TEXTS)

    @torch.inference_mode()
    def _embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        pixels = torch.stack([self._transform(picture) for picture in pictures])
        vectors = self._model.encode_image(pixels.to(self._where.name, self._where.dtype))
        return unit(vectors.float().cpu().numpy())

    @torch.inference_mode()
    def _embed_ids(self, ids: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        return unit(self._encode(torch.stack(list(ids))).float().cpu().numpy())


def _encoder(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """What embeds texts: the model's own, without the padding where it is known that padding changes nothing.

    CLIP's texts look backwards only, and a vector is read at the end of its text. All others see the padding.
    """
    cut = type(model) is open_clip.CLIP and model.attn_mask is not None and model.text_pool_type in _ENDS
    encode: Callable[[torch.Tensor], torch.Tensor] = (
        functools.partial(_cut, model) if cut else model.encode_text
    )
    return encode


def _cut(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """`open_clip.CLIP.encode_text` of as many positions as the longest text has."""
    ends = _ENDS[model.text_pool_type](model, ids)
    length = int(ends.max()) + 1
    hidden = model.token_embedding(ids[:, :length]).to(model.transformer.get_cast_dtype())
    hidden = hidden + model.positional_embedding[:length].to(hidden.dtype)
    hidden = model.ln_final(model.transformer(hidden, attn_mask=model.attn_mask[:length, :length]))
    vectors: torch.Tensor = hidden[torch.arange(len(ids), device=ids.device), ends]
    projection = model.text_projection
    if isinstance(projection, torch.nn.Linear):
        return functional.linear(vectors, projection.weight, projection.bias)
    return vectors if projection is None else vectors @ projection


_ENDS: dict[str, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    "argmax": lambda model, ids: ids.argmax(-1),
    "eos": lambda model, ids: (ids == model.text_eos_id).int().argmax(-1),
}
"""Where a text ends, by the name that open_clip has for the way of finding it."""


def load(config: ImageEmbeddingConfig) -> OpenClipModel:
    """Load a model from the folder that its name leads to."""
    files, where = models.find(config), device.choose(config.embedding_engine_config)
    settings = models.open_clip_settings(files, config)
    name, options = _source(files, settings, config)
    text = settings["model_cfg"]["text_cfg"]
    tower = None
    if "hf_model_name" in text:
        # By its name the library would ask the hub for the tower's settings, offline or not.
        tower = models.companion(text["hf_model_name"], files, config)
        options["text_cfg"] = {**text, "hf_model_name": str(tower), "hf_model_pretrained": False}
    with device.quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Its siblings go on without weights, from random numbers; this one refuses.
        create: Any = open_clip.create_model_from_pretrained
        model, transform = create(
            name,
            precision=_PRECISION[where.precision],
            device=where.name,
            force_quick_gelu=_quick_gelu(config.model),
            **options,
        )
        tokenizer = _tokenizer(name, text, files, tower)
    replace_layers(model.eval(), where)
    identity = files.identity(
        ModelHandler.OPEN_CLIP,
        precision=where.precision,
        preprocess=frames.summary(model.visual.preprocess_cfg),
        library=f"open_clip {'.'.join(open_clip.__version__.split('.')[:2])}",
    )
    return OpenClipModel(model, transform, tokenizer, where, identity)


def _source(
    files: models.ModelFiles, settings: dict[str, Any], config: ImageEmbeddingConfig
) -> tuple[str, dict[str, Any]]:
    """How open_clip is told of a model, and with which options."""
    if (files.folder / "open_clip_config.json").is_file():
        return f"local-dir:{files.folder}", {}
    # Weights without settings: those of the tag. A file's path instead of the tag would lose its preprocessing.
    given = settings["preprocess_cfg"]
    names = ("mean", "std", "interpolation", "resize_mode")
    options = {f"image_{name}": given[name] for name in names if given.get(name)}
    return config.model.partition("/")[0], {"pretrained": str(files.weights[0]), **options}


def _tokenizer(
    name: str, text: dict[str, Any], files: models.ModelFiles, tower: Path | None
) -> Callable[[list[str]], torch.Tensor]:
    chosen: Callable[[list[str]], torch.Tensor]
    if tower is None:
        # The same name, or a tokenizer of another vocabulary would be chosen in silence.
        chosen = open_clip.get_tokenizer(name)
        return chosen
    own = (files.folder / "tokenizer_config.json").is_file()
    chosen = open_clip.tokenizer.HFTokenizer(
        str(files.folder if own else tower),
        context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
        tokenizer_mode=text.get("tokenizer_mode"),
        **text.get("tokenizer_kwargs", {}),
    )
    return chosen


def _quick_gelu(name: str) -> bool:
    """Whether a tag's weights were trained with QuickGELU; 'ViT-B-32/openai' was, its architecture is not."""
    architecture, _, tag = name.partition("/")
    return bool(open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu", False))
