"""The tree of everything that can go wrong: two families, two reactions.

    ConnectorError
    ├── DataError                     fix your data or your code              exit 2, HTTP 422
    │   ├── SchemaError                 a class definition cannot work
    │   │   └── InvalidSpaceParamException   an ImageSpace that cannot work
    │   ├── RecordError                 a row does not fit                    .row .id .field
    │   ├── ConditionError              a where-clause does not fit
    │   ├── DeletionRefused             a sync would delete more than it may
    │   └── BlobError                   BlobNotFound · BlobTooLarge · BlobForbidden · BlobUnreadable
    └── OperationalError              the world said no: retry, wait, repair  exit 3, HTTP 503
        ├── ModelUnavailable            not cached and not reachable; what to do about it
        ├── CollectionMismatch          another model, length or fusion lives there (HTTP 409)
        ├── SourceUnavailable           the rows themselves cannot be read
        ├── TooManyRejections           more rows than allowed could not be taken
        ├── BlobUnavailable             a picture's server did not answer; worth another try
        ├── StoreUnavailable · StoreLocked
        └── MissingExtra                also an ImportError; carries the pip line

A message has three parts: what happened, to what, and what to do about it.
In a run, one record's `DataError` (or a `BlobUnavailable`) is a rejection in the report, and the run goes on.
"""

from __future__ import annotations

from typing import ClassVar


class ConnectorError(Exception):
    """Anything this package raises on purpose; `code` is the stable word for it in reports and rejects."""

    code: ClassVar[str] = "error"


class DataError(ConnectorError):
    """The data or the code must change; trying again will not help."""

    code = "data_invalid"


class SchemaError(DataError):
    """A schema class, or its use, cannot work."""

    code = "schema_invalid"


class InvalidSpaceParamException(SchemaError):
    """An `ImageSpace` that cannot work."""

    code = "space_invalid"


class RecordError(DataError):
    """A row does not fit its schema.

    Attributes:
        row: 0-based position in the source, where known.
        id: the record's id, where it could be read.
        field: the first field that does not fit, where it is about one.
    """

    code = "record_invalid"

    def __init__(
        self, message: str, *, row: int | None = None, id: object = None, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.row = row
        self.id = id
        self.field = field


class DeletionRefused(DataError):
    """A sync would delete more than it was allowed to; nothing was deleted."""

    code = "deletion_refused"


class ConditionError(DataError):
    """A condition does not fit the schema, or its JSON or text form cannot be read."""

    code = "condition_invalid"


class EmbeddingError(DataError):
    """The model refused one picture or one text; its neighbours in the batch are unaffected."""

    code = "not_embeddable"


class PointError(DataError):
    """The store refused one record's point for good; its neighbours in the batch are unaffected."""

    code = "point_refused"


class Superseded(PointError):
    """A newer run has written this record meanwhile; the older data was not written over it."""

    code = "superseded"


class BlobError(DataError):
    """A picture cannot be taken. The message starts with the blob's (shortened, quoted) source."""

    code = "blob_invalid"


class BlobNotFound(BlobError):
    """There is nothing at the place the blob names."""

    code = "blob_not_found"


class BlobTooLarge(BlobError):
    """More bytes or more pixels than the policy allows."""

    code = "blob_too_large"


class BlobForbidden(BlobError):
    """The policy does not allow fetching from there."""

    code = "blob_forbidden"


class BlobUnreadable(BlobError):
    """The bytes are no picture this package reads, or they are damaged."""

    code = "blob_unreadable"


class OperationalError(ConnectorError):
    """The world said no. Nothing is lost: repair or wait, then run it again."""

    code = "unavailable"


class ModelUnavailable(OperationalError):
    """The model is not on this machine and cannot be fetched, or its files cannot be used."""

    code = "model_unavailable"


class CollectionMismatch(OperationalError):
    """The collection was made by another schema, model or fusion; nothing was written."""

    code = "collection_mismatch"


class SourceUnavailable(OperationalError):
    """The source of the rows cannot be read, or broke off half-way."""

    code = "source_unavailable"


class TooManyRejections(OperationalError):
    """A run was stopped because more rows than allowed could not be taken; what was stored stays stored."""

    code = "too_many_rejections"


class BlobUnavailable(OperationalError):
    """A picture's server did not answer in time or answered with a passing error, retries included."""

    code = "blob_unavailable"


class StoreUnavailable(OperationalError):
    """Qdrant cannot be reached, or did not acknowledge a write within the retry budget."""

    code = "store_unavailable"


class StoreLocked(OperationalError):
    """Another process has the folder open, or another sync of the collection is running."""

    code = "store_locked"


class MissingExtra(OperationalError, ImportError):
    """An optional dependency is needed now; the message carries the `pip install` line."""

    code = "missing_extra"

    def __init__(self, extra: str, why: str) -> None:
        super().__init__(
            f"{why} needs an optional dependency. Install it with: pip install 'qdrant-image-connector[{extra}]'"
        )
        self.extra = extra
