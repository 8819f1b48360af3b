"""Which quantity explains a gain: fits over rows, bins, and the optimum with its interval. No torch here."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from papers.merging_noise.curves import averaged
from shared.artifacts.estimates import bootstrap

DEGREES = {"noise": 3, "lr": 3, "batch_size": 2}
NUM_DRAWS = 200
GAINS = ["acc_gain", "loss_gain"]


def explained(x: Sequence[float], y: Sequence[float], degree: int) -> float:
    """R^2 of a polynomial of log10 x fitted to y by least squares.

    The degree is lowered to what the number of distinct x allows: a polynomial through k values has k terms. nan where
    y does not vary.
    """
    x, y = np.log10(np.asarray(x, float)), np.asarray(y, float)
    degree = min(degree, len(np.unique(x)) - 1)
    if not np.ptp(y) > 0:
        return float("nan")
    residual = y - np.polyval(np.polyfit(x, y, degree), x) if degree > 0 else y - y.mean()
    return float(1 - (residual @ residual) / ((y - y.mean()) @ (y - y.mean())))


def half_decades(x: Sequence[float]) -> np.ndarray:
    """Index of each x's half-decade, floor(2 log10 x); values that are at an edge up to rounding go up."""
    return np.floor(2 * np.log10(np.asarray(x, float)) + 1e-6).astype(int)


def optimum(x: Sequence[float], y: Sequence[float], degree: int = 3) -> float:
    """x in the range of the data at which the fitted polynomial of log10 x is largest."""
    x, y = np.log10(np.asarray(x, float)), np.asarray(y, float)
    degree = min(degree, len(np.unique(x)) - 1)
    fine = np.linspace(x.min(), x.max(), 401)
    return float(10 ** fine[np.polyval(np.polyfit(x, y, degree), fine).argmax()])


def fits(rows: np.ndarray) -> dict[str, float]:
    """R^2 of a gain on each predictor, and the noise scale of the largest fit.

    Args:
        rows: (N, 4), columns noise, learning rate, batch size, gain.
    """
    found = {f"r2_{x}": explained(rows[:, k], rows[:, -1], DEGREES[x]) for k, x in enumerate(DEGREES)}
    return found | {"optimum": optimum(rows[:, 0], rows[:, -1])}


def compared(rows: pd.DataFrame, measure: str) -> dict[str, float | int | str]:
    """The fits, how much more the noise scale explains than each other, and bootstrap errors over seeds."""
    seeds = [own[[*DEGREES, measure]].to_numpy(float) for _, own in rows.groupby("seed")]

    @functools.cache
    def fitted(chosen: tuple[int, ...]) -> dict[str, float]:
        return fits(np.concatenate([seeds[i] for i in chosen]))

    def noise(statistic: Callable[[dict[str, float]], float]) -> float:
        """Draws of few seeds repeat, in any order: each is fitted once, for all statistics."""
        of = lambda draw: statistic(fitted(tuple(sorted(draw))))  # noqa: E731
        return bootstrap(range(len(seeds)), of, num_draws=NUM_DRAWS).noise

    found = fitted(tuple(range(len(seeds))))
    row = {"measure": measure, "num_merges": len(rows), "num_seeds": len(seeds)} | found
    for other in ("lr", "batch_size"):
        more = lambda f, o=other: f["r2_noise"] - f[f"r2_{o}"]  # noqa: E731
        row |= {f"over_{other}": more(found), f"over_{other}_error": noise(more)}
    return row | {"optimum_log10_error": noise(lambda f: np.log10(f["optimum"]))}


def by_study(kept_rows: pd.DataFrame) -> pd.DataFrame:
    """A row per study and gain: R^2 on noise, learning rate and batch size; see `compared`."""
    groups = [(study, own) for study, own in kept_rows.groupby("study")]
    return pd.DataFrame([{"study": study} | compared(own, name) for study, own in groups for name in GAINS])


def binned_seeds(kept_rows: pd.DataFrame) -> pd.DataFrame:
    """Each seed's mean gains in each half-decade of the noise scale (column `bin`)."""
    return kept_rows.groupby(["study", "bin", "seed"])[GAINS].mean().reset_index()


def binned(kept_rows: pd.DataFrame) -> pd.DataFrame:
    """Gains over half-decades of the noise scale, mean and standard error over the seeds' means."""
    table = averaged(binned_seeds(kept_rows), ["study", "bin"], GAINS)
    rows = kept_rows.assign(log=np.log(kept_rows.noise)).groupby(["study", "bin"])
    return table.merge(rows.agg(num_merges=("seed", "size"), noise=("log", "mean")).reset_index()).assign(
        noise=lambda t: np.exp(t.noise)
    )


def kept_settings(means: pd.DataFrame) -> pd.DataFrame:
    """Settings of the grid that count."""
    return means[(means.study == "grid") & means.kept & means.main]


def grid_points(means: pd.DataFrame) -> pd.DataFrame:
    """The grid of learning rates and batch sizes; the median over checkpoints where there are several."""
    own = means[(means.study == "grid") & means.main]
    found = {name: (name, "median") for name in ["noise", *GAINS, *(f"{name}_error" for name in GAINS)]}
    return own.groupby(["batch_size", "lr"]).agg(kept=("kept", "all"), **found).reset_index()


def both_schedules(kept_rows: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Settings of both schedules, whether they count, and, told apart by `what`, means over half-decades."""
    single = means[means.study.isin(["grid", "constant"]) & means.main]
    return pd.concat([single.assign(what="setting"), binned(kept_rows).assign(what="half-decade")], ignore_index=True)
