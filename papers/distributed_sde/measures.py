"""What the claims measure in the tables: who diverges, where curves end, slopes, exponents, errors.

Monte Carlo has the standard error that its table holds, medians over runs that of their quartiles, shares of runs that
of Wilson's interval. Nothing here imports torch.
"""

import numpy as np
import pandas as pd

from shared.artifacts.estimates import Estimate, share_of


def wrong_statuses(part: pd.DataFrame, index: str, diverging: dict[str, np.ndarray]) -> dict[str, int]:
    """Per model, at how many values of `index` it does not diverge just where it should.

    Args:
        part: rows of fig_sanity for one function.
        index: eta or x0.
        diverging: model -> whether it should diverge, one entry per value of `index` in ascending order.
    """
    status = part.groupby([index, "model"]).status.first().unstack()
    return {model: int(((status[model] == "diverges") != rule).sum()) for model, rule in diverging.items()}


def curves(table: pd.DataFrame, **chosen: object) -> list[pd.DataFrame]:
    """Curves over k of the cells of fig_toy with the chosen settings."""
    for name, value in chosen.items():
        table = table[table[name] == value]
    return [part.sort_values("k") for _, part in table.groupby(["schedule", "lr", "scale", "omega", "x0"])]


def diverged_share(row: pd.Series) -> Estimate:
    """Share of runs that have diverged."""
    return share_of(round(row.share_diverged * row.n_runs), int(row.n_runs))


def log_median(row: pd.Series, unit: float = 1.0) -> Estimate:
    """log10 of a median over runs, in units of `unit`; its standard error from the quartiles, as of a normal law."""
    median, q25, q75 = np.log10(np.maximum(row[["median_g2", "q25", "q75"]].astype(float) / unit, 1e-300))
    return Estimate(median, 1.2533 * (q75 - q25) / 1.349 / row.n_runs**0.5, n=int(row.n_runs))


def slope(curve: pd.DataFrame) -> Estimate:
    """Slope of log median over log k; the checkpoints lie further apart than the method remembers."""
    (found, _), covariance = np.polyfit(np.log(curve.k), np.log(curve.median_g2), 1, cov=True)
    return Estimate(found, covariance[0, 0] ** 0.5, len(curve) - 2, len(curve))


def floor_exponents(table: pd.DataFrame, columns: tuple[str, ...] = ("eta", "scale", "N")) -> dict[str, Estimate]:
    """Exponents of a product of powers of `columns`, fitted to the floors of tab_floor by least squares of logs."""
    design = np.column_stack([np.log(table[list(columns)].to_numpy(float)), np.ones(len(table))])
    solve = np.linalg.pinv(design)
    found = solve @ np.log(table.floor_measured.to_numpy())
    noises = np.sqrt(solve**2 @ (table.standard_error / table.floor_measured).to_numpy() ** 2)
    return {name: Estimate(*pair) for name, *pair in zip(columns, found, noises, strict=False)}


def bound_steps(part: pd.DataFrame, argument: str) -> pd.Series:
    """Changes of the corrected bound of tab_2 from each value of an argument to the next, all others equal."""
    settings = [c for c in ("nu", "omega", "s0", "s1", "N", "d") if c in part and part[c].notna().all()]
    others = [c for c in settings if c != argument]
    return part.sort_values(argument).groupby(others).bound_corrected.diff().dropna()


def transient_errors(rows: pd.DataFrame) -> dict[str, Estimate]:
    """Mean over k of |E f of the SDE / E f of the method - 1|, by SDE model.

    The same paths stand behind all k, so their errors may all go one way: standard errors are averaged too.
    """
    noise = (1 + rows.rel_err) * np.hypot(rows.se_discrete / rows.f_discrete, rows.se_sde / rows.f_sde)
    means = rows.assign(noise=noise).groupby("sde")[["rel_err", "noise"]].mean()
    return {kind: Estimate(row.rel_err, row.noise) for kind, row in means.iterrows()}
