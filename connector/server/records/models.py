"""What goes over the wire, for reading requests and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

LONGEST_TEXT = 10_000  # characters
LONGEST_ID = 16_384
MOST_HITS = 100
FURTHEST = 10_000
MOST_UNLIKE = 100


def _words(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("text_nul", "Text holds the character NUL, which is no part of any word")
    if not value.strip():
        raise PydanticCustomError("text_blank", "Text is blank; leave it out, or send some words")
    return value


Words = Annotated[
    str,
    StringConstraints(max_length=LONGEST_TEXT),
    AfterValidator(_words),
    Field(json_schema_extra={"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"}),
]
RecordId: TypeAlias = (
    Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
    | Annotated[int, Field(ge=-(2**63), lt=2**63)]
)
SchemaName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False)]

EXAMPLE_RECORD: dict[str, Any] = {
    "sku": "p0001",
    "photo": "pictures/p0001.jpg",
    "title": "Red mug",
    "brand": "Pikola",
    "price": 9.5,
}
EXAMPLE_PARTS: dict[str, Any] = {"image": 0.312, "text": 0.871}
EXAMPLE_HIT: dict[str, Any] = {
    "id": "p0001", "score": 0.734, "parts": EXAMPLE_PARTS, "schema": "Product", "record": EXAMPLE_RECORD,
}  # fmt: skip


class SearchBody(BaseModel):
    """What to search for: words, a picture, a record to be like, records to be unlike, or several of these."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        title="Search",
        json_schema_extra={
            "examples": [
                {"text": "a red mug", "where": "price < 20", "limit": 3},
                {
                    "text": "blue",
                    "image": "https://pictures.example/shoe.jpg",
                    "weights": {"image": 0.7, "text": 0.3},
                    "where": {"field": "price", "op": "<", "value": 80},
                },
                {"like": "p0001", "unlike": ["p0007"]},
            ]
        },
    )

    text: Words | None = Field(None, description="Words.", examples=["a red mug"])
    image: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        None, description="A picture: a data URL, an http(s) URL, or base64."
    )
    like: RecordId | None = Field(None, description="A record to start from; it is not among the hits.")
    unlike: list[RecordId] = Field(
        [], max_length=MOST_UNLIKE, description="Records to turn away from; they are not among the hits."
    )
    weights: dict[Literal["image", "text"], Number] | None = Field(
        None, description="How much picture and words count; negative: but not that."
    )
    where: str | dict[str, Any] | None = Field(
        None,
        description="A condition, in its text form (`price < 80 and brand = 'Acme'`) or its JSON form.",
    )
    schema_: SchemaName | None = Field(
        None, alias="schema", description="Records of this schema only, where there are several."
    )
    limit: int = Field(10, ge=1, le=MOST_HITS)
    offset: int = Field(0, ge=0, le=FURTHEST, description="Hits to skip, for paging.")
    min_score: Number | None = Field(None, description="Leave out hits that score less (cosine, -1 to 1).")
    using: Literal["fused", "image", "text"] = Field(
        "fused", description="The stored vector to compare with."
    )


class PartScores(BaseModel):
    """What a hit's own picture and description scored; null where it has no such part."""

    image: float | None
    text: float | None


class FoundRecord(BaseModel):
    """One record."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "p0001", "schema": "Product", "record": EXAMPLE_RECORD}]}
    )

    id: str | int
    schema_: str = Field(alias="schema", description="The name of its schema.")
    record: dict[str, Any] = Field(
        description="Its values by field; its blob as a reference, where it has one."
    )


class FoundHit(FoundRecord):
    """One hit of a search, best first."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_HIT]})

    score: float | None = Field(description="Cosine of the query with the record's vector; larger is nearer.")
    parts: PartScores


class Took(BaseModel):
    """Milliseconds by stage; a stage that was not needed is missing."""

    decode_ms: float | None = Field(None, description="Fetching and decoding the picture.")
    embed_ms: float | None = Field(None, description="The model, with all queries that came together.")
    search_ms: float | None = Field(None, description="Qdrant, and making records of points.")


class SearchAnswer(BaseModel):
    """The hits of a search."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"hits": [EXAMPLE_HIT], "took_ms": 7.1, "took": {"embed_ms": 3.2, "search_ms": 2.4}}]
        }
    )

    hits: list[FoundHit]
    took_ms: float = Field(description="Milliseconds from the request's arrival, waiting included.")
    took: Took


class Removed(BaseModel):
    """How many records were removed."""

    removed: int = Field(examples=[1])


class Count(BaseModel):
    """How many records there are."""

    count: int = Field(examples=[300])


class RunReport(BaseModel):
    """What became of the rows: read = new + changed + unchanged + rejected."""

    read: int
    new: int
    changed: int
    unchanged: int
    rejected: int
    deleted: int
    seconds: float


class Reject(BaseModel):
    """A row that could not be taken, and why."""

    row: int = Field(description="0-based; blank lines do not count.")
    id: str | int | None
    field: str | None
    code: str
    reason: str


class IngestAnswer(BaseModel):
    """The report of an ingest, and its first rejections."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "report": {
                        "read": 2, "new": 1, "changed": 0, "unchanged": 0, "rejected": 1, "deleted": 0, "seconds": 0.2,
                    },
                    "rejects": [
                        {
                            "row": 1, "id": "p2", "field": "price", "code": "record_invalid",
                            "reason": "Row 1, Product p2: price is 'cheap'. It must be a number.",
                        }
                    ],
                    "rejects_cut": False,
                }
            ]
        }
    )  # fmt: skip

    report: RunReport
    rejects: list[Reject] = Field(description="The first thousand.")
    rejects_cut: bool = Field(description="Whether there were more.")


class FieldAnswer(BaseModel):
    """One field of a schema."""

    name: str = Field(examples=["price"])
    kind: str = Field(
        description="id, blob, text, or str, int, float, bool, datetime, date, uuid, or list[…] of one of those.",
        examples=["float"],
    )
    optional: bool
    filter: Literal["choice", "range", "flag", "words"] | None = Field(
        description="What fits to filter by it."
    )


class SchemaAnswer(BaseModel):
    """One schema: its name, its fields, and which of them has which part."""

    name: str = Field(examples=["Product"])
    id: str = Field(description="The field that names a record.", examples=["sku"])
    blob: str = Field(description="The field whose picture is embedded.", examples=["photo"])
    description: str | None = Field(description="The field whose words are.", examples=["title"])
    fields: list[FieldAnswer]


class CatalogueAnswer(BaseModel):
    """What is kept here, and what can be asked of it."""

    collection: str = Field(examples=["product"])
    text: bool = Field(description="Whether one can search by words.")
    schemas: list[SchemaAnswer]


class FacetAnswer(BaseModel):
    """A value, and how many records have it."""

    value: str | int | bool = Field(examples=["Acme"])
    count: int = Field(examples=[12])


class RangeAnswer(BaseModel):
    """The smallest and the largest value; moments as text."""

    min: float | int | str = Field(examples=[2.5])
    max: float | int | str = Field(examples=[249.0])


class FacetsAnswer(BaseModel):
    """Which values records have."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "facets": {
                        "brand": [{"value": "Acme", "count": 12}],
                        "in_stock": [{"value": True, "count": 250}],
                    },
                    "ranges": {"price": {"min": 2.5, "max": 249.0}},
                }
            ]
        }
    )

    facets: dict[str, list[FacetAnswer]] = Field(description="Up to twenty values of each choice and flag.")
    ranges: dict[str, RangeAnswer] = Field(
        description="Of each field that has an order, where any record has it."
    )
