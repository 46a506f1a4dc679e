"""Rows become records: immutable, comparable, printable, and validated with messages that help."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest
from PIL import Image

from connector.errors import RecordError, SchemaError
from connector.schema.fields import Blob, BlobSource, Field, Id, Text, field
from connector.schema.schema import Schema, definition_of, parse, to_row, unknown_columns
from tests.schema.catalogue import BARE, PRODUCT, Colour, Everything, Product


def refused(row: object, schema: type[Schema] = Everything, number: int | None = None) -> str:
    """The message of the error that `row` raises."""
    with pytest.raises(RecordError) as caught:
        parse(schema, row, number)  # type: ignore[arg-type]  # rows that are none are tried too
    return str(caught.value)


def value(name: str, given: object) -> object:
    """What a record holds when the row says `given`."""
    return getattr(parse(Everything, BARE | {name: given}), name)


class TestRecords:
    def test_hold_the_values_of_their_row(self) -> None:
        record = parse(Product, PRODUCT)
        assert (record.sku, record.photo, record.title) == ("a1", "shoe.jpg", "Red canvas shoe")
        assert to_row(record) == PRODUCT

    def test_are_made_by_keyword_too(self) -> None:
        made = Product(sku="a1", photo="shoe.jpg", title="Red canvas shoe", brand="Acme", price=59)
        assert made == parse(Product, PRODUCT)

    def test_refuse_a_keyword_that_is_no_field(self) -> None:
        with pytest.raises(
            RecordError, match=r"^Product a1: there is no field 'prise'\. Did you mean 'price'\?$"
        ):
            Product(**PRODUCT, prise=3)  # type: ignore[arg-type,call-arg]

    def test_do_not_change(self) -> None:
        record = parse(Product, PRODUCT)
        with pytest.raises(
            AttributeError, match=r"Product a1: price cannot be changed.*__replace__\(price=…\)"
        ):
            record.price = 3.0  # type: ignore[arg-type]
        with pytest.raises(AttributeError, match="immutable"):
            del record.price
        with pytest.raises(AttributeError, match="immutable"):
            record.colour = "red"  # type: ignore[attr-defined]
        assert record.__replace__(price=49).price == 49.0
        assert record.price == 59.0

    def test_are_equal_when_their_values_are(self) -> None:
        one, other = parse(Product, PRODUCT), parse(Product, PRODUCT | {"price": 60})
        assert one == parse(Product, PRODUCT)
        assert hash(one) == hash(parse(Product, PRODUCT))
        assert one != other
        assert one != PRODUCT

    def test_can_be_hashed_whatever_they_hold(self) -> None:
        record = parse(Everything, BARE | {"tags": ["a"], "photo": Image.new("RGB", (2, 2))})
        assert {record: 1}[record] == 1

    def test_can_be_pickled_and_copied(self) -> None:
        record = parse(Everything, BARE | {"tags": ["a"], "photo": b"bytes", "colour": "red"})
        assert pickle.loads(pickle.dumps(record)) == record
        assert copy.copy(record) == record
        assert copy.deepcopy(record) == record

    def test_print_without_dumping_bytes(self) -> None:
        record = parse(
            Everything,
            BARE | {"photo": b"\xff" * 1234, "back": Image.new("RGB", (640, 480)), "word": "w" * 500},
        )
        printed = repr(record)
        assert "photo=<1,234 bytes>" in printed
        assert "back=<RGB picture 640×480>" in printed
        assert "www…'" in printed
        assert len(printed) < 500

    def test_of_the_same_class_pass_parse_unchanged(self) -> None:
        record = parse(Product, PRODUCT)
        assert parse(Product, record) is record

    def test_of_a_subclass_become_records_of_the_class(self) -> None:
        class Shoe(Product):
            size: Field[int]

        shoe = parse(Shoe, PRODUCT | {"size": "43"})
        assert type(parse(Product, shoe)) is Product
        assert shoe.size == 43

    def test_leave_every_name_to_the_user(self) -> None:
        class Awkward(Schema):
            schema: Id
            fields: Field[int]
            json: Field[str]
            parse: Field[str]
            copy: Field[str]
            self: Field[str]
            name: Text

        row = {"schema": "s", "fields": 1, "json": "j", "parse": "p", "copy": "c", "self": "me", "name": "n"}
        assert to_row(parse(Awkward, row)) == row


class TestDefinition:
    def test_lists_the_fields_as_declared(self) -> None:
        definition = definition_of(Everything)
        assert list(definition.all) == list(Everything.__annotations__)
        assert definition.name == "Everything"
        assert definition.id is Everything.key
        assert list(definition.blobs) == ["photo", "back"]
        assert list(definition.texts) == ["title", "note"]
        assert next(iter(definition.fields)) == "word"

    def test_of_what_is_no_schema_is_refused(self) -> None:
        with pytest.raises(SchemaError, match="is no schema"):
            definition_of(Schema)
        with pytest.raises(SchemaError, match="is no schema"):
            definition_of(int)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "given", "held"),
    [
        ("price", "59.90", 59.9),
        ("price", 3, 3.0),
        ("count", " 7 ", 7),
        ("count", 7.0, 7),
        ("sold", "yes", True),
        ("sold", 0, False),
        ("when", "2026-01-31T12:00:00+02:00", dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC)),
        ("when", dt.datetime(2026, 1, 31, 10), dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC)),
        ("when", "2026-01-31", dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        ("day", "2026-01-31", dt.date(2026, 1, 31)),
        ("serial", str(UUID(int=5)), UUID(int=5)),
        ("colour", "red", Colour.RED),
        ("colour", "BLUE", Colour.BLUE),
        ("season", "winter", "winter"),
        ("level", "3", 3),
        ("tags", '["a", "b"]', ["a", "b"]),
        ("tags", ("a",), ["a"]),
        ("tags", "", []),
        ("sizes", [42, "43"], (42, 43)),
        ("word", "", ""),
        ("word", "a\x00b 👟", "a\x00b 👟"),
        ("note", "  ", None),
        ("back", "", None),
        ("count", "", None),
        ("price", None, None),
        ("photo", Path("a/b.jpg"), Path("a/b.jpg")),
        ("photo", bytearray(b"ab"), b"ab"),
        ("photo", memoryview(b"ab"), b"ab"),
    ],
)
def test_values_are_read_as_their_field_wants_them(name: str, given: object, held: object) -> None:
    found = value(name, given)
    assert found == held
    assert type(found) is type(held)


def test_datetimes_are_kept_in_utc() -> None:
    found = value("when", "2026-01-31T12:00:00+02:00")
    assert isinstance(found, dt.datetime)
    assert found.tzinfo is dt.UTC


def test_a_picture_is_kept_as_it_is() -> None:
    picture = Image.new("L", (3, 2))
    assert value("photo", picture) is picture


_OPTIONAL_TEXT = "or declare title: Text[str | None]"


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("price", "abc", "price must be a number, got 'abc'. Write it like 59.90."),
        ("price", float("nan"), "price must be a finite number, got nan. Leave it out if there is none."),
        ("price", "inf", "price must be a finite number, got 'inf'. Leave it out if there is none."),
        ("price", b"\xff" * 999, "price must be a number, got <999 bytes>. Write it like 59.90."),
        ("count", 3.5, "count must be a whole number, got 3.5. Write it like 59."),
        (
            "count",
            2**63,
            f"count must fit into 64 bits, got {2**63}. Store numbers this large as Field[str].",
        ),
        ("sold", "maybe", "sold must be true or false, got 'maybe'. Write it like true."),
        ("when", "soon", "when must be a date and time, got 'soon'. Write it like 2026-01-31T12:00:00Z."),
        ("day", "soon", "day must be a date, got 'soon'. Write it like 2026-01-31."),
        (
            "colour",
            "pink",
            "colour must be one of 'red', 'blue', got 'pink'. Correct the row, or add the value to the type.",
        ),
        (
            "season",
            "fall",
            "season must be one of 'summer', 'winter', got 'fall'. Correct the row, or add the value to the type.",
        ),
        ("tags", "a", "tags must be a list in which each is text, got 'a'. Write it like ['Acme']."),
        ("tags", ["a", 3], "tags has 3 as item 1, but each must be text. Write it like 'Acme'."),
        ("word", 3, "word must be text, got 3. Write it like 'Acme'."),
        ("word", b"abc", "word must be text, got <3 bytes>. Write it like 'Acme'."),
        ("title", " \n", f"title is missing (blank). Give it a value, {_OPTIONAL_TEXT}."),
        ("title", None, f"title is missing. Give it a value, {_OPTIONAL_TEXT}."),
        (
            "photo",
            "",
            "photo is missing (blank). Give it a value, or declare photo: Blob[BlobSource | None].",
        ),
        (
            "photo",
            b"",
            "photo must be a path, a URL, bytes or a PIL picture, got <0 bytes>. Write it like 'photos/shoe.jpg'.",
        ),
        (
            "photo",
            5,
            "photo must be a path, a URL, bytes or a PIL picture, got 5. Write it like 'photos/shoe.jpg'.",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(name: str, given: object, told: str) -> None:
    assert refused(BARE | {name: given}) == f"Everything k: {told}"


@pytest.mark.parametrize("name", ["title", "note", "word", "photo", "back", "tags"])
def test_lone_surrogates_are_refused(name: str) -> None:
    given = ["\ud800"] if name == "tags" else "\ud800"
    assert "UTF-8 cannot encode" in refused(BARE | {name: given})


class TestErrors:
    def test_carry_row_id_and_field(self) -> None:
        with pytest.raises(RecordError) as caught:
            parse(Product, PRODUCT | {"price": "abc"}, 7)
        assert (caught.value.row, caught.value.id, caught.value.field) == (7, "a1", "price")

    def test_name_the_row_while_the_id_is_unknown(self) -> None:
        told = "Product in row 7: sku is missing. Every record needs an id; give it one."
        assert refused({}, Product, 7) == told

    def test_see_a_misspelt_column(self) -> None:
        row = {"Price" if name == "price" else name: given for name, given in PRODUCT.items()}
        told = "Product a1: price is missing, but the row has 'Price'. Rename that column to 'price'."
        assert refused(row, Product) == told

    def test_are_about_the_first_field_that_does_not_fit(self) -> None:
        assert "brand" in refused(PRODUCT | {"price": "abc", "brand": 3}, Product)

    def test_stay_short(self) -> None:
        told = refused(PRODUCT | {"sku": "k" * 9999, "price": "9" * 9999 + "x"}, Product)
        assert len(told) < 250

    def test_never_show_bytes_not_even_in_their_cause(self) -> None:
        with pytest.raises(RecordError) as caught:
            parse(Product, PRODUCT | {"title": b"secret" * 99})
        assert "secret" not in str(caught.value) + str(caught.value.__cause__)

    def test_survive_numbers_that_python_will_not_print(self) -> None:
        assert "bits" in refused(PRODUCT | {"brand": 10**5000}, Product)

    def test_say_that_a_row_is_no_mapping(self) -> None:
        told = "Product in row 3: the row is ['a1']. Give a mapping from column names to values."
        assert refused(["a1"], Product, 3) == told


class TestIds:
    @pytest.mark.parametrize("key", ["a1", "1", 1, 0, -5, "👟", "ß/.. x"])
    def test_plain_keep_what_came(self, key: object) -> None:
        found = parse(Product, PRODUCT | {"sku": key}).sku
        assert found == key
        assert type(found) is type(key)

    @pytest.mark.parametrize("key", [True, 1.0, "", None, b"a", 2**64, "\ud800", ["a"]])
    def test_plain_refuse_what_names_nothing(self, key: object) -> None:
        assert "sku" in refused(PRODUCT | {"sku": key}, Product)

    @pytest.mark.parametrize(
        ("kind", "given", "held"),
        [
            (str, 17, "17"),
            (str, "a", "a"),
            (int, "17", 17),
            (int, 17, 17),
            (UUID, str(UUID(int=3)), UUID(int=3)),
        ],
    )
    def test_pinned_convert(self, kind: type, given: object, held: object) -> None:
        class Pinned(Schema):
            key: Id[kind]  # type: ignore[valid-type]

        assert parse(Pinned, {"key": given}).key == held

    @pytest.mark.parametrize(
        ("kind", "given"), [(str, 1.5), (str, True), (str, ""), (int, "a"), (int, True), (UUID, 5)]
    )
    def test_pinned_refuse_the_rest(self, kind: type, given: object) -> None:
        class Pinned(Schema):
            key: Id[kind]  # type: ignore[valid-type]

        assert "key" in refused({"key": given}, Pinned)


class TestUnknownColumns:
    def test_are_ignored_by_default_and_can_be_listed(self) -> None:
        row = PRODUCT | {"prise": 3, "shelf": 4}
        assert parse(Product, row) == parse(Product, PRODUCT)
        assert unknown_columns(Product, row) == ["prise", "shelf"]

    def test_are_refused_where_the_schema_says_so(self) -> None:
        class Strict(Product, unknown="refuse"):
            pass

        told = "Strict a1: has the unknown column 'prise'. Did you mean 'price'? Strict refuses unknown columns; it has "
        assert refused(PRODUCT | {"prise": 3}, Strict).startswith(told)

    def test_are_refused_by_subclasses_too(self) -> None:
        class Strict(Product, unknown="refuse"):
            pass

        class Stricter(Strict):
            pass

        assert "unknown column" in refused(PRODUCT | {"shelf": 3}, Stricter)


class TestDefaults:
    def test_fill_what_a_row_leaves_out_or_blank(self) -> None:
        class Stocked(Product):
            stock: Field[int] = field(default=5)

        for gap in ({}, {"stock": None}, {"stock": ""}):
            assert parse(Stocked, PRODUCT | gap).stock == 5

    def test_are_not_shared(self) -> None:
        class Tagged(Product):
            tags: Field[list[str]] = field(default=["new"])

        one, other = parse(Tagged, PRODUCT), parse(Tagged, PRODUCT)
        one.tags.append("sale")
        assert other.tags == ["new"]

    def test_are_converted_like_a_rows_values(self) -> None:
        class Dated(Product):
            added: Field[dt.datetime] = field(default="2026-01-31")

        assert parse(Dated, PRODUCT).added == dt.datetime(2026, 1, 31, tzinfo=dt.UTC)

    def test_of_optional_fields_are_none_unless_given(self) -> None:
        class Loose(Schema):
            key: Id
            photo: Blob | None
            title: Text[str | None]
            size: Field[int] | None
            back: Blob[BlobSource | None] = None  # type: ignore[assignment]

        assert to_row(parse(Loose, {"key": 1})) == {
            "key": 1,
            "photo": None,
            "title": None,
            "size": None,
            "back": None,
        }


def test_rows_may_be_any_mapping() -> None:
    row: Mapping[str, object] = MappingProxyType(PRODUCT)
    assert parse(Product, row) == parse(Product, PRODUCT)


def test_declaring_and_parsing_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from connector.schema.fields import *\n"
        "from connector.schema.schema import *\n"
        "import connector.schema.conditions\n"
        "class P(Schema):\n"
        "    sku: Id\n"
        "    photo: Blob\n"
        "parse(P, {'sku': 1, 'photo': 'x'})\n"
        "print(sorted({'torch', 'PIL', 'numpy', 'qdrant_client', 'qdrant_edge'} & set(sys.modules)))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
