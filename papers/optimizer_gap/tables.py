"""Records -> tables. Losses are compared seed by seed: a difference comes with its standard error over the pairs."""

import numpy as np
import pandas as pd

from papers.optimizer_gap import comparing
from shared.artifacts.sweeps import final_rows, gains


def runs(records) -> pd.DataFrame:
    """One row per run of every sweep: its settings and its losses at the end, infinite where it diverged."""
    ended = pd.concat([final_rows(part) for _, part in records("train").groupby("sweep")], ignore_index=True)
    return ended.assign(val_loss=ended.val_loss.where(~ended.diverged.astype(bool), np.inf))


def main_runs(runs) -> pd.DataFrame:
    """Those of the main sweep."""
    return runs[runs.sweep == "main"]


def tab_best(main_runs) -> pd.DataFrame:
    """Best learning rate, momentum and loss of each method at each batch size."""
    table = comparing.best_of_methods(main_runs)
    return table.assign(ppl=np.exp(table.val_loss))


def best_runs(main_runs, tab_best) -> pd.DataFrame:
    """Every seed of the settings in tab_best."""
    return comparing.seeds_of(tab_best, main_runs)


def tab_gap(tab_best, best_runs) -> pd.DataFrame:
    """Gap between SGD and the two columns of Adam over the batch size, at equal tokens."""
    return comparing.gap_table(tab_best, best_runs, ["SGD", "Adam", "Adam, beta2 tuned"])


def tab_equal_steps(runs) -> pd.DataFrame:
    """SGD and Adam after equal numbers of updates: a different question."""
    runs = runs[runs.sweep == "steps"]
    best = comparing.best_of_methods(runs)
    return comparing.gap_table(best, comparing.seeds_of(best, runs), ["SGD", "Adam"])


def tab_crossover(tab_gap) -> pd.DataFrame:
    """Batch sizes at which the gap changes sign."""
    return comparing.crossings(tab_gap)


def tab_sgd_grid(runs) -> pd.DataFrame:
    """Best learning rate of SGD for each batch size and momentum, with and without clipping."""
    sgd = runs[runs.optimizer == "sgd_ema"]
    parts = {"norm 1": sgd[sgd.sweep == "main"], "none": sgd[sgd.sweep == "no_clip"]}
    frames = [gains(part, ["batch_size"], "momentum", 0.0).assign(clip=clip) for clip, part in parts.items()]
    return pd.concat(frames, ignore_index=True)


def tab_gap_beta2(main_runs) -> pd.DataFrame:
    """Adam at each batch size and beta2, and what it gains over beta2 = 0.95."""
    return gains(main_runs[main_runs.optimizer == "adam"], ["batch_size"], "beta2", comparing.BETA2)


def tab_per_group(records, best_runs) -> pd.DataFrame:
    """Loss by frequency group of the best SGD and the best Adam, on held-out and on training text."""
    return comparing.group_gaps(best_runs, records("data"))


def tab_interventions(runs, tab_best, best_runs) -> pd.DataFrame:
    """Best loss of each arm at the largest batch, its gain over SGD and the share of the gap that it closes."""
    return comparing.interventions(runs[runs.sweep == "interventions"], tab_best, best_runs)


def fig_lr_sweep(main_runs) -> pd.DataFrame:
    """Loss of every setting of SGD and Adam over the learning rate."""
    return comparing.loss_over_lr(main_runs)


def fig_gap(records, tab_best, tab_gap) -> pd.DataFrame:
    """Best loss of each method, and SGD's gap to both columns of Adam, over the batch size."""
    unigram = pd.DataFrame({"method": "unigram entropy", "batch_size": tab_gap.batch_size.unique()})
    unigram["val_loss"] = records("data").unigram_entropy_nats.iloc[0]
    parts = [tab_best.assign(panel="loss"), unigram.assign(panel="loss")]
    for method, name in (("Adam", "gap"), ("Adam, beta2 tuned", "gap_tuned")):
        own = tab_gap.drop(columns="gap").assign(val_loss=tab_gap[name], standard_error=tab_gap[f"{name}_error"])
        parts.append(own.assign(panel="gap", method=method))
    return pd.concat(parts, ignore_index=True)


def fig_signal(records) -> pd.DataFrame:
    """Distribution of |g| / sigma over coordinates at fixed weights: share per bin of log10, at the middle batch."""
    frame = records("probe", "noise")
    batch_sizes = sorted(frame.batch_size.unique())
    frame = frame[frame.batch_size == batch_sizes[len(batch_sizes) // 2]]
    return frame.assign(progress=frame.progress.round(2))


def fig_quadratics(records) -> pd.DataFrame:
    """SGD's and Signum's loss over Adam's, both noise models."""
    both = pd.concat([records("quadratics", noise) for noise in ("additive", "rows")])
    return both[both.optimizer != "adam"]
