"""Records and reported numbers -> tables. One function per artifact of paper.yaml."""

import numpy as np
import pandas as pd

from papers.gitchameleon import metrics
from shared.artifacts.reported import Reported

NUM_PROBLEMS = 328
PROTOCOLS = {"greedy": "greedy", "self-debug": "selfdebug", "chain of thought": "cot"}
SYSTEM_ORDER = ["reference", "version-blind", "newest", "oldest", "stub"]


def _reported() -> Reported:
    return Reported("gitchameleon")


def _wide(*tables: str) -> pd.DataFrame:
    """Reported numbers of some tables, a row per model in the paper's order, a column per quantity."""
    reported = _reported()
    parts = [reported.table(t).pivot(index="row", columns="column", values="value").reindex(_rows(t)) for t in tables]
    return pd.concat(parts).astype(float)


def _rows(table: str) -> list[str]:
    return list(dict.fromkeys(_reported().table(table).row))


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
        rate, error = metrics.success(list(passed))
        low, high = metrics.wilson(int(passed.sum()), len(part))
        rows.append(
            {
                "suite": suite,
                "system": system,
                "num_problems": len(part),
                "passed": int(passed.sum()),
                "success_percent": 100 * rate,
                "standard_error_percent": 100 * error,
                "wilson_low_percent": 100 * low,
                "wilson_high_percent": 100 * high,
                "visible_percent": 100 * (part.visible == "pass").mean(),
                "num_strict": len(strict),
                "strict_percent": 100 * (strict.hidden == "pass").mean() if len(strict) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def tab_solvers(records, settings) -> pd.DataFrame:
    """Scripted solvers over seeds beside their closed forms."""
    return records("simulate").sort_values(["suite", "quality", "repair_rate"], ignore_index=True)


def tab_main(records, settings) -> pd.DataFrame:
    """Measured systems and the paper's models in one table; `source` tells them apart."""
    rows = [
        {
            "source": "measured",
            "suite": r.suite,
            "system": r.system,
            "protocol": "scripted",
            "hidden_percent": r.success_percent,
            "hidden_error": r.standard_error_percent,
            "visible_percent": r.visible_percent,
        }
        for r in tab_systems(records, settings).itertuples()
    ]
    for model, row in _wide("table1", "table8").iterrows():
        for protocol, name in PROTOCOLS.items():
            if not np.isnan(row.get(f"{name}_hidden", np.nan)):
                rows.append(
                    {
                        "source": "reported",
                        "suite": "benchmark",
                        "system": model,
                        "protocol": protocol,
                        "hidden_percent": row[f"{name}_hidden"],
                        "hidden_error": row[f"{name}_hidden_se"],
                        "visible_percent": row.get(f"{name}_visible", np.nan),
                        "api_percent": row[f"{name}_api"],
                    }
                )
    return pd.DataFrame(rows)


def tab_se_audit(records, settings) -> pd.DataFrame:
    """Table 1's +- entries against sqrt(p (1 - p) / 328)."""
    table, rows = _wide("table1"), []
    for protocol, name in PROTOCOLS.items():
        pairs = [(table[c], table[f"{c}_se"]) for c in table.columns if c.startswith(name) and not c.endswith("_se")]
        values, given = (pd.concat(part) for part in zip(*pairs, strict=True))
        binomial = 100 * np.sqrt(values / 100 * (1 - values / 100) / NUM_PROBLEMS)
        off = (given - binomial).abs()
        rows.append(
            {
                "protocol": protocol,
                "num_entries": len(off),
                "num_within": int((off <= 0.06).sum()),
                "largest_difference": off.max(),
            }
        )
    return pd.DataFrame(rows)


def tab_agents(records, settings) -> pd.DataFrame:
    """Table 2: agents without and with a sandbox."""
    table = _wide("table2")
    return pd.DataFrame(
        {
            "agent": table.index,
            "without_percent": table.success_without_sandbox.to_numpy(),
            "with_percent": table.success_with_sandbox.to_numpy(),
            "gain": (table.success_with_sandbox - table.success_without_sandbox).to_numpy(),
        }
    )


RAG_NAMES = {"Grok3": "Grok 3", "Llama 4 Maverick (not FP8)": "Llama 4 Maverick 400B"}


def tab_rag(records, settings) -> pd.DataFrame:
    """Retrieval in the paper: k = 3 against greedy (Tables 4 and 1) and against k = 1 (Table 12)."""
    greedy, rag, ks = _wide("table1").greedy_hidden, _wide("table4").success, _wide("table12")
    rows = [
        {"comparison": "k=3 against greedy", "model": m, "before": greedy[RAG_NAMES.get(m, m)], "after": rag[m]}
        for m in rag.index
        if RAG_NAMES.get(m, m) in greedy.index
    ]
    rows += [{"comparison": "k=3 against k=1", "model": m, "before": r.k1, "after": r.k3} for m, r in ks.iterrows()]
    frame = pd.DataFrame(rows)
    return frame.assign(gain=(frame.after - frame.before).round(6))


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
    reported, greedy = _reported(), _wide("table1", "table8").greedy_hidden
    rows = []
    for bench in ("swebench", "livecodebench"):
        for model in _rows("fig3"):
            other = reported("fig3", model, bench)
            if not np.isnan(other):
                rows.append(
                    {
                        "benchmark": bench,
                        "model": model,
                        "score": other,
                        "plotted_percent": reported("fig3", model, "gitchameleon"),
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


def fig6_gap(records, settings) -> pd.DataFrame:
    """Visible minus hidden success of the paper's models, without and with self-debug."""
    table = _wide("table1", "table8").dropna(subset=["selfdebug_hidden"])
    return pd.DataFrame(
        {
            "model": table.index,
            "greedy_gap": (table.greedy_visible - table.greedy_hidden).round(6).to_numpy(),
            "selfdebug_gap": (table.selfdebug_visible - table.selfdebug_hidden).round(6).to_numpy(),
            "selfdebug_gain": (table.selfdebug_hidden - table.greedy_hidden).round(6).to_numpy(),
        }
    )


def fig7_categories(records, settings) -> pd.DataFrame:
    """Hidden success of the measured systems by category of change."""
    frame = _suites(records)
    frame = frame[(frame.suite != "benchmark") & (frame.perf_category != "none")]
    rows = []
    for (category, system), part in frame.groupby(["perf_category", "system"], observed=True, sort=True):
        rate, error = metrics.success(list(part.hidden == "pass"))
        rows.append(
            {
                "category": category,
                "system": system,
                "num_problems": len(part),
                "success_percent": 100 * rate,
                "standard_error_percent": 100 * error,
            }
        )
    return pd.DataFrame(rows)


def fig8_errors(records, settings) -> pd.DataFrame:
    """Reported fall of each error under self-debug, and how often it ends the version-blind answers here."""
    reported, frame = _reported(), _suites(records)
    counts = frame[frame.system == "version-blind"].hidden_exception.value_counts()
    return pd.DataFrame(
        {
            "error": error,
            "reported_reduction_percent": reported("fig8", error, "reduction_percent"),
            "version_blind_count": int(counts.get(error, 0)),
        }
        for error in _rows("fig8")
    )


def fig9_libraries(records, settings) -> pd.DataFrame:
    """Problems and versions per library."""
    frame = records("describe")
    grouped = frame.groupby("library").agg(num_problems=("example_id", "size"), num_versions=("version", "nunique"))
    return grouped.reset_index().sort_values(["num_problems", "library"], ascending=[False, True], ignore_index=True)


def fig13_agreement(records, settings) -> pd.DataFrame:
    """Agreement of the measured systems on all executed problems of our suites."""
    frame = _suites(records)
    frame = frame[frame.suite != "benchmark"].sort_values(["suite", "example_id"])
    passed = {s: list(part.hidden == "pass") for s, part in frame.groupby("system", observed=True)}
    rows = []
    for one in passed:
        for other in passed:
            rows.append(
                {
                    "system": one,
                    "other": other,
                    "agreement": metrics.agreement(passed[one], passed[other]),
                    "mcnemar_p": metrics.mcnemar(passed[one], passed[other]),
                }
            )
    return pd.DataFrame(rows)


def fig14_logic_nodes(records, settings) -> pd.DataFrame:
    """How many references have how many logic nodes."""
    counts = records("describe").logic_nodes.value_counts().sort_index()
    return counts.rename_axis("logic_nodes").reset_index(name="num_problems")
