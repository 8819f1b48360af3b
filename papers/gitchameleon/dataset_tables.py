"""Tables of the data set: one function per artifact, each (records, settings) -> tidy frame.

They read the record `problems` (scoring.problem_rows) of whatever suites were loaded, and put the published counts of
the benchmark beside them with `source` = reported.
"""

import numpy as np
import pandas as pd

from papers.gitchameleon.published import reported
from shared.artifacts.config import Settings
from shared.artifacts.records import Records

BENCHMARK = "benchmark"
LAST_DRAWN_YEAR = 2023  # Figure 4a ends here; three problems of 2024 are not drawn
STATS_ORDER = ["Argument", "Function Name", "New Feature", "Semantics", "Other"]


def _reported_counts(table: str, column: str, key: str, value: str = "num_problems") -> pd.DataFrame:
    frame = reported().table(table)
    frame = frame[frame.column == column]
    return pd.DataFrame({"suite": BENCHMARK, key: frame.row, value: frame.value.astype(int), "source": "reported"})


def _counts(records: Records, key: str, name: str | None = None) -> pd.DataFrame:
    """Problems by the values of a column."""
    frame = records("problems").groupby(["suite", key]).size().rename("num_problems").reset_index()
    return frame.rename(columns={key: name or key}).assign(source="measured")


def fig4a_years(records: Records, settings: Settings) -> pd.DataFrame:
    """Problems per year of the pinned release; `drawn` is False for what the published figure leaves out."""
    published = _reported_counts("dataset_year", "num_problems", "year")
    published["year"] = published.year.astype(int)
    table = pd.concat([_counts(records, "year"), published], ignore_index=True)
    table["drawn"] = table.year <= LAST_DRAWN_YEAR
    return table.sort_values(["suite", "source", "year"], ignore_index=True)


def fig4b_changes(records: Records, settings: Settings) -> pd.DataFrame:
    """Problems per category of change, in the grouping of Figure 4b."""
    table = pd.concat(
        [_counts(records, "stats_category", "category"), _reported_counts("dataset_change", "fig4b", "category")]
    )
    order = table.category.map(STATS_ORDER.index)
    table = table.assign(order=order).sort_values(["suite", "source", "order"], ignore_index=True)
    return table.drop(columns="order")


def _libraries(records: Records, measured: pd.Series, column: str) -> pd.DataFrame:
    own = measured.rename(column).reset_index().assign(source="measured")
    table = pd.concat([own, _reported_counts("dataset_library", column, "library", column)])
    return table.sort_values(["suite", "source", column, "library"], ascending=[True, True, False, True])


def fig9a_versions(records: Records, settings: Settings) -> pd.DataFrame:
    """Distinct pinned versions per library; pins that mean one release are one version."""
    groups = records("problems").groupby(["suite", "library"])
    return _libraries(records, groups.version_pin.nunique(), "num_versions").reset_index(drop=True)


def fig9b_libraries(records: Records, settings: Settings) -> pd.DataFrame:
    """Problems per library."""
    groups = records("problems").groupby(["suite", "library"])
    return _libraries(records, groups.size(), "num_problems").reset_index(drop=True)


def fig14_logic_nodes(records: Records, settings: Settings) -> pd.DataFrame:
    """References by number of logic nodes."""
    table = _counts(records, "logic_nodes")
    return table.sort_values(["suite", "logic_nodes"], ignore_index=True)


def _statistics(frame: pd.DataFrame) -> dict[str, int]:
    docs = [url for text in frame.docs for url in text.split("\n") if url]
    return {
        "num_problems": len(frame),
        "num_libraries": frame.library.nunique(),
        "num_library_versions": len(frame[["library", "version_pin"]].drop_duplicates()),
        "num_docs": len(docs),
        "num_distinct_docs": len(set(docs)),
        "num_functional": int(frame.functional.sum()),
        "num_webdev": int(frame.webdev.sum()),
        "num_without_api_calls": int((frame.num_api_calls == 0).sum()),
    }


def tab_dataset(records: Records, settings: Settings) -> pd.DataFrame:
    """Counts per suite beside the published ones: totals, Pythons, both groupings of changes."""
    rows = []
    for suite, frame in records("problems").groupby("suite"):
        counts = {("total", name): value for name, value in _statistics(frame).items()}
        counts |= {("python", name): n for name, n in frame.python_version.value_counts().items()}
        counts |= {("change, Figure 4b", name): n for name, n in frame.stats_category.value_counts().items()}
        counts |= {("change, Figure 7", name): n for name, n in frame.perf_category.value_counts().items()}
        for (group, name), value in counts.items():
            rows.append({"suite": suite, "group": group, "name": name, "value": value, "source": "measured"})
    rows += _published_statistics()
    return pd.DataFrame(rows).sort_values(["suite", "group", "name", "source"], ignore_index=True)


def _published_statistics() -> list[dict]:
    sources = [
        ("total", "dataset", "value"),
        ("python", "dataset_python", "num_problems"),
        ("change, Figure 4b", "dataset_change", "fig4b"),
        ("change, Figure 7", "dataset_change", "fig7"),
    ]
    rows = []
    for group, table, column in sources:
        frame = reported().table(table)
        for row in frame[frame.column == column].itertuples():
            values = {"suite": BENCHMARK, "group": group, "name": row.row, "value": int(row.value)}
            rows.append(values | {"source": "reported"})
    return rows


def tab_api_ceilings(records: Records, settings: Settings) -> pd.DataFrame:
    """What the references themselves score on API hit, and what any text that parses scores."""
    rows = []
    for suite, frame in records("problems").groupby("suite"):
        asked = frame[frame.num_api_calls > 0]
        cases = [
            ("references", int(frame.reference_hits.sum()), len(frame)),
            ("references, problems that list calls", int(asked.reference_hits.sum()), len(asked)),
            ("any text that parses", len(frame) - len(asked), len(frame)),
        ]
        for case, hits, n in cases:
            percent = 100.0 * hits / n if n else np.nan
            rows.append({"suite": suite, "answers": case, "hits": hits, "n": n, "percent": percent})
    return pd.DataFrame(rows).assign(source="measured")
