"""Records and reported numbers -> tables. One function per artifact of paper.yaml."""

import numpy as np
import pandas as pd

from papers.gitchameleon.comparison import Success
from papers.gitchameleon.protocol_tables import tab_agents as tab_agents
from papers.gitchameleon.protocol_tables import tab_assistants as tab_assistants
from papers.gitchameleon.protocol_tables import tab_audit as tab_audit
from papers.gitchameleon.protocol_tables import tab_no_version as tab_no_version
from papers.gitchameleon.protocol_tables import tab_other_protocols as tab_other_protocols
from papers.gitchameleon.protocol_tables import tab_rag as tab_rag
from papers.gitchameleon.protocol_tables import tab_retrieval as tab_retrieval
from papers.gitchameleon.protocol_tables import tab_se_audit as tab_se_audit
from papers.gitchameleon.protocol_tables import tab_temperature as tab_temperature
from papers.gitchameleon.published import wide
from papers.gitchameleon.result_tables import fig6_gap as fig6_gap
from papers.gitchameleon.result_tables import fig7_categories as fig7_categories
from papers.gitchameleon.result_tables import fig8_errors as fig8_errors
from papers.gitchameleon.result_tables import fig10_years as fig10_years
from papers.gitchameleon.result_tables import fig11_libraries as fig11_libraries
from papers.gitchameleon.result_tables import fig12_rag_by_library as fig12_rag_by_library
from papers.gitchameleon.result_tables import fig13_agreement as fig13_agreement
from papers.gitchameleon.result_tables import fig_protocols as fig_protocols
from papers.gitchameleon.result_tables import tab_comparisons as tab_comparisons
from papers.gitchameleon.result_tables import tab_main as tab_main
from papers.gitchameleon.suite_tables import fig1_worked_failure as fig1_worked_failure
from papers.gitchameleon.suite_tables import tab_coverage as tab_coverage
from papers.gitchameleon.suite_tables import tab_formatting as tab_formatting
from papers.gitchameleon.suite_tables import tab_overlap as tab_overlap
from papers.gitchameleon.suite_tables import tab_subsets as tab_subsets
from papers.gitchameleon.validation_tables import tab_pairs as tab_pairs
from papers.gitchameleon.validation_tables import tab_reference_outcomes as tab_reference_outcomes

SYSTEM_ORDER = ["reference", "version-blind", "newest", "oldest", "stub"]


def _suites(records) -> pd.DataFrame:
    """Executed rows with systems in a fixed order."""
    frame = records("execute")
    frame["system"] = pd.Categorical(frame.system, SYSTEM_ORDER, ordered=True)
    return frame.sort_values(["suite", "system", "example_id"], ignore_index=True)


def tab_validation(records, settings) -> pd.DataFrame:
    """Reference solutions against their own tests."""
    rows = []
    for suite, part in _suites(records).query("system == 'reference'").groupby("suite", sort=True):
        ran = part[part.visible != "env-missing"]
        hidden = ran[ran.hidden.notna()]
        rows.append(
            {
                "suite": suite,
                "num_problems": len(part),
                "num_run": len(ran),
                "hidden_run": len(hidden),
                "hidden_passed": int((hidden.hidden == "pass").sum()),
                "visible_passed": int((ran.visible == "pass").sum()),
            }
        )
    return pd.DataFrame(rows)


def tab_version_swap(records, settings) -> pd.DataFrame:
    """Every task's two idioms under the tests of both versions."""
    frame = _suites(records)
    frame = frame[frame.system.isin(["reference", "version-blind"]) & (frame.suite != "benchmark")]
    own = frame.system == "reference"
    other = np.where(frame.is_new, "old", "new")
    return pd.DataFrame(
        {
            "suite": frame.suite,
            "task": frame.task,
            "tests": np.where(frame.is_new, "new", "old"),
            "code": np.where(own, np.where(frame.is_new, "new", "old"), other),
            "version": frame.version,
            "outcome": frame.hidden,
            "exception": frame.hidden_exception,
            "expected": np.where(own | (frame.expect_fail == ""), "pass", frame.expect_fail),
            "as_expected": [
                hidden == "pass" if own_ or not expected else exception in expected.split()
                for own_, expected, hidden, exception in zip(
                    own, frame.expect_fail, frame.hidden, frame.hidden_exception, strict=True
                )
            ],
        }
    ).sort_values(["suite", "task", "tests", "code"], ignore_index=True)


def tab_systems(records, settings) -> pd.DataFrame:
    """Success of the systems whose score is known, over all problems and over the strict pairs."""
    rows = []
    for (suite, system), part in _suites(records).groupby(["suite", "system"], observed=True, sort=True):
        hidden = part.hidden if part.hidden.notna().any() else part.visible
        passed, strict = hidden == "pass", part[part.strict]
        found = Success(int(passed.sum()), len(part))
        rows.append(
            {
                "suite": suite,
                "system": system,
                "num_problems": len(part),
                "passed": found.passed,
                "success_percent": found.percent,
                "standard_error_percent": found.standard_error,
                "wilson_low_percent": found.interval[0],
                "wilson_high_percent": found.interval[1],
                "visible_percent": 100 * (part.visible == "pass").mean(),
                "num_strict": len(strict),
                "strict_percent": 100 * (strict.hidden == "pass").mean() if len(strict) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def tab_solvers(records, settings) -> pd.DataFrame:
    """Scripted solvers over seeds beside their closed forms."""
    return records("simulate").sort_values(["suite", "quality", "repair_rate"], ignore_index=True)


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
