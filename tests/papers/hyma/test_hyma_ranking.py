"""Agreement of two orders of the pairs, and costs against what was logged."""

import math

import numpy as np
import pytest

from papers.hyma import flops
from papers.hyma.exact import POSTER, counted, logged, orders
from papers.hyma.ranking import agreement, kendall, ndcg, random_ndcg, regret, spearman, top_overlap


def test_the_true_order_has_ndcg_one_and_a_swap_is_as_computed_by_hand():
    truth = np.array([3.0, 1.0, 2.0])
    assert ndcg(truth, truth, 3) == 1
    swapped = ndcg([2.0, 1.0, 3.0], truth, 2)  # 2 before 3
    assert swapped == pytest.approx((2 + 3 / math.log2(3)) / (3 + 2 / math.log2(3)), abs=1e-15)


def test_raw_gains_bear_scaling_and_minmax_gains_bear_shifts_too():
    truth, scores = np.array([3.0, 1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert ndcg(scores, 7 * truth, 3) == pytest.approx(ndcg(scores, truth, 3))
    assert ndcg(scores, truth + 10, 3) > ndcg(scores, truth, 3) + 0.01
    assert ndcg(scores, 7 * truth + 10, 3, "minmax") == pytest.approx(ndcg(scores, truth, 3, "minmax"))


def test_random_orders_of_the_posters_pairs_score_high_under_raw_gains():
    rows = {row["case"]: row for row in orders(20_000, 0)}
    for case, (value, tolerance) in {
        "random order, raw gains": (0.894, 0.002),
        "random order, minmax gains": (0.646, 0.004),
        "reversed order, raw gains": (0.789, 0.0005),
        "reversed order, minmax gains": (0.296, 0.0005),
    }.items():
        assert rows[case]["value"] == pytest.approx(value, abs=tolerance)
        if "random" in case:
            assert abs(rows[case]["value"] - rows[case]["expected"]) < 4 * rows[case]["standard_error"]


def test_all_orders_of_few_pairs_average_to_the_random_expectation():
    import itertools

    truth = np.array([4.0, 1.0, 3.0, 2.5])
    every = [ndcg(order, truth, 3) for order in itertools.permutations(range(4))]
    drawn = random_ndcg(truth, 3, "raw", 20_000)
    assert drawn.mean() == pytest.approx(np.mean(every), abs=4 * drawn.std() / math.sqrt(20_000))


def test_rank_correlations_regret_and_overlap():
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman(truth**3, truth) == pytest.approx(1) and kendall(-truth, truth) == pytest.approx(-1)
    assert spearman([1, 2, 4, 3], truth) == pytest.approx(0.8)
    assert kendall([1, 2, 4, 3], truth) == pytest.approx(2 / 3)
    assert regret([0, 0, 9, 1], truth) == 1 and top_overlap([0, 5, 6, 7], truth, 3) == 1
    found = agreement(POSTER, POSTER, 7)
    assert found["ndcg_raw"] == found["ndcg_minmax"] == 1 and found["regret"] == 0 and found["random_raw_p95"] < 1


def test_refusals():
    with pytest.raises(ValueError, match="NDCG@5 needs at least 5 pairs; there are 3"):
        ndcg([1, 2, 3], [1, 2, 3], 5)
    with pytest.raises(ValueError, match="not defined"):
        spearman([1, 1, 1], [1, 2, 3])
    with pytest.raises(ValueError, match="all pairs score the same"):
        ndcg([1, 2, 3], [2, 2, 2], 2, "minmax")
    with pytest.raises(ValueError, match="as many scores"):
        ndcg([1, 2], [1, 2, 3], 2)


def test_the_formula_gives_the_logged_counts():
    for row in logged():
        # the log rounds down: 877.783 stands there as 877.7
        tolerance = (
            1e-3 if "network" in row["case"] else 1e-5 + (0.1 / row["expected"] if "batch" in row["case"] else 0)
        )
        assert row["value"] == pytest.approx(row["expected"], rel=tolerance), row["case"]


def test_the_formula_gives_torchs_own_counts():
    for row in counted():
        assert row["value"] == pytest.approx(row["expected"], rel=1e-12), row["case"]


def test_a_search_costs_its_steps_and_pairs():
    shapes = [[(4, 6)], [(8, 6)]]
    one = flops.search_flops(shapes, 32, 1, None, None)
    assert one == sum(flops.contrastive_flops(32, pair) for pair in shapes)
    assert flops.search_flops(shapes, 32, 10, None, None) == 10 * one
    network = flops.HypernetworkConfig(condition_dim=2, widths=(3,))
    joint = flops.search_flops(shapes, 32, 10, network, 1)
    assert joint == 10 * (one / 2 + 6 * (2 * 3 + 3 * (8 * 6 + 8)))
