"""Tables about the data set: its counts and its figures, and Figure 3's points."""

import pandas as pd

from papers.gitchameleon.metrics.published import wide


def tab_dataset(records, reported) -> pd.DataFrame:
    """Counts of the data set that a claim or a caption of the paper rests on."""
    frame = records("describe")
    counts = {
        "problems": len(frame),
        "libraries": frame.library.nunique(),
        "library versions": len(frame[["library", "version"]].drop_duplicates()),
        "environments": len(frame[["python_version", "env"]].drop_duplicates()),
        "environments by the authors' key": frame.upstream_env.nunique(),
        "functional": frame.functional.sum(),
        "web development": frame.webdev.sum(),
        "documents": frame.num_docs.sum(),
        "released 2014 to 2023": frame.year.between(2014, 2023).sum(),
        "released later": (frame.year > 2023).sum(),
        "references that parse": frame.parses.sum(),
        "references that hit their API calls": frame.reference_hits.sum(),
        "stubs that hit their API calls": frame.stub_hits.sum(),
        "without API calls": (frame.num_api_calls == 0).sum(),
        "references with fewer than 5 logic nodes": (frame.logic_nodes < 5).sum(),
    }
    kinds = ["Argument", "Function Name", "New Feature", "Semantics"]
    counts |= {f"category {c} (Figure 4b)": (frame.stats_category == c).sum() for c in [*kinds, "Other"]}
    counts |= {f"category {c} (Figure 7)": (frame.perf_category == c).sum() for c in [*kinds, "none"]}
    dataset = "benchmark" if set(frame.dataset) == {"benchmark"} else "own suites"
    table = pd.DataFrame([{"dataset": dataset, "quantity": k, "count": v} for k, v in counts.items()])
    theirs = {"columns": {"value": "reported"}, "where": {"dataset": "benchmark"}}
    return reported.beside(table, "dataset", rows="quantity", **theirs)


def fig3_correlation() -> pd.DataFrame:
    """Points of Figure 3 as plotted, and with the values that Tables 1 and 8 give for greedy decoding."""
    points = wide("fig3").assign(table_percent=wide("table1", "table8").greedy_hidden)
    points = points.rename(columns={"gitchameleon": "plotted_percent"}).rename_axis("model").reset_index()
    kept = ["model", "plotted_percent", "table_percent"]
    return points.melt(kept, ["swebench", "livecodebench"], "benchmark", "score").dropna(subset="score")


def fig4_dataset(records) -> pd.DataFrame:
    """Problems per release year and per category of change."""
    frame = records("describe").astype({"year": str}).rename(columns={"stats_category": "category"})
    frame["dataset"] = frame.dataset.where(frame.dataset == "benchmark", "own suites")
    long = frame.melt("dataset", ["year", "category"], "panel", "group")
    return long.groupby(["dataset", "panel", "group"]).size().reset_index(name="count")


def fig9_libraries(records) -> pd.DataFrame:
    """Problems and versions per library."""
    grouped = records("describe").groupby("library")
    table = grouped.agg(num_problems=("example_id", "size"), num_versions=("version", "nunique")).reset_index()
    return table.sort_values(["num_problems", "library"], ascending=[False, True])


def fig14_logic_nodes(records) -> pd.DataFrame:
    """How many references have how many logic nodes."""
    return records("describe").groupby("logic_nodes").size().reset_index(name="num_problems")
