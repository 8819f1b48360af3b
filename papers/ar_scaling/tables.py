"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import numpy as np
import pandas as pd

from papers.ar_scaling.names import COARSE
from papers.ar_scaling.runs import KEYS, baselines, best_rates, described, over_seeds, scored
from papers.ar_scaling.window import counted, grid_step, window, window_interval
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported
from shared.base.seeding import numpy_generator

MODEL = ["row", "task", "num_layers", "d_model"]


def logged(records: Records, settings: Settings) -> pd.DataFrame:
    """All rows of all runs."""
    return described(records("train"), settings.studies, settings.tasks)


def runs(logged: pd.DataFrame) -> pd.DataFrame:
    """One row per run."""
    return scored(logged)


def means(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per setting, over seeds."""
    return over_seeds(runs, KEYS)


def _shown(table: pd.DataFrame, settings: Settings, place: str) -> pd.DataFrame:
    names = [name for name, study in settings.studies.items() if study is not None and place in study.shown]
    return table[table.study.isin(names)].reset_index(drop=True)


def tab_lr(means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Accuracy over the learning rate: mean, smallest and largest of the seeds."""
    return _shown(means, settings, "sweep")


def tab_seeds(runs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Window of every seed, by model and threshold; none lies one step of the grid below 0."""
    rows, swept = [], _shown(runs, settings, "sweep")
    for key, own in swept.groupby([*MODEL, "seed"], sort=False):
        own = own.sort_values("lr")
        lrs, accuracy = own.lr.to_numpy(), own.accuracy.to_numpy()
        for threshold in settings.thresholds:
            width = counted(window(lrs, accuracy, threshold)[0], lrs)
            named = dict(zip([*MODEL, "seed"], key, strict=True)) | {"threshold": threshold}
            rows.append(named | {"width": width, "best": accuracy.max()})
    return pd.DataFrame(rows)


def tab_window(runs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Window of the mean over seeds with its interval, beside the grid that it was read from."""
    rows, swept = [], _shown(runs, settings, "sweep")
    for key, own in swept.groupby(MODEL, sort=False):
        table = own.pivot(index="seed", columns="lr", values="accuracy")
        lrs, accuracy = table.columns.to_numpy(), table.to_numpy()
        for threshold in settings.thresholds:
            rng = numpy_generator(0, "window", *map(str, key), str(threshold))
            width, low, high = window_interval(lrs, accuracy, threshold, rng)
            found = dict(zip(MODEL, key, strict=True)) | {"threshold": threshold}
            found |= {"width": width, "low": low, "high": high}
            found |= {"num_good": window(lrs, np.nan_to_num(accuracy).mean(0), threshold)[1], "num_lrs": len(lrs)}
            grid = {"grid_step": grid_step(lrs), "decades": np.log10(lrs[-1] / lrs[0])}
            rows.append(found | grid | {"num_seeds": len(table)})
    return pd.DataFrame(rows)


def tab_coarse(means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Best accuracy on the whole grid, and on the points of the coarse grid that lie in it."""
    rows = []
    for key, own in _shown(means, settings, "sweep").groupby(MODEL, sort=False):
        near = [own.iloc[(np.log(own.lr) - np.log(lr)).abs().argmin()] for lr in COARSE]
        matched = [r for r, lr in zip(near, COARSE, strict=True) if abs(np.log(r.lr / lr)) < 0.1]
        coarse = max((r.accuracy for r in matched), default=np.nan)
        found = {"best_fine": own.accuracy.max(), "best_coarse": coarse, "num_fine": len(own)}
        rows.append(dict(zip(MODEL, key, strict=True)) | found
                    | {"num_coarse": len(matched), "num_seeds": own.num_seeds.min()})  # fmt: skip
    return pd.DataFrame(rows)


def tab_width(means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Best accuracy over the learning rate by width and depth, with parameters."""
    return best_rates(_shown(means, settings, "width"), MODEL)


def tab_one_layer(runs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every seed of one layer of attention and of two, at each width and rate: none is left out."""
    own = runs[runs.row.isin(["Attention"])]
    return own[["study", "task", "num_layers", "d_model", "lr", "seed", "accuracy", "baseline", "num_steps"]]


def tab_ablation(runs: pd.DataFrame, means: pd.DataFrame, settings: Settings, reported: Reported) -> pd.DataFrame:
    """Ablations at their best learning rates, every seed, beside the paper's Table 2 and its first version's marks."""
    best = best_rates(_shown(means, settings, "ablation"), ["study", "row", "num_layers", "d_model", "task"])
    own = runs.merge(best[["study", "task", "num_layers", "d_model", "lr", "edge", "num_lrs"]])
    table = own[["row", "seed", "lr", "accuracy", "steps_to_half", "baseline", "edge", "num_lrs", "num_steps"]]
    table = table.assign(paper_row=table.row.str.replace(r" \(.*\)$", "", regex=True))
    columns = {"v2": "reported_v2", "v1": "reported_v1"}
    table = reported.beside(table, "Table 2", rows="paper_row", columns=columns)
    return table.assign(row=table.row.fillna(table.paper_row)).sort_values(["row", "seed"])


def tab_position(runs: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Mamba with and without positions, every seed at the best rate."""
    best = best_rates(_shown(means, settings, "position"), ["study", "row", "num_layers", "d_model", "task"])
    return runs.merge(best[["study", "task", "num_layers", "d_model", "lr", "edge", "num_lrs"]])


def tab_copy(means: pd.DataFrame, settings: Settings, reported: Reported) -> pd.DataFrame:
    """Copying at the best learning rate, beside the paper's Table 1."""
    table = best_rates(_shown(means, settings, "copy"), MODEL)
    columns = {"accuracy": "reported_accuracy", "params": "reported_params"}
    return reported.beside(table, "Table 1", rows="row", columns=columns)


def fig_5(means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Accuracy of copying over the learning rate, beside a uniform guess of each letter."""
    table = _shown(means, settings, "copy")
    return table.assign(guess=[1 / settings.tasks[task]["num_letters"] for task in table.task])


def fig_6(logged: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Loss, accuracy and attention statistics along training at the best learning rate, mean over seeds."""
    best = best_rates(_shown(means, settings, "dynamics"), ["study", "row", "num_layers", "d_model", "task"])
    rows = logged[logged.phase.isin(["train", "eval"])].merge(best[["study", "task", "num_layers", "d_model", "lr"]])
    shares = [name for name in rows if name.startswith(("previous_", "induction_", "values_"))]
    measures = ["loss", "val_loss", "accuracy", "val_accuracy", *shares]
    keys = ["row", "task", "num_layers", "d_model", "lr", "baseline", "step"]
    long = rows.melt([*keys, "seed", "phase"], measures, "measure").dropna(subset="value")
    long = long[(long.phase == "eval") == ~long.measure.isin(["loss", "accuracy"])]
    groups = long.groupby([*keys, "measure"], sort=False).value
    return groups.agg(value="mean", low="min", high="max", num_seeds="size").reset_index()


def tab_bump(logged: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Largest fall of the validation loss within a tenth of training, per seed, for one layer of attention.

    Counted from ln(V / 2) down at most: to learn which symbols are values at all is no drop of the paper's kind.
    """
    one = _shown(means, settings, "dynamics")
    best = best_rates(one[(one.row == "Attention") & (one.num_layers == 1)], ["study", "num_layers", "d_model", "task"])
    rows, ends = logged.merge(best[["study", "task", "num_layers", "d_model", "lr"]]), scored(logged)
    found = []
    for (run, seed), own in rows[rows.phase == "eval"].groupby(["run", "seed"], sort=False):
        own = own.sort_values("step")
        steps, values = own.step.to_numpy(), settings.tasks[own.task.iloc[0]]["vocab_size"] / 2
        loss = np.minimum(own.val_loss.to_numpy(), np.log(values))
        near = [(steps > step) & (steps <= 1.001 * step + 0.1 * steps[-1]) for step in steps[:-1]]
        falls = [loss[i] - loss[within].min(initial=loss[i]) for i, within in enumerate(near)]
        end = ends.set_index("run").loc[run]
        row = {"task": end.task, "d_model": end.d_model, "lr": end.lr, "seed": seed, "largest_fall": max(falls)}
        row |= {"at_share": steps[int(np.argmax(falls))] / steps[-1]}
        row |= {"accuracy": end.accuracy, "baseline": end.baseline}
        found.append(row | {name: own[f"{name}_0"].iloc[-1] for name in ("previous", "induction", "values")})
    return pd.DataFrame(found)


def _asked(logged: pd.DataFrame, means: pd.DataFrame, settings: Settings, measure: str) -> pd.DataFrame:
    best = best_rates(_shown(means, settings, "sweep"), ["study", "row", "num_layers", "d_model", "task"])
    rows = logged[logged.measure == measure].merge(best[["study", "task", "num_layers", "d_model", "lr"]])
    groups = rows.groupby([*MODEL, "at"], sort=False)
    return groups.accuracy.agg(accuracy="mean", low="min", high="max", num_seeds="size").reset_index()


def fig_gap(logged: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Accuracy by the distance between a key and its query, at the best learning rate."""
    return _asked(logged, means, settings, "gap")


def fig_pairs(logged: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Accuracy at other numbers of pairs than the model was trained on, with the baseline of each."""
    table = _asked(logged, means, settings, "pairs")
    cells = table[["task", "at"]].drop_duplicates().itertuples(index=False, name=None)
    base = baselines({(task, num): settings.tasks[task] | {"num_pairs": int(num)} for task, num in cells})
    both = zip(table.task, table["at"], strict=True)
    trained_on = table.task.map({name: task.get("num_pairs") for name, task in settings.tasks.items()})
    return table.assign(baseline=[base[cell] for cell in both], trained_on=trained_on)
