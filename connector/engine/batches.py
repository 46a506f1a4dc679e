"""Feeding a model in batches: halved when memory runs out, bisected until what breaks the model is alone."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from connector.engine.trial import Trial
from connector.errors import DataError, EmbeddingError, ModelUnavailable, OperationalError

T = TypeVar("T")

Outcome = NDArray[np.float32] | EmbeddingError

log = logging.getLogger("connector")

_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")


class Batches(Generic[T]):
    """Embeds items of one kind with a handler's function, and remembers how many at once fit the device.

    Args:
        embed: the handler's function; it gets at least one item.
        size: items in a batch, until memory runs out; None to find by trial which size is fastest.
        length: values in each vector.
        kind: the word for an item in messages.
    """

    def __init__(
        self,
        embed: Callable[[Sequence[T]], NDArray[np.float32]],
        *,
        size: int | None,
        length: int,
        kind: Literal["picture", "text"],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._embed, self._length, self._kind, self._clock = embed, length, kind, clock
        self._trial = Trial()
        if size is not None:
            self._trial.end(size)
        self._roomy = self._trial.size  # so many have had room, or are taken to have

    @property
    def size(self) -> int:
        """Items that are embedded at once."""
        return self._trial.size

    def run(self, items: Sequence[T]) -> list[Outcome]:
        """Embed items in order: for each a float32 vector (length,), or why it has none.

        Raises:
            OperationalError: the model itself stopped working.
        """
        outcomes: list[Outcome] = []
        while len(outcomes) < len(items):
            outcomes += self._batch(items[len(outcomes) : len(outcomes) + self.size])
        return outcomes

    def _batch(self, items: Sequence[T]) -> list[Outcome]:
        rows = self._attempt(items)
        if not isinstance(rows, Exception):
            return [self._checked(row) for row in rows]
        if _is_memory(rows):
            return self._smaller(items)
        if len(items) == 1:
            return [self._refusal(rows)]
        half = len(items) // 2
        return self._batch(items[:half]) + self._batch(items[half:])

    def _attempt(self, items: Sequence[T]) -> NDArray[np.float32] | Exception:
        # A border: a model's library, its processor and its device fail in ways of their own (ValueError,
        # RuntimeError, TypeError, OverflowError, PIL's …), and one picture of thousands must not end the run.
        try:
            begun = self._clock()
            rows = self._embed(items)
            self._trial.note(len(items), self._clock() - begun)
            self._roomy = max(self._roomy, len(items))
        except OperationalError:
            raise
        except Exception as error:
            if _is_broken_device(error):
                raise ModelUnavailable(
                    f"The model's device stopped working ({type(error).__name__}: {_line(error)}). Nothing "
                    "is lost: start again, with another device if it goes on."
                ) from error
            log.debug("%d %ss refused by the model", len(items), self._kind, exc_info=error)
            return _without_frames(error)
        if rows.shape != (len(items), self._length):
            raise ModelUnavailable(
                f"The model returned an array of shape {rows.shape} for {len(items)} {self._kind}s, instead "
                f"of ({len(items)}, {self._length}). Its handler does not fit it."
            )
        return np.asarray(rows, np.float32)

    def _smaller(self, items: Sequence[T]) -> list[Outcome]:
        _free_memory()
        if len(items) == 1:
            # It says something about this item, not about batches of the others.
            self._trial.end(self._roomy)
            return [
                EmbeddingError(f"This {self._kind} alone is too large for the memory of the model's device.")
            ]
        self._trial.end(max(1, len(items) // 2))
        return self.run(items)

    def _checked(self, row: NDArray[np.float32]) -> Outcome:
        if not np.isfinite(row).all():
            return EmbeddingError(
                f"The model made of this {self._kind} numbers that are not finite. Half precision overflows "
                "in some models: try precision='float32'."
            )
        if not row.any():
            return EmbeddingError(
                f"The model made of this {self._kind} a vector of zeros, which points nowhere."
            )
        return row.copy()

    def _refusal(self, error: Exception) -> EmbeddingError:
        if isinstance(error, EmbeddingError):
            return error
        line = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {_line(error)}"
        refusal = EmbeddingError(f"The model cannot embed this {self._kind} ({line}).")
        refusal.__cause__ = error
        return refusal


def _without_frames(error: Exception) -> Exception:
    """Let go of an error's tracebacks: their frames hold the batch, and the memory that the next attempt needs."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


def _is_broken_device(error: Exception) -> bool:
    # torch.AcceleratorError, by name: a device that has asserted once answers nothing any more.
    return type(error).__name__ == "AcceleratorError" and not _is_memory(error)


def _free_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[0][:200]
