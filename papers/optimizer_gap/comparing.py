"""How settings are chosen, and what the chosen ones are worth on seeds that did not choose them. No torch here.

A table of runs has one row per run, with its settings, `val_loss` (infinite where it diverged) and `fresh`: whether the
run is of a seed on which nothing was chosen.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from papers.optimizer_gap.settings import UNTUNED
from shared.artifacts.sweeps import final_rows, over_seeds, tuned
from shared.train.run import Run

BETA1, BETA2 = (UNTUNED["adam"][name] for name in ("beta1", "beta2"))  # where the other one is tuned
METHODS = {  # method -> update rule, what is fixed, and what is tuned with the learning rate
    "SGD": ("sgd_ema", {}, "momentum"),
    "Adam": ("adam", {"beta2": BETA2}, "beta1"),
    "Adam, beta2 tuned": ("adam", {"beta1": BETA1}, "beta2"),
}
PLAIN = {  # what a tuned hyperparameter is compared with: one value of it, at its own best learning rate
    "SGD, momentum 0": ("sgd_ema", UNTUNED["sgd_ema"], None),
    "Adam, beta2 = 0.95": ("adam", UNTUNED["adam"], None),
}
PAIR = {method: METHODS[method] for method in ("SGD", "Adam")}  # what is compared where beta2 is not varied
FLAT = 0.01  # nats: a gain of the last value of a grid over its neighbour that speaks for no further value
SETTING = ["lr", "momentum", "beta1", "beta2"]  # what tells the runs of one rule apart
KEYS = ["optimizer", "batch_size", *SETTING]
NAMES = {"sgd_ema": "SGD", "adam": "Adam"}  # update rule -> method, where one setting is shown and not the best
ARMS = {  # rule -> arm in tables and figures
    "graft_adam_sgd": "Adam length, SGD direction",
    "graft_sgd_adam": "SGD length, Adam direction",
    "sgd_ema_quantile_clip": "SGD, clip",
    "signum": "Signum",
}


def ended(logged: pd.DataFrame) -> pd.DataFrame:
    """One row per run of one sweep: its settings and its losses at the end, infinite where it diverged."""
    runs = final_rows(logged)
    return runs.assign(val_loss=runs.val_loss.where(~runs.diverged.astype(bool), np.inf), fresh=runs.fresh.eq(True))


def of_method(runs: pd.DataFrame, method: str) -> pd.DataFrame:
    """The runs that a method may choose from."""
    rule, fixed, _ = (METHODS | PLAIN)[method]
    chosen = runs[runs.optimizer == rule]
    for name, value in fixed.items():
        chosen = chosen[np.isclose(chosen[name], value)]
    return chosen


def of_arms(tried: pd.DataFrame) -> pd.DataFrame:
    """Runs of interventions with the name of their `arm`; Signum's beta is its momentum."""
    share = tried.clip_share.map(lambda p: "" if pd.isna(p) else f" p={p:g}")
    tried = tried.assign(arm=tried.optimizer.map(ARMS) + share)
    return tried.assign(momentum=tried.momentum.fillna(tried.beta)) if "beta" in tried else tried


def on_fresh_seeds(best: pd.DataFrame, runs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """`best` with the loss of its settings on the seeds that did not choose them, where there are any.

    Returns:
        `best`, val_loss, standard_error, num_seeds of the fresh seeds; chosen_loss: seed mean of those that chose.
    """
    best = best.assign(chosen_loss=best.val_loss)
    again = of_settings(best, runs[runs.fresh], keys)
    if not len(again):
        return best
    found = over_seeds(again, keys).assign(standard_error=lambda t: t["std"] / np.sqrt(t.num_seeds))
    measured = best[keys].merge(found, on=keys, how="left")
    for name in ("val_loss", "standard_error", "num_seeds"):
        best[name] = measured[name].to_numpy()
    return best.drop(columns="std")


def of_settings(best: pd.DataFrame, runs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The runs at the settings of `best`, each once."""
    return best[keys].drop_duplicates().merge(runs, on=keys)


def best_of_methods(runs: pd.DataFrame, methods: dict | None = None) -> pd.DataFrame:
    """The best setting of each method at each batch size, chosen on the seeds of the grids; see `on_fresh_seeds`.

    Args:
        methods: as METHODS; one that no run belongs to is left out.
    """
    parts = []
    for method, (rule, fixed, second) in (METHODS if methods is None else methods).items():
        own = of_method(runs[~runs.fresh], method)
        if len(own):
            best = tuned_with_second(own, ["batch_size"], second, flat=FLAT)
            parts.append(best.assign(method=method, optimizer=rule, **fixed))
    best = pd.concat(parts, ignore_index=True)
    absent = [name for name in SETTING if name not in best]
    return on_fresh_seeds(best.reindex(columns=[*best.columns, *absent]), runs, KEYS)


def best_of_arms(tried: pd.DataFrame) -> pd.DataFrame:
    """The best setting of each intervention; see `best_of_methods`. `tried` is of `of_arms`."""
    best = tuned_with_second(tried[~tried.fresh], ["arm"], "momentum", flat=FLAT)
    return on_fresh_seeds(best, tried, ["arm", "lr", "momentum"])


def chosen_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at the best setting of every method, comparison and intervention: what fresh seeds have to measure."""
    if runs.optimizer.isin(list(ARMS)).any():
        arms = of_arms(runs)
        return of_settings(best_of_arms(arms), arms, ["arm", "lr", "momentum"])
    methods = METHODS | PLAIN if runs.beta2.nunique() > 1 else PAIR
    return of_settings(best_of_methods(runs, methods), runs, KEYS)


def at_best(runs: Sequence[Run], logged: pd.DataFrame) -> list[Run]:
    """`runs`, each at the best setting of its optimiser in `logged`, the rows of the main sweep at their batch size."""
    best = best_of_methods(ended(logged), PAIR).set_index("optimizer")[SETTING]
    return [replace(run, settings=run.settings | best.loc[run.optimizer].dropna().to_dict()) for run in runs]


def tuned_with_second(
    runs: pd.DataFrame, cell: list[str], second: str | None, metric: str = "val_loss", flat: float = 0.0
) -> pd.DataFrame:
    """The best learning rate and value of `second` (if any) in each cell, with the standard error of the metric.

    Args:
        flat: an end of the grid of `second` that gains no more than this over its neighbour is no edge: nothing speaks
            for going on. The learning rate has no such allowance.
    Returns:
        As `tuned`, with `standard_error`; `edge` is "inside", or says which of both lies at an end.
    """
    over = ["lr"] if second is None else ["lr", second]
    best, lines = tuned(runs, cell, metric, over), tuned(runs, [*cell, *over[1:]], metric)
    named = []
    for _, row in best.iterrows():
        line = lines[(lines[cell] == row[cell]).all(axis=1)].sort_values(metric)
        words = {"lr": row.edge}
        if second is not None:
            gained = line[metric].iloc[1] - row[metric] if len(line) > 1 else math.inf
            words |= {second: "inside" if gained <= flat else row[f"edge_{second}"]}
        found = [f"{name} {word}" for name, word in words.items() if word not in ("inside", "single")]
        named.append("; ".join(found) or "inside")
    error = best["std"] / np.sqrt(best.num_seeds.astype(float))
    return best.drop(columns=[f"edge_{name}" for name in over[1:]]).assign(edge=named, standard_error=error)


def seeds_of(best: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Every seed that measures the best settings, with their `method`: fresh ones where there are any."""
    best = best.assign(optimizer=[(METHODS | PLAIN)[method][0] for method in best.method])
    return best[["method", *KEYS]].merge(runs[runs.fresh] if runs.fresh.any() else runs, on=KEYS)


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
