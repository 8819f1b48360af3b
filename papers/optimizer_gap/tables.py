"""Records -> tables. What is judged is of fresh seeds and compared seed by seed."""

import numpy as np
import pandas as pd

from papers.optimizer_gap import comparing, edges, paired
from shared.artifacts.sweeps import gains


def runs(records) -> pd.DataFrame:
    """One row per run of every sweep, those on fresh seeds among them; see `comparing`."""
    return pd.concat([comparing.ended(part) for _, part in records("train").groupby("sweep")], ignore_index=True)


def main_runs(runs) -> pd.DataFrame:
    """Those of the main sweep."""
    return runs[runs.sweep == "main"]


def tab_best(main_runs) -> pd.DataFrame:
    """Best setting of each method at each batch size and its loss."""
    table = edges.best_of_methods(main_runs)
    return table.assign(ppl=np.exp(table.val_loss))


def best_runs(main_runs, tab_best) -> pd.DataFrame:
    """Every seed that measures the settings in tab_best."""
    return comparing.seeds_of(tab_best, main_runs)


def tab_gap(tab_best, best_runs) -> pd.DataFrame:
    """Gap between SGD and the two columns of Adam over the batch size, at equal tokens."""
    return paired.gap_table(tab_best, best_runs, ["SGD", "Adam", "Adam, beta2 tuned"])


def tab_equal_steps(runs, records) -> pd.DataFrame:
    """SGD and Adam after equal numbers of updates, and how far below the unigram entropy the worse of them got."""
    steps, unigram = runs[runs.sweep == "steps"], records("data").unigram_entropy_nats.iloc[0]
    runs = runs[runs.sweep.isin(["main", "steps"]) & runs.num_steps.isin(steps.num_steps)]
    best = edges.best_of_methods(runs, comparing.PAIR)
    seeds = comparing.seeds_of(best, runs)
    return paired.learned(paired.gap_table(best, seeds, ["SGD", "Adam"]), seeds, unigram)


def tab_momentum(runs) -> pd.DataFrame:
    """SGD by momentum, with and without clipping, and Adam by beta1, at the best learning rate; seeds of the grids."""
    parts = []
    for method, sweep, clip in (("SGD", "main", "norm 1"), ("SGD", "no_clip", "none"), ("Adam", "main", "norm 1")):
        own = comparing.of_method(runs[(runs.sweep == sweep) & ~runs.fresh], method)
        own = own.assign(momentum=own[comparing.METHODS[method][2]])
        parts.append(gains(own, ["batch_size"], "momentum", 0.0).assign(method=method, clip=clip))
    return pd.concat(parts, ignore_index=True)


def tab_gap_beta2(main_runs) -> pd.DataFrame:
    """Adam (beta1 = 0.9) at each batch size and beta2, and what it gains over beta2 = 0.95; seeds of the grids."""
    runs = comparing.of_method(main_runs[~main_runs.fresh], "Adam, beta2 tuned")
    return gains(runs, ["batch_size"], "beta2", comparing.BETA2)


def tab_per_group(records, best_runs) -> pd.DataFrame:
    """Loss by frequency group of the best SGD and the best Adam, on held-out and on training text."""
    return paired.group_gaps(best_runs, records("data"))


def tab_interventions(runs, tab_best, best_runs) -> pd.DataFrame:
    """Best loss of each arm at the largest batch, its gain over SGD and the share of the gap that it closes."""
    return paired.interventions(runs[runs.sweep == "interventions"], tab_best, best_runs)


def fig_lr_sweep(main_runs) -> pd.DataFrame:
    """Loss of every setting of SGD and of both columns of Adam over the learning rate; seeds of the grids."""
    return comparing.loss_over_lr(main_runs[~main_runs.fresh])


def fig_gap(records, tab_best, tab_gap, tab_equal_steps, tab_crossover) -> pd.DataFrame:
    """Best loss of each method, SGD's gaps at equal tokens and at equal updates, and the crossover, by batch size.

    `band`: of a loss its standard error, of a gap half of its 95% interval.
    """
    entropy = {"val_loss": records("data").unigram_entropy_nats.iloc[0], "method": "unigram entropy", "panel": "loss"}
    parts = [tab_best.assign(panel="loss", band=tab_best.standard_error), tab_gap[["batch_size"]].assign(**entropy)]
    gaps = (("Adam", tab_gap, "gap"), ("Adam, beta2 tuned", tab_gap, "gap_tuned"))
    for method, table, name in (*gaps, ("equal updates", tab_equal_steps, "gap")):
        own = table[["batch_size"]].assign(val_loss=table[name], band=table[f"{name}_high"] - table[name])
        parts.append(own.assign(panel="gap", method=method))
    crossing = tab_crossover.rename(columns={"baseline": "method"}).assign(panel="crossover", batch_size=np.nan)
    return pd.concat([*parts, crossing])


def fig_signal(records) -> pd.DataFrame:
    """Distribution of |g| / sigma over coordinates at fixed weights: share per bin of log10, at the middle batch."""
    frame = records("probe", "noise")
    batch_sizes = sorted(frame.batch_size.unique())
    frame = frame[frame.batch_size == batch_sizes[len(batch_sizes) // 2]]
    return frame.assign(progress=frame.progress.round(2))


def fig_sharpness(records) -> pd.DataFrame:
    """Along training, averaged over probes and seeds: cosine, normalised sharpness, curvature term over slope term."""
    return comparing.phases(records("probe", "step"), 6)


def fig_quadratics(records) -> pd.DataFrame:
    """SGD's loss over Adam's, both noise models."""
    both = pd.concat([records("quadratics", noise) for noise in ("additive", "rows")])
    return both[both.optimizer == "sgd"]
