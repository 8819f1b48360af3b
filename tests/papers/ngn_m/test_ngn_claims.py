"""A claim on the language model, on tables made by hand: it holds, fails, and is within noise where it has to be."""

import numpy as np
import pandas as pd
import pytest

from papers.ngn_m.claims import mdv1_lm_large_lr
from shared.artifacts.checks import FAILS, HOLDS, NOISE, NOT_TESTABLE, verdict_of

LRS = (0.01, 0.1, 1.0)


def tables(best_ratio: float, large_gap: float, error: float = 0.1, lrs=LRS):
    """NGN-MDv1's best perplexity over Adam's (Adam: 17 at 0.01), and its perplexity less Adam's from 0.1 on."""
    seeds = [
        {"study": "lm", "method": method, "seed": seed, "best_loss": np.log(17 * ratio) + 0.001 * seed}
        for method, ratio in (("Adam", 1.0), ("NGN-MDv1", best_ratio))
        for seed in range(3)
    ]
    runs = [
        {"study": "lm", "method": method, "lr": lr, "score": 40 + gap, "score_error": error, "num_seeds": 3}
        for method, gap in (("Adam", 0.0), ("NGN-MDv1", large_gap))
        for lr in lrs
    ]
    best = pd.DataFrame({"study": ["lm"], "method": ["Adam"], "lr": [0.01]})
    return pd.DataFrame(runs), pd.DataFrame(seeds), best


@pytest.mark.parametrize(
    ("best_ratio", "large_gap", "error", "verdict"),
    [
        (1.0, -5.0, 0.1, HOLDS),
        (1.1, -5.0, 0.1, FAILS),  # ten per cent behind Adam at its best
        (1.0, 5.0, 0.1, FAILS),  # worse at large learning rates
        (1.0, -5.0, 5.0, NOISE),
    ],
)
def test_the_language_model_decides_by_best_and_by_large_learning_rates(best_ratio, large_gap, error, verdict):
    assert verdict_of(list(mdv1_lm_large_lr(*tables(best_ratio, large_gap, error)))) == verdict


def test_a_grid_that_ends_at_adams_best_learning_rate_decides_nothing():
    assert verdict_of(list(mdv1_lm_large_lr(*tables(1.0, -5.0, lrs=(0.01, 0.02))))) == NOT_TESTABLE
