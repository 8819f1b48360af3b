"""Claims on tables made by hand: they hold, fail, and are within noise where they have to be."""

import pandas as pd
import pytest

from papers.symmetry_lmc.claims import (
    gap_is_in_o,
    init_matters,
    learned_near_zero,
    orthogonal_beats_permutation_lm,
    orthogonal_beats_permutation_wm,
    soft_endpoint,
    three_way,
    two_way_order,
    width_heterogeneous,
    wm_beats_learned_permutations,
    wm_iterations,
)
from papers.symmetry_lmc.names import (
    ACTIVATION,
    CIRCUITS,
    LM,
    LM_IDENTITY,
    LM_PERM,
    ORTHOGONAL,
    SOFT,
    SOFT_WIDE,
    VANILLA,
    WM,
    WM_PERM,
)
from shared.artifacts.checks import FAILS, HOLDS, NOISE, NOT_TESTABLE, verdict_of
from shared.artifacts.config import Settings

GOOD = {VANILLA: 3.0, ACTIVATION: 1.5, WM_PERM: 1.0, WM: 0.4, LM_PERM: 0.5, LM: 0.05}


def pairs(heights: dict[str, float], spread: float = 0.01, column: str = "barrier", **keys) -> pd.DataFrame:
    """One row per method and pair; pairs scatter by `spread` around the height."""
    rows = [
        {"study": "gpt", "method": method, "pair": k, column: value * (1 + spread * (k - 1) * (1 + 0.1 * index))} | keys
        for index, (method, value) in enumerate(heights.items())
        for k in range(3)
    ]
    return pd.DataFrame(rows)


def verdict(claim, *tables) -> str:
    return verdict_of(list(claim(*tables)))


@pytest.fixture(scope="module")
def settings():
    return Settings("symmetry_lmc", "claims", "cpu")


@pytest.mark.parametrize(
    ("change", "spread", "expected"),
    [({}, 0.01, HOLDS), ({LM: 1.0}, 0.01, FAILS), ({LM: 0.59}, 0.2, NOISE)],
)
def test_learned_near_zero(settings, change, spread, expected):
    assert verdict(learned_near_zero, pairs(GOOD | change, spread), settings) == expected


@pytest.mark.parametrize(
    ("change", "expected"), [({}, HOLDS), ({ACTIVATION: 3.5}, FAILS), ({WM: 0.01}, FAILS), ({LM: 2.0}, FAILS)]
)
def test_two_way_order(change, expected):
    assert verdict(two_way_order, pairs(GOOD | change)) == expected


def test_orthogonal_against_permutations():
    assert verdict(orthogonal_beats_permutation_wm, pairs(GOOD)) == HOLDS
    assert verdict(orthogonal_beats_permutation_wm, pairs(GOOD | {WM: 0.9})) == FAILS
    assert verdict(orthogonal_beats_permutation_wm, pairs(GOOD | {WM: 0.69}, 0.3)) == NOISE
    assert verdict(orthogonal_beats_permutation_lm, pairs(GOOD)) == HOLDS
    assert verdict(orthogonal_beats_permutation_lm, pairs(GOOD | {LM: 0.5})) == FAILS


def test_images_do_not_decide_what_is_asked_of_the_text(settings):
    text, images = pairs(GOOD), pairs(GOOD | {WM: 3.0}).assign(study="vit")
    assert verdict(wm_beats_learned_permutations, pd.concat([text, images]), settings) == HOLDS
    assert verdict(wm_beats_learned_permutations, pairs(GOOD | {WM: 0.8}), settings) == FAILS


def test_init_matters_is_judged_at_the_early_step_alone(settings):
    early = pairs({LM: 0.1, LM_IDENTITY: 0.5}, step=settings.thresholds.early_step)
    late = pairs({LM: 0.1, LM_IDENTITY: 0.1}, step=100)
    assert verdict(init_matters, pd.concat([early, late]), settings) == HOLDS
    worse = pairs({LM: 0.5, LM_IDENTITY: 0.5}, step=settings.thresholds.early_step)
    assert verdict(init_matters, worse, settings) == FAILS


def angles(wm: float, diff: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"study": "gpt", "pair": range(3), "median_wm": [wm, wm * 1.02, wm], "median_diff": [diff, diff * 1.01, diff]}
    )


def test_gap_is_in_o_needs_small_angles_and_units_that_stay():
    still = pd.DataFrame({"study": "gpt", "method": LM, "pair": range(3), "hidden_moved": 0.0, "heads_moved": 0.0})
    assert verdict(gap_is_in_o, angles(1.5, 0.2), still) == HOLDS
    assert verdict(gap_is_in_o, angles(1.5, 1.2), still) == FAILS
    assert verdict(gap_is_in_o, angles(1.5, 0.2), still.assign(hidden_moved=[0.30, 0.31, 0.32])) == FAILS


def test_every_width_decides():
    flat = pd.concat([pairs({CIRCUITS: 1.5, LM: 0.1}, width=w) for w in (8, 16)])
    steep = pd.concat([pairs({CIRCUITS: 1.5, LM: 0.1}, width=8), pairs({CIRCUITS: 1.5, LM: 0.6}, width=16)])
    assert verdict(width_heterogeneous, flat) == HOLDS and verdict(width_heterogeneous, steep) == FAILS


def test_three_way_wants_both_steps_down():
    def table(heights):
        return pairs(heights, column="largest").rename(columns={"pair": "triple"})

    assert verdict(three_way, table({VANILLA: 2.5, WM: 0.8, LM: 0.2})) == HOLDS
    assert verdict(three_way, table({VANILLA: 2.5, WM: 0.2, LM: 0.8})) == FAILS


def test_settling_compares_sweep_five_with_fifteen():
    def table(at_five: float, last: int = 15):
        rows = [
            {"study": "gpt", "group": ORTHOGONAL, "pair": k, "sweep": sweep, "barrier": height * (1 + 0.01 * k)}
            for k in range(3)
            for sweep, height in ((5, at_five), (last, 0.4))
        ]
        return pd.DataFrame(rows)

    assert verdict(wm_iterations, table(0.41)) == HOLDS and verdict(wm_iterations, table(0.6)) == FAILS
    assert verdict(wm_iterations, table(0.41, last=10)) == NOT_TESTABLE


def test_soft_endpoints_are_ordered():
    assert verdict(soft_endpoint, pairs({SOFT: 0.4, SOFT_WIDE: 0.2, LM: 0.07}, column="loss_b")) == HOLDS
    assert verdict(soft_endpoint, pairs({SOFT: 0.2, SOFT_WIDE: 0.4, LM: 0.07}, column="loss_b")) == FAILS
