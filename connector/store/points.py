"""Record and vectors to point, and back: ids, digests, the payload's own keys, a schema's payload indexes."""

from __future__ import annotations

import datetime
import enum
import functools
import hashlib
import uuid
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii as _quoted
from typing import Final, NamedTuple, TypeVar

import pydantic_core

from connector.schema.fields import Blob, SchemaField, Text
from connector.schema.schema import Schema, definition_of, from_payload, to_payload
from connector.store.store import FloatVector, IndexKind, Point

S = TypeVar("S", bound=Schema)

SCHEMA: Final = "_schema"
PICTURE: Final = "_picture"
DESCRIPTION: Final = "_text"
PAYLOAD: Final = "_payload"
WRITTEN_AT: Final = "_at"
BASE: Final = "_base"  # the folder relative references start from; not part of what makes a record changed
STAMP: Final = "_stamp"  # what its source said of the blob, so that it need not be read again
VERSION: Final = "_version"  # the number of the run that wrote it
DELETED: Final = "_deleted"  # on tombstones
# Names of fields whose value the payload cannot show: an empty list, which Qdrant takes for absence,
# and a picture that came as bytes, of which there is no reference to store.
PRESENT: Final = "_present"

# Never changes: with another namespace every record of every collection would get another id.
_NAMESPACE: Final = uuid.UUID("6b0f1a52-6d5f-5c1e-9d7c-3f2f0c9a7e41")
_NAMESPACE_BYTES: Final = _NAMESPACE.bytes

_INDEX_KINDS: Final[Mapping[type, IndexKind]] = {
    bool: "bool",
    int: "integer",
    float: "float",
    str: "keyword",
    datetime.datetime: "datetime",
    datetime.date: "datetime",
    uuid.UUID: "uuid",
}


def point_id(schema_name: str, key: object) -> str:
    """Return the id of a record's point: uuid5 of the schema's name and the record's key, the same for ever.

    The key's type counts (1 and "1" are two records), and so does where one part ends: ("a", "b:c") and
    ("a:b", "c") differ, because the parts are written as a JSON list.

    Raises:
        TypeError: the key is no int, str or UUID.
    """
    if isinstance(key, bool) or not isinstance(key, (int, str, uuid.UUID)):
        raise TypeError(f"A record's key is an int, a str or a UUID, not {type(key).__qualname__}.")
    kind = "str" if isinstance(key, str) else "int" if isinstance(key, int) else "UUID"
    text = key.value if isinstance(key, enum.Enum) else key
    return _uuid5(f'[{_quoted(schema_name)}, "{kind}", {_quoted(str(text))}]')


def _uuid5(name: str) -> str:
    """`str(uuid.uuid5(_NAMESPACE, name))`, without the objects in between: ids are made for every row of every run."""
    text = hashlib.sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def digest_text(text: str) -> str:
    """Return the digest of a description: 32 hexadecimal digits of BLAKE2b."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def digest_payload(payload: Mapping[str, object]) -> str:
    """Return the digest of JSON-able values; the order of keys does not count, their values' types do."""
    ordered = {key: payload[key] for key in sorted(payload)}
    return hashlib.blake2b(pydantic_core.to_json(ordered), digest_size=16).hexdigest()


class Digests(NamedTuple):
    """What a point was made of: of its picture, its description, and its other stored values."""

    picture: str | None
    text: str | None
    payload: str | None

    def with_picture(self, digest: str | None) -> Digests:
        """The same, of this picture."""
        return Digests(digest, self.text, self.payload)


def stored_values(record: Schema, references: Mapping[str, str | None] | None = None) -> dict[str, object]:
    """Return what of a record is stored under its fields' names, None left out.

    `references` says by blob field where its picture can be found again, where that may be told at all.
    """
    known = {name: reference for name, reference in (references or {}).items() if reference is not None}
    return {**to_payload(record), **known}


def to_point(
    record: Schema,
    vectors: Mapping[str, FloatVector],
    *,
    references: Mapping[str, str | None] | None = None,
    picture: str | None = None,
    text: str | None = None,
    base: str | None = None,
    stamp: str | None = None,
    version: int | None = None,
    at: datetime.datetime,
) -> Point:
    """Build the point of a record.

    Args:
        record: what is stored.
        vectors: float32 arrays of length one, by name; a point may lack some.
        references: by blob field, where its picture is.
        picture: digest of the picture's bytes that the vectors were made of.
        text: digest of the description that the vectors were made of.
        base: the folder that relative references start from.
        stamp: what the blob's source said of it.
        version: the number of the run that writes it.
        at: when; aware.
    """
    definition = definition_of(type(record))
    values = stored_values(record, references)
    payload: dict[str, object] = {
        **values,
        SCHEMA: definition.name,
        PAYLOAD: digest_payload(values),
        WRITTEN_AT: rfc3339(at),
    }
    if picture is not None:
        payload[PICTURE] = picture
    if text is not None:
        payload[DESCRIPTION] = text
    if base is not None and any((references or {}).values()):
        payload[BASE] = base
    if stamp is not None:
        payload[STAMP] = stamp
    if version is not None:
        payload[VERSION] = version
    if len(values) < len(definition.all) or [] in values.values():  # most records have all that can be shown
        present = sorted(name for name in definition.all if _is_hidden(record, name, values))
        if present:
            payload[PRESENT] = present
    return Point(point_id(definition.name, getattr(record, definition.id.name)), vectors, payload)


def _is_hidden(record: Schema, name: str, values: Mapping[str, object]) -> bool:
    return values.get(name) in (None, []) and getattr(record, name) is not None


def to_record(point: Point, schema: type[S]) -> S:
    """Read a point back as a record of `schema`; a blob's value is its reference, or None."""
    return from_payload(schema, point.payload)


def schema_name(point: Point) -> str | None:
    """Return the name of the schema that the point's record belongs to."""
    return _text(point, SCHEMA)


def digests(point: Point) -> Digests:
    """Return what the point says it was made of."""
    read = point.payload.get
    made_of = read(PICTURE), read(DESCRIPTION), read(PAYLOAD)
    return Digests(*(value if isinstance(value, str) else None for value in made_of))


def version_of(point: Point) -> int | None:
    """Return the number of the run that wrote the point, where it says so."""
    value = point.payload.get(VERSION)
    return value if isinstance(value, int) else None


def tombstone(identity: str, schema: str, version: int) -> Point:
    """Build what stands in a deleted record's place, so that no older run brings it back."""
    return Point(identity, {}, {SCHEMA: schema, VERSION: version, DELETED: True})


def is_buried(payload: Mapping[str, object]) -> bool:
    """Whether this is the payload of a tombstone, or of a lock's lease: no record's."""
    return payload.get(DELETED) is True


def _text(point: Point, key: str) -> str | None:
    value = point.payload.get(key)
    return value if isinstance(value, str) else None


def rfc3339(moment: datetime.datetime) -> str:
    """Return a moment in UTC with microseconds, as the engines read it; a naive one is taken for UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return _written(aware.astimezone(datetime.UTC))


@functools.lru_cache(64)
def _written(utc: datetime.datetime) -> str:
    """A moment in UTC; cached, because all points of a batch are written at the same one."""
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def payload_indexes(schemas: Iterable[type[Schema]]) -> dict[str, IndexKind]:
    """Return which payload keys of these schemas to index, and how.

    Two schemas may use one name for different types; that key gets no index, filters on it still work.
    """
    kinds: dict[str, set[IndexKind]] = {}
    for schema in schemas:
        for name, field in definition_of(schema).all.items():
            if kind := _index_kind(field):
                kinds.setdefault(name, set()).add(kind)
    indexes: dict[str, IndexKind] = {
        SCHEMA: "keyword",
        PRESENT: "keyword",
        VERSION: "integer",
        DELETED: "bool",
    }
    for name, found in kinds.items():
        if len(found) == 1:
            indexes[name] = found.pop()
    return indexes


def _index_kind(field: SchemaField) -> IndexKind | None:
    if isinstance(field, Text):
        return "text"
    return None if isinstance(field, Blob) else _INDEX_KINDS.get(field.kind.stored_type)
