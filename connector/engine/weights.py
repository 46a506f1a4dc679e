"""A model's weight files: which of them a handler reads, whether they are whole and safe, and their digest."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterable
from pathlib import Path

from connector.errors import ModelUnavailable
from connector.transformation import ModelHandler

_TRANSFORMERS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_TRANSFORMERS_PICKLED = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
# The order in which open_clip looks through a folder; after these, by name, safetensors first.
_OPEN_CLIP = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
# Of the format itself.
_LONGEST_HEADER = 100_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


def weight_files(folder: Path, handler: ModelHandler, *, unsafe: bool = False) -> list[Path]:
    """List the weight files that a handler would read from a folder, after checking that each is whole.

    Raises:
        ModelUnavailable: there are none (a library would start from random numbers), one is damaged or missing,
            or they are pickles and `unsafe` is not set.
    """
    pick = _open_clip if handler is ModelHandler.OPEN_CLIP else _transformers
    files = pick(folder, unsafe)
    for file in files:
        if file.suffix == ".safetensors":
            _check_whole(file)
    return files


def digest(folder: Path, files: Iterable[Path]) -> str:
    """Digest the content of weight files (hex sha256), wherever the folder is and whatever its name."""
    lines = [f"{file.relative_to(folder).as_posix()} {_sha256(file)}\n" for file in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _transformers(folder: Path, unsafe: bool) -> list[Path]:
    found: list[Path] = []
    for place in sorted({file.parent for file in folder.rglob("*") if file.is_file()}):
        names = {file.name: file for file in place.iterdir() if file.is_file()}
        safe = [names[name] for name in sorted(names) if _TRANSFORMERS.fullmatch(name)]
        pickled = [names[name] for name in sorted(names) if _TRANSFORMERS_PICKLED.fullmatch(name)]
        if pickled and not safe and not unsafe:
            raise _pickled(pickled[0])
        _check_parts(names.get("model.safetensors.index.json"))
        found += safe or pickled
    if not found:
        raise _no_weights(folder)
    return found


def _open_clip(folder: Path, unsafe: bool) -> list[Path]:
    files = {file.name: file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin", ".pth")}
    rest = sorted(files, key=lambda name: (not name.endswith(".safetensors"), name))
    chosen = next((name for name in (*_OPEN_CLIP, *rest) if name in files and files[name].is_file()), None)
    if chosen is None:
        raise _no_weights(folder)
    if not chosen.endswith(".safetensors") and not unsafe:
        raise _pickled(files[chosen])
    return [files[chosen]]


def _check_parts(listing: Path | None) -> None:
    if listing is None:
        return
    parts = set(json.loads(listing.read_text("utf-8")).get("weight_map", {}).values())
    if missing := sorted(part for part in parts if not (listing.parent / part).is_file()):
        raise ModelUnavailable(
            f"{len(missing)} of the {len(parts)} weight files that '{listing}' names are missing, "
            f"'{missing[0]}' first. Copy or download the model again."
        )


def _check_whole(file: Path) -> None:
    """A safetensors file states its own size in its header; a download cut short does not fill it."""
    try:
        with file.open("rb") as stream:
            (header_size,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(header_size, _LONGEST_HEADER)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        whole = 8 + header_size + max(ends, default=0)
    except (struct.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _damaged(file, "its header cannot be read") from error
    if file.stat().st_size != whole:
        raise _damaged(file, f"it has {file.stat().st_size:,} bytes and should have {whole:,}")


def _sha256(file: Path) -> str:
    # In a hub cache a file is a link to a blob, named by the sha256 the hub keeps: no need to read gigabytes.
    if file.is_symlink() and _SHA256.fullmatch(file.resolve().name):
        return file.resolve().name
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _no_weights(folder: Path) -> ModelUnavailable:
    return ModelUnavailable(
        f"The model folder '{folder}' holds no weight file that this handler reads, and a model of random "
        "numbers is of no use. Put its .safetensors file there, or choose the model_handler that the folder "
        "was made for."
    )


def _pickled(file: Path) -> ModelUnavailable:
    return ModelUnavailable(
        f"The weights '{file}' are a pickle, which can run any code when it is read. Choose a model (or a "
        "revision) with safetensors, convert the file, or, if you trust whoever made it, set "
        "EmbeddingEngineConfig(unsafe_weights=True)."
    )


def _damaged(file: Path, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The weight file '{file}' is damaged: {why}. Delete it, then copy or download the model again."
    )
