"""The tensors of a model's safetensors files: which there are, and each read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

if TYPE_CHECKING:
    import torch

_FLOATS = {"F16", "BF16", "F32"}


class Tensors:
    """The files are held open, so that what is read later belongs to what was read before."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._home: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for file in files:
            opened: Any = safe_open(str(file), framework="pt")
            for name in opened.keys():  # noqa: SIM118 # no mapping
                part = opened.get_slice(name)
                if part.get_dtype() in _FLOATS:
                    self._home[name], self._shapes[name] = opened, tuple(part.get_shape())

    def fit(self, wanted: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether all of these are there as floats of these shapes."""
        return all(self._shapes.get(name) == shape for name, shape in wanted.items())

    def read(self, name: str) -> torch.Tensor:
        """Read one: float32, on the CPU.

        Raises:
            KeyError: there is none of that name.
        """
        import torch

        # A copy: what comes is the file itself in memory, which somebody may write over.
        tensor: torch.Tensor = self._home[name].get_tensor(name).to(torch.float32, copy=True)
        return tensor
