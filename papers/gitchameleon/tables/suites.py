"""Tables about our suites' tests and about formatting, and the text of Figure 1."""

import pandas as pd

from papers.gitchameleon.metrics.lint import by_stage
from papers.gitchameleon.metrics.published import wide
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED, REPORTED
from papers.gitchameleon.metrics.subsets import success_within, worth_of_tests


def examined(records) -> pd.DataFrame:
    """Each problem with what its tests are worth."""
    return worth_of_tests(records("examine"), records("pairs"))


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
    outcomes = pd.concat([executed[executed.hidden.notna()], scores])
    return success_within(outcomes, examined).assign(source=MEASURED)


def tab_formatting(records) -> pd.DataFrame:
    """Hidden success and pylint's score per ten before and after each stage, beside Table 13."""
    theirs = wide("table13").rename(columns={"success": "success_raw"}).rename_axis("system").reset_index()
    theirs = theirs.assign(source=REPORTED, suite=BENCHMARK, num_problems=328)
    return pd.concat([by_stage(records("formatting")).assign(source=MEASURED), theirs])


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
