"""Tables about the data set: its counts and its figures, and Figure 3's points: (records, settings) -> tidy frame."""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.published import wide


def tab_dataset(records, settings) -> pd.DataFrame:
    """Counts of the data set that a claim or a caption of the paper rests on."""
    frame = records("describe")
    counts = {
        "problems": len(frame),
        "libraries": frame.library.nunique(),
        "library versions": len(frame[["library", "version"]].drop_duplicates()),
        "environments": len(frame[["python_version", "env"]].drop_duplicates()),
        "environments by the authors' key": frame.upstream_env.nunique(),
        "functional": int(frame.functional.sum()),
        "web development": int(frame.webdev.sum()),
        "documents": int(frame.num_docs.sum()),
        "released 2014 to 2023": int(frame.year.between(2014, 2023).sum()),
        "released later": int((frame.year > 2023).sum()),
        "references that parse": int(frame.parses.sum()),
        "references that hit their API calls": int(frame.reference_hits.sum()),
        "stubs that hit their API calls": int(frame.stub_hits.sum()),
        "without API calls": int((frame.num_api_calls == 0).sum()),
        "references with fewer than 5 logic nodes": int((frame.logic_nodes < 5).sum()),
    }
    for category in ("Argument", "Function Name", "New Feature", "Semantics", "Other"):
        counts[f"category {category} (Figure 4b)"] = int((frame.stats_category == category).sum())
    for category in ("Argument", "Function Name", "New Feature", "Semantics", "none"):
        counts[f"category {category} (Figure 7)"] = int((frame.perf_category == category).sum())
    dataset = "benchmark" if set(frame.dataset) == {"benchmark"} else "own suites"
    return pd.DataFrame([{"dataset": dataset, "quantity": k, "count": v} for k, v in counts.items()])


def fig3_correlation(records, settings) -> pd.DataFrame:
    """Points of Figure 3 as plotted, and with the values that Tables 1 and 2 give for greedy decoding."""
    points, greedy = wide("fig3"), wide("table1", "table8").greedy_hidden
    rows = []
    for bench in ("swebench", "livecodebench"):
        for model, point in points.iterrows():
            if not np.isnan(point[bench]):
                rows.append(
                    {
                        "benchmark": bench,
                        "model": model,
                        "score": point[bench],
                        "plotted_percent": point.gitchameleon,
                        "table_percent": greedy.get(model, np.nan),
                    }
                )
    return pd.DataFrame(rows)


def fig4_dataset(records, settings) -> pd.DataFrame:
    """Problems per release year and per category of change."""
    frame = records("describe")
    frame["dataset"] = frame.dataset.where(frame.dataset == "benchmark", "own suites")
    years = frame.groupby(["dataset", "year"]).size().reset_index(name="count")
    kinds = frame.groupby(["dataset", "stats_category"]).size().reset_index(name="count")
    years = years.rename(columns={"year": "group"}).assign(panel="year")
    kinds = kinds.rename(columns={"stats_category": "group"}).assign(panel="category")
    return pd.concat([years.astype({"group": str}), kinds])[["dataset", "panel", "group", "count"]]


def fig9_libraries(records, settings) -> pd.DataFrame:
    """Problems and versions per library."""
    frame = records("describe")
    grouped = frame.groupby("library").agg(num_problems=("example_id", "size"), num_versions=("version", "nunique"))
    return grouped.reset_index().sort_values(["num_problems", "library"], ascending=[False, True], ignore_index=True)


def fig14_logic_nodes(records, settings) -> pd.DataFrame:
    """How many references have how many logic nodes."""
    counts = records("describe").logic_nodes.value_counts().sort_index()
    return counts.rename_axis("logic_nodes").reset_index(name="num_problems")
