"""Records -> tables; paper.yaml says which columns each has."""

import numpy as np
import pandas as pd

from shared.artifacts.estimates import wilson_interval


def fig_unequal(tab_1d_unequal) -> pd.DataFrame:
    """Points of the stable cycles of A, C and D, and the share of starts that end there."""
    points = tab_1d_unequal.points.map(lambda text: text.split("; ") if isinstance(text, str) else [np.nan])
    long = tab_1d_unequal.assign(w=points).explode("w").astype({"w": float})
    return long.assign(point=long.groupby(["data", "gamma", "cycle"]).cumcount())


def tab_counterexample(records) -> pd.DataFrame:
    """Stable cycles in the plane of the data sets on the unit circle, by gamma."""
    frame = records("plane", "cycles")
    return frame[frame.data != "U"]


def tab_below1(records) -> pd.DataFrame:
    """Those of the data set U, whose norms differ."""
    frame = records("plane", "cycles")
    return frame[frame.data == "U"]


def fig_highdim_below_1(tab_below1) -> pd.DataFrame:
    """Period, largest first coordinate and share of starts of U's cycles."""
    first = tab_below1.points.map(lambda text: float(text.split()[0]) if isinstance(text, str) else np.nan)
    return tab_below1.assign(w1=first)


def fig_basins(records) -> pd.DataFrame:
    """A letter per start: w ends at the minimiser, c on a stable cycle, s still approaching, u neither."""
    frame = records("basins")
    return frame.assign(share=frame.groupby(["data", "gamma"]).share_cycling.transform("mean"))


def tab_frequency(records) -> pd.DataFrame:
    """How often cycles occur. Runs on one data set are not independent: the intervals are over data sets."""
    frame = records("frequency")
    frame["share_cycling"] = frame.num_cycling / frame.num_runs
    frame["share_undecided"] = (frame.num_undecided + frame.num_diverged) / frame.num_runs
    frame["share_slow"] = frame.num_slow / frame.num_runs
    return _with_share_of_sets(frame)


def fig_frequency(tab_frequency) -> pd.DataFrame:
    """Share of data sets on which some start cycles, by dimension and rows per dimension; digits pooled over noise."""
    per_dim = np.where(tab_frequency.kind == "digits", 0, tab_frequency.n // tab_frequency.dim)
    keys = ["kind", "rows_per_dim", "dim", "gamma"]
    groups = tab_frequency.assign(rows_per_dim=per_dim).groupby(keys, sort=False)
    return _with_share_of_sets(groups[["num_sets", "num_sets_cycling"]].sum().reset_index())


def _with_share_of_sets(frame: pd.DataFrame) -> pd.DataFrame:
    """With the share of data sets that cycle and Wilson's 95% interval."""
    bounds = [wilson_interval(k, n) for k, n in zip(frame.num_sets_cycling, frame.num_sets, strict=True)]
    low, high = zip(*bounds, strict=True)
    return frame.assign(share_sets=frame.num_sets_cycling / frame.num_sets, low=low, high=high)
