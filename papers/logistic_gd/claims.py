"""The paper's statements, and those of its predecessor that it builds on, as predicates over the rebuilt tables."""

import pandas as pd

from shared.artifacts.claims import Judgement, claim

FULL = ("cpu", "gpu", "paper")


def _cycles(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.cycle > 0]


def _at(table: pd.DataFrame, gamma: float) -> pd.DataFrame:
    return table[(table.gamma - gamma).abs() < 1e-9]


@claim(
    "sphere-1d-converges",
    "On the line with rows of one magnitude, GD converges from every start for every gamma < 2.",
    tables=["tab_1d_equal"],
    reported="theorem",
)
def sphere_1d_converges(tab_1d_equal: pd.DataFrame) -> Judgement:
    rows = tab_1d_equal[tab_1d_equal.gamma < 2]
    worst = rows.max_error.max()
    evidence = {"largest_error": worst, "threshold": 1e-8, "cases": len(rows), "runs": int(rows.num_starts.sum())}
    return Judgement(bool(len(rows) and worst < 1e-8), evidence)


@claim(
    "sphere-1d-threshold-sharp",
    "Just above gamma = 2 the attractor is the closed-form 2-cycle.",
    tables=["tab_1d_equal", "fig_bifurcation"],
)
def sphere_1d_threshold_sharp(tab_1d_equal: pd.DataFrame, fig_bifurcation: pd.DataFrame) -> Judgement:
    rows = pd.concat([_at(tab_1d_equal, 2.1), _at(tab_1d_equal, 2.5)])
    drawn = pd.concat([_at(fig_bifurcation, 2.1), _at(fig_bifurcation, 2.5)])
    worst, worst_drawn = rows.cycle_error.max(), drawn.two_cycle_error.max()
    below = fig_bifurcation[fig_bifurcation.gamma < 2 - 1e-9]
    holds = len(rows) > 0 and len(drawn) > 0 and max(worst, worst_drawn) < 1e-8 and (below.period == 1).all()
    evidence = {"largest_error_table": worst, "largest_error_diagram": worst_drawn, "threshold": 1e-8}
    return Judgement(bool(holds), evidence | {"largest_period_below_2": int(below.period.max())})


@claim(
    "no-two-cycle-proof",
    "h(delta) > 2 delta / (p (1 - p)): the inequality that excludes 2-cycles for gamma <= 2.",
    tables=["tab_proof"],
)
def no_two_cycle_proof(tab_proof: pd.DataFrame) -> Judgement:
    least = tab_proof.min_excess.min()
    cases = int(tab_proof.num_delta.sum())
    return Judgement(bool(cases and least > 0), {"least_ratio_minus_1": least, "threshold": 0, "grid_points": cases})


@claim(
    "one-period-two-root",
    "T(T(u)) = u has the fixed point as its only root for gamma <= 2, and three roots above (interval bisection).",
    tables=["tab_roots"],
)
def one_period_two_root(tab_roots: pd.DataFrame) -> Judgement:
    wrong = tab_roots[tab_roots.num_roots != tab_roots.expected_roots]
    evidence = {"cases": len(tab_roots), "wrong": len(wrong), "widest_cluster": tab_roots.width.max()}
    return Judgement(bool(len(tab_roots) and wrong.empty), evidence)


@claim(
    "two-step-contraction",
    "From the right of the fixed point (c >= 1) two steps always contract; one step, from the left, need not.",
    tables=["tab_two_step"],
    reported="lemma on two-step contraction from right to left",
)
def two_step_contraction(tab_two_step: pd.DataFrame) -> Judgement:
    right = tab_two_step.two_step_right.max()
    left = tab_two_step[tab_two_step.c >= 9].one_step_left.min()
    evidence = {"largest_two_step_ratio_right": right, "least_one_step_sup_left_c_9_up": left, "threshold": 1}
    return Judgement(bool(right < 1 < left), evidence)


@claim(
    "unequal-1d-cycles",
    "On the line with rows of unequal magnitude, stable cycles exist for some gamma in (1, 2).",
    tables=["tab_1d_unequal"],
    reported="for every gamma in (1, 2) some data set (predecessor)",
)
def unequal_1d_cycles(tab_1d_unequal: pd.DataFrame) -> Judgement:
    holds, evidence = True, {}
    for data, gamma in (("A", 1.9), ("C", 1.5), ("D", 1.4)):
        rows = _at(_cycles(tab_1d_unequal[tab_1d_unequal.data == data]), gamma)
        holds &= len(rows) > 0 and (rows.spectral_radius < 1).all() and rows.certified.all()
        for row in rows.itertuples():
            evidence[f"{data}_at_{gamma:g}"] = f"period {row.period}, multiplier {row.spectral_radius:.3g}"
    return Judgement(bool(holds), evidence)


@claim(
    "below-1-over-lambda-1d-safe",
    "On the line, gamma <= 1 always converges.",
    tables=["tab_1d_unequal", "tab_1d_safe"],
    reported="eta <= 1/lambda suffices in one dimension (predecessor)",
)
def below_1_over_lambda_1d_safe(tab_1d_unequal: pd.DataFrame, tab_1d_safe: pd.DataFrame) -> Judgement:
    named = tab_1d_unequal[tab_1d_unequal.gamma <= 1]
    random = tab_1d_safe[tab_1d_safe.gamma <= 1]
    other = int((random.num_runs - random.num_converged - random.num_slow).sum())
    least = (named.share_converged + named.share_slow).min()
    evidence = {"random_sets": int(random.num_sets.max()), "random_runs": int(random.num_runs.sum())}
    evidence |= {"random_runs_not_converging": other, "random_runs_slow": int(random.num_slow.sum())}
    return Judgement(bool(len(named) and len(random) and other == 0 and least == 1), evidence)


@claim(
    "sphere-2d-cycles",
    "On the circle, with all norms equal, stable cycles exist for gamma < 2.",
    tables=["tab_counterexample"],
    reported="cycles still occur in higher dimension",
)
def sphere_2d_cycles(tab_counterexample: pd.DataFrame) -> Judgement:
    rows = _cycles(tab_counterexample)
    good = (rows.norm_error <= 1e-15) & (rows.gamma < 2) & (rows.period == 2) & (rows.spectral_radius < 1)
    good &= rows.distance > 0.5
    main = _at(rows[rows.data == "S(14;5,3000,1)"], 1.9)
    evidence = {"cycles": len(rows), "least_gamma": rows.gamma.min(), "largest_norm_error": rows.norm_error.max()}
    evidence |= {"largest_spectral_radius": rows.spectral_radius.max(), "least_distance": rows.distance.min()}
    evidence |= {"periods": " ".join(map(str, sorted(rows.period.unique())))}
    return Judgement(bool(len(main) and good.all()), evidence)


@claim(
    "sphere-2d-local-stability",
    "With the same data and step size, starts near the minimiser converge.",
    tables=["tab_counterexample"],
)
def sphere_2d_local_stability(tab_counterexample: pd.DataFrame) -> Judgement:
    worst = tab_counterexample.near_error.max()
    evidence = {"largest_error": worst, "threshold": 1e-8, "starts": int(tab_counterexample.num_near.max())}
    return Judgement(bool(worst < 1e-8), evidence)


@claim(
    "basin-grows-with-gamma",
    "The share of starts that cycle grows with gamma.",
    tables=["fig_basins"],
    scales=FULL,
    untestable_because="the bounds of the shares are those of a grid of 81 x 81 starts",
)
def basin_grows_with_gamma(fig_basins: pd.DataFrame) -> Judgement:
    shares = {data: _shares(rows) for data, rows in fig_basins.groupby("data")}
    at = {round(gamma, 6): value for gamma, value in shares["S(14;5,3000,1)"].items()}
    grows = all(share.is_monotonic_increasing for share in shares.values())
    holds = grows and at[1.8] == 0 and 0.17 <= at[1.9] <= 0.22 and 0.38 <= at[1.99] <= 0.45
    return Judgement(bool(holds), {f"share_at_{gamma:g}": value for gamma, value in at.items()})


@claim(
    "unequal-2d-below-1",
    "In two dimensions with unequal norms, a stable cycle exists at gamma = 0.9, below 1/lambda.",
    tables=["tab_below1"],
    reported="cycles below 1/lambda in higher dimension (predecessor)",
)
def unequal_2d_below_1(tab_below1: pd.DataFrame) -> Judgement:
    rows = _at(_cycles(tab_below1), 0.9)
    good = (rows.period == 2) & (rows.spectral_radius < 1) & (rows.distance > 0.5)
    evidence = {"spectral_radius": rows.spectral_radius.max(), "distance": rows.distance.min()}
    evidence |= {"least_gamma_with_cycle": _cycles(tab_below1).gamma.min()}
    return Judgement(bool(len(rows) and good.all()), evidence)


@claim(
    "cycles-certified",
    "Every cycle in the tables of named data sets exists and is stable, by interval arithmetic.",
    tables=["tab_1d_unequal", "tab_counterexample", "tab_below1"],
)
def cycles_certified(*tables: pd.DataFrame) -> Judgement:
    rows = pd.concat([_cycles(t)[["data", "gamma", "certified"]] for t in tables])
    proved = int(rows.certified.astype(bool).sum())
    return Judgement(bool(len(rows) and proved == len(rows)), {"cycles": len(rows), "certified": proved})


@claim(
    "search-finds-cycles",
    "A search by linear programs finds equal-norm data with stable cycles, in two and in many dimensions.",
    tables=["tab_search"],
    scales=FULL,
    untestable_because="the search at smoke is too short",
)
def search_finds_cycles(tab_search: pd.DataFrame) -> Judgement:
    good = tab_search[
        tab_search.confirmed.astype(bool) & (tab_search.gamma_stable < 2) & (tab_search.norm_error < 1e-14)
    ]
    least = good.groupby("search").gamma_stable.min()
    return Judgement(
        bool({"circle, stable", "lifted"} <= set(least.index)), {f"least_gamma_{k}": v for k, v in least.items()}
    )


@claim(
    "cycles-are-rare",
    "Random and realistic equal-norm data almost never make GD cycle for gamma <= 1.99.",
    tables=["tab_frequency"],
    scales=FULL,
    reported="left open by the paper",
    untestable_because="smoke draws twenty data sets of a kind",
)
def cycles_are_rare(tab_frequency: pd.DataFrame) -> Judgement:
    rows = tab_frequency[tab_frequency.gamma <= 1.99 + 1e-9]
    cycling, undecided = rows.share_cycling.max(), rows.share_undecided.max()
    evidence = {"largest_share_of_runs": cycling, "largest_share_undecided": undecided, "threshold": 0.01}
    evidence |= {"sets": int(rows.num_sets.sum()), "sets_cycling": int(rows.num_sets_cycling.sum())}
    evidence |= {"largest_upper_bound_of_random_cells": rows[rows.kind != "digits"].high.max()}
    return Judgement(bool(cycling < 0.01 and undecided < 0.01), evidence)


def _shares(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby("gamma").share.first().sort_index()
