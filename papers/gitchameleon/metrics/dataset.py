"""What the data set holds: the counts on which a claim or a caption of the paper rests, and its sizes by group.

`describe` are rows of the step `describe`, one per problem.
"""

import pandas as pd

from papers.gitchameleon.metrics.rates import BENCHMARK

KINDS = ("Argument", "Function Name", "New Feature", "Semantics")  # of change, with a fifth for what is left over


def dataset_name(describe: pd.DataFrame) -> str:
    """benchmark, or own suites where the scale is without it."""
    return BENCHMARK if set(describe.dataset) == {BENCHMARK} else "own suites"


def counts(describe: pd.DataFrame) -> pd.DataFrame:
    """dataset, quantity, count: of problems, libraries, environments, years, categories, API hits and logic nodes."""
    found = {
        "problems": len(describe),
        "libraries": describe.library.nunique(),
        "library versions": len(describe[["library", "version"]].drop_duplicates()),
        "environments": len(describe[["python_version", "env"]].drop_duplicates()),
        "environments by the authors' key": describe.upstream_env.nunique(),
        "functional": describe.functional.sum(),
        "web development": describe.webdev.sum(),
        "documents": describe.num_docs.sum(),
        "released 2014 to 2023": describe.year.between(2014, 2023).sum(),
        "released later": (describe.year > 2023).sum(),
        "references that parse": describe.parses.sum(),
        "references that hit their API calls": describe.reference_hits.sum(),
        "stubs that hit their API calls": describe.stub_hits.sum(),
        "stubs that parse": describe.stub_parses.sum(),
        "without API calls": (describe.num_api_calls == 0).sum(),
        "references with fewer than 5 logic nodes": (describe.logic_nodes < 5).sum(),
    }
    found |= {f"category {kind} (Figure 4b)": (describe.stats_category == kind).sum() for kind in [*KINDS, "Other"]}
    found |= {f"category {kind} (Figure 7)": (describe.perf_category == kind).sum() for kind in [*KINDS, "none"]}
    table = pd.DataFrame(found.items(), columns=["quantity", "count"])
    return table.assign(dataset=dataset_name(describe))


def _from(table: pd.DataFrame, describe: pd.DataFrame) -> pd.DataFrame:
    """With a column `problems`: what was read, the public file, described.csv, or our own suites."""
    return table.assign(problems=" and ".join(sorted(set(describe.read_from))))


def by_panel(describe: pd.DataFrame) -> pd.DataFrame:
    """dataset, panel (year or category), group, count: problems per release year and per category of change."""
    frame = describe.astype({"year": str}).rename(columns={"stats_category": "category"})
    long = frame.assign(dataset=dataset_name(describe)).melt("dataset", ["year", "category"], "panel", "group")
    return _from(long.groupby(["dataset", "panel", "group"]).size().reset_index(name="count"), describe)


def by_library(describe: pd.DataFrame) -> pd.DataFrame:
    """library, num_problems, num_versions; the largest first."""
    grouped = describe.groupby("library")
    table = grouped.agg(num_problems=("example_id", "size"), num_versions=("version", "nunique")).reset_index()
    return _from(table.sort_values(["num_problems", "library"], ascending=[False, True]), describe)


def by_logic_nodes(describe: pd.DataFrame) -> pd.DataFrame:
    """logic_nodes, num_problems: how many references have how many."""
    return _from(describe.groupby("logic_nodes").size().reset_index(name="num_problems"), describe)
