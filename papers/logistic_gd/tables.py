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
    """Cells of the frequency study: what became of the data sets that were drawn, and of the runs on them."""
    frame = records("frequency")
    frame["share_undecided"] = (frame.num_undecided + frame.num_diverged) / frame.num_runs
    frame["share_slow"] = frame.num_slow / frame.num_runs
    return frame


def fig_frequency(tab_frequency, known) -> pd.DataFrame:
    """Share of data sets with a cycle, pooled over the cells of a kind, and of repeats that find a known cycle.

    Every data set counts once, at the largest gamma; runs on one data set are not independent, so intervals are over
    data sets (of the known ones: over repeats).
    """
    last = tab_frequency[tab_frequency.gamma == tab_frequency.gamma.max()]
    columns = ["num_drawn", "num_separable", "num_open", "num_sets", "num_sets_cycling", "num_sets_undecided"]
    pooled = last.groupby(["group", "kind", "gamma"], sort=False)[columns].sum()
    names = {"data": "kind", "num_repeats": "num_sets", "num_found": "num_sets_cycling"}
    frame = pd.concat([pooled.reset_index(), known.rename(columns=names).assign(group="known")])
    bounds = [wilson_interval(k, n) for k, n in zip(frame.num_sets_cycling, frame.num_sets, strict=True)]
    low, high = zip(*bounds, strict=True)
    return frame.assign(share_sets=frame.num_sets_cycling / frame.num_sets, low=low, high=high)
