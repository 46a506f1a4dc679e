"""What a class body says about one field: its kind, whether it may be missing, its default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

from connector.schema.kinds import Annotation, Kind


@dataclass(frozen=True)
class Default:
    """What `field(default=…)` or `field(default_factory=…)` says; a constant one is the same object each time."""

    make: Callable[[], object]
    constant: bool = False


@overload
def field(*, default: object) -> Any: ...
@overload
def field(*, default_factory: Callable[[], object]) -> Any: ...
def field(*, default: object = None, default_factory: Callable[[], object] | None = None) -> Any:
    """A default for one field: `stock: Field[int] = field(default=0)`.

    Args:
        default: the value; a list is copied for every record.
        default_factory: called for every record that needs it, as in `field(default_factory=list)`.
    """
    # Any: the assignment must fit `Field[int]`, `Text` and `Blob` alike, as with `dataclasses.field`.
    if default_factory is not None:
        return Default(default_factory)
    return constant(default)


def constant(value: object) -> Default:
    """The default that is this value; a list is copied each time."""
    return Default(value.copy) if isinstance(value, list) else Default(lambda: value, constant=True)


@dataclass(frozen=True, eq=False)
class Declaration:
    """What the class body says about one field, whichever class it ends up in."""

    kind: Kind
    optional: bool = False
    default: Default | None = None

    @property
    def annotation(self) -> Annotation:
        """What pydantic validates a value by."""
        return self.kind.whole | None if self.optional else self.kind.whole
