"""Records -> tables. One function per artifact of paper.yaml, each (records, settings) -> tidy frame."""

import math

import numpy as np
import pandas as pd

from papers.optimizer_gap.gap import crossovers, gaps, perplexity_ratio
from papers.optimizer_gap.reduce import BETA2, best, best_by_batch, edges, of_setting, runs_of
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.sweeps import over_seeds, tuned

ARMS = {  # rule -> arm in tables and figures
    "graft_adam_sgd": "Adam length, SGD direction",
    "graft_sgd_adam": "SGD length, Adam direction",
    "sgd_ema_quantile_clip": "SGD, clip",
}


def tab_best(records: Records, settings: Settings) -> pd.DataFrame:
    """Best learning rate, momentum and loss of each method at each batch size."""
    frames = [t.reset_index().assign(method=m) for m, t in best_by_batch(runs_of(records, "main")).items()]
    table = pd.concat(frames, ignore_index=True)
    table["momentum"] = table["momentum"].astype(float) if "momentum" in table else np.nan
    columns = ["method", "batch_size", "lr", "momentum", "beta2", "val_loss", "std", "num_seeds", "num_settings"]
    return table.assign(ppl=np.exp(table.val_loss))[[*columns, "num_diverged", "edge", "ppl"]]


def tab_gap(records: Records, settings: Settings) -> pd.DataFrame:
    """Gap between SGD and the two columns of Adam over the batch size, at equal tokens."""
    return _gap_table(runs_of(records, "main"), settings)


def _gap_table(runs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    found, length = best_by_batch(runs), runs.groupby("batch_size").num_steps.first()
    sgd, adam, free = found["SGD"], found["Adam"], found["Adam, beta2 tuned"]
    gap, gap_tuned = gaps(sgd.val_loss, adam.val_loss), gaps(sgd.val_loss, free.val_loss)
    return pd.DataFrame(
        {
            "batch_size": sgd.index,
            "num_steps": length.loc[sgd.index].to_numpy(),
            "sgd_loss": sgd.val_loss.to_numpy(),
            "adam_loss": adam.val_loss.to_numpy(),
            "adam_tuned_loss": free.val_loss.to_numpy(),
            "gap": gap,
            "gap_tuned": gap_tuned,
            "ppl_ratio": [perplexity_ratio(g) for g in gap],
            # 1.3 in perplexity is asked of the paper's own setting, half a nat of the small models
            "required_gap": math.log(1.3) if settings.scale == "paper" else 0.5,
            "at_edge": [
                edges(sgd=a, adam=b, adam_tuned=c) for a, b, c in zip(sgd.edge, adam.edge, free.edge, strict=True)
            ],
        }
    )


def tab_crossover(records: Records, settings: Settings) -> pd.DataFrame:
    """Batch sizes at which the gap changes sign; an empty value where it does not."""
    gap = tab_gap(records, settings)
    rows = []
    for baseline, column in (("Adam", "gap"), ("Adam, beta2 tuned", "gap_tuned")):
        roots = crossovers(gap.batch_size, gap[column]) if len(gap) > 1 and np.isfinite(gap[column]).all() else []
        rows += [{"baseline": baseline, "root": i, "batch_size": b} for i, b in enumerate(roots or [np.nan])]
    return pd.DataFrame(rows)


def tab_equal_steps(records: Records, settings: Settings) -> pd.DataFrame:
    """SGD and Adam after equal numbers of updates: a different question."""
    runs = runs_of(records, "steps")
    sgd = best(runs, "sgd_ema", ["batch_size"], ["lr", "momentum"]).set_index("batch_size")
    adam = best(runs, "adam", ["batch_size"], ["lr"], beta2=BETA2).set_index("batch_size")
    return pd.DataFrame(
        {
            "batch_size": sgd.index,
            "num_steps": runs.groupby("batch_size").num_steps.first().loc[sgd.index].to_numpy(),
            "sgd_loss": sgd.val_loss.to_numpy(),
            "adam_loss": adam.val_loss.to_numpy(),
            "gap": gaps(sgd.val_loss, adam.val_loss),
            "at_edge": [edges(sgd=a, adam=b) for a, b in zip(sgd.edge, adam.edge, strict=True)],
        }
    )


def tab_sgd_grid(records: Records, settings: Settings) -> pd.DataFrame:
    """Best learning rate of SGD for each batch size and momentum, with and without clipping."""
    frames = [
        best(runs_of(records, sweep), "sgd_ema", ["batch_size", "momentum"], ["lr"]).assign(clip=clip)
        for sweep, clip in (("main", "norm 1"), ("no_clip", "none"))
    ]
    columns = ["clip", "batch_size", "momentum", "lr", "val_loss", "num_settings", "num_diverged", "edge"]
    return pd.concat(frames, ignore_index=True)[columns]


def tab_gap_beta2(records: Records, settings: Settings) -> pd.DataFrame:
    """Adam at each batch size and beta2, and what it gains over beta2 = 0.95."""
    table = best(runs_of(records, "main"), "adam", ["batch_size", "beta2"], ["lr"])
    fixed = table[np.isclose(table.beta2, BETA2)].set_index("batch_size").val_loss
    gain = fixed.loc[table.batch_size].to_numpy() - table.val_loss
    return table.assign(gain=gain)[["batch_size", "beta2", "lr", "val_loss", "gain", "edge"]]


def tab_per_group(records: Records, settings: Settings) -> pd.DataFrame:
    """Loss by frequency group of the best SGD and the best Adam, on held-out and on training text."""
    runs, data = runs_of(records, "main"), records("data").set_index("group")
    found = best_by_batch(runs)
    rows = []
    for batch_size in found["SGD"].index:
        sgd = of_setting(runs, "sgd_ema", batch_size, found["SGD"].loc[batch_size])
        adam = of_setting(runs, "adam", batch_size, found["Adam"].loc[batch_size])
        for group, facts in data.iterrows():
            losses = {
                f"{name}_{split}": chosen[f"{split}_group_{group}"].mean()
                for name, chosen in (("sgd", sgd), ("adam", adam))
                for split in ("val", "train")
            }
            rows.append(
                {
                    "batch_size": batch_size,
                    "group": group,
                    "num_types": facts.num_types,
                    "mass": facts.mass,
                    **losses,
                    "gap_val": losses["sgd_val"] - losses["adam_val"],
                    "gap_train": losses["sgd_train"] - losses["adam_train"],
                }
            )
    return pd.DataFrame(rows).astype({"group": int, "num_types": int})


def tab_interventions(records: Records, settings: Settings) -> pd.DataFrame:
    """Best loss of each arm at the largest batch, and the share of the gap that it closes."""
    main, found = runs_of(records, "interventions"), best_by_batch(runs_of(records, "main"))
    batch_size = int(main.batch_size.iloc[0])
    rows = []
    for method in ("SGD", "Adam", "Signum"):
        if method in found and batch_size in found[method].index:
            rows.append({"arm": method, **found[method].loc[batch_size].to_dict()})
    arms = main.assign(arm=main.optimizer.map(ARMS))
    clipped = arms.clip_share.notna()
    arms.loc[clipped, "arm"] += " p=" + arms[clipped].clip_share.map("{:g}".format)
    rows += tuned(arms, ["arm"], "val_loss", ["lr", "momentum"]).to_dict("records")
    table = pd.DataFrame(rows)
    sgd, adam = (table.set_index("arm").val_loss[name] for name in ("SGD", "Adam"))
    table["recovered"] = (sgd - table.val_loss) / (sgd - adam)
    columns = ["arm", "lr", "momentum", "val_loss", "recovered", "num_settings", "num_diverged", "edge"]
    return table.assign(batch_size=batch_size)[["batch_size", *columns]]


def tab_quad_noise(records: Records, settings: Settings) -> pd.DataFrame:
    """Additive noise at equal samples: best loss per method, batch size, landscape and noise level."""
    return _quadratics(records, "additive")


def tab_quad_rows(records: Records, settings: Settings) -> pd.DataFrame:
    """Sampled rows at equal updates."""
    return _quadratics(records, "rows").drop(columns="sigma")


def _quadratics(records: Records, noise: str) -> pd.DataFrame:
    runs = records("quadratics")
    runs = runs[runs.noise == noise]
    cell = ["landscape", "sigma", "batch_size", "optimizer"]
    table = tuned(runs, cell, "loss", ["lr", "momentum"])
    adam = table[table.optimizer == "adam"].set_index(cell[:3]).loss
    over_adam = table.loss / adam.loc[list(zip(*(table[c] for c in cell[:3]), strict=True))].to_numpy()
    steps = runs.groupby("batch_size").num_steps.first().loc[table.batch_size].to_numpy()
    columns = [*cell, "num_steps", "lr", "momentum", "loss", "over_adam", "num_seeds", "edge"]
    return table.assign(num_steps=steps, over_adam=over_adam)[columns]


def tab_sde(records: Records, settings: Settings) -> pd.DataFrame:
    """Weak errors: discrete method minus equation, and a simulation of the equation beside them."""
    table = _study(records, "weak")
    return table.assign(error=table.discrete - table.equation)[
        ["method", "eta", "discrete", "equation", "error", "euler", "euler_standard_error"]
    ]


def tab_sde_stationary(records: Records, settings: Settings) -> pd.DataFrame:
    """Stationary variances over the batch size."""
    return _study(records, "stationary")[["method", "batch_size", "eta", "variance", "formula"]].astype(
        {"batch_size": int}
    )


def _study(records: Records, study: str) -> pd.DataFrame:
    frame = records("simulate")
    return frame[frame.study == study].reset_index(drop=True)


def tab_taylor(records: Records, settings: Settings) -> pd.DataFrame:
    """Order in the scale of an update of what the two-term prediction misses, per run and update."""
    frame = records("probe")
    frame = frame[frame.measure == "taylor"]
    rows = []
    for (optimizer, batch_size, step), part in frame.groupby(["optimizer", "batch_size", "step"]):
        part = part.sort_values("scale")
        slope = np.polyfit(np.log(part.scale), np.log(part.remainder.abs()), 1)[0]
        largest = part.remainder.abs().iloc[-1]
        rows.append(
            {
                "optimizer": METHOD[optimizer],
                "batch_size": batch_size,
                "step": step,
                "order": slope,
                "remainder": largest,
                "smallest_scale_order": _order(part.iloc[:2]),
            }
        )
    return pd.DataFrame(rows).astype({"batch_size": int, "step": int})


METHOD = {"sgd_ema": "SGD", "adam": "Adam"}


def _order(two: pd.DataFrame) -> float:
    ratio = two.remainder.abs().iloc[1] / two.remainder.abs().iloc[0]
    return float(np.log(ratio) / np.log(two.scale.iloc[1] / two.scale.iloc[0]))


def fig_lr_sweep(records: Records, settings: Settings) -> pd.DataFrame:
    """Loss of every setting of SGD and Adam over the learning rate."""
    runs = runs_of(records, "main")
    runs = runs[runs.optimizer.isin(METHOD)]
    setting = runs.momentum.where(runs.optimizer == "sgd_ema", runs.beta2)
    means = over_seeds(
        runs.assign(method=runs.optimizer.map(METHOD), setting=setting), ["batch_size", "method", "setting", "lr"]
    )
    means["val_loss"] = means.val_loss.replace(np.inf, np.nan)
    return means[["batch_size", "method", "setting", "lr", "val_loss", "num_diverged"]]


def fig_gap(records: Records, settings: Settings) -> pd.DataFrame:
    """Best loss of each method, and SGD's gap to both columns of Adam, over the batch size."""
    gap = tab_gap(records, settings)
    table = tab_best(records, settings)[["method", "batch_size", "val_loss"]].assign(panel="loss")
    parts = [
        pd.DataFrame({"panel": "gap", "method": method, "batch_size": gap.batch_size, "val_loss": gap[column]})
        for method, column in (("Adam", "gap"), ("Adam, beta2 tuned", "gap_tuned"))
    ]
    return pd.concat([table, *parts], ignore_index=True)[["panel", "method", "batch_size", "val_loss"]]


def fig_groups(records: Records, settings: Settings) -> pd.DataFrame:
    """Gap of each frequency group at each batch size."""
    return tab_per_group(records, settings)[["batch_size", "group", "num_types", "gap_val"]]


def fig_interventions(records: Records, settings: Settings) -> pd.DataFrame:
    """Best loss of each arm at the largest batch."""
    return tab_interventions(records, settings)[["batch_size", "arm", "val_loss"]]


def fig_momentum(records: Records, settings: Settings) -> pd.DataFrame:
    """SGD's best loss over the momentum, with and without clipping."""
    return tab_sgd_grid(records, settings)[["clip", "batch_size", "momentum", "val_loss"]]


def fig_sharpness(records: Records, settings: Settings) -> pd.DataFrame:
    """Gradient correlation, directional sharpness and what they predict, along training."""
    frame = records("probe")
    frame = frame[frame.measure == "step"].copy()
    frame["method"], frame["progress"] = frame.optimizer.map(METHOD), frame.step / frame.num_steps
    columns = ["method", "batch_size", "step", "progress", "loss", "correlation", "sharpness", "first_order"]
    return frame[[*columns, "second_order", "actual_change"]].astype({"batch_size": int, "step": int})


def fig_signal(records: Records, settings: Settings) -> pd.DataFrame:
    """Distribution of |g| / sigma over coordinates at fixed weights: share per bin of log10."""
    frame = records("probe")
    frame = frame[frame.measure == "noise"]
    middle = sorted(frame.batch_size.unique())[len(frame.batch_size.unique()) // 2]
    frame = frame[frame.batch_size == middle]
    table = frame.assign(progress=(frame.step / frame.num_steps).round(2))
    return table[["progress", "low", "high", "share", "resolution"]].reset_index(drop=True)


def fig_decay(records: Records, settings: Settings) -> pd.DataFrame:
    """Expected loss over time of SGD and SignSGD: over batch sizes with their diffusions, and over noise levels."""
    table = _study(records, "decay")
    return table[["panel", "method", "batch_size", "sigma", "time", "discrete", "euler"]].astype({"batch_size": int})


def fig_stationary(records: Records, settings: Settings) -> pd.DataFrame:
    """Stationary variance over the batch size."""
    return tab_sde_stationary(records, settings)[["method", "batch_size", "variance", "formula"]]


def fig_quadratics(records: Records, settings: Settings) -> pd.DataFrame:
    """SGD's and Signum's loss over Adam's, both noise models."""
    parts = [_quadratics(records, noise).assign(noise=noise) for noise in ("additive", "rows")]
    table = pd.concat(parts, ignore_index=True)
    table = table[table.optimizer != "adam"]
    return table[["noise", "sigma", "landscape", "optimizer", "batch_size", "over_adam"]]
