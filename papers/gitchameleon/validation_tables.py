"""Tables about the data's own tests: what references come to, and whether tests force the pinned version."""

import pandas as pd

NEEDS_NETWORK = ("URLError", "gaierror", "ConnectionError", "ConnectTimeout", "MaxRetryError", "ProxyError")
NEEDS_NETWORK += ("HTTPError", "NewConnectionError", "NameResolutionError")


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
