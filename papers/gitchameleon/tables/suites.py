"""Tables of our suites: systems with known answers, pairs of versions, and what the suites' tests are worth."""

import pandas as pd

from papers.gitchameleon.metrics import published
from papers.gitchameleon.metrics.answered import latest
from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS
from papers.gitchameleon.metrics.lint import by_stage
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED
from papers.gitchameleon.metrics.subsets import success_within, worth_of_tests
from papers.gitchameleon.metrics.swaps import swapped
from papers.gitchameleon.suites.systems import SYSTEMS


def executed(execute) -> pd.DataFrame:
    """Executed rows with systems in a fixed order."""
    execute["system"] = pd.Categorical(execute.system, list(SYSTEMS), ordered=True)
    return execute.sort_values(["suite", "system", "example_id"], ignore_index=True)


def references(executed) -> pd.DataFrame:
    """The rows of the reference solutions."""
    return executed[executed.system == "reference"]


def verdicts(records, recorded) -> pd.DataFrame:
    """Verdicts of real answers."""
    return latest(recorded, records("answers")) if "answers" in records.shards else recorded


def examined(examine, pairs) -> pd.DataFrame:
    """Each problem with what its tests are worth."""
    return worth_of_tests(examine, pairs)


def tab_version_swap(executed) -> pd.DataFrame:
    """Every task's two idioms under the tests of both versions."""
    both = executed.system.isin(["reference", "version-blind"]) & (executed.suite != BENCHMARK)
    return swapped(executed[both]).sort_values(["suite", "task", "tests", "code"])


def tab_subsets(examined, execute, scores) -> pd.DataFrame:
    """Success over all problems, over those whose hidden test repeats no visible call, and over the decisive ones."""
    known = execute.assign(protocol="-", seed=0)  # these systems see no prompt
    known["hidden_passed"] = known.hidden == "pass"
    outcomes = pd.concat([known[known.hidden.notna()], scores])
    return success_within(outcomes, examined).assign(source=MEASURED)


def tab_formatting(formatting) -> pd.DataFrame:
    """Hidden success and pylint's score per ten before and after each stage, beside Table 13."""
    theirs = published.wide("table13").rename(columns={"success": "success_raw"}).rename_axis("system").reset_index()
    return published.beside(by_stage(formatting), theirs.assign(num_problems=NUM_PROBLEMS))
