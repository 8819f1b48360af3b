"""A CSV as a page shows it: the first rows, short numbers, the paper's own numbers set apart."""

import csv
from dataclasses import dataclass
from pathlib import Path

from shared.gallery.bars import finite

MOST_ROWS = 60


@dataclass(frozen=True)
class Column:
    """Head of a column: `reported` if it holds the paper's own numbers, `numeric` if all its values are numbers."""

    name: str
    numeric: bool
    reported: bool


@dataclass(frozen=True)
class ShownTable:
    """Rows of short texts, each beside the text as it stands in the file."""

    columns: list[Column]
    rows: list[list[tuple[str, str]]]
    num_rows: int

    @property
    def compares(self) -> bool:
        """Whether it holds the paper's numbers beside ours."""
        return any(column.reported for column in self.columns)


def short(text: str) -> str:
    """A number to four significant digits; whole numbers in full, words as they are."""
    value = finite(text)
    if value is None or text.lstrip("-").isdigit():
        return text
    if 1e3 <= abs(value) < 1e12 and value == int(value):
        return str(int(value))
    return f"{value:.4g}"


def read_table(path: Path, most_rows: int = MOST_ROWS) -> ShownTable:
    """The first rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    columns = []
    for place, name in enumerate(head):
        values = [row[place] for row in rows if row[place] != ""]
        numeric = bool(values) and all(finite(value) is not None for value in values)
        columns.append(Column(name, numeric, "reported" in name))
    shown = [[(short(value), value) for value in row] for row in rows[:most_rows]]
    return ShownTable(columns, shown, len(rows))
