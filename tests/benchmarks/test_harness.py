"""The benchmarks' own frame: every part is there, and what it measured is printed, written and drawn. Nothing is timed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.__main__ import main, write
from tests.benchmarks.machine import heading, machine
from tests.benchmarks.measure import Effort, Row, Side, absent, compared, in_turn, likeness, row
from tests.benchmarks.parts import DEFAULT, PARTS, part
from tests.benchmarks.report import alike, line, print_table, reached

ROWS: list[Row] = [
    {
        "part": "ingest",
        **row(
            "ingest of 640×480 files", "40/s", "10/s, a loop", 4.0, bar=3, alike=None, note="ran in float32"
        ),
    },
    {"part": "search", **row("search [by words]", "12 ms", "10 ms, bare", 1.2, bar=1.15, at_most=True)},
    {"part": "limit", **row("share of a limit", "5 GFLOP/s", "10 GFLOP/s", 0.5, share=True)},
    {"part": "limit", **absent("int8", "this version has none")},
]


def test_every_part_is_there() -> None:
    assert {"ingest", "limit", "changes", "store", "search", "startup", "memory"} <= set(DEFAULT) < set(PARTS)
    assert all(callable(part(name)) for name in PARTS)


def test_a_part_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "ingest", "nonsense"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "there is no part nonsense; there are ingest, open_clip, " in capsys.readouterr().err


def test_the_table_shows_all_rows_and_whether_they_reach_their_bars() -> None:
    out = io.StringIO()
    print_table(machine(), ROWS, out)
    text = re.sub(r"\s+", " ", out.getvalue())
    assert "ingest of 640×480 files (ran in float32) 40/s 10/s, a loop 4 ✓ ≥ 3 " in text
    assert "search [by words] 12 ms 10 ms, bare 1.2 ✗ ≤ 1.15" in text
    assert "int8 (this version has none) not available " in text
    assert heading(machine())[0] in text


def test_the_json_holds_the_machine_and_the_rows(tmp_path: Path) -> None:
    write(tmp_path / "results", machine(), ROWS)
    written = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert written["rows"] == ROWS
    assert written["machine"]["cores"] >= 1
    assert {"torch", "qdrant-edge"} <= set(written["machine"]["versions"])


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=["all", "one", "none"])
def test_the_plot_is_a_picture_with_a_bar_for_each_ratio(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path, machine(), rows)
    with Image.open(tmp_path / "results.png") as picture:
        colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
        reaches, short = (0x2A, 0x9D, 0x6F), (0xE0, 0x7A, 0x3F)
        assert picture.width == 1600
        assert {reaches, short} <= colours  # the legend's, at least


def test_a_row_reaches_its_bar_or_not() -> None:
    assert [reached(each) for each in ROWS] == [True, False, None, None]
    close = likeness(np.eye(8), np.eye(8) + 0.01)
    assert alike(row("vectors", "1", alike=close, cosine_bar=0.99)) is True
    assert alike(row("vectors", "1", alike=close, cosine_bar=0.99999)) is False
    assert alike(row("vectors", "1", alike=close)) is None


def test_a_line_says_what_the_row_knows() -> None:
    assert (
        line(ROWS[0])
        == "  ingest of 640×480 files: 40/s; against 10/s, a loop; ratio 4.0; note ran in float32"
    )


def test_sides_run_in_turn_and_are_compared_round_by_round() -> None:
    order: list[str] = []

    def side(name: str) -> Side[str]:
        def run() -> str:
            order.append(name)
            return name

        return Side(run)

    ours, theirs = side("ours"), side("theirs")
    in_turn({"theirs": theirs, "ours": ours}, 2)
    assert order == ["theirs", "ours"] * 2
    assert ours.result == "ours"
    ours.seconds, theirs.seconds = [1.0, 1.0, 2.0], [3.0, 8.0, 8.0]
    ours.cpu, theirs.cpu = [1.0, 1.0, 1.0], [2.0, 2.0, 2.0]
    made = compared("pictures", ours, theirs, 10, "the loop")
    assert (made["ours"], made["rival"], made["ratio"]) == ("10.0/s", "1.2/s, the loop", 4.0)


@pytest.mark.parametrize(
    ("change", "cosine", "neighbours"),
    [
        (lambda vectors: 3 * vectors, 1.0, 1.0),
        (lambda vectors: vectors[[1, 0, 2, 3]], -0.995, 0.0),
    ],
    ids=["longer", "exchanged"],
)
def test_likeness_is_the_lowest_cosine_and_the_neighbours_in_common(
    change: Callable[[np.ndarray], np.ndarray], cosine: float, neighbours: float
) -> None:
    vectors = np.array([[1.0, 0.1], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.1]])
    found = likeness(vectors, change(vectors), nearest=1)
    assert found.cosine == pytest.approx(cosine, abs=0.001)
    assert found.neighbours == neighbours


def test_a_quick_run_does_less() -> None:
    assert (Effort().of(5, 2), Effort(quick=True).of(5, 2)) == (5, 2)
