"""What the claims measure in the tables: who diverges, where curves end, slopes, exponents, errors.

Monte Carlo has the standard error that its table holds, medians over runs that of their quartiles, shares of runs that
of Wilson's interval. Nothing here imports torch.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from papers.distributed_sde.settings import Linear
from papers.distributed_sde.theory import equal_clients, mean_square_threshold
from shared.artifacts.estimates import Estimate, difference, from_standard_error, mean_of, ratio, share_of

STALL = 0.1  # a run stalls where its loss changes by a smaller power of the step than this, up or down
Z95 = 1.96  # of the intervals in fig_threshold
ABOVE = 10.0  # times a run's first loss: from there on it is chaos, of which only that it is there can be compared


def gap(first: Estimate, second: Estimate) -> Estimate:
    """first - second, with the smaller number of their repetitions."""
    return replace(difference(first, second), n=min(first.n, second.n))


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


def floor_exponents(
    table: pd.DataFrame, num_paths: int, columns: tuple[str, ...] = ("eta", "scale", "N")
) -> dict[str, Estimate]:
    """Exponents of a product of powers of `columns`, fitted to the floors of tab_floor by least squares of logs."""
    design = np.column_stack([np.log(table[list(columns)].to_numpy(float)), np.ones(len(table))])
    solve = np.linalg.pinv(design)
    found = solve @ np.log(table.floor_measured.to_numpy())
    noises = np.sqrt(solve**2 @ (table.standard_error / table.floor_measured).to_numpy() ** 2)
    return {name: from_standard_error(*pair, num_paths) for name, *pair in zip(columns, found, noises, strict=False)}


def sampled_ratios(rows: pd.DataFrame, unit: str, num_paths: int) -> dict[str, Estimate]:
    """model -> its sampled variance over that of `unit`; rows of tab_stationary by model, sampled independently."""
    found = {
        model: from_standard_error(value, error, num_paths)
        for model, value, error in zip(rows.index, rows.var_mc, rows.standard_error, strict=True)
    }
    return {model: replace(ratio(estimate, found[unit]), n=num_paths) for model, estimate in found.items()}


def loss_by_compression(rows: pd.DataFrame) -> float:
    """The least of the largest stable steps of fig_stable over those at the next omega."""
    step = rows.pivot(index="grad_norm", columns="omega", values="eta_stable").to_numpy()
    return float((step[:, :-1] / step[:, 1:]).min())


def admits_unstable(rows: pd.DataFrame) -> pd.Series:
    """Whether the classical condition of fig_stable lies above the largest stable step."""
    return rows.bound_classical > rows.eta_stable


def over_corrected(rows: pd.DataFrame) -> pd.DataFrame:
    """Largest stable step and classical condition of fig_stable over the corrected condition."""
    unit = rows.bound_corrected
    found = {"stable": rows.eta_stable / unit, "classical": rows.bound_classical / unit}
    return rows.assign(**found, admits_unstable=admits_unstable(rows).astype(int))


def boundary_steps(
    rows: pd.DataFrame, argument: str, direction: int, settings: Linear
) -> Iterator[tuple[str, Estimate]]:
    """The least clear change of log eta* from each value of an argument of fig_threshold to the next, others equal.

    Args:
        direction: 1 if eta* should rise with the argument, -1 if it should fall; what goes that way is positive.

    Yields:
        (in_mean_square | on_typical_paths, change), where there are two rows that differ in the argument alone.
    """
    rows = rows.assign(error=(rows.ci_high - rows.ci_low) / 2 / Z95)
    laws = {"in_mean_square": ("eta_star_measured", "error", settings.threshold_runs)}
    laws["on_typical_paths"] = ("eta_sure", "eta_sure_error", settings.typical_paths)
    for law, (value, error, num_paths) in laws.items():
        points = rows[rows[value].notna()].drop_duplicates(["omega", "d", "N", "s1"]).sort_values(argument)
        points = points.assign(log=np.log(points[value]), square=(points[error] / points[value]) ** 2)
        groups = points.groupby([c for c in ("omega", "d", "N", "s1") if c != argument])
        change, noise = direction * groups.log.diff(), (points.square + groups.square.shift()) ** 0.5
        if change.notna().any():
            worst = (change / noise).idxmin()
            yield law, Estimate(change[worst], noise[worst], num_paths - 1, num_paths)


def transient_errors(rows: pd.DataFrame) -> dict[str, Estimate]:
    """Mean over k of |E f of the SDE / E f of the method - 1|, by SDE model.

    The same paths stand behind all k, so their errors may all go one way: standard errors are averaged too.
    """
    noise = (1 + rows.rel_err) * np.hypot(rows.se_discrete / rows.f_discrete, rows.se_sde / rows.f_sde)
    means = rows.assign(noise=noise).groupby("sde")[["rel_err", "noise", "n_paths"]].mean()
    return {kind: Estimate(row.rel_err, row.noise, n=int(row.n_paths)) for kind, row in means.iterrows()}


def above_the_axis(rows: pd.DataFrame, run: list[str]) -> pd.DataFrame:
    """Losses beyond ABOVE times the first one of their run, and such maxima, as infinity.

    Args:
        run: the columns that tell runs apart; their rows are in the order of the steps.
    """
    first = rows.groupby(run, sort=False).loss.transform("first")
    far = rows.max_over_initial.where(rows.max_over_initial <= ABOVE**3, np.inf)
    return rows.assign(loss=rows.loss.where(rows.loss <= ABOVE * first, np.inf), max_over_initial=far)


def over_seeds(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Per step: mean, low and high of the loss over all seeds, and how many runs have just left the axis.

    Where a seed is off the axis, or has stopped, there is no mean: one over the others would speak of survivors alone.

    Args:
        keys: what tells curves apart; runs differ by seed within them.
    """
    table = table.sort_values("step", kind="stable").assign(gone=lambda t: ~np.isfinite(t.loss))
    just = table.gone & ~table.groupby([*keys, "seed"]).gone.shift(fill_value=False).astype(bool)
    on_axis = table.assign(loss=table.loss.where(~table.gone), num_gone=just, here=table.seed.where(~table.gone))
    groups = on_axis.groupby([*keys, "step"], sort=False)
    spread = {"mean": ("loss", "mean"), "low": ("loss", "min"), "high": ("loss", "max")}
    found = groups.agg(**spread, num_gone=("num_gone", "sum"), here=("here", "nunique")).reset_index()
    seeds = found[keys].merge(table.groupby(keys, sort=False).seed.nunique().reset_index(), how="left").seed
    values = ["mean", "low", "high"]
    found[values] = found[values].where(found.here == seeds)
    return found[found["mean"].notna() | (found.num_gone > 0)].drop(columns="here").reset_index(drop=True)


def leaving_curves(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The curves of which a run leaves the axis: how many runs they have, how many leave, and how many end diverged."""
    runs = table.groupby([*keys, "seed"], sort=False)
    runs = runs.agg(
        left=("loss", lambda loss: not np.isfinite(loss).all()), diverged=("status", lambda s: s.iloc[0] == "diverged")
    )
    found = runs.groupby(keys, sort=False).agg(
        num_runs=("left", "size"), num_left=("left", "sum"), num_diverged=("diverged", "sum")
    )
    return found[found.num_left > 0].reset_index()


def until_gone(curve: pd.DataFrame, y: str) -> pd.DataFrame:
    """The curve up to its first value that is not finite, which is marked once."""
    gone = ~np.isfinite(curve[y].to_numpy())
    return curve.iloc[: int(gone.argmax()) + 1] if gone.any() else curve


def boundary_errors(rows: pd.DataFrame, num_draws: int) -> tuple[Estimate, Estimate]:
    """Largest |measured / corrected - 1| of fig_threshold; least |classical / measured - 1| where kappa is below 2."""
    t = rows.assign(noise=(rows.ci_high - rows.ci_low) / 2 / Z95)
    t["error"] = (t.eta_star_measured / t.eta_star_theory - 1).abs()
    worst = t.loc[t.error.idxmax()]
    near = t[t.kappa < 2].assign(classical=lambda t: (t.eta_star_classical / t.eta_star_measured - 1).abs())
    least = near.loc[near.classical.idxmin()]
    noise = (1 + least.classical) * least.noise / least.eta_star_measured
    largest = Estimate(worst.error, worst.noise / worst.eta_star_theory, n=num_draws)
    return largest, Estimate(least.classical, noise, n=num_draws)


def ends_of_runs(rows: pd.DataFrame, run: list[str]) -> pd.DataFrame:
    """A row per run: its first and last loss, and its status and largest rise, which all of its rows have."""
    groups = rows.sort_values("step", kind="stable").groupby(run, sort=False)
    status, rise = ("status", "first"), ("max_over_initial", "first")
    return groups.agg(first=("loss", "first"), last=("loss", "last"), status=status, rise=rise).reset_index()


def over_rules_and_seeds(values: pd.Series, runs: pd.DataFrame) -> Estimate:
    """Mean of a value per run over the rules within a seed, then over seeds: rules of one seed are not independent."""
    return mean_of(values.groupby(runs.seed).mean())


def diverged_over_seeds(runs: pd.DataFrame) -> Estimate:
    """Share of runs that diverged, rules averaged within a seed; as sure as a share of that many seeds."""
    shares = (runs.status == "diverged").groupby(runs.seed).mean()
    return share_of(shares.sum(), len(shares))


def last_decade_slopes(runs: pd.DataFrame, level: str) -> dict[tuple[str, float], Estimate]:
    """(rule, level) -> mean over seeds of the slope of log loss over log step, in the last factor of ten of steps."""
    late, found = runs[runs.step >= runs.step.max() / 10], {}
    for key, part in late.groupby(["rule", level]):
        slopes = [np.polyfit(np.log(run.step), np.log(run.loss), 1)[0] for _, run in part.groupby("seed")]
        found[key] = mean_of(slopes)
    return found


def last_decade_means(runs: pd.DataFrame, level: str) -> list[tuple[float, float, float]]:
    """(level, power, mean) in ascending order: what loss does over the last factor of ten of steps, one rule's runs."""
    late = runs[runs.step >= runs.step.max() / 10]
    slopes = last_decade_slopes(runs, level).items()
    return [(value, slope.value, late[late[level] == value].loss.mean()) for (_, value), slope in slopes]


def predicted_boundaries(part: pd.DataFrame, column: str) -> tuple[np.ndarray, list[float], list[float]]:
    """Grid along one setting of fig_threshold with the corrected and the classical boundary; others as in its rows."""
    first, low, high = part.iloc[0], part[column].min(), part[column].max()
    low, high = (low / 2, 2 * high) if low == high else (low, high)
    grid = np.linspace(low, high, 200)
    if column != "omega":
        grid = np.unique(np.round(np.geomspace(low, high, 100)))
    settings = {name: first[name] for name in ("d", "N", "omega", "s1")}
    kappas = []
    for value in grid:
        d, clients, omega, s1 = (settings | {column: value}).values()
        kappas.append(equal_clients(int(d), int(clients), omega, 0.0, s1)[0])
    return grid, *([mean_square_threshold(first.lam, k) for k in shift] for shift in (kappas, np.array(kappas) - 1))


def processes_beside_simulation(frame: pd.DataFrame) -> pd.DataFrame:
    """Processes beside the simulation: same draws, and in law (z of the mean loss against independent runs)."""
    keys, real = ["method", "step"], frame.loss_processes.notna()
    same, other = frame[real].groupby(keys), frame[~real].groupby(keys).loss_simulated
    error = (same.loss_processes.var() / same.size() + other.var() / other.size()) ** 0.5
    table = pd.DataFrame(
        {
            "loss_processes": same.loss_processes.mean(),
            "loss_same_draws": same.loss_simulated.mean(),
            "largest_difference": same.largest_difference.max(),
            "loss_other_draws": other.mean(),
            "z": (same.loss_processes.mean() - other.mean()) / error,
            "num_runs": same.size(),
            "num_other_runs": other.size(),
        }
    )
    return table.reset_index()
