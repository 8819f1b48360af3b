"""The API-hit visitor on snippets; simulated solvers."""

import math

import numpy as np
import pytest

from papers.gitchameleon.metrics.api_hit import api_hit_rates, called_names, is_hit
from papers.gitchameleon.metrics.logic_nodes import logic_nodes
from papers.gitchameleon.metrics.simulation import Verdicts, expected_after_repair, expected_success, outcomes
from papers.gitchameleon.suites.loader import load_suite


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import numpy as np\nnp.linalg.norm(x)", {"numpy.linalg.norm"}),
        ("from a import b as c\nc()", {"a.b"}),
        ("from a import b\nb.c()", {"a.b.c"}),
        ("import os.path\nos.path.join()", {"os.path.path.join"}),  # the published rule, see _aliases
        ("import a.b as c\nc.d()", {"a.b.d"}),
        ("f()()", {"f"}),
        ("x().y()", {"x", "y"}),
        ("(lambda: g())()", {"g"}),
        ("@d(1)\ndef f(): pass", {"d"}),
        ("def f():\n    import m as n\n    n.g()", {"m.g"}),
        ("from m import *\ng()", {"g"}),
        ("x[0].y.z()", {"y.z"}),
        ("from . import a\na()", {"a"}),
        ("class C(B()):\n    x = f()", {"B", "f"}),
        ("x = 1", set()),
    ],
)
def test_called_names(code, names):
    assert called_names(code) == names


def test_an_answer_that_does_not_parse_is_a_miss_or_left_out():
    assert is_hit("def (", ["a"]) is None and is_hit("x", []) is True and is_hit("a()", ["a", "b"]) is False
    rates = api_hit_rates([True, False, None, None])
    assert (rates["published"], rates["strict"]) == (0.5, 0.25)


def test_references_of_the_suites_call_what_they_name():
    for problem in (*load_suite("builtin"), *load_suite("mini")):
        # the published rule misnames what is imported as `import a.b`
        assert is_hit(problem.answer, problem.api_calls) or "import packaging.version" in problem.answer, problem.task


def test_a_lone_library_call_has_no_logic_nodes():
    assert logic_nodes("import m\ndef f(x):\n    return m.g(x)") == 0
    assert logic_nodes("import m\ndef f(x):\n    return m.g(m.h(x.i()))") == 3
    assert logic_nodes("def f(x):\n    return x + 1\ndef g(x):\n    return f(x)") == 2


def verdicts() -> Verdicts:
    wrong = np.array([True, False, False, False])
    right = np.ones(4, bool)
    return Verdicts(right, wrong, right, wrong)


def test_simulated_solvers_meet_their_closed_forms():
    for q in (0.0, 0.3, 1.0):
        for r in (0.0, 0.5, 1.0):
            result = outcomes(verdicts(), q, r, seeds=2000, seed=0)
            for name, expected in (
                ("hidden", expected_success(verdicts(), q)),
                ("hidden_after", expected_after_repair(verdicts(), q, r)),
            ):
                error = result[name].std(ddof=1) / math.sqrt(2000)
                assert abs(result[name].mean() - expected) <= 4 * error + 1e-12
    # w = 1 for one problem of four, and everything that fails fails visibly: p + (1 - p) r
    assert expected_success(verdicts(), 0.5) == 0.625
    assert expected_after_repair(verdicts(), 0.5, 0.5) == pytest.approx(0.625 + 0.375 * 0.5)


def test_one_more_seed_does_not_change_the_others():
    few, many = (outcomes(verdicts(), 0.5, 0.5, seeds, 0)["hidden"] for seeds in (10, 20))
    assert np.array_equal(few, many[:10])
