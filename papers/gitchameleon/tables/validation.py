"""Tables of what was executed with known answers: references, idioms of other versions, scripted solvers, pairs."""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.comparison import Success
from papers.gitchameleon.metrics.swaps import failing_pairs, swapped
from papers.gitchameleon.metrics.tracebacks import cause
from papers.gitchameleon.suites.systems import SYSTEMS


def executed(records) -> pd.DataFrame:
    """Executed rows with systems in a fixed order."""
    frame = records("execute")
    frame["system"] = pd.Categorical(frame.system, list(SYSTEMS), ordered=True)
    return frame.sort_values(["suite", "system", "example_id"], ignore_index=True)


def references(executed) -> pd.DataFrame:
    """The rows of the reference solutions."""
    return executed[executed.system == "reference"]


def tab_validation(references) -> pd.DataFrame:
    """Reference solutions against their own tests."""
    ran, counted = (
        references.visible != "env-missing",
        {"num_problems": 1, "num_run": references.visible != "env-missing"},
    )
    counted |= {"hidden_run": ran & references.hidden.notna(), "hidden_passed": ran & (references.hidden == "pass")}
    counted |= {"visible_passed": ran & (references.visible == "pass")}
    return references.assign(**counted).groupby("suite")[list(counted)].sum().reset_index()


def tab_systems(executed) -> pd.DataFrame:
    """Success of the systems whose score is known, over all problems and over the strict pairs."""
    rows = []
    for (suite, system), part in executed.groupby(["suite", "system"], observed=True):
        hidden, strict = part.hidden if part.hidden.notna().any() else part.visible, part[part.strict]
        found = Success(int((hidden == "pass").sum()), len(part))
        row = {"suite": suite, "system": system, "num_problems": len(part), "passed": found.passed}
        row |= {"success_percent": found.percent, "standard_error_percent": found.standard_error}
        row |= dict(zip(("wilson_low_percent", "wilson_high_percent"), found.interval, strict=True))
        row |= {"visible_percent": 100 * (part.visible == "pass").mean(), "num_strict": len(strict)}
        rows.append(row | {"strict_percent": 100 * (strict.hidden == "pass").mean() if len(strict) else np.nan})
    return pd.DataFrame(rows)


def tab_solvers(records) -> pd.DataFrame:
    """Scripted solvers over seeds beside their closed forms."""
    return records("simulate").sort_values(["suite", "quality", "repair_rate"])


def tab_version_swap(executed) -> pd.DataFrame:
    """Every task's two idioms under the tests of both versions."""
    both = executed.system.isin(["reference", "version-blind"]) & (executed.suite != "benchmark")
    return swapped(executed[both]).sort_values(["suite", "task", "tests", "code"])


def tab_reference_outcomes(references) -> pd.DataFrame:
    """How many references pass their visible test, and by cause which do not."""
    pairs = zip(references.visible, references.visible_exception, strict=True)
    outcome = references.visible.where(references.visible.isin(["pass", "env-missing"]), "fail")
    frame = references.assign(outcome=outcome, cause=["-" if v == "pass" else cause(v, e) for v, e in pairs])
    rows = []
    for (suite, outcome, why), part in frame.groupby(["suite", "outcome", "cause"]):
        row = {"suite": suite, "outcome": outcome, "cause": why, "num_problems": len(part)}
        named = part if outcome != "pass" else part[:0]
        row["libraries"] = ", ".join(sorted(set(named.library + " " + named.version)))
        rows.append(row | {"problems": " ".join(named.example_id.astype(str))})
    return pd.DataFrame(rows)


def tab_pairs(records, references) -> pd.DataFrame:
    """Directed pairs of problems with one stub and two pins: how often the other version's reference fails."""
    return failing_pairs(records("pairs"), references)
