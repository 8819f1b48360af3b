"""Claims on made-up tables: each can hold, and fails where its table is altered against it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from papers.logistic_gd import claims, figures, tables
from papers.logistic_gd.families import KNOWN_CYCLES, UNEQUAL, as_data
from papers.logistic_gd.search_checks import across_curvature
from shared.artifacts.checks import FAILS, HOLDS, NOISE, verdict_of
from shared.artifacts.compare import compare_tables
from shared.artifacts.config import load_config
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import artifact_csv, load_paper
from shared.artifacts.paths import PaperPaths


def verdict(claim, *tables) -> str:
    return verdict_of(list(claim(*tables)))


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


LINE = frame(
    c=[1.0] * 3, gamma=[1.9, 2.1, 2.5], num_starts=10, max_error=[1e-11, 1.0, 2.0], cycle_error=[None, 1e-13, 1e-13]
)
DIAGRAM = frame(gamma=[1.9, 2.1, 2.5], period=[1, 2, 2], two_cycle_error=[None, 1e-13, 1e-13])
CYCLES = frame(
    data=["A", "A", "A"], gamma=[0.5, 0.9, 1.9], cycle=[0, 1, 1], period=[0, 2, 2], certified=[False, True, True],
    distance=[None, 1.0, 1.0], spectral_radius=[None, 0.5, 0.4], norm_error=0.0, near_error=1e-13, num_near=5,
    share_converged=[1.0, 1.0, 0.4], share_slow=0.0,
)  # fmt: skip
STEPS = frame(two_step_right=[0.9, 0.99], one_step_left=[0.9, 3])
RANDOM = frame(gamma=[0.5, 1.0], num_runs=100, num_converged=[100, 99], num_slow=[0, 1])


def test_starts_that_do_not_converge_below_two_are_noticed():
    assert verdict(claims.sphere_1d_converges, LINE) == HOLDS
    assert verdict(claims.sphere_1d_converges, LINE.assign(max_error=1e-3)) == FAILS


def test_the_threshold_is_sharp_from_both_sides():
    assert verdict(claims.sphere_1d_threshold_sharp, LINE, DIAGRAM) == HOLDS
    assert verdict(claims.sphere_1d_threshold_sharp, LINE, DIAGRAM.assign(period=2)) == FAILS
    assert verdict(claims.sphere_1d_threshold_sharp, LINE.assign(cycle_error=0.1), DIAGRAM) == FAILS


@pytest.mark.parametrize(
    ("claim", "table", "change"),
    [
        (claims.no_two_cycle_proof, frame(min_excess=[1e-6, 0.1], num_delta=5), {"min_excess": 0.0}),
        (claims.one_period_two_root, frame(num_roots=[1, 3], expected_roots=[1, 3]), {"num_roots": 1}),
        (claims.two_step_contraction, STEPS, {"two_step_right": 1.1}),
        (claims.two_step_contraction, STEPS, {"one_step_left": 0.9}),
        (claims.unequal_1d_cycles, CYCLES, {"certified": False}),
        (claims.sphere_2d_cycles, CYCLES, {"distance": 0.1}),
        (claims.sphere_2d_cycles, CYCLES, {"norm_error": 1e-9}),
        (claims.sphere_2d_local_stability, CYCLES, {"near_error": 0.1}),
        (claims.unequal_2d_below_1, CYCLES, {"cycle": [0, 0, 1]}),
    ],
)  # fmt: skip
def test_a_changed_column_overturns_the_claim(claim, table, change):
    assert verdict(claim, table) == HOLDS
    assert verdict(claim, table.assign(**change)) == FAILS


def test_one_run_that_does_not_converge_below_one_is_noticed():
    calm = CYCLES[CYCLES.gamma < 0.9]
    assert verdict(claims.below_1_over_lambda_1d_safe, calm, RANDOM) == HOLDS
    assert verdict(claims.below_1_over_lambda_1d_safe, calm, RANDOM.assign(num_slow=0)) == FAILS
    assert verdict(claims.below_1_over_lambda_1d_safe, calm.assign(share_converged=0.9), RANDOM) == FAILS


@pytest.mark.parametrize(
    ("shares", "expected"), [((0, 0.2, 0.4), HOLDS), ((0, 0.2, 0.1), FAILS), ((0, 0.2, 0.2), NOISE)]
)
def test_basins_have_to_grow_beyond_the_grain_of_the_grid(shares, expected):
    table = frame(data="S", gamma=[1.8, 1.9, 1.99], share=shares)
    settings = SimpleNamespace(basins=SimpleNamespace(grid=SimpleNamespace(num_cells=81)))
    assert verdict(claims.basin_grows_with_gamma, table, settings) == expected


def test_one_cycle_without_proof_is_noticed():
    assert verdict(claims.cycles_certified, CYCLES, CYCLES, CYCLES) == HOLDS
    assert verdict(claims.cycles_certified, CYCLES, CYCLES, CYCLES.assign(certified=[False, False, True])) == FAILS


SEARCH = frame(
    search=["S(20;4,165,1)", "circle, stable", "circle, stable", "circle, stable", "lifted", "lifted"],
    ratio_bound=[165, 100, 165, 1000, None, None], dim=[2, 2, 2, 2, 50, 300], norm_error=0.0,
    confirmed=[True, False, True, True, True, True], gamma_stable=[1.8, None, 1.7, 1.6, 1.97, 1.6],
    count_ratio=[165, 100, 165, 1000, 40, 40],
)  # fmt: skip
LINE_FAMILY = frame(data="A", gamma=[1.75, 1.8, 1.9], cycle=[0, 1, 1])


def searched(**changes) -> str:
    table = SEARCH.copy()
    for column, (row, value) in changes.items():
        table.loc[row, column] = value
    return verdict(claims.search_improves_on_known_cycles, table, LINE_FAMILY)


@pytest.mark.parametrize("row", [2, 5])
def test_a_search_has_to_go_below_the_least_gamma_of_the_known_family(row):
    assert searched() == HOLDS
    assert searched(gamma_stable=(row, 1.8)) == FAILS  # the family's own, which it is seeded with
    assert searched(gamma_stable=(row, 1.85)) == searched(confirmed=(row, False)) == FAILS
    assert searched(norm_error=(row, 1e-9)) == FAILS


def test_a_search_that_takes_a_larger_ratio_than_the_family_s_is_no_improvement():
    assert searched(count_ratio=(2, 200)) == FAILS
    assert searched(ratio_bound=(2, 200)) == FAILS  # none at the family's own ratio: the next looser one does not count


def test_known_cycles_on_the_line_in_the_figure_of_the_search_are_those_of_the_table():
    line = read_csv(artifact_csv(PaperPaths("logistic_gd", "cpu"), "tab_1d_unequal", reference=True))
    rows = line[(line.data == "A") & (line.cycle > 0)].sort_values("gamma")
    dim, gamma = figures.LIFTED
    assert gamma == rows.gamma.iloc[0]
    data = as_data(UNEQUAL["A"])
    along, points = rows.sharpness.iloc[0], np.array(rows.points.iloc[0].split("; "), float)
    x, at_minimum = data.z[:, 0], rows.w_star.iloc[:1].to_numpy()
    across = [across_curvature(x, data.weights, d, at_minimum)[0] for d in (dim - 1, dim)]
    assert across[0] > along > across[1]  # from there on lambda, hence gamma, is that of the line
    assert abs(np.prod(1 - gamma / along * across_curvature(x, data.weights, dim, points))) < 1


@pytest.mark.parametrize("scale", ["smoke", "cpu"])
def test_every_ratio_of_a_known_family_is_searched(scale):
    ratios = load_config("logistic_gd", scale).search.plane.ratios
    wanted = {heavy / light for _, _, heavy, light in KNOWN_CYCLES}
    assert wanted <= set(ratios) or scale == "smoke"


@pytest.mark.parametrize("name", ["tab_frequency", "fig_frequency"])
@pytest.mark.parametrize("column", ["num_sets_cycling", "num_sets_undecided", "num_open"])
def test_one_data_set_that_cycles_or_stays_open_is_drift(name, column):
    artifact = load_paper("logistic_gd").artifacts("cpu")[name]
    table = read_csv(artifact_csv(PaperPaths("logistic_gd", "cpu"), name, reference=True))
    table = table[artifact.all_columns()]
    where = table.index[(table[column] == 0) & (table.group == "random")][0]
    changed = table.copy()
    changed.loc[where, column] = 1
    assert compare_tables(table, table, artifact) == []
    (sentence,) = compare_tables(table, changed, artifact)
    assert f"column '{column}': 1 of" in sentence


@pytest.mark.parametrize(
    ("cycling", "num_sets", "expected"), [(0, 2000, HOLDS), (100, 2000, FAILS), (0, 20, NOISE), (15, 2000, NOISE)]
)
def test_rare_is_judged_by_the_interval_over_data_sets(cycling, num_sets, expected):
    cells = frame(kind="uniform", group="random", gamma=[1.9, 1.99, 1.99], num_sets=num_sets / 2, num_runs=4 * num_sets)
    cells = cells.assign(num_sets_undecided=0, num_drawn=num_sets / 2, num_separable=0, num_open=0)
    # the same data sets at another gamma do not count
    cells["num_sets_cycling"] = [num_sets / 2, cycling, 0]
    assert verdict(claims.cycles_are_rare, tables.fig_frequency(cells, KNOWN)) == expected


KNOWN = frame(data="S", gamma=[1.9, 1.99], num_repeats=40, num_found=[3, 38], num_starts=48)
POOLED = frame(
    group=["random", "real", "real", "known", "known"], kind=["uniform", "digits", "wine", "S", "S"], num_sets=2000,
    gamma=[1.99, 1.99, 1.99, 1.9, 1.99], num_sets_cycling=[0, 0, 0, 100, 1900], num_sets_undecided=0, num_drawn=2100,
    num_separable=100, num_open=0, high=0.002,
)  # fmt: skip


@pytest.mark.parametrize("column", ["num_sets_cycling", "num_sets_undecided", "num_open"])
def test_what_was_left_out_or_undecided_counts_against_rarity(column):
    assert verdict(claims.cycles_are_rare, POOLED) == verdict(claims.cycles_are_rare_on_real_data, POOLED) == HOLDS
    assert verdict(claims.cycles_are_rare, POOLED.assign(**{column: [50, 0, 0, 0, 0]})) == FAILS
    assert verdict(claims.cycles_are_rare_on_real_data, POOLED.assign(**{column: [0, 0, 100, 0, 0]})) == FAILS


def test_cells_are_pooled_by_their_data_sets():
    cells = frame(kind="uniform", group="random", gamma=1.99, num_sets=[10, 10], num_sets_cycling=[1, 2])
    cells = cells.assign(num_sets_undecided=[0, 1], num_drawn=12, num_separable=2, num_open=0)
    row = tables.fig_frequency(cells, KNOWN).iloc[0]
    assert (row.num_sets, row.num_sets_cycling, row.num_sets_undecided, row.share_sets) == (20, 3, 1, 0.15)
    assert 0 < row.low < 0.15 < row.high < 1


def test_a_known_cycle_that_is_missed_at_the_study_s_gamma_is_noticed():
    assert verdict(claims.known_cycles_are_found, POOLED) == HOLDS
    assert verdict(claims.known_cycles_are_found, POOLED.assign(num_sets_cycling=[0, 0, 0, 1900, 100])) == FAILS
