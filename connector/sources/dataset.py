"""Rows from a Hugging Face data set on disk: the Arrow files that `save_to_disk` wrote, read without decoding a picture.

pyarrow reads them directly: the `datasets` library, its caches and its import time are not needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from connector.errors import SourceUnavailable
from connector.schema.schema import Definition, definition_of
from connector.sources.arrow import ARROW_ROWS, batch_rows
from connector.sources.source import Row, Rows, broken

if TYPE_CHECKING:
    import pyarrow

    from connector.space import SpaceEntry

END = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # an Arrow stream's last eight bytes; without them it was cut short


def is_dataset(folder: Path) -> bool:
    """Whether `datasets` saved a data set, or several splits of one, into this folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def dataset_rows(folder: Path, entry: SpaceEntry, base: Path | None) -> Rows:
    """Examples by column name, split after split. A class label becomes its name where the schema wants text.

    Raises:
        SourceUnavailable: a file of it is missing, cut short, or not what it should be.
    """
    files = [file for split in _splits(folder) for file in _files(split)]
    for file, _ in files:
        _check_whole(file)
    total, done = sum(file.stat().st_size for file, _ in files), 0

    def rows() -> Iterator[Row]:
        nonlocal done
        for file, features in files:
            yield from _file_rows(file, _labels(features, definition_of(entry.schema)))
            done += file.stat().st_size

    return Rows(rows(), base or folder, lambda: min(1.0, done / total) if total else None)


def _splits(folder: Path) -> list[Path]:
    if not (folder / "dataset_dict.json").is_file():
        return [folder]
    names = _json(folder / "dataset_dict.json").get("splits")
    if not isinstance(names, list):
        raise broken(folder, ValueError("dataset_dict.json names no splits"))
    return [_inside(folder, name) for name in names]


def _files(split: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The Arrow files of one split in their order, each with the features of its columns."""
    state, info = _json(split / "state.json"), _json(split / "dataset_info.json")
    if state.get("_indices_data_files"):
        raise SourceUnavailable(
            f"Source '{split}' was saved by an old version of datasets, with its rows selected by a separate file. "
            "Load it and save it again with a current one."
        )
    names = [entry.get("filename") for entry in state.get("_data_files") or []]
    return [(_inside(split, name), info.get("features") or {}) for name in names]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise broken(path, error) from error
    if not isinstance(value, dict):
        raise broken(path, ValueError("it holds no JSON object"))
    return value


def _inside(folder: Path, name: object) -> Path:
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w. =-]*", name):
        raise broken(folder, ValueError(f"it names {name!r}, which is not in its folder"))
    return folder / name


def _check_whole(file: Path) -> None:
    """A file cut between two batches reads as a shorter one, and a sync would delete what is not in it."""
    try:
        with file.open("rb") as stream:
            stream.seek(-min(len(END), file.stat().st_size), 2)
            whole = stream.read() == END
    except OSError as error:
        raise broken(file, error) from error
    if not whole:
        raise broken(file, ValueError("it is cut short"))


def _file_rows(file: Path, labels: dict[str, Callable[[object], object]]) -> Iterator[Row]:
    import pyarrow
    import pyarrow.ipc

    try:
        with pyarrow.memory_map(str(file)) as mapped, pyarrow.ipc.open_stream(mapped) as batches:
            for batch in batches:
                yield from _rows(batch, labels)
    except (OSError, pyarrow.ArrowException) as error:
        raise broken(file, error) from error


def _rows(batch: pyarrow.RecordBatch, labels: dict[str, Callable[[object], object]]) -> Iterator[Row]:
    for start in range(0, batch.num_rows, ARROW_ROWS):
        for row in cast("Iterator[dict[str, object]]", batch_rows(batch.slice(start, ARROW_ROWS))):
            yield {name: labels[name](value) if name in labels else value for name, value in row.items()}


def _labels(features: dict[str, Any], definition: Definition) -> dict[str, Callable[[object], object]]:
    """Column → what turns its numbers into names: a `ClassLabel`, or a list of them, where the schema wants text."""
    named: dict[str, Callable[[object], object]] = {}
    wanted = {name for name, field in definition.fields.items() if field.value_type is str} | {
        *definition.texts
    }
    for name in wanted & features.keys():
        feature = features[name]
        inner = feature.get("feature") if isinstance(feature, dict) else None
        for one in (feature, inner):
            if (
                isinstance(one, dict)
                and one.get("_type") == "ClassLabel"
                and isinstance(one.get("names"), list)
            ):
                named[name] = _namer(one["names"])
    return named


def _namer(names: list[str]) -> Callable[[object], object]:
    def name(value: object) -> object:
        if isinstance(value, list):
            return [name(one) for one in value]
        if isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None  # -1 is how data sets say "not known"
        return value

    return name
