"""Records of the training -> one row per run and one row per question. No torch here."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from papers.ar_scaling.studies import Study
from shared.data.synthetic.baselines import position_only_accuracy
from shared.data.synthetic.config import MQARConfig, parse_synthetic

KEYS = ["study", "row", "task", "num_layers", "d_model", "lr"]


def baselines(tasks: Mapping[str, dict]) -> dict[str, float]:
    """Task -> accuracy of the best position-only rule; nan for tasks that are no MQAR."""
    configs = {name: parse_synthetic(task) for name, task in tasks.items()}
    return {n: position_only_accuracy(c) if isinstance(c, MQARConfig) else np.nan for n, c in configs.items()}


def described(records: pd.DataFrame, studies: Mapping[str, Study | None], tasks: Mapping[str, dict]) -> pd.DataFrame:
    """All rows with the study's row and model and the task's baseline; runs are named with study and task."""
    table = records.rename(columns={"model_num_layers": "num_layers", "model_d_model": "d_model"})
    present = {name: study for name, study in studies.items() if study is not None}
    for field in ("row", "model"):
        table[field] = table.study.map({name: getattr(study, field) for name, study in present.items()})
    shape = table.num_layers.astype(str) + "x" + table.d_model.astype(str)
    table["run"] = table.study + " " + table.task + " " + shape + " " + table.run
    used = {name: tasks[name] for name in table.task.unique()}
    return table.assign(baseline=table.task.map(baselines(used)))


def scored(table: pd.DataFrame) -> pd.DataFrame:
    """One row per run: accuracy on validation (what rates are chosen by) and test, losses, steps to half.

    A diverged run has accuracy 0. `steps_to_half` is the first evaluation whose accuracy is half way from the baseline
    to 1, nan if there is none: it tells slow from unable.
    """
    runs = table[(table.phase == "test") & (table.measure == "test")].copy()
    ends = table[table.phase == "eval"].sort_values("step", kind="stable").groupby("run")
    runs["val_accuracy"] = runs.run.map(ends.val_accuracy.last())
    runs["val_loss"] = runs.run.map(ends.val_loss.last())
    lost = runs.diverged.astype(bool)
    for name in ("accuracy", "val_accuracy", "whole"):
        runs.loc[lost | runs[name].isna(), name] = 0.0
    bar = (1 + table.baseline.fillna(0)) / 2
    solved = table[(table.phase == "eval") & (table.val_accuracy >= bar)]
    return runs.assign(steps_to_half=runs.run.map(solved.groupby("run").step.min()))


def over_seeds(runs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Means over seeds with spread: accuracy (mean, smallest, largest, standard error), losses, divergence."""
    found = {"num_seeds": ("seed", "size"), "num_diverged": ("diverged", "sum"), "params": ("params", "first")}
    found |= {"num_steps": ("num_steps", "first")}  # of a study on a task
    found |= {"val_accuracy": ("val_accuracy", "mean"), "accuracy": ("accuracy", "mean"), "whole": ("whole", "mean")}
    found |= {"low": ("accuracy", "min"), "high": ("accuracy", "max"), "standard_error": ("accuracy", "sem")}
    found |= {"loss": ("loss", "mean"), "steps_to_half": ("steps_to_half", "median"), "baseline": ("baseline", "first")}
    return runs.groupby(keys, sort=False).agg(**found).reset_index()


def best_rates(means: pd.DataFrame, cell: list[str]) -> pd.DataFrame:
    """The row of the best learning rate of every cell, chosen by validation accuracy; `edge` says where it lies.

    Equally good rates: the one nearest to the middle of the longest run of them, so that a plateau has no edge.
    """
    rows = []
    for _, own in means.groupby(cell, sort=False):
        own = own.sort_values("lr").reset_index(drop=True)
        top = np.flatnonzero(own.val_accuracy >= own.val_accuracy.max() - 0.01)
        index = int(top[len(top) // 2])
        place = "single" if len(own) == 1 else "low" if index == 0 else "high" if index == len(own) - 1 else "inside"
        rows.append(own.loc[index].to_dict() | {"edge": place, "num_lrs": len(own)})
    return pd.DataFrame(rows)


def largest_fall(steps: pd.Series, loss: pd.Series, most: float, share: float = 0.1) -> tuple[float, float]:
    """(largest fall of the loss within `share` of training, share of training at which it starts).

    Args:
        steps, loss: of the evaluations, in order. most: in nats; what lies above counts as this.
    """
    steps, loss = steps.to_numpy(), np.minimum(loss.to_numpy(), most)
    near = [(steps > step) & (steps <= 1.001 * step + share * steps[-1]) for step in steps[:-1]]
    falls = [loss[i] - loss[within].min(initial=loss[i]) for i, within in enumerate(near)]
    return max(falls), steps[int(np.argmax(falls))] / steps[-1]
