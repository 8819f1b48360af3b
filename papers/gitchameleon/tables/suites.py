"""Tables about our suites' tests and about formatting, and the text of Figure 1."""

import pandas as pd

from papers.gitchameleon.metrics.coverage import percent
from papers.gitchameleon.metrics.published import wide
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED, REPORTED, RUN
from papers.gitchameleon.metrics.scoring import NOT_RUN


def examined(records) -> pd.DataFrame:
    """The record `examine` with coverage, overlap and whether the reference of another version fails here."""
    frame, pairs = records("examine"), records("pairs")
    frame["num_missed"] = frame.missed_lines.str.split().map(len)
    frame["percent"] = [percent(n, k) for n, k in zip(frame.num_lines, frame.num_missed, strict=True)]
    frame["overlap"] = frame.shared_calls / frame.visible_calls.where(frame.visible_calls > 0)
    failed = pairs[pairs.hidden.notna() & ~pairs.hidden.isin(["pass", *NOT_RUN])]
    failing = set(zip(failed.suite, failed.tests_id, strict=True))
    frame["decisive"] = [key in failing for key in zip(frame.suite, frame.example_id, strict=True)]
    return frame.sort_values(["suite", "example_id"])


def tab_coverage(examined, reported) -> pd.DataFrame:
    """Share of the references' lines that their hidden tests reach: mean and minimum over problems, in percent."""
    grouped = examined.groupby("suite")
    own = grouped[["num_lines", "num_missed"]].sum().astype(float).assign(num_references=grouped.size())
    own = own.assign(mean_percent=grouped.percent.mean(), min_percent=grouped.percent.min(), source=MEASURED)
    theirs = {"source": REPORTED, "suite": BENCHMARK, "num_references": 328}
    theirs["mean_percent"] = reported("text", "hidden tests", "coverage_percent")
    return pd.concat([own.reset_index(), pd.DataFrame([theirs])])


def tab_overlap(examined) -> pd.DataFrame:
    """Each problem: asserted calls of its visible test, how many the hidden test repeats, whether it is decisive."""
    return examined


def tab_subsets(examined, records, scores) -> pd.DataFrame:
    """Success over all problems, over those whose hidden test repeats no visible call, and over the decisive ones."""
    executed = records("execute").assign(protocol="-", seed=0)  # these systems see no prompt
    executed["hidden_passed"] = executed.hidden == "pass"
    frame = pd.concat([executed[executed.hidden.notna()], scores])[[*RUN, "example_id", "hidden_passed"]]
    frame = frame.merge(examined[["suite", "example_id", "overlap", "decisive"]], on=["suite", "example_id"])
    overlaps = frame.overlap > 0
    subsets = {"all": overlaps | True, "disjoint": ~overlaps, "overlapping": overlaps, "decisive": frame.decisive}
    table = frame[RUN].drop_duplicates().set_index(RUN).sort_index()
    for name, members in subsets.items():
        groups = frame[members].groupby(RUN)
        table[f"n_{name}"] = groups.example_id.nunique().reindex(table.index, fill_value=0)
        table[f"{name}_percent"] = 100.0 * groups.hidden_passed.mean()
    return table.assign(source=MEASURED).reset_index()


def tab_formatting(records) -> pd.DataFrame:
    """Hidden success and pylint's score per ten before and after each stage, beside Table 13."""
    frame = records("formatting")
    raw = frame[frame.stage == "raw"].set_index(["suite", "system", "example_id"]).hidden.rename("raw")
    frame = frame.join(raw, on=raw.index.names)
    frame["other"] = (frame.hidden != frame.raw).groupby([frame[k] for k in raw.index.names]).transform("any")
    frame["passed"] = frame.hidden == "pass"
    grouped = frame.groupby(["suite", "system", "stage"])
    cells = grouped.agg(passed=("passed", "sum"), changed=("changed", "sum"), pylint=("pylint", "mean"))
    cells = cells.assign(success=100.0 * grouped.passed.mean()).astype(float).unstack("stage")
    cells.columns = [f"{name}_{stage}" for name, stage in cells.columns]
    first = frame[frame.stage == "raw"].groupby(["suite", "system"]).other
    own = cells.assign(source=MEASURED, num_problems=first.size(), other_verdicts=first.sum().astype(float))
    theirs = wide("table13").rename(columns={"success": "success_raw"}).rename_axis("system").reset_index()
    theirs = theirs.assign(source=REPORTED, suite=BENCHMARK, num_problems=328)
    return pd.concat([own.reset_index(), theirs])


def fig1_worked_failure(records, settings) -> pd.DataFrame:
    """One problem at its pin, as it was executed: the other version's idiom, its trace, the right answer.

    The trace's marks below a line go: they differ between versions of Python.
    """
    frame = records("examine")
    row = frame[frame.task == settings.worked].sort_values("example_id").iloc[-1]
    trace = "\n".join(line for line in row.wrong_trace.splitlines() if line.strip(" ^~"))
    here, there = f"{row.library} {row.version}", f"{row.library} {row.wrong_version}"
    parts = [
        ("problem", f"The problem, pinned to {here}", f"{row.statement}\n\n{row.stub.rstrip()}"),
        ("wrong", f"The idiom of {there}", row.wrong.rstrip()),
        ("trace", f"What its hidden tests gave in the box: {row.wrong_outcome}", trace),
        ("right", f"The idiom of {here}: pass", row.right.rstrip()),
    ]
    return pd.DataFrame(parts, columns=["part", "title", "text"])
