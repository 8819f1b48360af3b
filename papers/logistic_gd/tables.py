"""Records -> tables. One function per artifact of paper.yaml, each (records, settings) -> tidy frame."""

import numpy as np
import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.estimates import wilson_interval
from shared.artifacts.records import Records

SHARES = ["share_converged", "share_cycling", "share_slow", "share_undecided", "share_diverged"]
CYCLE = ["cycle", "period", "points", "spectral_radius", "multipliers", "residual", "distance", "loss", "loss_spread"]


def _theorem(records: Records, check: str, columns: str) -> pd.DataFrame:
    frame = records("theorem")
    return frame.loc[frame.check == check, columns.split()]


def tab_1d_equal(records: Records, settings: Settings) -> pd.DataFrame:
    """Largest error over all starts, by c and gamma; for gamma > 2 also against the closed-form 2-cycle."""
    columns = "c gamma num_starts num_on_fixed_point num_steps max_error cycle_low cycle_high cycle_error"
    return _theorem(records, "convergence", columns).astype({"num_starts": int, "num_on_fixed_point": int})


def tab_two_step(records: Records, settings: Settings) -> pd.DataFrame:
    """Suprema of the one- and two-step ratios on both sides of the fixed point."""
    return _theorem(records, "ratio", "c gamma two_step_right two_step_left one_step_right one_step_left")


def tab_proof(records: Records, settings: Settings) -> pd.DataFrame:
    """The key inequality of the proof on a grid, one row per p."""
    return _theorem(records, "proof", "p num_delta min_excess at_delta").astype({"num_delta": int})


def tab_roots(records: Records, settings: Settings) -> pd.DataFrame:
    """Roots of T(T(u)) = u by interval bisection."""
    frame = _theorem(records, "roots", "c gamma num_roots expected_roots width")
    return frame.astype({"num_roots": int, "expected_roots": int})


def tab_doubling(records: Records, settings: Settings) -> pd.DataFrame:
    """Where the 2-cycle of gamma > 2 doubles."""
    return _theorem(records, "doubling", "c gamma low high multiplier")


def fig_cobweb(records: Records, settings: Settings) -> pd.DataFrame:
    """Orbits of T."""
    return _theorem(records, "cobweb", "start t c gamma u").astype({"t": int})


def fig_bifurcation(records: Records, settings: Settings) -> pd.DataFrame:
    """Attractors of T over gamma."""
    return records("bifurcation")[["c", "gamma", "period", "lowest", "highest", "two_cycle_error", "points"]]


def _with_cycles(frame: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers as such; 0 as the period where there is no cycle."""
    return frame.assign(cycle=frame.cycle.astype(int), period=frame.period.fillna(0).astype(int), n=frame.n.astype(int))


def tab_1d_unequal(records: Records, settings: Settings) -> pd.DataFrame:
    """Cycles of the data sets A, C and D by gamma."""
    columns = ["data", "gamma", "n", "w_star", "sharpness", "num_starts", *SHARES, *CYCLE, "certified"]
    return _with_cycles(records("unequal"))[columns]


def fig_unequal(records: Records, settings: Settings) -> pd.DataFrame:
    """Points of the stable cycles of A, C and D, and the share of starts that end there."""
    frame = _with_cycles(records("unequal"))
    frame["points"] = [p.split("; ") if isinstance(p, str) else [np.nan] for p in frame.points]
    long = frame.explode("points").rename(columns={"points": "w"})
    long["point"] = long.groupby(["data", "gamma", "cycle"]).cumcount()
    return long.astype({"w": float})[["data", "gamma", "cycle", "point", "w", "w_star", "share_cycling"]]


def tab_1d_safe(records: Records, settings: Settings) -> pd.DataFrame:
    """Fate of runs on random data on the line at gamma <= 1."""
    columns = "gamma num_sets num_runs num_converged num_slow num_cycling num_undecided num_diverged"
    return records("safe_line")[columns.split()]


def _plane(records: Records) -> pd.DataFrame:
    frame = records("plane")
    return _with_cycles(frame[frame.data.notna()])


PLANE = ["w1_star", "w2_star", "lambda_min", "lambda_max", "loss_star", "norm_error", "num_starts"]
PLANE += [*SHARES, "num_near", "near_error", *CYCLE, "certified"]


def tab_counterexample(records: Records, settings: Settings) -> pd.DataFrame:
    """Stable cycles on the unit circle by data set and gamma."""
    frame = _plane(records)
    return frame.loc[frame.data != "U", ["data", "gamma", "n", *PLANE]].astype({"num_starts": int, "num_near": int})


def tab_below1(records: Records, settings: Settings) -> pd.DataFrame:
    """Stable cycles of the data set U, whose norms differ, by gamma."""
    frame = _plane(records)
    return frame.loc[frame.data == "U", ["data", "gamma", "n", *PLANE]].astype({"num_starts": int, "num_near": int})


def fig_highdim_below_1(records: Records, settings: Settings) -> pd.DataFrame:
    """Period, largest first coordinate and share of starts of U's cycles."""
    frame = _plane(records)
    frame = frame[frame.data == "U"]
    first = frame.points.map(lambda p: float(p.split(";")[0].split()[0]) if isinstance(p, str) else np.nan)
    return frame.assign(w1=first)[["gamma", "cycle", "period", "w1", "share_cycling", "spectral_radius"]]


def fig_counterexample(records: Records, settings: Settings) -> pd.DataFrame:
    """Two trajectories on one data set with one step size."""
    frame = records("plane")
    return frame.loc[frame.path.notna(), ["path", "t", "gamma", "w1", "w2", "excess"]].astype({"t": int})


def fig_basins(records: Records, settings: Settings) -> pd.DataFrame:
    """A letter per start: w ends at the minimiser, c on a stable cycle, s still approaching, u neither."""
    frame = records("basins")
    share = frame.groupby(["data", "gamma"]).share_cycling.transform("mean")
    return frame.assign(share=share)[["data", "gamma", "w2", "w1_from", "w1_to", "share_cycling", "share", "outcomes"]]


SEARCH = "num_trials num_feasible gamma_program gamma_integer cycle_moved num_rows num_examples count_ratio norm_error"


def tab_search(records: Records, settings: Settings) -> pd.DataFrame:
    """Least gamma found by linear programs and what is left of it in integers."""
    frame = records("search")
    columns = [
        "search",
        "dim",
        "ratio_bound",
        *SEARCH.split(),
        "gamma_stable",
        "period",
        "spectral_radius",
        "confirmed",
    ]
    return frame.reindex(columns=columns).fillna({"period": 0}).astype({"period": int})


def fig_search(records: Records, settings: Settings) -> pd.DataFrame:
    """Least gamma over the bound on the weights' ratio, and over the dimension."""
    frame = records("search")
    frame["against"] = np.where(frame.dim == 2, frame.ratio_bound, frame.dim)
    return frame.reindex(columns=["search", "against", "gamma_program", "gamma_stable"])


def tab_frequency(records: Records, settings: Settings) -> pd.DataFrame:
    """How often cycles occur. Runs on one data set are not independent: the intervals are over data sets."""
    frame = records("frequency")
    frame["share_cycling"] = frame.num_cycling / frame.num_runs
    frame["share_undecided"] = (frame.num_undecided + frame.num_diverged) / frame.num_runs
    frame["share_slow"] = frame.num_slow / frame.num_runs
    frame["share_sets"] = frame.num_sets_cycling / frame.num_sets
    bounds = [wilson_interval(k, n) for k, n in zip(frame.num_sets_cycling, frame.num_sets, strict=True)]
    frame["low"], frame["high"] = zip(*bounds, strict=True)
    columns = "kind dim n label_noise gamma num_sets num_sets_cycling share_sets low high num_sets_cycling_from_zero "
    columns += "num_runs num_cycling share_cycling share_slow share_undecided periods num_drawn num_separable "
    return frame[(columns + "median_condition").split()]


def fig_frequency(records: Records, settings: Settings) -> pd.DataFrame:
    """Share of data sets on which some start cycles, by dimension and rows per dimension; digits pooled over noise."""
    frame = tab_frequency(records, settings)
    frame["rows_per_dim"] = np.where(frame.kind == "digits", 0, frame.n // frame.dim)
    keys = ["kind", "rows_per_dim", "dim", "gamma"]
    pooled = frame.groupby(keys, sort=False)[["num_sets", "num_sets_cycling"]].sum().reset_index()
    bounds = [wilson_interval(k, n) for k, n in zip(pooled.num_sets_cycling, pooled.num_sets, strict=True)]
    pooled["share_sets"] = pooled.num_sets_cycling / pooled.num_sets
    pooled["low"], pooled["high"] = zip(*bounds, strict=True)
    return pooled.drop(columns="num_sets_cycling")
