"""Numbers that a paper reports, kept as data beside the numbers rebuilt here.

`papers/<slug>/reported.csv` has one number per row: table, row, column, value, source, status. `status` is
`verified` (read in the paper), `secondary` (read in a source about the paper), `unverified` (remembered or
inferred) or `not available` (the value is empty: never filled by guess).
"""

from pathlib import Path

import pandas as pd

from shared.artifacts.csv_files import read_csv
from shared.artifacts.paths import PaperPaths
from shared.base.errors import nearest

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

    def beside(
        self,
        frame: pd.DataFrame,
        table: str,
        *,
        rows: str,
        columns: dict[str, str] | None = None,
        across: str | None = None,
        value: str = "reported",
        where: dict[str, object] | None = None,
    ) -> pd.DataFrame:
        """`frame` with the paper's numbers beside ours; a reported number without ours gets a row with ours empty.

        Args:
            frame: ours, tidy.
            table: name in reported.csv.
            rows: column of `frame` whose values are the rows of the reported table.
            columns: column of the reported table -> new column of the result; or
            across: column of `frame` whose values are the columns of the reported table; its numbers go into `value`.
            where: column -> value that rows of `frame` must have to be meant, e.g. {"study": "main"}.
        Raises:
            ValueError: reported.csv has no such table.
        """
        found = self.table(table)
        found = found[found["value"].notna()]  # what is not available is no number to show
        if not len(self.table(table)):
            raise ValueError(f"reported.csv has no table '{table}'{nearest(table, self.frame.table)}")
        where, keys = where or {}, [rows] if across is None else [rows, across]
        if across is None:
            found = found[found["column"].isin(columns)]
            wide = found.pivot(index="row", columns="column", values="value").rename(columns=columns)
            wide = wide.rename_axis(None, axis=1).reindex(columns=list(columns.values())).reset_index()
            theirs = wide.rename(columns={"row": rows})
        else:
            theirs = found[["row", "column", "value"]].set_axis([rows, across, value], axis=1)
        theirs = theirs.assign(**where)
        labels = [f"{key}, as reported" for key in keys]
        ours, theirs = frame.copy(), theirs.copy()
        for key, label in zip(keys, labels, strict=True):
            ours[label] = ours[key].map(_label)
            theirs[label] = theirs[key].map(_label)
            if pd.api.types.is_numeric_dtype(frame[key]):
                theirs[key] = pd.to_numeric(theirs[key], errors="coerce").astype(float)
        merged = ours.merge(theirs, on=[*labels, *where], how="outer", suffixes=("", " theirs"), sort=False)
        for key in keys:
            merged[key] = merged[key].where(merged[key].notna(), merged.pop(f"{key} theirs"))
        position = ours[[*labels, *where]].assign(position=range(len(ours))).drop_duplicates([*labels, *where])
        merged = merged.merge(position, on=[*labels, *where], how="left")
        merged = merged.sort_values("position", kind="stable", na_position="last")
        return merged.drop(columns=[*labels, "position"]).reset_index(drop=True)


def _label(value: object) -> str:
    """How reported.csv writes a key: numbers in their shortest form."""
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)
