"""Numbers that a paper reports, kept as data beside the numbers rebuilt here.

`papers/<slug>/reported.csv` has one number per row: table, row, column, value, source, status. `status` is
`verified` (read in the paper), `secondary` (read in a source about the paper), `unverified` (remembered or
inferred) or `not available` (the value is empty: never filled by guess).
"""

from pathlib import Path

import pandas as pd

from shared.artifacts.paths import PaperPaths
from shared.artifacts.tables import read_csv

COLUMNS = ["table", "row", "column", "value", "source", "status"]
STATUSES = ("verified", "secondary", "unverified", "not available")


class Reported:
    """Look-up of a paper's own numbers.

    Raises:
        ValueError: reported.csv has other columns, an unknown status, a value that is no number, a number twice, or a
            number that is both given and not available.
    """

    def __init__(self, slug: str, root: Path | None = None) -> None:
        path = PaperPaths(slug, "cpu", root).folder / "reported.csv"
        frame = read_csv(path, text=["table", "row", "column"])
        if list(frame.columns) != COLUMNS:
            raise ValueError(f"{path}: columns are {list(frame.columns)}; expected {COLUMNS}")
        wrong = frame[~frame.status.isin(STATUSES)]
        if len(wrong):
            raise ValueError(f"{path}: status '{wrong.status.iloc[0]}' is not one of {', '.join(STATUSES)}")
        twice = frame[frame.duplicated(["table", "row", "column"])]
        if len(twice):
            raise ValueError(f"{path}: given twice: {', '.join(twice.iloc[0][['table', 'row', 'column']])}")
        words = frame[frame.value.notna() & pd.to_numeric(frame.value, errors="coerce").isna()]
        if len(words):
            raise ValueError(f"{path}: the value '{words.value.iloc[0]}' of {words.table.iloc[0]} is not a number")
        contradictory = frame[(frame.status == "not available") != frame.value.isna()]
        if len(contradictory):
            raise ValueError(
                f"{path}: a value is empty exactly if it is 'not available'; see {contradictory.iloc[0].table}"
            )
        self.frame = frame
        self._values = frame.set_index(["table", "row", "column"]).value.to_dict()

    def __call__(self, table: str, row: object, column: object) -> float:
        """The reported value, or nan where the paper reports none."""
        return float(self._values.get((table, str(row), str(column)), float("nan")))

    def table(self, table: str) -> pd.DataFrame:
        """All reported numbers of one table."""
        return self.frame[self.frame.table == table].reset_index(drop=True)
