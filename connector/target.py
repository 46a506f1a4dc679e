"""What the command line calls TARGET: `module:attribute`, naming an `ImageSpace`."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Any

from connector.errors import SchemaError
from connector.space import ImageSpace
from connector.transformation import ModelHandler


def load_target(target: str) -> ImageSpace[Any]:
    """Import the space that `schemas.photo:space` names; the working directory comes first, as it does for `python -m`.

    Raises:
        SchemaError: there is no such module or attribute, or it is no ImageSpace.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise SchemaError(
            f"TARGET '{target}' is not of the form module:attribute. Write, for example, schemas.photo:space."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise  # something that the module itself imports is missing: that is the better message
        raise SchemaError(
            f"TARGET '{target}': there is no module '{error.name}' in {here} or among the installed packages. "
            "Run from the folder that holds it."
        ) from error
    try:
        space = getattr(module, attribute)
    except AttributeError as error:
        spaces = [name for name, value in vars(module).items() if isinstance(value, ImageSpace)]
        near = difflib.get_close_matches(attribute, spaces, 1) or spaces[:1]
        cure = f"Did you mean {module_name}:{near[0]}?" if near else "Declare one: space = ImageSpace(…)."
        raise SchemaError(f"TARGET '{target}': {module_name} has no '{attribute}'. {cure}") from error
    if not isinstance(space, ImageSpace):
        raise SchemaError(
            f"TARGET '{target}' is a {type(space).__name__}, not an ImageSpace. Name the variable that holds the space."
        )
    return space


def read_handler(name: str) -> ModelHandler:
    """A handler's name as typed: `stand-in`, `open_clip`, `SENTENCE_TRANSFORMERS`.

    Raises:
        SchemaError: there is no such handler.
    """
    try:
        return ModelHandler(name.lower().replace("-", "_"))
    except ValueError as error:
        choices = ", ".join(handler.value.replace("_", "-") for handler in ModelHandler)
        raise SchemaError(f"Handler '{name}' is unknown. Use one of {choices}.") from error
