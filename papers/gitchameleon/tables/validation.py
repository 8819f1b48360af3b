"""Tables of what was executed with known answers: references, idioms of other versions, scripted solvers, pairs."""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.comparison import Success

SYSTEM_ORDER = ["reference", "version-blind", "newest", "oldest", "stub"]
NEEDS_NETWORK = ("URLError", "gaierror", "ConnectionError", "ConnectTimeout", "MaxRetryError", "ProxyError")
NEEDS_NETWORK += ("HTTPError", "NewConnectionError", "NameResolutionError")


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


def cause(verdict: str, exception: str | None) -> str:
    """Why a reference did not pass, in one word or two: not every failure is the reference's."""
    if verdict == "env-missing":
        return f"environment: {exception}"
    if exception in NEEDS_NETWORK:
        return "needs network"
    if exception == "LookupError":
        return "needs data"  # NLTK's word for a corpus that is not there
    return exception or verdict


def tab_reference_outcomes(records, settings) -> pd.DataFrame:
    """How many references pass their visible test, and by cause which do not."""
    frame = records("execute")
    frame = frame[frame.system == "reference"].sort_values(["suite", "example_id"])
    frame["outcome"] = frame.visible.where(frame.visible.isin(["pass", "env-missing"]), "fail")
    frame["cause"] = [
        cause(v, e) if v != "pass" else "-" for v, e in zip(frame.visible, frame.visible_exception, strict=True)
    ]
    rows = []
    for (suite, outcome, why), part in frame.groupby(["suite", "outcome", "cause"], sort=True):
        names = sorted({f"{r.library} {r.version}" for r in part.itertuples()}) if outcome != "pass" else []
        ids = [str(id) for id in part.example_id] if outcome != "pass" else []
        row = {"suite": suite, "outcome": outcome, "cause": why, "num_problems": len(part)}
        rows.append(row | {"libraries": ", ".join(names), "problems": " ".join(ids)})
    return pd.DataFrame(rows)


def tab_pairs(records, settings) -> pd.DataFrame:
    """Directed pairs of problems with one stub and two pins: how often the other version's reference fails.

    A pair is counted as run where both stages of the environment were there and the tests' own reference passes them.
    """
    frame, own = records("pairs"), records("execute")
    own = own[own.system == "reference"].set_index(["suite", "example_id"])
    rows = []
    for (suite, stage), part in _stages(frame):
        fine = own[own[stage] == "pass"].index
        ran = part[[(suite, id) in fine for id in part.tests_id]]
        ran = ran[~ran[stage].isin(["env-missing", "harness-error"])]
        for change, of_change in [("all", ran), *ran.groupby("change", sort=True)]:
            total = part if change == "all" else part[part.change == change]
            failed = int((of_change[stage] != "pass").sum())
            rows.append(
                {
                    "suite": suite,
                    "tests": stage,
                    "change": change,
                    "num_pairs": len(total),
                    "num_run": len(of_change),
                    "num_failed": failed,
                    "failed_percent": 100 * failed / len(of_change) if len(of_change) else float("nan"),
                }
            )
    return pd.DataFrame(rows)


def _stages(frame: pd.DataFrame):
    """((suite, hidden or visible), rows) where such tests are there."""
    for suite, part in frame.groupby("suite", sort=True):
        for stage in ("hidden", "visible"):
            if part[stage].notna().any():
                yield (suite, stage), part
