"""A data set that `datasets` saved is read without that library, its pictures undecoded, and never half."""

import base64
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector import Blob, Connector, Field, Id, ImageSpace, ModelHandler, Schema, Text
from connector.errors import RecordError, SourceUnavailable
from connector.rows import Rows
from connector.sources import open_source

# Written by datasets 5.2.0: `DatasetDict(train=3 examples, test=2).save_to_disk(…)`, pictures of 8 × 8 pixels, brand a ClassLabel.
SAVED = (
    "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4E//BX9dADodyh4K+5VcMhH2b1XWTl5jQEyjqq+xelgAyNkWbpRtOAk9HZGV2U9qaIH7"
    "BsrMD0AO+bOKpCQXLXpX4pRJvcN1D7A5hIuwalS687YYC9nGu2IHPASxOtiPgwPtyt/vy5DrI/cL22KqaDjOs7GaqC2jJlNXPN2l"
    "7A0vvOCv3xNSGLwh9qY7V+/h/hfSgT/Qhj6GmckPnU3bWCw7Wse4gMt0wBAtt4rCxF87r3/7jVW4pQTHsOznJXfbIMl8Pj/0kA6Y"
    "eqnYQoODkk/xRUAGocswSOphED+4qWj9DdUOiXBZffaJhGn5yxBHrQqtOkYWXF30uYZakxFpSfyZqS+oncxTuI6j6FH8um4xJd/j"
    "9OSjQeJ7hcb9TWcMxHq7s4V7FGrto2mqqeGxMpQtSAh83z7Y7ZJ4g7BGFwuZeh8nSFhwIyRcTlGMUha3kkofMUPPFH0AUV51Wd2h"
    "YhpLzy0SvRBjOXyKXdlLAp4ibmUDX4tGckh4vCOpyo5juBUbxjzhUEcV7zJiJItLNDNMrP3lH89v4kgILwRkxLFeSiEW5dOzmWWv"
    "qVbWxzrHVa4TO57D8I+7YIXBD/yTXuz+ebFhGEINCjd39cCntm1YVYbhD0r6Nh7Ai5QZhmBf7Om+h9r2ic1xHTMFuFbCwiv25rdc"
    "Q7Nvg+DBmc0q+npFPxZlur1L4tEcInV4oiUF+RyvF4w/oX+s0ouSOLMiKAaWXgbQhRj3Y76Pz7VmkxRUR6Zz3U8sigRw0Ce6aYNo"
    "7f0xCE+qNTrSH+C0o6uDvtLkz2GCPGGZCzktvMgv3mggSUwiiALNCQZvZoOV5fZykZs1JR4XnEKSLBTG7/0Xueap5rmPceqEdhHl"
    "idVWcd0bCVIR+feSHzp2wFOxi/RKKI9wUqPg5xoVIAMAyuL+Cil+4KoPVNjbRNadlsEYHe2jRgkiEdpaHjdynVIBadWBNFu541LR"
    "Flzx5jhiqivW08s0x2pNC3e5a8/sUkiPAu6/1aHEcr/h+J/cmefJvIJJjLBGOiXdqL0QToLHMr07c2+90VoD9axnblDP69Y/7Fap"
    "Gpw/k/uMO9mlYQhD333mQ4wGhZa+0MmoKXFusUO/+cWUXd27bFgrOHkJTwff85zFFWjyNz+ByOsdJgi7Pj+7IwwPULyXkZWut/Zl"
    "kvU3nm/T444x7E1fGvQM6mDLRys4r5FEM6Xikg9Rd1VBtQuK4rUhzApl7m4BUfXjRHxC/8ENWl9Dsj/L98LvQ2+ImZMpL6gqqRvt"
    "h09Wf/YjuxE+p2v09I4aQS2E9TCw05Sy9s17saT6NdXA4dsK57CHiZ43M04vKZzxTLJqFB/D56rIjUe1AJJMVL/nS4+MqQYQbCe0"
    "rpEgVmz+R+AzSWFiEwxrpFYPy+RhDk8XiKHQt/UQlgL9Q5i09heV2LPy/b853aSrjG/SnD0vOLlx7cGH0L2o47yp3naVpziUfdYy"
    "V6CaD1FCQbi+2J2/45NLMMYf4VSFOggeUQTus6BczRWeuwMdVwQ+sK8Na9mzMfyqII3ULKMtNAgf9hrnqzWV5kgPcSUkBKFr4vOd"
    "kZnhrseSsFJp4SJe9wWIM7Mf/LH7WwFPsh+v4UAr0QkjCV/omg8eOJHQfbnpqLIVSHiVUGZ4zpb2mF4NOjwmJOlUcQ1am6pbR5Jq"
    "2ALdPMst9JzQQgPF4MYjD4V9i60CFVJziwMhVBLgZ+GXP2tlqR5kLcuECNBqpxjAfF9wL9PGpK3+BYLLpPIfonYXdhXDrP13CYj5"
    "P8sYVJdptSe5b/y2/37lvxSkjW3vi9ct97sKN/PgFPmkSiUSJYgyEHPjJ572mdtjWhVy9hROeK5T9vkDklaRxKdgFSXOel4Msfpv"
    "awnZHBdmuPTD65fIAAAA3T8DH7vEkSsAAZsLgKABAFbZHu6xxGf7AgAAAAAEWVo="
)


class Item(Schema):
    sku: Id
    photo: Blob[bytes]
    title: Text
    price: Field[float]
    brand: Field[str | None]
    kinds: Field[list[str] | None]


ITEMS = ImageSpace(Item.photo + Item.title, model_handler=ModelHandler.STAND_IN)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(SAVED)), mode="r:xz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "two"


@pytest.fixture
def saved(unpacked: Path, tmp_path: Path) -> Path:
    """A data set with the splits train and test, as the library writes it."""
    return Path(shutil.copytree(unpacked, tmp_path / "saved"))


def opened(folder: Path, space: ImageSpace[Any] = ITEMS, **options: Any) -> Rows:
    rows = open_source(str(folder), space.entries[0], **options)
    assert rows is not None
    return rows


def test_examples_come_with_undecoded_pictures_and_named_classes(saved: Path) -> None:
    with opened(saved / "train") as rows:
        assert rows.base == saved / "train"
        first, *rest = (row for row in rows if isinstance(row, dict))
    assert len(rest) == 2
    picture = first.pop("photo")
    assert isinstance(picture, bytes)
    assert picture.startswith(b"\x89PNG")
    assert first == {
        "sku": "a0",
        "title": "mug 0",
        "price": 0.0,
        "brand": "Acme",
        "tags": ["t"],
        "kinds": ["x", "y"],
    }


def test_all_splits_are_read_in_their_order(saved: Path) -> None:
    with opened(saved) as rows:
        assert [row["sku"] for row in rows if isinstance(row, dict)] == ["a0", "a1", "a2", "a4", "a3"]
        assert rows.progress() == 1.0


def test_classes_stay_numbers_where_the_schema_wants_numbers(saved: Path) -> None:
    class Numbered(Schema):
        sku: Id
        photo: Blob[bytes]
        brand: Field[int]

    with opened(saved / "test", ImageSpace(Numbered.photo, model_handler=ModelHandler.STAND_IN)) as rows:
        assert [row["brand"] for row in rows if isinstance(row, dict)] == [0, 1]


def test_a_class_that_is_not_known_is_none(tmp_path: Path) -> None:
    features = {"brand": {"names": ["Acme"], "_type": "ClassLabel"}}
    write(
        tmp_path, [{"sku": "a", "brand": -1}, {"sku": "b", "brand": 0}, {"sku": "c", "brand": None}], features
    )
    with opened(tmp_path) as rows:
        assert [row["brand"] for row in rows if isinstance(row, dict)] == [None, "Acme", None]


def write(folder: Path, rows: list[dict[str, Any]], features: dict[str, Any]) -> Path:
    """One split as `save_to_disk` writes it, its file's path."""
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
    )
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    file = folder / "data-00000-of-00001.arrow"
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=100)
    return file


def test_examples_are_read_as_they_are_needed_and_tell_how_far_it_is(tmp_path: Path) -> None:
    write(tmp_path, [{"sku": f"{number}"} for number in range(1000)], {})
    with opened(tmp_path) as rows:
        iterator = iter(rows)
        assert next(iterator) == {"sku": "0"}
        assert rows.progress() == 0.0
        assert sum(1 for _ in iterator) == 999
        assert rows.progress() == 1.0


def test_a_picture_that_is_only_named_is_its_path(tmp_path: Path) -> None:
    write(tmp_path, [{"sku": "a", "photo": {"bytes": None, "path": "p.png"}}], {})
    with opened(tmp_path) as rows:
        assert list(rows) == [{"sku": "a", "photo": "p.png"}]


def test_a_file_that_was_cut_short_is_no_shorter_data_set(tmp_path: Path) -> None:
    """A stream of Arrow may end after any batch; a sync would delete what comes after it."""
    file = write(tmp_path, [{"sku": f"{number}"} for number in range(1000)], {})
    for size in (file.stat().st_size - 8, file.stat().st_size // 2, 4, 0):
        with file.open("r+b") as stream:
            stream.truncate(size)
        with pytest.raises(SourceUnavailable, match="cut short"):
            opened(tmp_path)


def test_a_file_that_is_missing_or_damaged_is_unavailable(saved: Path) -> None:
    file = saved / "train" / "data-00000-of-00001.arrow"
    whole = file.read_bytes()
    file.write_bytes(b"\x00" * 100 + whole[100:])
    with pytest.raises(SourceUnavailable, match=r"train.*could not be read"):
        list(opened(saved))
    file.unlink()
    with pytest.raises(SourceUnavailable, match="No such file"):
        opened(saved)
    (saved / "test" / "state.json").write_text("[")
    with pytest.raises(SourceUnavailable, match=r"state\.json"):
        opened(saved / "test")


@pytest.mark.parametrize("name", ["../other.arrow", "/etc/passwd", "..", "", "a\x00b", None])
def test_a_data_set_names_only_files_of_its_own_folder(name: str | None, saved: Path) -> None:
    (saved / "train" / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(SourceUnavailable, match="not in its folder"):
        opened(saved / "train")


def test_rows_that_a_separate_file_selects_are_not_read_without_it(saved: Path) -> None:
    state = json.loads((saved / "train" / "state.json").read_text()) | {
        "_indices_data_files": [{"filename": "i.arrow"}]
    }
    (saved / "train" / "state.json").write_text(json.dumps(state))
    with pytest.raises(SourceUnavailable, match="save it again"):
        opened(saved / "train")


def test_a_data_set_is_ingested(saved: Path) -> None:
    with Connector(ITEMS) as connector, opened(saved) as rows:
        report = connector.ingest([row for row in rows if not isinstance(row, RecordError)])
    assert (report.new, report.rejected) == (5, 0)
