"""Verdicts of references, stubs and pairs of the benchmark that were executed elsewhere, in the place of a harness.

`recorded_runs.csv` names a program by its hash (`harness.code_id`): example_id, code_id, hidden, visible,
visible_exception. README.md says where and when it was made.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.harness.harness import MODES, base_row, code_id, columns
from papers.gitchameleon.harness.verdicts import ENV_MISSING, Verdict

FILE = Path(__file__).parents[1] / "recorded_runs.csv"
NOT_RECORDED = "not recorded"


class RecordedVerdicts:
    """Answers like a harness about programs that are in the file; others are unavailable, for want of a record."""

    def __init__(self, file: Path = FILE) -> None:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        self._found = {(int(row.example_id), row.code_id): row._asdict() for row in table.itertuples(index=False)}

    def __len__(self) -> int:
        return len(self._found)

    def evaluate(self, problems: Iterable[Problem], solutions: Iterable[Solution]) -> Iterator[dict]:
        """A row per problem and answer; tests without a recorded verdict have none."""
        by_id = {p.example_id: p for p in problems}
        for solution in solutions:
            row = self._found.get((solution.example_id, code_id(solution.code)))
            result = base_row(by_id[solution.example_id])
            for mode in MODES:
                result |= columns(mode, _verdict(row, mode))
            yield result


def _verdict(row: dict | None, mode: str) -> Verdict | None:
    if row is None or not row[mode]:
        return Verdict(ENV_MISSING, exception=NOT_RECORDED) if mode == "visible" else None
    return Verdict(row[mode], exception=row.get(f"{mode}_exception") or None)
