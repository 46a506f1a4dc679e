"""In which numbers a model runs."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

Precision: TypeAlias = Literal["float32", "bfloat16", "float16", "int8"]

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,
}
"""The type of what passes between a model's products; with int8 only the products' own numbers are of 8 bits."""
