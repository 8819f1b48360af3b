"""What executed systems with known answers come to; `executed` are rows of the step `execute`, sorted by system."""

import numpy as np
import pandas as pd

from papers.gitchameleon.harness.recorded_verdicts import NOT_RECORDED
from papers.gitchameleon.metrics import published
from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS, Success
from papers.gitchameleon.metrics.tracebacks import cause
from shared.artifacts.config import Settings


def validated(references: pd.DataFrame) -> pd.DataFrame:
    """suite, num_problems, and how many references were run on hidden and visible tests and passed them."""
    ran = references.visible != "env-missing"
    counted = {"num_problems": 1, "num_run": ran, "hidden_run": ran & references.hidden.notna()}
    counted |= {f"{tests}_passed": ran & (references[tests] == "pass") for tests in ("hidden", "visible")}
    return references.assign(**counted).groupby("suite")[list(counted)].sum().reset_index()


def success_of_systems(executed: pd.DataFrame) -> pd.DataFrame:
    """Success of each system over all problems, with its errors, and over the strict ones.

    By hidden tests where all problems have a verdict of these; problems of which nothing was recorded are left out.

    Returns:
        suite, system, num_problems, passed, success_percent, standard_error_percent, wilson_low_percent,
        wilson_high_percent, visible_percent, num_strict, strict_percent.
    """
    rows = []
    known = executed[executed.visible_exception != NOT_RECORDED]
    for (suite, system), part in known.groupby(["suite", "system"], observed=True):
        hidden, strict = part.hidden if part.hidden.notna().all() else part.visible, part[part.strict]
        found = Success(int((hidden == "pass").sum()), len(part))
        row = {"suite": suite, "system": system, "num_problems": len(part), "passed": found.passed}
        row |= {"success_percent": found.percent, "standard_error_percent": found.standard_error}
        row |= dict(zip(("wilson_low_percent", "wilson_high_percent"), found.interval, strict=True))
        row |= {"visible_percent": 100 * (part.visible == "pass").mean(), "num_strict": len(strict)}
        rows.append(row | {"strict_percent": 100 * (strict.hidden == "pass").mean() if len(strict) else np.nan})
    return pd.DataFrame(rows)


def outcomes_by_cause(references: pd.DataFrame) -> pd.DataFrame:
    """suite, outcome (pass, fail, env-missing), cause, num_problems, and names of what does not pass visible tests."""
    pairs = zip(references.visible, references.visible_exception.fillna(""), strict=True)  # a timeout raises none
    outcome = references.visible.where(references.visible.isin(["pass", "env-missing"]), "fail")
    frame = references.assign(outcome=outcome, cause=["-" if v == "pass" else cause(v, e) for v, e in pairs])
    rows = []
    for (suite, outcome, why), part in frame.groupby(["suite", "outcome", "cause"]):
        row = {"suite": suite, "outcome": outcome, "cause": why, "num_problems": len(part)}
        named = part if outcome != "pass" else part[:0]
        row["libraries"] = ", ".join(sorted(set(named.library + " " + named.version)))
        rows.append(row | {"problems": " ".join(named.example_id.astype(str))})
    return pd.DataFrame(rows)


def covered_lines(examined: pd.DataFrame) -> pd.DataFrame:
    """suite, num_references, num_lines, num_missed, mean and least percentage of a reference's lines that are reached.

    Args:
        examined: of subsets.worth_of_tests.
    """
    grouped = examined.groupby("suite")
    table = grouped[["num_lines", "num_missed"]].sum().astype(float).assign(num_references=grouped.size())
    table = table.assign(mean_percent=grouped.percent.mean(), min_percent=grouped.percent.min())
    return table.reset_index()


def coverage(examined: pd.DataFrame) -> pd.DataFrame:
    """Share of the references' lines that their hidden tests reach, beside the paper's mean."""
    mean = published.reported()("text", "hidden tests", "coverage_percent")
    theirs = pd.DataFrame([{"num_references": NUM_PROBLEMS, "mean_percent": mean}])
    return published.beside(covered_lines(examined), theirs)


def worked_failure(examine: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """part, title, text: a task at its newer pin, the other version's idiom, its trace and the right answer.

    The trace's marks below a line go: they differ between versions of Python.

    Args:
        examine: rows of the step. settings: its `worked` names the task.
    """
    row = examine[examine.task == settings.worked].sort_values("example_id").iloc[-1]
    trace = "\n".join(line for line in row.wrong_trace.splitlines() if line.strip(" ^~"))
    here, there = f"{row.library} {row.version}", f"{row.library} {row.wrong_version}"
    parts = [
        ("problem", f"The problem, pinned to {here}", f"{row.statement}\n\n{row.stub.rstrip()}"),
        ("wrong", f"The idiom of {there}", row.wrong.rstrip()),
        ("trace", f"What its hidden tests gave in the box: {row.wrong_outcome}", trace),
        ("right", f"The idiom of {here}: pass", row.right.rstrip()),
    ]
    return pd.DataFrame(parts, columns=["part", "title", "text"])
