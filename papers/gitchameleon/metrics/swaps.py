"""Code for one version under the tests of another: both idioms of our tasks, and pairs of problems with one stub."""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.rates import BENCHMARK
from papers.gitchameleon.metrics.scoring import NOT_RUN


def swapped(executed: pd.DataFrame) -> pd.DataFrame:
    """Both idioms of every task of ours under the tests of both versions.

    Args:
        executed: rows of the step `execute` of the systems reference and version-blind.
    Returns:
        Its rows with tests and code (old or new), outcome, exception, expected, as_expected.
    """
    own = executed.system == "reference"
    passes = own | (executed.expect_fail == "")
    pairs = zip(executed.hidden_exception, executed.expect_fail, strict=True)
    foretold = [exception in expected.split() for exception, expected in pairs]
    return executed.assign(
        tests=np.where(executed.is_new, "new", "old"),
        code=np.where(np.where(own, executed.is_new, ~executed.is_new), "new", "old"),
        outcome=executed.hidden,
        exception=executed.hidden_exception,
        expected=np.where(passes, "pass", executed.expect_fail),
        as_expected=np.where(passes, executed.hidden == "pass", foretold).astype(bool),
    )


def idioms_swapped(executed: pd.DataFrame) -> pd.DataFrame:
    """Every task's two idioms under the tests of both versions, of our suites."""
    both = executed.system.isin(["reference", "version-blind"]) & (executed.suite != BENCHMARK)
    return swapped(executed[both]).sort_values(["suite", "task", "tests", "code"])


def failing_pairs(pairs: pd.DataFrame, references: pd.DataFrame) -> pd.DataFrame:
    """How often the reference of another version fails, over directed pairs of problems with one stub and two pins.

    A pair is counted as run where both stages of the environment were there and the tests' own reference passes them.

    Args:
        pairs: rows of the step `pairs`. references: rows of the step `execute` of the system reference.
    Returns:
        suite, tests (hidden or visible, where there are such), change (a category, or all), num_pairs, num_run,
        num_failed, failed_percent (of those run).
    """
    own, parts = references.set_index(["suite", "example_id"]), []
    for stage in ("hidden", "visible"):
        part = pairs[pairs.groupby("suite")[stage].transform("count") > 0]
        tests = pd.MultiIndex.from_frame(part[["suite", "tests_id"]])
        ran = (own[stage] == "pass").reindex(tests, fill_value=False).to_numpy() & ~part[stage].isin([*NOT_RUN, None])
        counts = {"num_pairs": 1, "num_run": ran, "num_failed": ran & (part[stage] != "pass")}
        part = part.assign(tests=stage, **counts)
        both = pd.concat([part.assign(change="all"), part])
        parts.append(both.groupby(["suite", "tests", "change"])[list(counts)].sum())
    table = pd.concat(parts).reset_index()
    table = table[(table.num_run > 0) | (table.change == "all")]
    return table.assign(failed_percent=100 * table.num_failed / table.num_run.where(table.num_run > 0))
