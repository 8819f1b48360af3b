"""Reduce a sweep: tune its hyperparameters, then compare.

A table of runs has one row per run: its settings, the metric, `diverged`. All functions take lower as better.
"""

import numpy as np
import pandas as pd

EDGES = ("inside", "low", "high", "single", "unordered")


def final_rows(records: pd.DataFrame, run: str = "run", phase: str = "eval") -> pd.DataFrame:
    """One row per run, its last of `phase`; a run that diverged before it has its last row of any phase.

    Args:
        records: logged rows with the columns `run`, `phase`, `step` and `diverged`.
    """
    ordered = records.sort_values([run, "step"], kind="stable")
    last = ordered[ordered["phase"] == phase].groupby(run, sort=False).tail(1)
    missing = ordered[~ordered[run].isin(last[run])].groupby(run, sort=False).tail(1)
    return pd.concat([last, missing]).sort_values(run, kind="stable").reset_index(drop=True)


def over_seeds(runs: pd.DataFrame, by: list[str], metric: str = "val_loss") -> pd.DataFrame:
    """Mean over the seeds of each setting.

    Returns:
        `by`, then `metric` (mean; infinite if any seed diverged or is not finite), `std` (sample standard deviation
        over the seeds, NaN for one), `num_seeds`, `num_diverged`.
    """
    found = runs[[*by, metric]].copy()
    found["failed"] = runs["diverged"].astype(bool) | ~np.isfinite(runs[metric].astype(float))
    found["finite"] = found[metric].where(~found["failed"])
    groups = found.groupby(by, sort=True, dropna=False)
    table = pd.DataFrame(
        {
            metric: groups["finite"].mean(),
            "std": groups["finite"].std(),
            "num_seeds": groups.size(),
            "num_diverged": groups["failed"].sum(),
        }
    ).reset_index()
    failed = table["num_diverged"] > 0
    table.loc[failed, metric], table.loc[failed, "std"] = np.inf, np.nan
    return table


def tuned(runs: pd.DataFrame, cell: list[str], metric: str = "val_loss", over: str | list[str] = "lr") -> pd.DataFrame:
    """The best setting of every cell.

    Args:
        runs: one row per run. cell: what is compared, e.g. ["optimizer", "beta1", "beta2"].
        over: what is tuned, the learning rate first; an edge is judged on the values that were run at the best other
            values.
    Returns:
        `cell`, `over` at the best, `metric`, `std`, `num_seeds`, `num_settings`, `num_diverged` (settings of the cell
        with a diverged seed), `edge`: where the best learning rate lies in its grid, one of EDGES, and `edge_<name>`
        for each other name in `over`. At an edge the optimum may lie outside, so the value is an upper bound.
    Raises:
        ValueError: a column that the table has not.
    """
    over = [over] if isinstance(over, str) else list(over)
    missing = [name for name in (*cell, *over, metric, "diverged") if name not in runs]
    if missing:
        raise ValueError(f"the sweep has no column {missing[0]!r}; its columns are {', '.join(runs.columns)}")
    means = over_seeds(runs, [*cell, *over], metric)
    columns = {name: "edge" if index == 0 else f"edge_{name}" for index, name in enumerate(over)}
    rows = []
    groups = means.groupby(cell, sort=True, dropna=False) if cell else [((), means)]
    for key, group in groups:
        best = group.loc[group[metric].idxmin()]
        edges = {column: edge_of(best[name], _line(group, best, name, over)) for name, column in columns.items()}
        rows.append(
            dict(zip(cell, key, strict=True))
            | {name: best[name] for name in (*over, metric, "std", "num_seeds")}
            | {"num_settings": len(group), "num_diverged": int((group["num_diverged"] > 0).sum())}
            | edges
        )
    counts = ["std", "num_seeds", "num_settings", "num_diverged"]
    return pd.DataFrame(rows, columns=[*cell, *over, metric, *counts, *columns.values()])


def _line(group: pd.DataFrame, best: pd.Series, name: str, over: list[str]) -> np.ndarray:
    """Values of `name` that were run at the best values of the others."""
    others = [other for other in over if other != name]
    same = (group[others] == best[others]) | (group[others].isna() & best[others].isna())  # NaN: it has no such setting
    return group.loc[same.all(axis=1), name].unique()


def gains(
    runs: pd.DataFrame, cell: list[str], name: str, baseline: float, metric: str = "val_loss", over: str = "lr"
) -> pd.DataFrame:
    """The best `over` for every cell and value of `name`, and what it gains over the value `baseline` in its cell.

    Args:
        runs: one row per run, with `seed`; runs that share it are pairs.
    Returns:
        As `tuned`, with `standard_error` of the metric, `gain` (baseline less this value, mean over pairs of seeds; NaN
        where the cell has no baseline) and its standard error `gain_error`.
    """
    table = tuned(runs, [*cell, name], metric, over)
    keys = [*cell, name, over]
    values = runs.merge(table[keys], on=keys).pivot(index=[*cell, "seed"], columns=name, values=metric)
    values = values.reindex(columns=values.columns.union([baseline]))
    pairs = values.rsub(values[baseline], axis=0).groupby(level=cell)
    found = pd.DataFrame({"gain": pairs.mean().stack(), "gain_error": pairs.sem().stack()})
    error = table["std"] / np.sqrt(table["num_seeds"].astype(float))
    return table.assign(standard_error=error).join(found, on=[*cell, name])


def edge_of(value: float, grid: np.ndarray) -> str:
    """Where `value` lies in `grid`: inside, low, high, single if it is all there is, unordered if these are no numbers.

    Zero at the lower end is inside: no momentum, no averaging, no decay, and nothing below it.
    """
    if len(grid) < 2:
        return "single"
    if not np.issubdtype(np.asarray(grid).dtype, np.number):
        return "unordered"
    low, high = np.min(grid), np.max(grid)
    if value == low:
        return "inside" if value == 0 else "low"
    return "high" if value == high else "inside"


def with_regret(table: pd.DataFrame, within: list[str], metric: str = "val_loss") -> pd.DataFrame:
    """`table` with `regret`: the metric less the smallest one among the rows that agree in `within`; 0 at the best."""
    best = table.groupby(within, dropna=False)[metric].transform("min") if within else table[metric].min()
    return table.assign(regret=table[metric] - best)
