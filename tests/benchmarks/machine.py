"""On what it was measured: processor, the instructions that count, versions, threads, how busy it was."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
from pathlib import Path

BUSY = 0.5  # runnable processes beside ours, on average of the last minute
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm")  # fmt: skip
_PACKAGES = {
    "torch": "torch",
    "transformers": "transformers",
    "sentence-transformers": "sentence-transformers",
    "open_clip": "open_clip_torch",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "qdrant-client": "qdrant-client",
    "qdrant-edge": "qdrant-edge-py",
    "pillow": "pillow",
    "numpy": "numpy",
}


def machine() -> dict[str, object]:
    """What the head of the table and the JSON say of the machine; takes torch's threads as torch chooses them."""
    import torch

    name, flags = _processor()
    return {
        "processor": name,
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_gib": _memory(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: version for name, package in _PACKAGES.items() if (version := _version(package))},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "load_at_start": load(),
    }


def load() -> float | None:
    """Runnable processes, on average of the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def heading(about: dict[str, object]) -> list[str]:
    """The same in lines to read, with a warning where something else is running."""
    versions, flags, busy = about["versions"], about["flags"], about["load_at_start"]
    assert isinstance(versions, dict)
    assert isinstance(flags, list)
    lines = [
        f"{about['processor']}, {about['cores']} cores ({', '.join(flags) or 'no special instructions'}), {about['torch_threads']} threads",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"{about['date']}, {about['system']}, Python {about['python']}"
        + (f", {about['gpu']}" if about["gpu"] else ""),
    ]
    if isinstance(busy, float) and busy > BUSY:
        lines.append(
            f"Something else is running (load {busy}): both sides of a row suffer alike, but trust ratios only."
        )
    return lines


def _processor() -> tuple[str, set[str]]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), set()
    pairs = [line.partition(":") for line in info.read_text(encoding="utf-8").splitlines()]
    said = {key.strip(): value.strip() for key, _, value in reversed(pairs)}
    return said.get("model name", platform.machine()), set(
        said.get("flags", said.get("Features", "")).split()
    )


def _memory() -> float | None:
    if sys.platform != "linux":
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
