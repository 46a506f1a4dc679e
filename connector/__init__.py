"""Typed schemas in, fused image and text vectors in Qdrant, search by picture and by words out.

Every public name is imported when it is first touched: `import connector` itself loads nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.blobs.policy import BlobPolicy
    from connector.connector import Connector
    from connector.errors import (
        BlobError,
        BlobForbidden,
        BlobNotFound,
        BlobTooLarge,
        BlobUnavailable,
        BlobUnreadable,
        CollectionMismatch,
        ConditionError,
        ConnectorError,
        DataError,
        DeletionRefused,
        EmbeddingError,
        InvalidSpaceParamException,
        MissingExtra,
        ModelUnavailable,
        OperationalError,
        PointError,
        RecordError,
        SchemaError,
        SourceUnavailable,
        StoreLocked,
        StoreUnavailable,
        Superseded,
        TooManyRejections,
    )
    from connector.hit import Hit, PartScores
    from connector.report import Rejection, Report
    from connector.schema.conditions import Condition, condition_from_json, parse_condition
    from connector.schema.fields import Blob, BlobSource, DescribedBlob, Field, Id, Text, field
    from connector.schema.schema import Schema
    from connector.space import (
        EmbeddingEngineConfig,
        ImageData,
        ImageSpace,
        ModelHandler,
        TransformationConfig,
        Vector,
        Weights,
    )

_HOMES = {
    "connector.blobs.policy": ("BlobPolicy",),
    "connector.connector": ("Connector",),
    "connector.errors": (
        "BlobError", "BlobForbidden", "BlobNotFound", "BlobTooLarge", "BlobUnavailable", "BlobUnreadable",
        "CollectionMismatch", "ConditionError", "ConnectorError", "DataError", "DeletionRefused", "EmbeddingError",
        "InvalidSpaceParamException", "MissingExtra", "ModelUnavailable", "OperationalError", "PointError",
        "RecordError", "SchemaError", "SourceUnavailable", "StoreLocked", "StoreUnavailable", "Superseded", "TooManyRejections",
    ),
    "connector.hit": ("Hit", "PartScores"),
    "connector.report": ("Rejection", "Report"),
    "connector.schema.conditions": ("Condition", "condition_from_json", "parse_condition"),
    "connector.schema.fields": ("Blob", "BlobSource", "DescribedBlob", "Field", "Id", "Text", "field"),
    "connector.schema.schema": ("Schema",),
    "connector.space": (
        "EmbeddingEngineConfig", "ImageData", "ImageSpace", "ModelHandler", "TransformationConfig", "Vector", "Weights",
    ),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Blob",
    "BlobError",
    "BlobForbidden",
    "BlobNotFound",
    "BlobPolicy",
    "BlobSource",
    "BlobTooLarge",
    "BlobUnavailable",
    "BlobUnreadable",
    "CollectionMismatch",
    "Condition",
    "ConditionError",
    "Connector",
    "ConnectorError",
    "DataError",
    "DeletionRefused",
    "DescribedBlob",
    "EmbeddingEngineConfig",
    "EmbeddingError",
    "Field",
    "Hit",
    "Id",
    "ImageData",
    "ImageSpace",
    "InvalidSpaceParamException",
    "MissingExtra",
    "ModelHandler",
    "ModelUnavailable",
    "OperationalError",
    "PartScores",
    "PointError",
    "RecordError",
    "Rejection",
    "Report",
    "Schema",
    "SchemaError",
    "SourceUnavailable",
    "StoreLocked",
    "StoreUnavailable",
    "Superseded",
    "Text",
    "TooManyRejections",
    "TransformationConfig",
    "Vector",
    "Weights",
    "condition_from_json",
    "field",
    "parse_condition",
]


def __getattr__(name: str) -> object:
    try:
        value = getattr(import_module(_HOME[name]), name)
    except KeyError:
        raise AttributeError(f"module 'connector' has no attribute {name!r}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
