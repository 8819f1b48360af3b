"""How runs are compared: best settings, differences over pairs of seeds, ratios to Adam. No torch here."""

import math

import numpy as np
import pandas as pd

from shared.artifacts.estimates import mean_of, paired_difference
from shared.artifacts.sweeps import tuned

BETA2 = 0.95  # the fixed column of Adam
RULES = {"SGD": "sgd_ema", "Adam": "adam", "Adam, beta2 tuned": "adam", "Signum": "signum"}  # method -> update rule
SHORT = {"SGD": "sgd", "Adam": "adam", "Adam, beta2 tuned": "adam_tuned"}


def tuned_with_error(runs: pd.DataFrame, cell: list[str], over: list[str], metric: str = "val_loss") -> pd.DataFrame:
    """As `tuned`, with the standard error of the metric over seeds."""
    table = tuned(runs, cell, metric, over)
    return table.assign(standard_error=table["std"] / np.sqrt(table.num_seeds.astype(float)))


def best_of_methods(runs: pd.DataFrame) -> pd.DataFrame:
    """The best setting of each method at each batch size; momentum and beta2 are tuned with the rate."""
    fixed = runs[(runs.optimizer != "adam") | np.isclose(runs.beta2, BETA2)]
    parts = []
    for method, rule in RULES.items():
        chosen = runs if method == "Adam, beta2 tuned" else fixed
        chosen = chosen[chosen.optimizer == rule]
        if len(chosen):
            parts.append(tuned_with_error(chosen, ["batch_size"], ["lr", "momentum", "beta2"]).assign(method=method))
    return pd.concat(parts, ignore_index=True)


def seeds_of(best: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Every seed of the best settings: the rows of `runs` with the method that they stand for."""
    keys = ["optimizer", "batch_size", "lr", "momentum", "beta2"]
    return best.assign(optimizer=best.method.map(RULES))[["method", *keys]].merge(runs, on=keys)


def gap_table(best: pd.DataFrame, seeds: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Losses of `methods`, SGD first, at each batch size, and the gaps between SGD and the others."""
    rows = []
    for batch_size, part in seeds.groupby("batch_size"):
        loss = part.pivot(index="seed", columns="method", values="val_loss")
        edge = best[best.batch_size == batch_size].set_index("method").edge
        row = {"batch_size": batch_size, "num_steps": part.num_steps.iloc[0], "num_seeds": len(loss)}
        row |= {f"{SHORT[m]}_loss": loss[m].mean() for m in methods}
        for method, name in zip(methods[1:], ("gap", "gap_tuned"), strict=False):
            gap = paired_difference(loss["SGD"], loss[method])
            row |= {name: gap.value, f"{name}_error": gap.noise}
        row |= {"ppl_ratio": math.exp(row["gap"])}
        rows.append(row | {"at_edge": " ".join(SHORT[m] for m in methods if edge[m] != "inside")})
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


def ratios_to_adam(descents: pd.DataFrame) -> pd.DataFrame:
    """Best loss per noise model, landscape, noise level, batch size and method, and its ratio to Adam's.

    The descents of one seed see the same noise: relative_error, the standard error of the ratio over the ratio itself,
    is that of the difference between both losses over their means, to first order.
    """
    case = ["noise", "landscape", "sigma", "batch_size"]
    table = tuned_with_error(descents, [*case, "optimizer"], ["lr", "momentum"], "loss")
    keys = [*case, "optimizer", "lr", "momentum"]
    seeds = descents.merge(table[keys], on=keys).pivot(index=[*case, "seed"], columns="optimizer", values="loss")
    relative = seeds / seeds.groupby(level=case).transform("mean")
    spread = relative.sub(relative["adam"], axis=0).groupby(level=case).sem().stack().rename("relative_error")
    steps = descents.groupby(["noise", "batch_size"]).num_steps.first()
    adam = table[table.optimizer == "adam"].set_index(case).loss.rename("adam_loss")
    table = table.join(adam, on=case).join(steps, on=["noise", "batch_size"]).join(spread, on=[*case, "optimizer"])
    return table.assign(over_adam=table.loss / table.adam_loss)


def remainder_orders(frame: pd.DataFrame) -> pd.DataFrame:
    """Order in the scale of an update of what the two-term prediction misses, per run and update."""
    rows = []
    for (optimizer, batch_size, step), part in frame.groupby(["optimizer", "batch_size", "step"]):
        part = part.sort_values("scale")
        x, y = np.log(part.scale), np.log(part.remainder.abs())
        row = {"optimizer": optimizer, "batch_size": batch_size, "step": step}
        row |= {"order": np.polyfit(x, y, 1)[0], "smallest_scale_order": np.polyfit(x[:2], y[:2], 1)[0]}
        rows.append(row | {"remainder": part.remainder.abs().iloc[-1]})
    return pd.DataFrame(rows).astype({"batch_size": int, "step": int})
