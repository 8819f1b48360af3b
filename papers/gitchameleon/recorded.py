"""Step: verdicts of real answers that were recorded elsewhere: a row per system, problem and kind of tests.

    python -m papers.gitchameleon.recorded --scale cpu --shard verdicts

`recorded.csv` was computed with this harness on other machines, where environments and hidden tests were at hand (see
README.md): facts about the published answers, of which none is here. Problems without a verdict have no row.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from papers.gitchameleon.settings import Recorded
from shared.artifacts.step import step

FILE = Path(__file__).parent / "recorded.csv"
FACTS = ["model", "protocol", "example_id", "library", "year", "perf_category"]


def rows_of(table: pd.DataFrame, tests: list[str]) -> Iterator[dict]:
    """Rows in long form, where there is a verdict."""
    for kind in tests:
        part = table[table[kind] != ""]
        exceptions = part.visible_exception if kind == "visible" else [""] * len(part)
        for row, exception in zip(part.to_dict("records"), exceptions, strict=True):
            facts = {name: row[name] for name in FACTS}
            yield {"tests": kind} | facts | {"verdict": row[kind], "exception": exception}


@step(reads=("recorded.csv",))
def recorded(settings: Recorded) -> list[dict]:
    """Read the recorded verdicts."""
    texts = dict.fromkeys(["hidden", "visible", "visible_exception"], str)
    return list(rows_of(pd.read_csv(FILE, dtype=texts, keep_default_na=False), settings.tests))


if __name__ == "__main__":
    recorded.main()
