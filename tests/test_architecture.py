"""Who may import whom, and what an import costs: the rooms of the house, held by reading the code."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import connector

ROOT = Path(connector.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# Room → the rooms of this package it may import from (its own always; errors are everyone's).
MAY_IMPORT = {
    "schema": set[str](),
    "transformation": set[str](),
    # A space's length is asked of its model, and only when somebody asks.
    "space": {"schema", "transformation", "engine.lengths"},
    "report": set[str](),
    "pipeline": set[str](),
    "blobs": {"transformation"},
    "engine": {"transformation", "testing", "demo"},
    "store": {"schema"},
    "testing": {"space", "schema", "transformation", "engine", "connector"},
    "demo": set[str](),
    "rows": {"schema", "space", "sources"},
    "sources": {"schema", "space", "blobs"},
    "logs": set(),
    "probes": {"engine", "blobs", "store"},
    "hit": {"schema"},
    "query": {"schema", "space", "transformation", "demo"},
    "search": {"collection", "embedding", "hit", "query", "schema"},
    "stages": {"blobs", "draft", "embedding", "pipeline", "report", "schema", "space", "store", "sync"},
    "settings": set[str](),
    "server": {
        *("connector", "schema", "space", "engine", "blobs", "query", "hit", "report", "rows", "logs"),
        *("settings", "sources.feeds", "terminal", "transformation", "typed_id", "testing"),
    },
    "target": {"space", "transformation"},
}
# Library → the one room that may know it. Annotations that only type checkers read do not count.
ONLY_IN = {
    "torch": "engine",
    "transformers": "engine",
    "sentence_transformers": "engine",
    "open_clip": "engine",
    "huggingface_hub": "engine",
    "qdrant_client": "store",
    "qdrant_edge": "store",
    "grpc": "store",
    "httpcore": "blobs",
    "socket": "blobs",
    "fsspec": "blobs",
    "pillow_heif": "blobs",
    "PIL": "blobs",
    "safetensors": "engine",
    "tokenizers": "engine",
    "pydantic_settings": "settings",
    "typer": "cli",
    "sqlalchemy": "sources",
    "fastapi": "server",
    "starlette": "server",
    "uvicorn": "server",
    "prometheus_client": "server",
}
ALLOWED_BESIDE = {
    ("socket", "server"),  # listens
    ("typer", "commands"),  # their options
    ("PIL", "demo"),  # draws its pictures
    ("fsspec", "sources"),  # lists what lies beneath a prefix
    ("PIL", "engine"),  # the model libraries take pictures as PIL has them
}


def room_of(path: Path) -> str:
    """`connector/blobs/fetch.py` → "blobs", `connector/space.py` → "space"."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports when it runs, wherever in it the import stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and "TYPE_CHECKING" in ast.unparse(node.test)
        and "not" not in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_the_rooms_beneath_it(path: Path) -> None:
    room = room_of(path)
    allowed = MAY_IMPORT.get(room)
    if allowed is None:
        return
    for name in imported(path):
        if name.startswith("connector."):
            inside = name.removeprefix("connector.")
            fits = any(
                inside == other or inside.startswith(other + ".") for other in {*allowed, room, "errors"}
            )
            assert fits, f"{path.name} of room '{room}' imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_known_in_one_room_only(path: Path) -> None:
    room = room_of(path)
    for name in imported(path):
        library = name.split(".")[0]
        assert library != "schemas", (
            f"{path} imports the ready schemas; users' own may come first on the path"
        )
        home = ONLY_IN.get(library, room)
        assert home == room or (library, room) in ALLOWED_BESIDE, f"{path} of room '{room}' imports {name}"


def test_no_module_comes_back_to_itself_through_its_imports() -> None:
    """Imports inside functions count; annotations that only type checkers read do not."""
    known = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in MODULES}
    known = {name.removesuffix(".__init__"): path for name, path in known.items()}

    def module_of(name: str) -> str:
        return name if name in known else module_of(name.rpartition(".")[0])

    beneath = {
        module: {module_of(name) for name in imported(path) if name.split(".")[0] == "connector"} - {module}
        for module, path in known.items()
    }
    graphlib.TopologicalSorter(beneath).prepare()  # its CycleError names the modules


def test_in_the_engine_one_file_speaks_http() -> None:
    """A model may be run by a server; everything else in the engine must work with the network switched off."""
    files = [path for path in MODULES if room_of(path) == "engine"]
    speaking = [path.name for path in files if any(name.split(".")[0] == "httpx" for name in imported(path))]
    assert speaking == ["remote_wire.py"]


def loaded_by(code: str) -> set[str]:
    """The modules that are loaded after running `code` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


HEAVY = {
    "torch",
    "qdrant_client",
    "qdrant_edge",
    "PIL",
    "numpy",
    "pydantic",
    "transformers",
    "httpcore",
    "typer",
    "rich",
}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import connector") & HEAVY


def test_importing_every_public_name_loads_no_model_library_and_no_store() -> None:
    assert not loaded_by("from connector import *") & {
        "torch",
        "qdrant_client",
        "qdrant_edge",
        "PIL",
        "transformers",
    }


def test_public_names_are_listed_sorted_and_importable() -> None:
    assert connector.__all__ == sorted(connector.__all__)
    assert set(connector.__all__) == set(connector._HOME)
    for name in connector.__all__:
        assert getattr(connector, name) is not None
    assert set(connector.__all__) <= set(dir(connector))
    with pytest.raises(AttributeError, match="no attribute 'Conector'"):
        connector.Conector  # type: ignore[attr-defined, unused-ignore]


def test_every_file_says_in_its_first_line_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
