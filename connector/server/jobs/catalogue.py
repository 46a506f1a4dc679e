"""Which models jobs may name, and what each can be asked for: the service's three, the demo, and the space's own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from connector.engine.service_models import SERVICE_MODELS, ServiceModel
from connector.errors import DataError
from connector.server.problems import Problem
from connector.space import ImageSpace
from connector.transformation import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler

IMAGE, TEXT, QUERY = "image-embedding", "text-embedding", "text-query-embedding"
ZERO_SHOT = "zero-shot-image-classification"
TASKS = (IMAGE, TEXT, QUERY, ZERO_SHOT)
"""What a job can ask for, in the service's own words."""

_SHOWN = 60  # characters of a name that is told back


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobModel:
    """A model that jobs may name.

    Attributes:
        name: in kebab-case.
        config: what to load.
        tasks: what it can be asked for.
        normalised: whether its vectors are brought to length one before they are answered. The space's own models
            answer with their raw vectors, so that whoever embeds here stores what the space itself would.
        recipe: how the service decodes this model's pictures; None for a model that is not the service's.
    """

    name: str
    config: ImageEmbeddingConfig
    tasks: tuple[str, ...]
    normalised: bool = False
    recipe: ServiceModel | None = None


class Catalogue:
    """The models on offer, found by name: `clip-vit-large-patch14` and `clip_vit_large_patch14` are the same.

    Args:
        space: its own model is on offer beside the service's.
        offered: names of those to offer; empty for all.
        folders: where the weights of a service's model are, by its name, if not at the hub.

    Raises:
        DataError: `offered` or `folders` names a model that does not exist.
    """

    def __init__(
        self,
        space: ImageSpace[Any],
        offered: Sequence[str] = (),
        folders: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        known = {model.name: model for model in _known(space, folders)}
        wanted = [_kebab(name) for name in offered] or list(known)
        for name in (*wanted, *folders):
            if name not in known:
                raise DataError(
                    f"There is no model {name!r} to offer. Choose from {', '.join(known)}; a space's own model "
                    "is offered when it is the target's."
                )
        self._models = {name: known[name] for name in known if name in wanted}

    def __iter__(self) -> Iterator[JobModel]:
        return iter(self._models.values())

    def find(self, name: str) -> JobModel:
        """The model of this name; `Problem` 404 if there is none."""
        model = self._models.get(_kebab(name))
        if model is None:
            raise Problem(
                404,
                "model_unknown",
                f"There is no model {name[:_SHOWN]!r} here. There are {', '.join(self._models)}.",
            )
        return model


def task_of(name: str) -> str:
    """The task of this name, `_` being as good as `-`; `Problem` 404 if there is none."""
    task = _kebab(name)
    if task not in TASKS:
        raise Problem(
            404, "task_unknown", f"There is no task {name[:_SHOWN]!r} here. There are {', '.join(TASKS)}."
        )
    return task


def _known(space: ImageSpace[Any], folders: Mapping[str, str]) -> Iterator[JobModel]:
    # What the space allows its own model (a revision, code of its own, unpickled weights) is allowed to no other.
    plain = dataclasses.replace(
        space.embedding_engine_config,
        revision=None,
        trust_remote_code=False,
        unsafe_weights=False,
        remote_key=None,
    )
    for recipe in SERVICE_MODELS.values():
        config = recipe.embedding_config(space.model_cache_dir, plain)
        yield JobModel(
            name=recipe.name,
            config=dataclasses.replace(config, model=folders.get(recipe.name, config.model)),
            tasks=tuple(task for task in TASKS if task in recipe.tasks),
            normalised=recipe.normalised,
            recipe=recipe,
        )
    yield _demo(plain)
    own = _own(space)
    if own.config.model != "demo":
        yield own


def _demo(engine: EmbeddingEngineConfig) -> JobModel:
    config = ImageEmbeddingConfig("demo", ModelHandler.SENTENCE_TRANSFORMERS, None, engine)
    return JobModel(name="demo", config=config, tasks=TASKS)


def _own(space: ImageSpace[Any]) -> JobModel:
    config = space.transformation_config.embedding_config
    name = _own_name(config)
    if name in SERVICE_MODELS or name == "demo":
        name = f"space-{name}"  # the bare name is that recipe's, and clients of the service rely on it
    return JobModel(name=name, config=config, tasks=TASKS if space.model_handler.reads_text else (IMAGE,))


def _own_name(config: ImageEmbeddingConfig) -> str:
    """A name for URLs: of a folder, of a hub's "org/name" and of a server's URL the last part alone."""
    if config.model_handler is ModelHandler.STAND_IN:
        return "stand-in"
    parts = config.model.replace("\\", "/").rstrip("/").split("/")
    named = parts[-1]
    if config.model_handler is ModelHandler.OPEN_CLIP and len(parts) == 2:
        from connector.engine.models import open_clip_architecture

        if open_clip_architecture(parts[0]) is not None:
            named = "-".join(parts)  # an architecture and its weights' tag say it only together
    return re.sub(r"[^a-z0-9.]+", "-", named.lower()).strip("-.") or "own"


def _kebab(name: str) -> str:
    return name.lower().replace("_", "-")
