"""What loads a model and runs it: one protocol (`handler.py`), one short file for each library, one table.

Adding a library is one file with a `load` function and one line in the table.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import threading
import weakref
from collections.abc import Callable

from connector.engine.handlers.handler import DeviceHandler, ImageHandler, ResizingHandler, TextHandler
from connector.errors import ConnectorError, ModelUnavailable
from connector.transformation import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler

__all__ = [
    "DeviceHandler",
    "ImageHandler",
    "ResizingHandler",
    "TextHandler",
    "load_handler",
    "release_handler",
]

_LOADERS = {
    ModelHandler.SENTENCE_TRANSFORMERS: "connector.engine.handlers.sentence_transformers",
    ModelHandler.OPEN_CLIP: "connector.engine.handlers.open_clip",
    ModelHandler.DINOV2: "connector.engine.handlers.dinov2",
    ModelHandler.VITRIVR_DINOV2: "connector.engine.handlers.vitrivr_dinov2",
    ModelHandler.REMOTE: "connector.engine.handlers.remote",
    ModelHandler.STAND_IN: "connector.testing",
}

_guard = threading.Lock()  # of the three tables below, for a moment
_loading: dict[ImageEmbeddingConfig, threading.Lock] = {}
_loaded: dict[ImageEmbeddingConfig, ImageHandler] = {}
# Models let go of that somebody still holds: they are taken up again, for two copies would not fit.
_released: weakref.WeakValueDictionary[ImageEmbeddingConfig, ImageHandler] = weakref.WeakValueDictionary()

# The libraries change loggers and progress bars of the whole process while they load.
_one_library = threading.Lock()


def load_handler(config: ImageEmbeddingConfig) -> ImageHandler:
    """Load a model, once in a process for each configuration that makes a difference to it.

    Raises:
        ModelUnavailable: the model is not here and cannot be fetched, or its files cannot be used.
        InvalidSpaceParamException: the configuration names a device that does not exist.
    """
    key = _key(config)
    with _guard:
        loading = _loading.setdefault(key, threading.Lock())
    with loading:
        with _guard:
            handler = _loaded.get(key) or _released.get(key)
        if handler is None:
            # Nothing of this process waits for a server that is slow to answer, but for the model itself.
            remote = config.model_handler is ModelHandler.REMOTE
            with contextlib.nullcontext() if remote else _one_library:
                handler = _load(config)
        with _guard:
            _loaded[key] = handler
        return handler


def release_handler(config: ImageEmbeddingConfig) -> None:
    """Let go of a loaded model: its memory is free once nobody holds it any more. One that is not loaded is no matter."""
    key = _key(config)
    with _guard:
        handler = _loaded.pop(key, None)
        if handler is not None:
            _released[key] = handler


def _load(config: ImageEmbeddingConfig) -> ImageHandler:
    # A border: three libraries, each with its own ways of refusing a folder (OSError, ValueError, KeyError,
    # RuntimeError, ImportError of an optional package …). All of them mean that this model cannot be used.
    try:
        loader: Callable[[ImageEmbeddingConfig], ImageHandler]
        loader = importlib.import_module(_LOADERS[config.model_handler]).load
        return (
            loader(config) if config.embedding_engine_config.device != "auto" else _everywhere(loader, config)
        )
    except ConnectorError:
        raise
    except Exception as error:
        raise ModelUnavailable(
            f"Model {config.model!r} cannot be loaded by {config.model_handler.name}: "
            f"{type(error).__name__}: {str(error)[:500]} Check that the model was made for this handler, and "
            "that its files are complete."
        ) from error


def _everywhere(
    loader: Callable[[ImageEmbeddingConfig], ImageHandler], config: ImageEmbeddingConfig
) -> ImageHandler:
    """Load a model on the best device there is, and where that is a card of several, on all of them."""
    handler = loader(config)
    if not isinstance(handler, DeviceHandler) or handler.device != "cuda":
        return handler
    from connector.engine import device
    from connector.engine.replicas import replicated

    others = [
        loader(
            dataclasses.replace(
                config,
                embedding_engine_config=dataclasses.replace(config.embedding_engine_config, device=name),
            )
        )
        for name in device.cards()[1:]
    ]
    return replicated([handler, *others])


def _key(config: ImageEmbeddingConfig) -> ImageEmbeddingConfig:
    return dataclasses.replace(config, embedding_engine_config=_of_the_model(config.embedding_engine_config))


def _of_the_model(engine: EmbeddingEngineConfig) -> EmbeddingEngineConfig:
    # Batch sizes are the engine's business: two that differ in those alone share one copy of the weights.
    return dataclasses.replace(engine, image_batch_size=None, text_batch_size=1)
