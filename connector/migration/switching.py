"""Which collection a public name stands for: what migrated ones are called, the way back, and cleaning up.

A public name is an alias, and what it stands for is called `name__<fingerprint of model and fusion>`. A collection
that has the public name for its own was made before there were migrations; in a folder it can be switched all the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from connector.embedding import Embedder
from connector.errors import DataError
from connector.origin import NOT_COMPARED
from connector.space import ImageSpace
from connector.store.lock import holder
from connector.store.points import digest_payload

if TYPE_CHECKING:
    from connector.store.aliases import Aliases
    from connector.store.store import CollectionSpec

# In the metadata of collections:
BUILT_FOR: Final = "built_for"  # the public name that this one was made for
PREVIOUS: Final = "previous"  # which collection had the public name before this one
SUPERSEDED_BY: Final = "superseded_by"  # which one has it now: nothing may be written here any more


def beside(name: str, space: ImageSpace[Any]) -> str:
    """The name of the collection that keeps this space's vectors under a public name; loads the model.

    A name that is such a one already stays as it is. Weights that can be changed in place do not count.
    """
    engine = Embedder(space, lambda engine: None).engine
    fixed = not (space.keep_parts and space.parts == "unit")
    made_by: dict[str, object] = {
        "model": {key: value for key, value in engine.identity.items() if key not in NOT_COMPARED},
        "length": engine.length,
        "parts": space.parts,
        "keep_parts": space.keep_parts,
        "weights": list(space.weights) if fixed else None,
        "space": [
            [entry.schema.__name__, entry.blob.name, entry.description and entry.description.name]
            for entry in space.entries
        ],
    }
    suffix = "__" + digest_payload(made_by)[:8]
    return name if name.endswith(suffix) else name + suffix


def create_behind_alias(spec: CollectionSpec, space: ImageSpace[Any], *, aliases: Aliases) -> None:
    """Make a collection for the public name `spec.name` under the name of its own that `beside` gives, and the alias.

    On a server this is how a collection must begin whose name is to be switched some day: an alias cannot take the
    name of a collection that is there. Broken off in between, the next call goes on.
    """
    own = beside(spec.name, space)
    with contextlib.closing(aliases.open(own)) as store:
        store.create(dataclasses.replace(spec, name=own, metadata={**spec.metadata, BUILT_FOR: spec.name}))
    if own != spec.name:
        aliases.switch(spec.name, own)


def rollback(name: str, *, aliases: Aliases) -> str:
    """Let a name stand for the collection again that it stood for before the last migration; done twice, it is undone.

    What was written since the migration is in the newer collection only: sync again afterwards.

    Args:
        name: the public name.
        aliases: of the place where the collections are.

    Returns:
        the name of the collection that serves now.

    Raises:
        DataError: there was no migration, or `finish` has removed what was before it.
        StoreLocked: a sync of the collection is running.
    """
    serving = aliases.target(name) or name
    with contextlib.closing(aliases.open(name)) as store, store.lock(holder()):
        stored: Mapping[str, Any] = store.describe() or {}
        if unfinished := stored.get(SUPERSEDED_BY):  # a switch broke off just before it happened
            store.renew({PREVIOUS: unfinished, SUPERSEDED_BY: None})
            return serving
        previous = stored.get(PREVIOUS)
        if not isinstance(previous, str) or previous not in aliases.collections():
            raise DataError(
                f"There is nothing to roll back: '{name}' stands for {serving}, and no collection from before it is kept."
            )
        store.renew({SUPERSEDED_BY: previous})
    aliases.switch(name, previous)
    with contextlib.closing(aliases.open(name)) as store:
        store.renew({PREVIOUS: serving, SUPERSEDED_BY: None})
    return previous


def finish(name: str, *, aliases: Aliases) -> list[str]:
    """Remove what migrations of a name have left: the collection from before, and any that was built and never used.

    Args:
        name, aliases: as for `rollback`.

    Returns:
        the names of the collections that were removed.

    Raises:
        StoreLocked: a migration or a sync is still running.
    """
    serving = aliases.target(name) or name
    with contextlib.closing(aliases.open(name)) as store, store.lock(holder()):
        stored: Mapping[str, Any] = store.describe() or {}
        present = aliases.collections()
        left = {stored.get(PREVIOUS)}
        for each in present:
            if each != serving and each.startswith(f"{name}__"):
                left |= _left(name, each, aliases)
        doomed = [each for each in present if each in left and each != serving]
        for each in doomed:
            aliases.drop(each)
        if stored:
            store.renew({PREVIOUS: None, SUPERSEDED_BY: None})
    return doomed


def _left(name: str, collection: str, aliases: Aliases) -> set[object]:
    """A collection that was made for this name, and the one before it; none where it is somebody else's.

    Raises:
        StoreLocked: somebody is still building it.
    """
    with contextlib.closing(aliases.open(collection)) as store:
        stored = store.describe() or {}
        if stored.get(BUILT_FOR) != name:
            return set()
        with store.lock(holder()):
            return {collection, stored.get(PREVIOUS)}
