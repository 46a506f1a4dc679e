"""What is left of a run: a table to read, and the same as JSON with the machine it was measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.machine import heading
from tests.benchmarks.measure import Row, Rows

WIDTH = 160
_COLUMNS = ("what", "here", "against", "ratio", "bar", "cosine", "neighbours")
_MARKS = {True: " ✓", False: " ✗", None: "  "}


def reached(row: Row) -> bool | None:
    """Whether the ratio reaches its bar; None where there is none."""
    ratio, bar = number(row, "ratio"), number(row, "bar")
    if ratio is None or bar is None:
        return None
    return ratio <= bar if row.get("at_most") else ratio >= bar


def alike(row: Row) -> bool | None:
    """Whether the lowest cosine reaches its bar; None where there is none."""
    cosine, bar = number(row, "cosine"), number(row, "cosine_bar")
    return None if cosine is None or bar is None else cosine >= bar


def number(row: Row, key: str) -> float | None:
    """A row's value where it is a number."""
    value = row.get(key)
    return float(value) if isinstance(value, (int, float)) else None


def line(row: Row) -> str:
    """One row as it comes, on a line of its own."""
    parts = [str(row["ours"])]
    if row.get("rival"):
        parts.append(f"against {row['rival']}")
    parts += [f"{key} {row[key]}" for key in ("ratio", "cosine", "neighbours", "note") if key in row]
    return f"  {row['what']}: {'; '.join(parts)}"


def print_table(about: dict[str, object], rows: Rows, to: IO[str] | None = None) -> None:
    """The whole table, its machine above it, ratios coloured by whether they reach their bars."""
    console = Console(file=to, highlight=False)
    console = Console(file=to, highlight=False, width=max(WIDTH, console.width))
    table = Table(*_COLUMNS, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.columns[0].width, table.columns[2].max_width = 44, 36
    for at in range(3, len(_COLUMNS)):
        table.columns[at].justify = "right"
        table.columns[at].no_wrap = True
    part = None
    for row in rows:
        if part is not None and row.get("part") != part:
            table.add_section()
        part = row.get("part")
        table.add_row(*_cells(row))
    console.print()
    for text in heading(about):
        console.print(text, style="dim", markup=False)
    console.print(table)


def _cells(row: Row) -> list[str]:
    bar, at_most = number(row, "bar"), row.get("at_most")
    what = f"{row['what']} ({row['note']})" if row.get("note") else str(row["what"])
    return [
        what.replace("[", r"\["),
        str(row["ours"]),
        str(row.get("rival", "")),
        "" if number(row, "ratio") is None else f"{number(row, 'ratio'):.4g}{_MARKS[reached(row)]}",
        "" if bar is None else f"{'≤' if at_most else '≥'} {bar:g}",
        "" if number(row, "cosine") is None else f"{number(row, 'cosine'):.6f}{_MARKS[alike(row)]}",
        "" if number(row, "neighbours") is None else f"{number(row, 'neighbours'):.3f}",
    ]


def write_json(path: Path, about: dict[str, object], rows: Rows) -> None:
    """Everything that is known of each row."""
    text = json.dumps({"machine": about, "rows": rows}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
