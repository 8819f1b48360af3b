"""Problems by what their tests are worth: hidden tests that repeat visible ones, and tests that force the version."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.data.versions import stub_pairs
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.metrics.comparison import Success
from papers.gitchameleon.metrics.coverage import percent
from papers.gitchameleon.metrics.overlap import score
from papers.gitchameleon.metrics.rates import MEASURED, RUN
from papers.gitchameleon.metrics.scoring import NOT_RUN

Subsets = dict[str, list[int]]  # name -> ids of its problems


def with_overlap(problems: Sequence[Problem]) -> Subsets:
    """Problems with hidden tests by whether these assert a call of the visible test; empty without hidden tests."""
    tested = [p for p in problems if p.hidden_test is not None]
    if not tested:
        return {}
    found: Subsets = {"disjoint": [], "overlapping": []}
    for problem in tested:
        found["overlapping" if score(problem) > 0 else "disjoint"].append(problem.example_id)
    return found


def decisive(harness: Harness, problems: Sequence[Problem], known: Sequence[Problem]) -> list[int]:
    """Ids of the problems under whose hidden tests the reference of another version of `known` fails; runs them."""
    here = {p.example_id: p for p in problems if p.hidden_test is not None}
    pairs = [(tests.example_id, code) for tests, code in stub_pairs(known) if tests.example_id in here]
    solutions = [Solution(id, code.answer, code.answer, sample) for sample, (id, code) in enumerate(pairs)]
    hidden_only = replace(harness, settings=replace(harness.settings, modes=("hidden",)))
    members = [here[id] for id in dict.fromkeys(id for id, _ in pairs)]
    rows = list(hidden_only.evaluate(members, solutions))
    harness.num_executed += hidden_only.num_executed
    return sorted({row["example_id"] for row in rows if row["hidden"] not in ("pass", *NOT_RUN)})


def success_by(rows: Sequence[Mapping], subsets: Subsets) -> dict[str, dict]:
    """Hidden success within each subset, with its ids; nothing for an empty one.

    Args:
        rows: of `evaluate`, with example_id and hidden.
    """
    found = {}
    for name, ids in subsets.items():
        verdicts = [row["hidden"] for row in rows if row["example_id"] in set(ids)]
        if verdicts:
            success = Success(verdicts.count("pass"), len(verdicts))
            found[name] = {
                "passed": success.passed,
                "num_problems": success.n,
                "success_percent": round(success.percent, 4),
                "standard_error_percent": round(success.standard_error, 4),
                "ids": sorted(ids),
            }
    return found


def worth_of_tests(examined: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Rows of the step `examine` with num_missed and percent of their lines, overlap of their tests, and decisive.

    Args:
        pairs: rows of the step `pairs`: a problem is decisive if the reference of another version fails there.
    """
    frame = examined.sort_values(["suite", "example_id"])
    frame["num_missed"] = frame.missed_lines.str.split().map(len)
    frame["percent"] = [percent(n, k) for n, k in zip(frame.num_lines, frame.num_missed, strict=True)]
    frame["overlap"] = frame.shared_calls / frame.visible_calls.where(frame.visible_calls > 0)
    failed = pairs[pairs.hidden.notna() & ~pairs.hidden.isin(["pass", *NOT_RUN])]
    failing = set(zip(failed.suite, failed.tests_id, strict=True))
    frame["decisive"] = [key in failing for key in zip(frame.suite, frame.example_id, strict=True)]
    return frame


def success_within(outcomes: pd.DataFrame, worth: pd.DataFrame) -> pd.DataFrame:
    """Hidden success per run over all problems, over those whose tests overlap or not, and over the decisive ones.

    Args:
        outcomes: suite, system, protocol, example_id and hidden_passed; a row per seed.
        worth: of `worth_of_tests`; problems that it lacks are left out.
    Returns:
        suite, system, protocol, and for each subset n_<subset> and <subset>_percent (mean over seeds).
    """
    frame = outcomes[[*RUN, "example_id", "hidden_passed"]]
    frame = frame.merge(worth[["suite", "example_id", "overlap", "decisive"]], on=["suite", "example_id"])
    overlaps = frame.overlap > 0
    subsets = {"all": overlaps | True, "disjoint": ~overlaps, "overlapping": overlaps, "decisive": frame.decisive}
    table = frame[RUN].drop_duplicates().set_index(RUN).sort_index()
    for name, members in subsets.items():
        groups = frame[members].groupby(RUN)
        table[f"n_{name}"] = groups.example_id.nunique().reindex(table.index, fill_value=0)
        table[f"{name}_percent"] = 100.0 * groups.hidden_passed.mean()
    return table.reset_index()


def success_by_subset(examined: pd.DataFrame, execute: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """`success_within` of executed systems, which see no prompt, and of scripted solvers."""
    known = execute.assign(protocol="-", seed=0, hidden_passed=execute.hidden == "pass")
    outcomes = pd.concat([known[known.hidden.notna()], scores])
    return success_within(outcomes, examined).assign(source=MEASURED)
