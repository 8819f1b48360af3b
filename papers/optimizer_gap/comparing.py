"""How runs are compared: best settings, differences over pairs of seeds, ratios to Adam. No torch here."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from shared.artifacts.estimates import Estimate, difference, from_standard_error, mean_of, of_row, paired_difference
from shared.artifacts.sweeps import over_seeds, tuned

BETA1, BETA2 = 0.9, 0.95  # of Adam, where the other one is tuned
METHODS = {  # method -> update rule, what is fixed, and what is tuned with the learning rate
    "SGD": ("sgd_ema", {}, "momentum"),
    "Adam": ("adam", {"beta2": BETA2}, "beta1"),
    "Adam, beta2 tuned": ("adam", {"beta1": BETA1}, "beta2"),
}
FLAT = 0.01  # nats: a gain of the last value of a grid over its neighbour that speaks for no further value
SETTING = ["lr", "momentum", "beta1", "beta2"]  # what tells the runs of one rule apart
NAMES = {"sgd_ema": "SGD", "adam": "Adam"}  # update rule -> method, where one setting is shown and not the best
ARMS = {  # rule -> arm in tables and figures
    "graft_adam_sgd": "Adam length, SGD direction",
    "graft_sgd_adam": "SGD length, Adam direction",
    "sgd_ema_quantile_clip": "SGD, clip",
    "signum": "Signum",
}
SHORT = {"SGD": "sgd", "Adam": "adam", "Adam, beta2 tuned": "adam_tuned"}


def of_method(runs: pd.DataFrame, method: str) -> pd.DataFrame:
    """The runs that a method may choose from."""
    rule, fixed, _ = METHODS[method]
    chosen = runs[runs.optimizer == rule]
    for name, value in fixed.items():
        chosen = chosen[np.isclose(chosen[name], value)]
    return chosen


def tuned_with_error(runs: pd.DataFrame, cell: list[str], over: list[str], metric: str = "val_loss") -> pd.DataFrame:
    """As `tuned`, with the standard error of the metric over seeds."""
    table = tuned(runs, cell, metric, over)
    return table.assign(standard_error=table["std"] / np.sqrt(table.num_seeds.astype(float)))


def best_of_methods(runs: pd.DataFrame) -> pd.DataFrame:
    """The best setting of each method at each batch size; see `tuned_with_second`."""
    parts = []
    for method, (_, fixed, second) in METHODS.items():
        best = tuned_with_second(of_method(runs, method), ["batch_size"], second, flat=FLAT)
        parts.append(best.assign(method=method, **fixed))
    return pd.concat(parts, ignore_index=True)


def tuned_with_second(
    runs: pd.DataFrame, cell: list[str], second: str, metric: str = "val_loss", flat: float = 0.0
) -> pd.DataFrame:
    """The best learning rate and value of `second` in each cell, with the standard error of the metric.

    Args:
        flat: an end of the grid of `second` that gains no more than this over its neighbour is no edge: nothing speaks
            for going on. The learning rate has no such allowance.
    Returns:
        As `tuned_with_error`; `edge` is "inside", or says which of both lies at an end.
    """
    best, lines = tuned_with_error(runs, cell, ["lr", second], metric), tuned(runs, [*cell, second], metric)
    named = []
    for _, row in best.iterrows():
        line = lines[(lines[cell] == row[cell]).all(axis=1)].sort_values(metric)
        gained = line[metric].iloc[1] - row[metric] if len(line) > 1 else math.inf
        words = {"lr": row.edge, second: "inside" if gained <= flat else row[f"edge_{second}"]}
        found = [f"{name} {word}" for name, word in words.items() if word not in ("inside", "single")]
        named.append("; ".join(found) or "inside")
    return best.drop(columns=f"edge_{second}").assign(edge=named)


def seeds_of(best: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Every seed of the best settings: the rows of `runs` with the method that they stand for."""
    keys = ["optimizer", "batch_size", *SETTING]
    return best.assign(optimizer=[METHODS[m][0] for m in best.method])[["method", *keys]].merge(runs, on=keys)


def loss_over_lr(runs: pd.DataFrame) -> pd.DataFrame:
    """Seed means of every method at every setting and learning rate; missing where a seed diverged.

    `setting` is momentum, beta1 or beta2: what the method tunes beside the learning rate.
    """
    parts = []
    for method, (_, _, second) in METHODS.items():
        chosen = of_method(runs, method)
        means = over_seeds(chosen.assign(setting=chosen[second]), ["batch_size", "setting", "lr"])
        parts.append(means.assign(method=method, standard_error=means["std"] / np.sqrt(means.num_seeds)))
    means = pd.concat(parts, ignore_index=True)
    return means.assign(val_loss=means.val_loss.replace(np.inf, np.nan))


def gap_table(best: pd.DataFrame, seeds: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Losses of `methods`, SGD first, at each batch size, and the gaps between SGD and the others."""
    rows = []
    for batch_size, part in seeds.groupby("batch_size"):
        loss = part.pivot(index="seed", columns="method", values="val_loss")
        own = best[best.batch_size == batch_size].set_index("method")
        row = {"batch_size": batch_size, "num_steps": part.num_steps.iloc[0], "num_seeds": len(loss)}
        row |= {f"{SHORT[m]}_loss": loss[m].mean() for m in methods}
        row |= {f"{SHORT[m]}_settings": own.num_settings[m] for m in methods}
        for method, name in zip(methods[1:], ("gap", "gap_tuned"), strict=False):
            gap = paired_difference(loss["SGD"], loss[method])
            row |= {name: gap.value, f"{name}_error": gap.noise}
        row |= {"ppl_ratio": math.exp(row["gap"])}
        edges = {SHORT[m]: own.edge[m] for m in methods if own.edge[m] != "inside"}
        rows.append(row | {"at_edge": "; ".join(f"{name} {edge}" for name, edge in edges.items())})
    return pd.DataFrame(rows)


def group_gaps(seeds: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Losses of the best SGD and the best Adam by frequency group, and their gap, on held-out and on training text."""
    rows = []
    for batch_size, part in seeds.groupby("batch_size"):
        for facts in groups.to_dict("records"):
            row = {"batch_size": batch_size, "num_seeds": part.seed.nunique(), **facts}
            for split in ("val", "train"):
                loss = part.pivot(index="seed", columns="method", values=f"{split}_group_{facts['group']}")
                gap = paired_difference(loss["SGD"], loss["Adam"])
                row |= {f"sgd_{split}": loss["SGD"].mean(), f"adam_{split}": loss["Adam"].mean()}
                row |= {f"gap_{split}": gap.value, f"gap_{split}_error": gap.noise}
            rows.append(row)
    return pd.DataFrame(rows)


def closed_gaps(seeds: pd.DataFrame) -> pd.DataFrame:
    """Gain of each arm over SGD, and the share of the gap between SGD and Adam that it closes.

    Args:
        seeds: arm, seed, val_loss.
    Returns:
        gain, gain_error, recovered, recovered_error by arm; the last is of a ratio of means, to first order.
    """
    loss = seeds.pivot(index="seed", columns="arm", values="val_loss")
    gap, rows = loss["SGD"] - loss["Adam"], {}
    for arm in loss:
        gain = loss["SGD"] - loss[arm]
        closed = gain.mean() / gap.mean()
        row = {"gain": gain.mean(), "gain_error": mean_of(gain).noise, "recovered": closed}
        rows[arm] = row | {"recovered_error": mean_of(gain - closed * gap).noise / abs(gap.mean())}
    return pd.DataFrame.from_dict(rows, orient="index")


def interventions(tried: pd.DataFrame, best: pd.DataFrame, seeds: pd.DataFrame) -> pd.DataFrame:
    """Best loss of each arm at the batch size of `tried`, its gain over SGD and the share of the gap that it closes.

    Args:
        tried: runs of the interventions. best, seeds: best settings of the plain methods, and their runs.
    """
    share = tried.clip_share.map(lambda p: "" if pd.isna(p) else f" p={p:g}")
    tried, batch_size = tried.assign(arm=tried.optimizer.map(ARMS) + share), int(tried.batch_size.iloc[0])
    if "beta" in tried:  # Signum's momentum
        tried = tried.assign(momentum=tried.momentum.fillna(tried.beta))
    best, seeds = (t[t.batch_size == batch_size].rename(columns={"method": "arm"}) for t in (best, seeds))
    found, keys = tuned_with_second(tried, ["arm"], "momentum", flat=FLAT), ["arm", "lr", "momentum"]
    table = pd.concat([best[best.arm != "Adam, beta2 tuned"], found.assign(batch_size=batch_size)])
    return table.join(closed_gaps(pd.concat([seeds, tried.merge(found[keys], on=keys)])), on="arm")


def phases(steps: pd.DataFrame, num_phases: int) -> pd.DataFrame:
    """What is measured along updates, averaged within equal parts of training, then over seeds.

    Args:
        steps: the part `step` of the probes. num_phases: parts of training.
    Returns:
        method, batch_size, phase, progress (its middle), cosine, normalised_sharpness and overshoot, the curvature term
        over the slope term (1: the update is so long that curvature undoes it), each with <name>_error over seeds.
    """
    phase = np.minimum((steps.progress * num_phases).astype(int), num_phases - 1)
    steps = steps.assign(phase=phase, progress=(phase + 0.5) / num_phases)
    cell, names = ["method", "batch_size", "phase", "progress"], ["cosine", "normalised_sharpness"]
    own = steps.groupby([*cell, "seed"])[[*names, "first_order", "second_order"]].mean()
    own["overshoot"] = own.second_order / own.first_order.abs()
    groups = own[[*names, "overshoot"]].groupby(level=cell)
    return groups.mean().join(groups.sem().add_suffix("_error")).assign(num_seeds=groups.size()).reset_index()


def range_of(rows: pd.DataFrame) -> Estimate:
    """Largest less smallest best loss of a method over the batch sizes."""
    worst, best = rows.loc[rows.val_loss.idxmax()], rows.loc[rows.val_loss.idxmin()]
    return difference(*(of_row(row, "val_loss", "standard_error") for row in (worst, best)))


def share_left(tab_interventions: pd.DataFrame, arm: str) -> Estimate:
    """Share of the gap between SGD and Adam that an arm leaves."""
    row = tab_interventions[tab_interventions.arm == arm].iloc[0]
    return from_standard_error(1 - row.recovered, row.recovered_error, row.num_seeds)


def over_adam(row: pd.Series) -> Estimate:
    """SGD's loss over Adam's on a quadratic."""
    return from_standard_error(row.over_adam, row.over_adam * row.relative_error, row.num_seeds)


def decades_over_adam(row: pd.Series) -> Estimate:
    """Its decimal logarithm."""
    return from_standard_error(math.log10(row.over_adam), row.relative_error / math.log(10), row.num_seeds)


def ratios_to_adam(descents: pd.DataFrame) -> pd.DataFrame:
    """Best loss per noise model, landscape, noise level, batch size and method, and its ratio to Adam's.

    The descents of one seed see the same noise: relative_error, the standard error of the ratio over the ratio itself,
    is that of the difference between both losses over their means, to first order.
    """
    case = ["noise", "landscape", "sigma", "num_samples", "batch_size"]
    table = tuned_with_second(descents, [*case, "optimizer"], "momentum", "loss")
    keys = [*case, "optimizer", "lr", "momentum"]
    seeds = descents.merge(table[keys], on=keys).pivot(index=[*case, "seed"], columns="optimizer", values="loss")
    relative = seeds / seeds.groupby(level=case).transform("mean")
    spread = relative.sub(relative["adam"], axis=0).groupby(level=case).sem().stack().rename("relative_error")
    steps = descents.groupby(["noise", "num_samples", "batch_size"]).num_steps.first()
    adam = table[table.optimizer == "adam"].set_index(case).loss.rename("adam_loss")
    table = (
        table.join(adam, on=case)
        .join(steps, on=["noise", "num_samples", "batch_size"])
        .join(spread, on=[*case, "optimizer"])
    )
    return table.assign(over_adam=table.loss / table.adam_loss)


def power(x: Sequence[float], y: Sequence[float]) -> float:
    """Exponent of |y| as a power of x: the slope in log-log coordinates, by least squares."""
    return float(np.polyfit(np.log(x), np.log(np.abs(y)), 1)[0])


def power_over_eta(part: pd.DataFrame, up_to: float = math.inf) -> float:
    """Weak order of a method of tab_sde, over learning rates up to a largest one."""
    fine = part[part.eta <= 1.001 * up_to]
    return power(fine.eta, fine.error)


def standard_errors_off(part: pd.DataFrame) -> float:
    """How far the simulation of tab_sde is from its equation, at most, in its standard errors."""
    return ((part.euler - part.equation) / part.euler_standard_error).abs().max()
