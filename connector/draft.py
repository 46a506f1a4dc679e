"""One record on its way from a row to a point, and what has become of it so far."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from uuid import UUID

from connector.blobs.sources import Kind, classify, reference
from connector.errors import ConnectorError
from connector.report import Rejection
from connector.schema.schema import Schema, definition_of
from connector.space import SpaceEntry
from connector.store.points import Digests

if TYPE_CHECKING:
    from connector.blobs.picture import Picture
    from connector.store.store import Point


class Held(NamedTuple):
    """What the collection holds of a record.

    Attributes:
        digests: of its picture, its description and its other values.
        stamp: what the picture's source said of it when it was read.
        same_place: whether that was the place the row names now; the stamp of another place says nothing.
    """

    digests: Digests
    stamp: str | None = None
    same_place: bool = False


@dataclasses.dataclass(eq=False, slots=True)
class Draft:
    """One record on its way.

    Attributes:
        row: 0-based position in the source.
        entry: its schema's part of the space.
        key: its id.
        point_id: the id of its point.
        record: dropped when it has arrived, and with it any picture that came as bytes.
        source: where its picture is; None where it has none.
        description: the words to embed.
        references: by blob field, where a picture can be found again.
        before: what the collection holds of it.
        earlier: an earlier row of the same id that is still on its way.
        now: what it is, once its picture's digest is known.
        stamp: what its picture's source says of it now.
        picture: decoded, where the model must see it.
        point: what is to be written.
        rejection: why it ends here.
        at_rest: known early to be stored already, exactly so; no stage has anything to do for it.
        inline: bytes that its picture takes within the row itself.
    """

    row: int
    entry: SpaceEntry
    key: str | int
    point_id: str
    record: Schema | None
    source: Any
    description: str | None
    references: dict[str, str | None] = dataclasses.field(default_factory=dict)
    before: Held | None = None
    earlier: Draft | None = None
    now: Digests | None = None
    stamp: str | None = None
    picture: Picture | None = None
    point: Point | None = None
    rejection: Rejection | None = None
    at_rest: bool = False
    inline: int = 0

    def reject(self, field: str | None, error: ConnectorError) -> None:
        """End its way here, for this reason."""
        named = f"{self.entry.schema.__name__} {self.key}:" + (f" {field}" if field else "")
        self.rejection = Rejection(self.row, plain(self.key), field, error.code, f"{named} {error}")
        self.record = self.source = self.picture = self.point = None

    def held_before(self) -> Held | None:
        """What the collection holds before this draft is stored, earlier rows of this run included."""
        if self.earlier is not None:
            self.before, self.earlier = self.earlier.held_before(), None
        return self.before

    def refer(self) -> Kind:
        """Note where its pictures can be found again, as far as that may be told; what its own picture's source is."""
        own = Kind.UNKNOWN
        for name in definition_of(self.entry.schema).blobs:
            source = getattr(self.record, name)
            kind = classify(source)
            self.references[name] = None if source is None else reference(kind, source)
            if name == self.entry.blob.name:
                own = kind
        return own

    def keep_picture(self) -> None:
        """Take its picture for the one the collection holds."""
        if self.before is not None and self.now is not None:
            self.now = self.now.with_picture(self.before.digests.picture)
            self.stamp = self.before.stamp

    @property
    def unchanged(self) -> bool:
        """Whether the collection already holds exactly this."""
        return self.before is not None and self.now == self.before.digests

    @property
    def restamped(self) -> bool:
        """Whether its picture's source says something new of what has not changed, as a touched file does."""
        return (
            not self.at_rest
            and self.rejection is None
            and self.earlier is None
            and self.unchanged
            and self.before is not None
            and self.before.same_place
            and self.stamp not in (None, self.before.stamp)
        )

    @property
    def wanted(self) -> bool:
        """Whether something of it must be written. An earlier row still on its way makes that unknown, so it must."""
        return (
            not self.at_rest and self.rejection is None and (self.earlier is not None or not self.unchanged)
        )

    @property
    def same_picture(self) -> bool:
        """Whether the collection holds vectors of this very picture (or of none, as here)."""
        return self._same("picture")

    @property
    def same_words(self) -> bool:
        """Whether the collection holds vectors of these very words (or of none, as here)."""
        return self._same("text")

    def _same(self, part: str) -> bool:
        if self.before is None or self.earlier is not None or self.now is None:
            return False
        same: bool = getattr(self.now, part) == getattr(self.before.digests, part)
        return same


Item: TypeAlias = Draft | Rejection


def rejection_of(item: Item) -> Rejection | None:
    """Why an item was rejected, None where it was not."""
    return item if isinstance(item, Rejection) else item.rejection


def plain(key: object) -> str | int | None:
    """An id as a rejects file can hold it."""
    return key if key is None or isinstance(key, (str, int)) else str(key)


def readings(id: object) -> Iterator[str | int | UUID]:
    """What the id of a row that does not fit may have been meant as; nothing where it could not be read."""
    if id is None:
        return
    yield str(id)
    for kind in (int, UUID):
        with contextlib.suppress(ValueError):
            yield kind(str(id))


def cost(item: Item) -> int:
    """What an item on the line holds, in bytes: its picture as it came and decoded, and something for the rest of it."""
    if isinstance(item, Rejection):
        return 2**16
    picture = 0 if item.picture is None else 3 * item.picture.image.width * item.picture.image.height
    return 2**16 + item.inline + picture
