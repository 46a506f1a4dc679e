"""What is searched for: one frozen value, checked before anything is opened or loaded."""

from __future__ import annotations

import dataclasses
import logging
import sys
from typing import TYPE_CHECKING, Any

from typing_extensions import TypeIs

from connector.errors import ConditionError, DataError
from connector.schema.conditions import Condition
from connector.schema.fields import BlobSource
from connector.schema.schema import Schema, definition_of
from connector.space import ImageSpace
from connector.transformation import Weights

if TYPE_CHECKING:
    from connector.blobs.picture import Picture

log = logging.getLogger("connector")


@dataclasses.dataclass(frozen=True)
class Query:
    """Words, a picture or a record to be like, records to be unlike, the condition hits must fulfil, and which of them to return.

    The attributes are those of `Connector.search`.
    """

    text: str | None = None
    image: BlobSource | Picture | None = None
    like: str | int | None = None
    where: Condition | None = None
    schema: type[Schema] | None = None
    limit: int = 10
    offset: int = 0
    weights: Weights = Weights()
    min_score: float | None = None
    using: str = "fused"
    unlike: tuple[str | int, ...] = ()
    with_vectors: bool = False

    @property
    def left_out(self) -> frozenset[str | int]:
        """The records that a query starts from or turns away from: they are not among its hits."""
        return frozenset(self.unlike if self.like is None else (self.like, *self.unlike))

    def check(self, space: ImageSpace[Any], vectors: tuple[str, ...]) -> None:
        """See that `space`, whose points carry `vectors`, can answer this.

        Raises:
            DataError: it cannot; the message says what to change.
        """
        self._check_text(space)
        if self.text is None and self.image is None and self.like is None and not self.unlike:
            raise DataError(
                "There is nothing to search for. Pass words, image=…, like=… or unlike=…, or words with one of those."
            )
        if self.image is not None and self.like is not None:
            raise DataError("image and like both stand for the picture of a query. Pass one of them.")
        if self.limit < 1 or self.offset < 0:
            raise DataError(
                f"limit is {self.limit} and offset is {self.offset}. limit starts at 1, offset at 0."
            )
        if self.using not in vectors:
            raise DataError(f"using is {self.using!r}. This space stores {', '.join(vectors)}.")

    def _check_text(self, space: ImageSpace[Any]) -> None:
        if self.text is None:
            return
        if not isinstance(self.text, str):
            raise DataError(
                f"The words to search for are a {type(self.text).__name__}. Pass a str; a picture goes into image=…."
            )
        if not self.text.strip():
            raise DataError(
                "The words to search for are blank. Give some, or leave them out and pass image=…."
            )
        if not space.model_handler.reads_text:
            raise DataError(
                f"{space.model_handler} embeds pictures only and cannot read words. Search with image=… or like=…."
            )
        if space.model == "demo":
            _warn_of_unknown_words(self.text)


def _warn_of_unknown_words(text: str) -> None:
    from connector.demo.scene import THINGS
    from connector.demo.words import KNOWN_WORDS, unknown_query

    if unknown_query(text):
        log.warning(
            "The demo model knows %d words, and none of %r, so its hits mean nothing here. It knows colours, patterns, "
            "numbers, and %s.",
            len(KNOWN_WORDS),
            text,
            ", ".join(THINGS),
        )


def is_decoded(image: BlobSource | Picture) -> TypeIs[Picture]:
    """Whether this is a decoded picture already; before the room that decodes is entered there is none."""
    module = sys.modules.get("connector.blobs.picture")
    return module is not None and isinstance(image, module.Picture)


def asked_schema(space: ImageSpace[Any], where: object, schema: type[Schema] | None) -> type[Schema] | None:
    """The one schema a question is about, None for all of the space; a condition names it by its fields.

    Raises:
        ConditionError: `where` is no condition, or about another schema than `schema`.
        InvalidSpaceParamException: the schema is not in the space.
    """
    if schema is not None:
        space.entry(schema)
    if where is None:
        return schema
    if not isinstance(where, Condition):
        raise ConditionError(
            f"where is {where!r}, a {type(where).__name__}. Give a condition, such as Product.price < 80."
        )
    space.entry(where.schema)
    if schema is not None and where.schema is not schema:
        raise ConditionError(
            f"where is about {where.schema.__name__}, schema is {schema.__name__}. Make them agree."
        )
    return where.schema


def asked_field(
    space: ImageSpace[Any], name: str, where: object, schema: type[Schema] | None
) -> type[Schema] | None:
    """The one schema a question about a field is about, as `asked_schema` says.

    Raises:
        DataError: no schema that is asked about has a field of this name.
    """
    asked = asked_schema(space, where, schema)
    schemas = space.schemas if asked is None else (asked,)
    if not any(name in definition_of(each).fields for each in schemas):
        told = " and ".join(each.__name__ for each in schemas)
        raise DataError(f"{told} has no Field {name!r}. Give the name of one.")
    return asked
