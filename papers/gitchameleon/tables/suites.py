"""Tables of our suites: systems with known answers, pairs of versions, and what the suites' tests are worth."""

import pandas as pd

from papers.gitchameleon.metrics.answered import latest
from papers.gitchameleon.metrics.subsets import worth_of_tests
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
