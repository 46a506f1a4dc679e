"""The Hugging Face hub: look into its cache, ask it shortly, then download. With `remote_wire.py`, all the network here.

Downloads were run against a small hub on a loopback port; the real one was not in reach where this was written.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connector.errors import ModelUnavailable
from connector.transformation import ImageEmbeddingConfig, ModelHandler

log = logging.getLogger("connector")

PROBE_SECONDS = 3.0

_TOKENS = ["*.json", "*.txt", "*.model", "*.jinja"]
_SAFE = ["model.safetensors", "*/model.safetensors", "model-*.safetensors", "*/model-*.safetensors"]
_READS_WORDS = ("tokenizer.json", "sentencepiece.bpe.model", "spiece.model", "vocab.json", "vocab.txt")
_PICKLED = ["pytorch_model*.bin", "*/pytorch_model*.bin"]


def is_off(config: ImageEmbeddingConfig) -> bool:
    """Say whether nobody may be asked: by the configuration, or by HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    return config.embedding_engine_config.offline or bool(constants.HF_HUB_OFFLINE)


def cached(repository: str, names: Iterable[str], config: ImageEmbeddingConfig) -> Path | None:
    """Look for a model's snapshot in the cache, whole or not: the folder of the first of `names` found there.

    Raises:
        ValueError: no model on the hub can have this name.
    """
    from huggingface_hub import try_to_load_from_cache

    revision = config.embedding_engine_config.revision
    for name in names:
        file = try_to_load_from_cache(repository, name, cache_dir=config.model_cache_dir, revision=revision)
        if isinstance(file, str):
            return Path(file).parent
    return None


def completed(repository: str, snapshot: Path, config: ImageEmbeddingConfig) -> Path:
    """Return a snapshot's folder, after fetching what an interrupted download left out of it.

    Raises:
        ModelUnavailable: its weights are missing, and the hub cannot be reached to complete it.
    """
    if is_off(config) or _is_whole(repository, snapshot, config):
        return snapshot
    try:
        return download(repository, config, begun=True)
    except ModelUnavailable as error:
        if not _has_weights(snapshot):
            raise
        log.warning("using the cached copy of %s though files are missing: %s", repository, error)
        return snapshot


def download(repository: str, config: ImageEmbeddingConfig, *, begun: bool = False) -> Path:
    """Download what a handler reads of a model, and return its folder in the cache.

    Args:
        begun: whether a part of it is in the cache already, for the message.

    Raises:
        ModelUnavailable: the hub may not be asked, does not answer, has no such model, or has it as pickles only.
    """
    from huggingface_hub import HfApi, snapshot_download

    if is_off(config):
        why = "looking further is switched off (offline=True or HF_HUB_OFFLINE)"
        raise _unavailable(repository, config, why, begun)
    revision = config.embedding_engine_config.revision
    with _translated(repository, config, begun):
        # Asking for a file at once would retry for a minute where no name is resolved, and for ten where nobody
        # answers.
        found = HfApi().model_info(repository, revision=revision, timeout=PROBE_SECONDS)
    _refuse_pickles(repository, [file.rfilename for file in found.siblings or []], config)
    with _translated(repository, config, begun), _progress(repository) as bar:
        folder = snapshot_download(
            repository,
            revision=revision,
            cache_dir=config.model_cache_dir,
            allow_patterns=_wanted(config),
            tqdm_class=bar,
        )
    return Path(folder)


def companion(repository: str, config: ImageEmbeddingConfig) -> Path:
    """The folder of another model's settings and tokenizer, without its weights: an open_clip model may name one as its
    text tower, whose trained weights are in its own file.

    Raises:
        ModelUnavailable: it is not in the cache, and the hub may not be asked or cannot be reached.
    """
    from huggingface_hub import HfApi, snapshot_download

    # The revision is that of the model itself.
    engine = dataclasses.replace(config.embedding_engine_config, revision=None)
    config = dataclasses.replace(config, embedding_engine_config=engine)
    snapshot = cached(repository, ("config.json",), config)
    if snapshot is not None and any((snapshot / name).is_file() for name in _READS_WORDS):
        return snapshot
    if is_off(config):
        why = "looking further is switched off (offline=True or HF_HUB_OFFLINE)"
        raise _unavailable(repository, config, why, snapshot is not None)
    with _translated(repository, config, snapshot is not None):
        HfApi().model_info(repository, timeout=PROBE_SECONDS)  # for the reason that `download` gives
        folder = snapshot_download(repository, cache_dir=config.model_cache_dir, allow_patterns=_TOKENS)
    return Path(folder)


def _is_whole(repository: str, snapshot: Path, config: ImageEmbeddingConfig) -> bool:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # Compares with the list of files that a download leaves in the cache.
        snapshot_download(
            repository,
            revision=snapshot.name,
            cache_dir=config.model_cache_dir,
            allow_patterns=_wanted(config),
            local_files_only=True,
        )
    except LocalEntryNotFoundError:
        return False
    return _has_weights(snapshot)


def _has_weights(snapshot: Path) -> bool:
    return any(file.is_file() for kind in ("*.safetensors", "*.bin") for file in snapshot.rglob(kind))


def _wanted(config: ImageEmbeddingConfig) -> list[str]:
    # Repositories also hold the same weights for other programs; those are left where they are.
    open_clip = config.model_handler is ModelHandler.OPEN_CLIP
    wanted = [*_TOKENS, *(["open_clip*.safetensors"] if open_clip else _SAFE)]
    if config.embedding_engine_config.unsafe_weights:
        wanted += ["open_clip*.bin", "pytorch_model.bin"] if open_clip else _PICKLED
    if config.embedding_engine_config.trust_remote_code:
        wanted.append("*.py")
    return wanted


def _refuse_pickles(repository: str, names: list[str], config: ImageEmbeddingConfig) -> None:
    safe = any(name.endswith(".safetensors") for name in names)
    if names and not safe and not config.embedding_engine_config.unsafe_weights:
        raise ModelUnavailable(
            f"Model {repository!r} has no safetensors, only weights that can run any code when they are read. "
            "Choose another model or revision, or, if you trust whoever made it, set "
            "EmbeddingEngineConfig(unsafe_weights=True)."
        )


@contextmanager
def _progress(repository: str) -> Iterator[type]:
    """Log a download's progress every few seconds, in place of bars drawn on the terminal."""
    from tqdm.std import tqdm  # type: ignore[import-untyped, unused-ignore] # has no types

    class LoggedBar(tqdm):  # type: ignore[misc, unused-ignore] # the same
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "file": io.StringIO(), "mininterval": 5.0})

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            if self.unit == "B" and self.total:
                log.info("%s: %.0f of %.0f MB", repository, self.n / 1e6, self.total / 1e6)

    started = time.monotonic()
    log.info("downloading the model %s", repository)
    yield LoggedBar
    log.info("downloaded the model %s in %.0f s", repository, time.monotonic() - started)


@contextmanager
def _translated(repository: str, config: ImageEmbeddingConfig, begun: bool) -> Iterator[None]:
    # A border: the errors of the hub's transport differ from release to release, and its refusals have classes of
    # their own. Whichever it is, the model cannot be had: one typed error, with the cause chained.
    try:
        yield
    except Exception as error:
        raise _unavailable(repository, config, _why(error), begun) from error


def _unavailable(repository: str, config: ImageEmbeddingConfig, why: str, begun: bool) -> ModelUnavailable:
    from huggingface_hub import constants

    revision = config.embedding_engine_config.revision
    at = f" at revision {revision!r}" if revision else ""
    cache = config.model_cache_dir or constants.HF_HUB_CACHE
    return ModelUnavailable(
        f"Model {repository!r}{at} is {'only partly' if begun else 'not'} in the local cache ({cache}) and {why}. "
        "Either: run once with network; copy the model to a folder and give its path; set HF_ENDPOINT to a mirror; "
        "or use the built-in demo model (model='demo')."
    )


def _why(error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    hub = constants.ENDPOINT
    if isinstance(error, GatedRepoError):
        return f"{hub} asks you to accept its terms (do so there, then 'hf auth login')"
    if isinstance(error, RevisionNotFoundError):
        return f"{hub} has the model, but no such revision"
    if isinstance(error, RepositoryNotFoundError):
        return f"{hub} has no such model, or it is private (then 'hf auth login')"
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"{hub} cannot be reached or did not deliver ({type(error).__name__}: {lines[0][:200]})"
