"""Tables of our suites: systems with known answers, pairs of versions, and what the suites' tests are worth."""

import pandas as pd

from papers.gitchameleon.metrics import published, systems
from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS
from papers.gitchameleon.metrics.lint import by_stage
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED
from papers.gitchameleon.metrics.subsets import success_within, worth_of_tests
from papers.gitchameleon.metrics.swaps import failing_pairs, swapped
from papers.gitchameleon.suites.systems import SYSTEMS


def executed(records) -> pd.DataFrame:
    """Executed rows with systems in a fixed order."""
    frame = records("execute")
    frame["system"] = pd.Categorical(frame.system, list(SYSTEMS), ordered=True)
    return frame.sort_values(["suite", "system", "example_id"], ignore_index=True)


def references(executed) -> pd.DataFrame:
    """The rows of the reference solutions."""
    return executed[executed.system == "reference"]


def examined(records) -> pd.DataFrame:
    """Each problem with what its tests are worth."""
    return worth_of_tests(records("examine"), records("pairs"))


def tab_validation(references) -> pd.DataFrame:
    """Reference solutions against their own tests."""
    return systems.validated(references)


def tab_reference_outcomes(references) -> pd.DataFrame:
    """How many references pass their visible test, and by cause which do not."""
    return systems.outcomes_by_cause(references)


def tab_systems(executed) -> pd.DataFrame:
    """Success of the systems whose score is known, over all problems and over the strict pairs."""
    return systems.success_of_systems(executed)


def tab_version_swap(executed) -> pd.DataFrame:
    """Every task's two idioms under the tests of both versions."""
    both = executed.system.isin(["reference", "version-blind"]) & (executed.suite != BENCHMARK)
    return swapped(executed[both]).sort_values(["suite", "task", "tests", "code"])


def tab_pairs(records, references) -> pd.DataFrame:
    """Directed pairs of problems with one stub and two pins: how often the other version's reference fails."""
    return failing_pairs(records("pairs"), references)


def tab_coverage(examined, reported) -> pd.DataFrame:
    """Share of the references' lines that their hidden tests reach, beside the paper's mean."""
    mean = reported("text", "hidden tests", "coverage_percent")
    theirs = pd.DataFrame([{"num_references": NUM_PROBLEMS, "mean_percent": mean}])
    return published.beside(systems.covered_lines(examined), theirs)


def tab_overlap(examined) -> pd.DataFrame:
    """Each problem: asserted calls of its visible test, how many the hidden test repeats, whether it is decisive."""
    return examined


def tab_subsets(examined, records, scores) -> pd.DataFrame:
    """Success over all problems, over those whose hidden test repeats no visible call, and over the decisive ones."""
    known = records("execute").assign(protocol="-", seed=0)  # these systems see no prompt
    known["hidden_passed"] = known.hidden == "pass"
    outcomes = pd.concat([known[known.hidden.notna()], scores])
    return success_within(outcomes, examined).assign(source=MEASURED)


def tab_formatting(records) -> pd.DataFrame:
    """Hidden success and pylint's score per ten before and after each stage, beside Table 13."""
    theirs = published.wide("table13").rename(columns={"success": "success_raw"}).rename_axis("system").reset_index()
    return published.beside(by_stage(records("formatting")), theirs.assign(num_problems=NUM_PROBLEMS))


def fig1_worked_failure(records, settings) -> pd.DataFrame:
    """One problem at its pin, as it was executed: the other version's idiom, its trace, the right answer."""
    return systems.worked_failure(records("examine"), settings.worked)
