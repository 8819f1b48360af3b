"""What references come to, and pairs of versions, from small records with known answers."""

import pandas as pd
import pytest

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.versions import stub_pairs
from papers.gitchameleon.metrics.tracebacks import cause
from papers.gitchameleon.suites.systems import stub_only


def make_problem(id: int, version: str, stub: str = "def f():\n", **other) -> Problem:
    return Problem(
        example_id=id,
        python_version="3.11",
        library="lib",
        version=version,
        problem="Do it.",
        starting_code=stub,
        solution="    return 1\n",
        test="assert f() == 1",
        type_of_change="argument change",
        release_date="2021-01",
        **other,
    )


def test_pairs_are_directed_and_of_one_stub_and_two_versions():
    same = [make_problem(0, "1"), make_problem(1, "1.0"), make_problem(2, "2", "def f():\n\n")]
    other = [make_problem(3, "3", "def g():\n")]
    assert [(a.example_id, b.example_id) for a, b in stub_pairs(same + other)] == [(0, 2), (1, 2), (2, 0), (2, 1)]


def test_a_group_of_three_has_six_pairs():
    problems = [make_problem(id, str(id)) for id in range(1, 4)]
    assert len(stub_pairs(problems)) == 6


@pytest.mark.parametrize(
    ("verdict", "exception", "expected"),
    [
        ("env-missing", "no-wheel", "environment: no-wheel"),
        ("env-missing", "not recorded", "not recorded"),
        ("fail-exception", "URLError", "needs network"),
        ("fail-exception", "LookupError", "needs data"),
        ("fail-exception", "TypeError", "TypeError"),
        ("timeout", None, "timeout"),
    ],
)
def test_a_failure_has_a_cause(verdict, exception, expected):
    assert cause(verdict, exception) == expected


EXECUTED = pd.DataFrame(
    [
        ("benchmark", "reference", 0, "lib", "1", "pass", None),
        ("benchmark", "reference", 1, "lib", "2", "pass", None),
        ("benchmark", "reference", 2, "net", "1", "fail-exception", "URLError"),
        ("benchmark", "reference", 3, "old", "1", "env-missing", "no-wheel"),
        ("benchmark", "reference", 4, "slow", "1", "timeout", float("nan")),
        ("benchmark", "stub", 0, "lib", "1", "fail-exception", "NotImplementedError"),
    ],
    columns=["suite", "system", "example_id", "library", "version", "visible", "visible_exception"],
).assign(hidden=None)


def test_outcomes_count_every_reference_once_and_name_what_does_not_pass(table_of):
    table = table_of("tab_reference_outcomes", {"execute": EXECUTED.copy()}.__getitem__).set_index("cause")
    assert (
        table.num_problems.sum() == 5
        and table.loc["timeout", "problems"] == "4"
        and table.loc["-", "num_problems"] == 2
    )
    assert table.loc["environment: no-wheel", "problems"] == "3"
    assert table.loc["needs network", "libraries"] == "net 1"


def test_a_pair_counts_only_where_the_tests_own_reference_passes(table_of):
    pairs = pd.DataFrame(
        [(0, 1, "pass"), (1, 0, "fail-assert"), (2, 0, "fail-exception"), (0, 3, "env-missing")],
        columns=["tests_id", "code_id", "visible"],
    ).assign(suite="benchmark", hidden=None, change=["Argument", "Argument", "Semantics", "Semantics"])
    table = table_of("tab_pairs", {"pairs": pairs, "execute": EXECUTED.copy()}.__getitem__).set_index("change")
    assert set(table.tests) == {"visible"}
    assert table.loc["all", ["num_pairs", "num_run", "num_failed", "failed_percent"]].tolist() == [4, 2, 1, 50.0]
    assert table.loc["Argument", "num_run"] == 2 and "Semantics" not in table.index


def test_a_stub_ending_inside_a_block_is_closed_at_its_indentation():
    for stub in (
        "def f():\n",
        "def f():\n    with a:\n",
        "class A:\n    def f(self):\n        for x in y:\n            ",
    ):
        code = stub_only(make_problem(0, "1", stub), [])
        compile(code, "stub", "exec")
