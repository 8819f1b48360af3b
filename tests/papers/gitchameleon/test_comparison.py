"""Success, its errors and comparisons: closed forms and brute force."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from papers.gitchameleon.metrics import comparison as metrics
from shared.artifacts.estimates import Z95, wilson_interval
from shared.base.seeding import numpy_generator


def paired_bootstrap(
    a: list[bool], b: list[bool], generator: np.random.Generator, num_resamples: int = 10_000
) -> np.ndarray:
    """Differences of success in percent, a - b, over resampled problems.

    Returns:
        (num_resamples,) differences; problems are drawn with replacement, the same for both systems.
    """
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    # only the counts of +1, 0 and -1 matter, so a resample is one multinomial draw
    shares = np.array([(difference == v).mean() for v in (1.0, 0.0, -1.0)])
    counts = generator.multinomial(len(difference), shares, size=num_resamples)
    return 100.0 * (counts[:, 0] - counts[:, 2]) / len(difference)


def test_the_standard_error_is_the_binomial_one():
    assert metrics.standard_error_percent(48.8) == pytest.approx(2.7600, abs=5e-5)
    assert metrics.standard_error_percent(0) == metrics.standard_error_percent(100) == 0
    found = metrics.Success(160, 328)
    assert found.percent == pytest.approx(16000 / 328) and found.standard_error == pytest.approx(2.76, abs=5e-4)


@pytest.mark.parametrize("n", [1, 5, 328])
def test_wilson_intervals_hold_the_share_and_stay_in_the_unit_interval(n):
    for passed in range(0, n + 1, max(1, n // 7)):
        low, high = wilson_interval(passed, n)
        assert 0 <= low <= passed / n <= high <= 1


def test_wilson_bounds_solve_the_score_equation():
    low, high = wilson_interval(3, 10)
    for bound in (low, high):
        assert abs(0.3 - bound) == pytest.approx(Z95 * math.sqrt(bound * (1 - bound) / 10))


def test_mcnemar_equals_the_count_of_all_outcomes_of_the_discordant_pairs():
    for n in range(1, 13):
        tosses = [sum(t) for t in itertools.product((0, 1), repeat=n)]
        for only_a in range(n + 1):
            as_far = sum(abs(heads - n / 2) >= abs(only_a - n / 2) for heads in tosses)
            assert metrics.mcnemar_exact(only_a, n - only_a) == pytest.approx(as_far / 2**n)
    assert metrics.mcnemar_exact(0, 0) == 1


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(30, 10, 328), (5, 0, 24), (0, 0, 8), (4, 4, 8)])
def test_the_exact_bootstrap_interval_is_the_limit_of_resampling(only_a, only_b, n):
    a = [True] * only_a + [False] * (n - only_a)
    b = [False] * only_a + [True] * only_b + [False] * (n - only_a - only_b)
    draws = paired_bootstrap(a, b, numpy_generator(0, "bootstrap"), num_resamples=200_000)
    # a quantile of a lattice law: resampling may land on the neighbouring lattice point
    expected = np.percentile(draws, [2.5, 97.5])
    assert metrics.bootstrap_interval(only_a, only_b, n) == pytest.approx(expected, abs=100 / n + 1e-9)


def test_a_problem_that_one_system_lacks_is_its_failure():
    found = metrics.compare({0: True, 1: True}, {1: True, 2: True, 3: False})
    assert (found.only_a, found.only_b, found.difference) == (1, 1, 0.0)


def test_agreement_is_one_minus_the_mean_exclusive_or():
    outcomes = pd.DataFrame(np.random.default_rng(0).random((50, 3)) < 0.5, columns=["a", "b", "c"])
    shares = metrics.agreement(outcomes)
    assert np.allclose(shares, shares.T) and np.allclose(np.diag(shares), 1)
    assert shares.loc["a", "b"] == pytest.approx(1 - (outcomes.a ^ outcomes.b).mean())


def test_agreement_counts_only_common_problems():
    outcomes = pd.DataFrame({"a": [True, None, False], "b": [True, True, None], "c": [None, None, None]})
    shares = metrics.agreement(outcomes)
    assert shares.loc["a", "b"] == 1 and math.isnan(shares.loc["a", "c"])


def test_correlations_leave_out_pairs_with_a_missing_value():
    found = metrics.correlation([1, 2, 3, math.nan, 4], [2, 4, 6, 1, 7])
    assert found.n == 4 and found.spearman == pytest.approx(1)
    assert found.pearson == pytest.approx(np.corrcoef([1, 2, 3, 4], [2, 4, 6, 7])[0, 1])
    assert math.isnan(metrics.correlation([1, 2, math.nan], [1, 2, 3]).pearson)


def test_ties_get_their_mean_rank():
    assert metrics.correlation([3, 1, 3], [2.5, 1, 2.5]).spearman == pytest.approx(1)
    assert metrics.correlation([1, 2, 3], [10, 100, 1000]).spearman == pytest.approx(1)
