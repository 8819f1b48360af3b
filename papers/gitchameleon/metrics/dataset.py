"""What the data set holds: the counts on which a claim or a caption of the paper rests, and its sizes by group.

`described` are rows of the step `describe`, one per problem.
"""

import pandas as pd

from papers.gitchameleon.metrics.rates import BENCHMARK

KINDS = ("Argument", "Function Name", "New Feature", "Semantics")  # of change, with a fifth for what is left over


def dataset_name(described: pd.DataFrame) -> str:
    """benchmark, or own suites where the scale is without it."""
    return BENCHMARK if set(described.dataset) == {BENCHMARK} else "own suites"


def counts(described: pd.DataFrame) -> pd.DataFrame:
    """dataset, quantity, count: of problems, libraries, environments, years, categories, API hits and logic nodes."""
    found = {
        "problems": len(described),
        "libraries": described.library.nunique(),
        "library versions": len(described[["library", "version"]].drop_duplicates()),
        "environments": len(described[["python_version", "env"]].drop_duplicates()),
        "environments by the authors' key": described.upstream_env.nunique(),
        "functional": described.functional.sum(),
        "web development": described.webdev.sum(),
        "documents": described.num_docs.sum(),
        "released 2014 to 2023": described.year.between(2014, 2023).sum(),
        "released later": (described.year > 2023).sum(),
        "references that parse": described.parses.sum(),
        "references that hit their API calls": described.reference_hits.sum(),
        "stubs that hit their API calls": described.stub_hits.sum(),
        "without API calls": (described.num_api_calls == 0).sum(),
        "references with fewer than 5 logic nodes": (described.logic_nodes < 5).sum(),
    }
    found |= {f"category {kind} (Figure 4b)": (described.stats_category == kind).sum() for kind in [*KINDS, "Other"]}
    found |= {f"category {kind} (Figure 7)": (described.perf_category == kind).sum() for kind in [*KINDS, "none"]}
    table = pd.DataFrame(found.items(), columns=["quantity", "count"])
    return table.assign(dataset=dataset_name(described))


def by_panel(described: pd.DataFrame) -> pd.DataFrame:
    """dataset, panel (year or category), group, count: problems per release year and per category of change."""
    frame = described.astype({"year": str}).rename(columns={"stats_category": "category"})
    long = frame.assign(dataset=dataset_name(described)).melt("dataset", ["year", "category"], "panel", "group")
    return long.groupby(["dataset", "panel", "group"]).size().reset_index(name="count")


def by_library(described: pd.DataFrame) -> pd.DataFrame:
    """library, num_problems, num_versions; the largest first."""
    grouped = described.groupby("library")
    table = grouped.agg(num_problems=("example_id", "size"), num_versions=("version", "nunique")).reset_index()
    return table.sort_values(["num_problems", "library"], ascending=[False, True])
