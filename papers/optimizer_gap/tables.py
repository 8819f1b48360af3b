"""Records -> tables. Losses are compared seed by seed: a difference comes with its standard error over the pairs."""

import numpy as np
import pandas as pd

from papers.optimizer_gap.comparing import (
    BETA2,
    best_of_methods,
    closed_gaps,
    gap_table,
    group_gaps,
    ratios_to_adam,
    remainder_orders,
    seeds_of,
    tuned_with_error,
)
from papers.optimizer_gap.gap import crossovers
from shared.artifacts.sweeps import final_rows, gains, over_seeds

NAMES = {"sgd_ema": "SGD", "adam": "Adam"}
ARMS = {  # rule -> arm in tables and figures
    "graft_adam_sgd": "Adam length, SGD direction",
    "graft_sgd_adam": "SGD length, Adam direction",
    "sgd_ema_quantile_clip": "SGD, clip",
}


def runs(records) -> pd.DataFrame:
    """One row per run of every sweep: its settings and its losses at the end, infinite where it diverged."""
    ended = pd.concat([final_rows(part) for _, part in records("train").groupby("sweep")], ignore_index=True)
    return ended.assign(val_loss=ended.val_loss.where(~ended.diverged.astype(bool), np.inf))


def tab_best(runs) -> pd.DataFrame:
    """Best learning rate, momentum and loss of each method at each batch size."""
    table = best_of_methods(runs[runs.sweep == "main"])
    return table.assign(ppl=np.exp(table.val_loss))


def best_runs(runs, tab_best) -> pd.DataFrame:
    """Every seed of the settings in tab_best."""
    return seeds_of(tab_best, runs[runs.sweep == "main"])


def tab_gap(tab_best, best_runs) -> pd.DataFrame:
    """Gap between SGD and the two columns of Adam over the batch size, at equal tokens."""
    return gap_table(tab_best, best_runs, ["SGD", "Adam", "Adam, beta2 tuned"])


def tab_equal_steps(runs) -> pd.DataFrame:
    """SGD and Adam after equal numbers of updates: a different question."""
    runs = runs[runs.sweep == "steps"]
    best = best_of_methods(runs)
    return gap_table(best, seeds_of(best, runs), ["SGD", "Adam"])


def tab_crossover(tab_gap) -> pd.DataFrame:
    """Batch sizes at which the gap changes sign; an empty value where it does not."""
    rows = []
    for baseline, column in (("Adam", "gap"), ("Adam, beta2 tuned", "gap_tuned")):
        known = len(tab_gap) > 1 and np.isfinite(tab_gap[column]).all()
        roots = crossovers(tab_gap.batch_size, tab_gap[column]) if known else []
        rows += [{"baseline": baseline, "root": i, "batch_size": b} for i, b in enumerate(roots or [np.nan])]
    return pd.DataFrame(rows)


def tab_sgd_grid(runs) -> pd.DataFrame:
    """Best learning rate of SGD for each batch size and momentum, with and without clipping."""
    sgd = runs[runs.optimizer == "sgd_ema"]
    parts = {"norm 1": sgd[sgd.sweep == "main"], "none": sgd[sgd.sweep == "no_clip"]}
    frames = [gains(part, ["batch_size"], "momentum", 0.0).assign(clip=clip) for clip, part in parts.items()]
    return pd.concat(frames, ignore_index=True)


def tab_gap_beta2(runs) -> pd.DataFrame:
    """Adam at each batch size and beta2, and what it gains over beta2 = 0.95."""
    return gains(runs[(runs.sweep == "main") & (runs.optimizer == "adam")], ["batch_size"], "beta2", BETA2)


def tab_per_group(records, best_runs) -> pd.DataFrame:
    """Loss by frequency group of the best SGD and the best Adam, on held-out and on training text."""
    return group_gaps(best_runs, records("data"))


def tab_interventions(runs, tab_best, best_runs) -> pd.DataFrame:
    """Best loss of each arm at the largest batch, its gain over SGD and the share of the gap that it closes."""
    tried = runs[runs.sweep == "interventions"]
    share = tried.clip_share.map(lambda p: "" if pd.isna(p) else f" p={p:g}")
    tried, batch_size = tried.assign(arm=tried.optimizer.map(ARMS) + share), int(tried.batch_size.iloc[0])
    plain = [t[t.batch_size == batch_size].rename(columns={"method": "arm"}) for t in (tab_best, best_runs)]
    best, keys = tuned_with_error(tried, ["arm"], ["lr", "momentum"]), ["arm", "lr", "momentum"]
    table = pd.concat([plain[0][plain[0].arm != "Adam, beta2 tuned"], best.assign(batch_size=batch_size)])
    return table.join(closed_gaps(pd.concat([plain[1], tried.merge(best[keys], on=keys)])), on="arm")


def quadratic_losses(records) -> pd.DataFrame:
    """Both noise models."""
    return ratios_to_adam(records("quadratics"))


def tab_quad_noise(quadratic_losses) -> pd.DataFrame:
    """Additive noise at equal samples: best loss per method, batch size, landscape and noise level."""
    return quadratic_losses[quadratic_losses.noise == "additive"]


def tab_quad_rows(quadratic_losses) -> pd.DataFrame:
    """Sampled rows at equal updates."""
    return quadratic_losses[quadratic_losses.noise == "rows"]


def fig_quadratics(quadratic_losses) -> pd.DataFrame:
    """SGD's and Signum's loss over Adam's, both noise models."""
    return quadratic_losses[quadratic_losses.optimizer != "adam"]


def tab_sde(records) -> pd.DataFrame:
    """Weak errors: discrete method minus equation, and a simulation of the equation beside them."""
    table = records("simulate", "weak")
    return table.assign(error=table.discrete - table.equation)


def tab_sde_stationary(records) -> pd.DataFrame:
    """Stationary variances over the batch size."""
    return records("simulate", "stationary").astype({"batch_size": int})


def fig_decay(records) -> pd.DataFrame:
    """Expected loss over time of SGD and SignSGD: over batch sizes with their diffusions, and over noise levels."""
    return records("simulate", "decay").astype({"batch_size": int})


def tab_taylor(records) -> pd.DataFrame:
    """Order in the scale of an update of what the two-term prediction misses, per run and update."""
    table = remainder_orders(records("probe", "taylor"))
    return table.assign(optimizer=table.optimizer.map(NAMES))


def fig_lr_sweep(runs) -> pd.DataFrame:
    """Loss of every setting of SGD and Adam over the learning rate."""
    chosen = runs[(runs.sweep == "main") & runs.optimizer.isin(NAMES)]
    setting = chosen.momentum.where(chosen.optimizer == "sgd_ema", chosen.beta2)
    chosen = chosen.assign(method=chosen.optimizer.map(NAMES), setting=setting)
    means = over_seeds(chosen, ["batch_size", "method", "setting", "lr"])
    error = means["std"] / np.sqrt(means.num_seeds)
    return means.assign(val_loss=means.val_loss.replace(np.inf, np.nan), standard_error=error)


def fig_gap(records, tab_best, tab_gap) -> pd.DataFrame:
    """Best loss of each method, and SGD's gap to both columns of Adam, over the batch size."""
    unigram = pd.DataFrame({"method": "unigram entropy", "batch_size": tab_gap.batch_size.unique()})
    unigram["val_loss"] = records("data").unigram_entropy_nats.iloc[0]
    parts = [tab_best.assign(panel="loss"), unigram.assign(panel="loss")]
    for method, name in (("Adam", "gap"), ("Adam, beta2 tuned", "gap_tuned")):
        own = tab_gap[["batch_size", name, f"{name}_error"]].set_axis(
            ["batch_size", "val_loss", "standard_error"], axis=1
        )
        parts.append(own.assign(panel="gap", method=method))
    return pd.concat(parts, ignore_index=True)


def fig_sharpness(records) -> pd.DataFrame:
    """Gradient correlation, directional sharpness and what they predict, along training."""
    frame = records("probe", "step")
    progress = frame.step / frame.num_steps
    return frame.assign(method=frame.optimizer.map(NAMES), progress=progress).astype({"batch_size": int, "step": int})


def fig_signal(records) -> pd.DataFrame:
    """Distribution of |g| / sigma over coordinates at fixed weights: share per bin of log10."""
    frame = records("probe", "noise")
    batch_sizes = sorted(frame.batch_size.unique())
    frame = frame[frame.batch_size == batch_sizes[len(batch_sizes) // 2]]
    return frame.assign(progress=(frame.step / frame.num_steps).round(2))
