"""A source's name says what it is; what is none of these is left to others; what reads it is asked for when it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from connector.errors import MissingExtra
from connector.sources import open_source
from tests.conftest import SPACE

ENTRY = SPACE.entries[0]


@pytest.mark.parametrize(
    "source", ["feed.jsonl", "pictures", "-", "https://example.com/feed.csv", "feed.tar.txt", ""]
)
def test_what_is_none_of_these_is_left_to_others(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    assert open_source(source, ENTRY) is None


@pytest.mark.parametrize(
    ("library", "source", "query", "extra"),
    [
        ("sqlalchemy", "sqlite:///shop.db", "SELECT 1", "sql"),
        ("fsspec", "s3://shop/pictures/", None, "s3"),
        ("fsspec", "gs://shop/pictures/", None, "gcs"),
        ("fsspec", "abfs://shop/pictures/", None, "azure"),
        ("fsspec", "hf://shop/pictures/", None, "stores"),
        ("fsspec", "s3://shop/shard.tar", None, "s3"),
    ],
)
def test_a_library_that_is_not_installed_is_asked_for_with_the_line_that_installs_it(
    library: str, source: str, query: str | None, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra) as raised:
        open_source(source, ENTRY, query=query)
    assert raised.value.extra == extra
    assert f"pip install 'qdrant-image-connector[{extra}]'" in str(raised.value)


def test_looking_at_a_name_loads_no_library() -> None:
    code = (
        "import sys\n"
        "from connector.sources import open_source\n"
        "from tests.conftest import SPACE\n"
        "before = set(sys.modules)\n"
        "assert open_source('feed.jsonl', SPACE.entries[0]) is None\n"
        "print(*set(sys.modules) - before)"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert not {"sqlalchemy", "fsspec", "pyarrow", "PIL", "httpcore", "torch"} & set(done.stdout.split())
