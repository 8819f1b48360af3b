"""Metrics against closed forms and brute force; the API-hit visitor on snippets; simulated solvers."""

import itertools
import math

import numpy as np
import pytest

from papers.gitchameleon import metrics
from papers.gitchameleon.api_hit import api_hit_rates, called_names, is_hit
from papers.gitchameleon.bootstrap import paired_bootstrap
from papers.gitchameleon.logic_nodes import logic_nodes
from papers.gitchameleon.simulation import Verdicts, expected_after_repair, expected_success, simulate
from papers.gitchameleon.suites import load_suite


def test_the_standard_error_is_binomial():
    rate, error = metrics.success([True] * 160 + [False] * 168)
    assert rate == 160 / 328 and error == pytest.approx(0.027600, abs=5e-6)


def test_wilson_intervals_stay_inside_and_contain_the_rate():
    for n in (1, 5, 328):
        for passed in (0, n // 2, n):
            low, high = metrics.wilson(passed, n)
            assert 0 <= low <= passed / n <= high <= 1 and low < high
    with pytest.raises(ValueError, match="no rate"):
        metrics.wilson(6, 5)


def test_mcnemar_equals_the_binomial_by_brute_force():
    for b, c in itertools.product(range(7), repeat=2):
        one, other = [True] * b + [False] * c + [True], [False] * b + [True] * c + [True]
        draws = list(itertools.product((0, 1), repeat=b + c))
        extreme = sum(abs(sum(d) - (b + c) / 2) >= abs(b - c) / 2 for d in draws)
        assert metrics.mcnemar(one, other) == pytest.approx(extreme / len(draws))


def test_the_paired_bootstrap_is_seeded_and_covers_the_difference():
    one, other = [True] * 30 + [False] * 10, [True] * 20 + [False] * 20
    low, high = paired_bootstrap(one, other, draws=500)
    assert (low, high) == paired_bootstrap(one, other, draws=500)
    assert low < 0.25 < high
    assert paired_bootstrap(one, one, draws=50) == (0, 0)


def test_agreement_is_symmetric_and_the_complement_of_exclusive_or():
    generator = np.random.default_rng(0)
    one, other = generator.random(50) < 0.5, generator.random(50) < 0.7
    assert metrics.agreement(one, other) == metrics.agreement(other, one) == pytest.approx(1 - (one ^ other).mean())
    assert metrics.agreement(one, one) == 1


def test_retrieval_metrics_by_brute_force():
    generator = np.random.default_rng(1)
    urls = [f"https://x.org/{i}" for i in range(6)]
    for _ in range(50):
        gold = list(generator.choice(urls, generator.integers(1, 4), replace=False))
        found = list(generator.choice(urls, generator.integers(0, 4), replace=False))
        got = metrics.retrieval([u.upper() + "/" for u in gold], found)
        common = [u for u in found if u in gold]
        first = next((1 / (i + 1) for i, u in enumerate(found) if u in gold), 0)
        assert got["recall"] == len(common) / len(gold) and got["reciprocal_rank"] == first
        assert got["precision"] == (len(common) / len(found) if found else 0) and got["hit"] == bool(common)


def test_rank_correlation_uses_mean_ranks_of_ties():
    assert list(metrics.ranks([3, 1, 3])) == [2.5, 1, 2.5]
    assert metrics.spearman([1, 2, 3], [10, 100, 1000]) == pytest.approx(1)


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
            result = simulate(verdicts(), q, r, seeds=2000, seed=0)
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
    few, many = (simulate(verdicts(), 0.5, 0.5, seeds, 0)["hidden"] for seeds in (10, 20))
    assert np.array_equal(few, many[:10])
