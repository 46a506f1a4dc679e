"""Where a model runs and in which numbers, and keeping its libraries quiet while it loads. Imports torch."""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from connector.engine.precision import DTYPES, Precision
from connector.engine.streams import alone
from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.transformation import EmbeddingEngineConfig

_MUCH_FASTER = 1.25
"""How many times as fast as float32 bfloat16 must be on a processor to be worth its rounding."""

log = logging.getLogger("connector")

_MISSING = re.compile(r"^(\S+)\s*\|.*\bMISSING\b", re.MULTILINE)
# Parts that scale a score or belong to training: no vector passes through them.
_HARMLESS = re.compile(r"logit_scale|logit_bias|mask_token|position_ids")


@dataclasses.dataclass(frozen=True)
class Device:
    """A torch device's name, and the precision in which a model runs on it."""

    name: str
    precision: Precision

    @property
    def dtype(self) -> torch.dtype:
        """The type of the numbers that pass through the model."""
        return DTYPES[self.precision]


def choose(config: EmbeddingEngineConfig) -> Device:
    """Choose the device and the precision that a configuration asks for; set torch's threads if it names them.

    "auto" takes cuda, then mps, then cpu; and float16 on cuda, float32 on mps, and on a CPU bfloat16 where this
    processor is much faster in it, which is measured: some have the instructions and are slower.

    Raises:
        InvalidSpaceParamException: the device's name is none of torch's.
        ModelUnavailable: this machine has no such device, or cannot run such a precision.
    """
    if config.threads is not None and torch.get_num_threads() != config.threads:
        torch.set_num_threads(config.threads)
    name = _available() if config.device == "auto" else _named(config.device)
    if config.precision == "int8":
        _check_int8(name)
    if config.precision != "auto":
        return Device(name, config.precision)
    if name == "cpu":
        return Device(name, _fastest())
    return Device(name, "float16" if name.startswith("cuda") else "float32")


def _check_int8(name: str) -> None:
    from connector.engine.blocks import packs

    if name != "cpu" or not packs("int8"):
        raise ModelUnavailable(
            f"precision 'int8' is not there on device {name!r}: it needs a CPU that adds 8-bit products up exactly "
            "(with VNNI or AMX), and a PyTorch with oneDNN's 8-bit products. Use precision='auto'."
        )


@functools.cache
def _fastest() -> Precision:
    """float32, or bfloat16 where this processor multiplies much faster in it."""
    from connector.engine.blocks import packs

    if not packs("bfloat16"):
        return "float32"
    # On one core and by its own clock, so that other work on this machine changes the answer little.
    taken = {precision: alone(_seconds, precision) for precision in ("float32", "bfloat16")}
    ratio = taken["float32"] / taken["bfloat16"]
    chosen: Precision = "bfloat16" if ratio >= _MUCH_FASTER else "float32"
    log.info("precision auto: %s (this processor is %.1f times as fast in bfloat16)", chosen, ratio)
    return chosen


@torch.inference_mode()
def _seconds(precision: Precision) -> float:
    """The best of a few products of a middling transformer's size: some milliseconds in all."""
    from connector.engine.blocks import ROWS, product

    multiply = product((torch.ones(768, 768), None), precision=precision, device="cpu")
    rows = torch.ones(ROWS, 768, dtype=DTYPES[precision])
    taken = []
    for _ in range(4):
        start = time.thread_time()
        multiply(rows)
        taken.append(time.thread_time() - start)
    return min(taken)


def _available() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def cards() -> list[str]:
    """The names of all cards of this machine; the first one is what "cuda" means."""
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


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
    from transformers.utils import logging as transformers_logging

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
