"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import numpy as np
import pandas as pd

from papers.ar_scaling.names import COARSE
from papers.ar_scaling.runs import KEYS, baselines, best_rates, described, largest_fall, over_seeds, scored
from papers.ar_scaling.window import counted, grid_step, window, window_interval
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported
from shared.base.seeding import numpy_generator

MODEL = ["row", "task", "num_layers", "d_model"]
CELL = ["study", *MODEL]


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


def _at(best: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the runs at the rates of `best`, with where in its grid each lies."""
    return rows.merge(best[[*CELL, "lr", "edge", "num_lrs"]])


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


def tab_coarse(runs: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every seed at the best rate of the whole grid, and at the best of those of its rates that earlier work took."""
    swept, found = _shown(means, settings, "sweep"), {}
    matched = np.min([np.abs(np.log(swept.lr / lr)) for lr in COARSE], axis=0) < 0.1
    for name, own in (("fine", swept), ("coarse", swept[matched])):
        named = {"accuracy": f"best_{name}", "lr": f"lr_{name}", "num_lrs": f"num_{name}"}
        found[name] = _at(best_rates(own, CELL), runs)[[*CELL, "seed", *named]].rename(columns=named)
    return found["fine"].merge(found["coarse"], how="left")


def tab_width(means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Best accuracy over the learning rate by width and depth, with parameters."""
    return best_rates(_shown(means, settings, "width"), MODEL)


def tab_gain(runs: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every seed of the widths of one layer, at the best rates."""
    return _at(best_rates(_shown(means[means.num_layers == 1], settings, "width"), MODEL), runs)


def tab_one_layer(runs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every seed of one layer of attention and of two, at each width and rate: none is left out."""
    return runs[runs.row == "Attention"]


def tab_ablation(runs: pd.DataFrame, means: pd.DataFrame, settings: Settings, reported: Reported) -> pd.DataFrame:
    """Ablations at their best learning rates, every seed, beside the paper's Table 2 and its first version's marks."""
    own = _at(best_rates(_shown(means, settings, "ablation"), CELL), runs)
    table = own[["row", "seed", "lr", "accuracy", "steps_to_half", "baseline", "edge", "num_lrs", "num_steps"]]
    table = table.assign(paper_row=table.row.str.replace(r" \(.*\)$", "", regex=True))
    columns = {"v2": "reported_v2", "v1": "reported_v1"}
    table = reported.beside(table, "Table 2", rows="paper_row", columns=columns)
    return table.assign(row=table.row.fillna(table.paper_row)).sort_values(["row", "seed"])


def tab_position(runs: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Mamba with and without positions, every seed at the best rate."""
    return _at(best_rates(_shown(means, settings, "position"), CELL), runs)


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
    rows = logged[logged.phase.isin(["train", "eval"])]
    rows = _at(best_rates(_shown(means, settings, "dynamics"), CELL), rows)
    shares = [name for name in rows if name.startswith(("previous_", "induction_", "values_"))]
    measures = ["loss", "val_loss", "accuracy", "val_accuracy", *shares]
    keys = [*MODEL, "lr", "baseline", "step"]
    long = rows.melt([*keys, "seed", "phase"], measures, "measure").dropna(subset="value")
    long = long[(long.phase == "eval") == ~long.measure.isin(["loss", "accuracy"])]
    groups = long.groupby([*keys, "measure"], sort=False).value
    return groups.agg(value="mean", low="min", high="max", num_seeds="size").reset_index()


def tab_bump(logged: pd.DataFrame, means: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Largest fall of the validation loss within a tenth of training, per seed, for one layer of attention.

    Counted from ln(V / 2) down at most: to learn which symbols are values at all is no drop of the paper's kind.
    """
    one = _shown(means, settings, "dynamics")
    rows = _at(best_rates(one[(one.row == "Attention") & (one.num_layers == 1)], CELL), logged)
    ends = scored(logged)
    found = []
    for (run, seed), own in rows[rows.phase == "eval"].groupby(["run", "seed"], sort=False):
        own, end = own.sort_values("step"), ends.set_index("run").loc[run]
        fall, start = largest_fall(own.step, own.val_loss, np.log(settings.tasks[end.task]["vocab_size"] / 2))
        row = {"task": end.task, "d_model": end.d_model, "lr": end.lr, "seed": seed, "largest_fall": fall}
        row |= {"at_share": start, "accuracy": end.accuracy, "baseline": end.baseline}
        found.append(row | {name: own[f"{name}_0"].iloc[-1] for name in ("previous", "induction", "values")})
    return pd.DataFrame(found)


def _asked(logged: pd.DataFrame, means: pd.DataFrame, settings: Settings, measure: str) -> pd.DataFrame:
    rows = _at(best_rates(_shown(means, settings, "sweep"), CELL), logged[logged.measure == measure])
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
