"""A model's name to its files on this machine: a folder, else the cache, else the hub (see `hub.py`).

What a name may be:

    "demo"                        the small model that ships with this package
    a folder's path               that folder; it wins over a hub model of the same name
    "org/name"                    a model on the Hugging Face hub
    "clip-ViT-B-32"               SENTENCE_TRANSFORMERS: the hub's "sentence-transformers/clip-ViT-B-32"
    "ViT-B-32/laion2b_s34b_b79k"  OPEN_CLIP: an architecture and the tag of its pretrained weights
    "hf-hub:org/name"             OPEN_CLIP: its own spelling of "org/name"
    "local-dir:path"              OPEN_CLIP: its own spelling of a folder's path

No other model is ever taken instead of the one that was named.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

from connector.engine import hub
from connector.engine.weights import digest, weight_files
from connector.errors import ModelUnavailable
from connector.transformation import ImageEmbeddingConfig, ModelHandler

_CONFIGS = {
    ModelHandler.SENTENCE_TRANSFORMERS: ("modules.json", "config.json"),
    ModelHandler.OPEN_CLIP: ("open_clip_config.json",),
    ModelHandler.DINOV2: ("config.json",),
    ModelHandler.VITRIVR_DINOV2: ("config.json",),
}
# Older repositories of open_clip's hold weights alone; the settings of their tags come with open_clip.
_BARE = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_EXAMPLES = {
    ModelHandler.SENTENCE_TRANSFORMERS: "'sentence-transformers/clip-ViT-B-32'",
    ModelHandler.OPEN_CLIP: "'laion/CLIP-ViT-B-32-laion2B-s34B-b79K' or 'ViT-B-32/laion2b_s34b_b79k'",
    ModelHandler.DINOV2: "'facebook/dinov2-small'",
    ModelHandler.VITRIVR_DINOV2: "'facebook/dinov2-small'",
    ModelHandler.STAND_IN: "'stand-in'",
}


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """A model that is whole and on this machine.

    Attributes:
        name: the name as a person wrote it, or a folder's last part: for reading, not for comparing.
        folder: where its files are.
        revision: the hub's commit, or "" for a folder.
        weights: the weight files that will be read.
    """

    name: str
    folder: Path
    revision: str
    weights: tuple[Path, ...]

    def identity(
        self, handler: ModelHandler, *, precision: str, preprocess: str, library: str
    ) -> dict[str, str]:
        """Say what makes the vectors: renaming or moving a folder changes `name` and nothing else."""
        return {
            "handler": handler.value,
            "name": self.name,
            "revision": self.revision,
            "weights": digest(self.folder, self.weights),
            "precision": precision,
            "preprocess": preprocess,
            "library": library,
        }


def find(config: ImageEmbeddingConfig) -> ModelFiles:
    """Find a model's files on this machine, or fetch them from the hub.

    Raises:
        ModelUnavailable: it is not here and cannot be fetched, or its files are incomplete, damaged or unsafe.
    """
    place = locate(config.model, config.model_handler)
    if isinstance(place, Path):
        name = "demo" if config.model == "demo" else place.resolve().name
        return _checked(name, place, "", config)
    snapshot = cached(place, config)
    folder = hub.download(place, config) if snapshot is None else hub.completed(place, snapshot, config)
    return _checked(config.model, folder, folder.name, config)


def cached(repository: str, config: ImageEmbeddingConfig) -> Path | None:
    """Look for a hub model's snapshot in the cache, whole or not. No network.

    Raises:
        ModelUnavailable: no model on the hub can have this name.
    """
    names = _CONFIGS[config.model_handler]
    if config.model_handler is ModelHandler.OPEN_CLIP:
        names += _BARE
    try:
        return hub.cached(repository, names, config)
    except ValueError as error:
        raise _nowhere(config.model, config.model_handler) from error


def locate(name: str, handler: ModelHandler) -> Path | str:
    """Say where a model is by its name alone: a folder's path, or "org/name" on the hub. No network.

    Raises:
        ModelUnavailable: the folder does not exist, or the name leads nowhere.
    """
    if name == "demo":
        return Path(__file__).parents[1] / "demo" / "model"
    if handler is ModelHandler.OPEN_CLIP and name.startswith("local-dir:"):
        return _folder(name.removeprefix("local-dir:"))
    if handler is ModelHandler.OPEN_CLIP and name.startswith("hf-hub:"):
        return name.removeprefix("hf-hub:")
    if name and Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    architecture, _, tag = name.partition("/")
    if handler is ModelHandler.OPEN_CLIP and open_clip_architecture(architecture) is not None:
        return _tagged(architecture, tag)
    if name.startswith(("/", ".", "~")) or name.count("/") > 1 or "\\" in name:
        return _folder(name)
    if "/" in name:
        return name
    if handler is ModelHandler.SENTENCE_TRANSFORMERS and name:
        return f"sentence-transformers/{name}"
    raise _nowhere(name, handler)


def _nowhere(name: str, handler: ModelHandler) -> ModelUnavailable:
    return ModelUnavailable(
        f"Model {name!r} is neither a folder nor a hub name. Give a folder's path, or 'org/name', for example "
        f"{_EXAMPLES[handler]}; or use the built-in demo model (model='demo')."
    )


def open_clip_architecture(name: str) -> dict[str, object] | None:
    """Read the settings of one of open_clip's architectures, or None; imports neither open_clip nor torch."""
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        return None
    file = Path(package.origin).parent / "model_configs" / f"{name}.json"
    settings: dict[str, object] | None = json.loads(file.read_text("utf-8")) if file.is_file() else None
    return settings


def open_clip_settings(files: ModelFiles, config: ImageEmbeddingConfig) -> dict[str, Any]:
    """The "model_cfg" and "preprocess_cfg" of an open_clip model: its folder's, else those that come with its tag."""
    file = files.folder / "open_clip_config.json"
    if file.is_file():
        settings: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return settings
    from open_clip.pretrained import get_pretrained_cfg

    architecture, _, tag = config.model.partition("/")
    return {
        "model_cfg": open_clip_architecture(architecture),
        "preprocess_cfg": get_pretrained_cfg(architecture, tag),
    }


def companion(name: str, files: ModelFiles, config: ImageEmbeddingConfig) -> Path:
    """The folder of the settings and the tokenizer of a text tower, which an open_clip model names.

    They may lie in the model's own folder (config.json beside the tokenizer's files), so that nobody need be asked.

    Raises:
        ModelUnavailable: they are not here and cannot be fetched.
    """
    from open_clip.hf_configs import arch_dict

    try:
        kind = json.loads((files.folder / "config.json").read_text("utf-8")).get("model_type")
    except (OSError, ValueError):  # absent is normal
        kind = None
    if kind in arch_dict and (files.folder / "tokenizer_config.json").is_file():
        return files.folder
    return Path(name) if Path(name).is_dir() else hub.companion(name, config)


def _is_tagged(config: ImageEmbeddingConfig) -> bool:
    architecture = config.model.partition("/")[0]
    return config.model_handler is ModelHandler.OPEN_CLIP and open_clip_architecture(architecture) is not None


def _tagged(architecture: str, tag: str) -> str:
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    repository = str(get_pretrained_cfg(architecture, tag).get("hf_hub", "")) if tag else ""
    if not repository:
        tags = list_pretrained_tags_by_model(architecture)
        which = f"has no weights tagged {tag!r}" if tag else "names an architecture without its weights"
        raise ModelUnavailable(
            f"Model '{architecture}{'/' + tag if tag else ''}' {which}, and a model of random numbers is of "
            "no use. Write one of: "
            f"{', '.join(f'{architecture}/{each}' for each in tags) or 'a hub name or a folder'}."
        )
    return "/".join(repository.split("/")[:2])


def _folder(path: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ModelUnavailable(
            f"Model folder '{folder}' does not exist. Give the path of a folder with the model's files, a "
            "hub name ('org/name'), or use the built-in demo model (model='demo')."
        )
    return folder


def _checked(name: str, folder: Path, revision: str, config: ImageEmbeddingConfig) -> ModelFiles:
    configs = _CONFIGS[config.model_handler]
    bare = revision and _is_tagged(config)
    if not bare and not any((folder / each).is_file() for each in configs):
        raise ModelUnavailable(
            f"Folder '{folder}' has no {' or '.join(configs)}, so it is no model that the handler "
            f"{config.model_handler.name} reads, or it is incomplete. Copy or download the model again, or "
            "choose the model_handler that the folder was made for."
        )
    unsafe = config.embedding_engine_config.unsafe_weights
    weights = weight_files(folder, config.model_handler, unsafe=unsafe)
    return ModelFiles(name, folder, revision, tuple(weights))
