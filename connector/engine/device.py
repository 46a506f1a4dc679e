"""Where a model runs and in which numbers, and keeping its libraries quiet while it loads. Imports torch."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from transformers.utils import logging as transformers_logging

from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.space import EmbeddingEngineConfig

Precision = Literal["float32", "bfloat16", "float16"]

_MISSING = re.compile(r"^(\S+)\s*\|.*\bMISSING\b", re.MULTILINE)
# Parts that scale a score or belong to training: no vector passes through them.
_HARMLESS = re.compile(r"logit_scale|logit_bias|mask_token|position_ids")


@dataclasses.dataclass(frozen=True)
class Device:
    """A torch device's name, and the precision of the weights on it."""

    name: str
    precision: Precision

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch writes it."""
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            self.precision
        ]


def choose(config: EmbeddingEngineConfig) -> Device:
    """Choose the device and the precision that a configuration asks for; set torch's threads if it names them.

    "auto" takes cuda, then mps, then cpu; and float16 on cuda, float32 elsewhere.

    Raises:
        InvalidSpaceParamException: the device's name is none of torch's.
        ModelUnavailable: this machine has no such device.
    """
    if config.threads is not None and torch.get_num_threads() != config.threads:
        torch.set_num_threads(config.threads)
    name = _available() if config.device == "auto" else _named(config.device)
    if config.precision != "auto":
        return Device(name, config.precision)
    return Device(name, "float16" if name.startswith("cuda") else "float32")


def _available() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _named(name: str) -> str:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidSpaceParamException(
            f"device {name!r} is unknown to torch. Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from error
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= cards:
        raise ModelUnavailable(
            f"device {name!r} is not there: torch sees {cards} cuda devices. Use device='auto'."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelUnavailable("device 'mps' is not there: this torch has no Metal. Use device='auto'.")
    return name


class _Report(logging.Handler):
    """Collects what transformers would only print: the names of weights that it had to make up."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.missing: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        found = _MISSING.findall(record.getMessage())
        self.missing += [name for name in found if not _HARMLESS.search(name)]


@contextmanager
def quietly() -> Iterator[None]:
    """Load a model inside: no bars or advice on the terminal, and no weight made up in silence.

    Everything that is changed for it is put back.

    Raises:
        ModelUnavailable: the weight files lack a part of the model, which would be random numbers.
    """
    root, library = logging.getLogger(), logging.getLogger("transformers")
    loading = logging.getLogger("transformers.modeling_utils")
    report, silence = _Report(), logging.NullHandler()
    handlers, propagate, level = list(library.handlers), library.propagate, loading.level
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore] # has no types
    library.handlers, library.propagate = [silence], False
    loading.addHandler(report)
    loading.setLevel(logging.WARNING)
    # open_clip logs through the root logger, which would give that logger a terminal handler for good.
    root.addHandler(silence)
    try:
        yield
    finally:
        root.removeHandler(silence)
        loading.removeHandler(report)
        loading.setLevel(level)
        library.handlers, library.propagate = handlers, propagate
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore] # has no types
    if report.missing:
        raise ModelUnavailable(
            f"The weight files lack {len(report.missing)} parts of the model "
            f"({', '.join(report.missing[:3])}), which would be random numbers. They belong to another "
            "architecture than config.json says, or are incomplete: copy or download the model again."
        )
