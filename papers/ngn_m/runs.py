"""Logged rows of the sweeps -> a row per run with the score that the paper compares; per seed; per method. No torch."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from papers.ngn_m.names import METHODS
from papers.ngn_m.sensitivity import counted, sensitivity, width_interval
from papers.ngn_m.studies import Study
from shared.artifacts.sweeps import final_rows
from shared.base.seeding import numpy_generator


def with_methods(frames: Sequence[pd.DataFrame], studies: Mapping[str, Study | None]) -> pd.DataFrame:
    """Logged rows of all studies, with method, title, task and whether the study is of language."""
    studies = {name: study for name, study in studies.items() if study is not None}
    table = pd.concat(frames, ignore_index=True)
    table["run"] = table.study + " " + table.run  # studies have runs of one name
    momentum = table.momentum.fillna(0) > 0 if "momentum" in table else False
    table["method"] = table.optimizer.map(METHODS).fillna(pd.Series(np.where(momentum, "SGDM", "SGD"), table.index))
    table["title"] = table.study.map({name: study.title for name, study in studies.items()})
    table["task"] = table.study.map({name: study.paper_task for name, study in studies.items()})
    return table.assign(language=table.study.map({name: study.language is not None for name, study in studies.items()}))


def scored(logged: pd.DataFrame) -> pd.DataFrame:
    """One row per run: `loss` (wrong answers as a share, or nats) with diverged runs at the untrained model's.

    `score` is the accuracy in per cent or the perplexity; train_loss the mean of the last logged updates, in nats.
    """
    runs = final_rows(logged)
    last = logged[logged.phase == "train"].groupby("run").loss.last()
    wrong = ~runs.language
    loss = runs.val_loss.where(runs.language, 1 - runs.val_accuracy)
    untrained = runs.untrained_val_loss.where(runs.language, 1 - runs.untrained_val_accuracy)
    runs["loss"] = counted(loss.where(~runs.diverged.astype(bool)), untrained)
    runs["score"] = np.where(wrong, 100 * (1 - runs.loss), np.exp(runs.loss))
    runs["train_loss"] = counted(runs.run.map(last).where(~runs.diverged.astype(bool)), runs.untrained_val_loss)
    unit = np.where(runs.language, "perplexity", "accuracy, %")
    return runs.assign(untrained=untrained, score_unit=unit)


def by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per study, method and seed: sensitivity over the seed's own learning rates, and its best run."""
    rows = []
    for (study, method, seed), own in runs.groupby(["study", "method", "seed"], sort=False):
        own = own.sort_values("lr")
        best = own.loc[own.loss.idxmin()]
        row = {"study": study, "method": method, "seed": seed, "best_lr": best.lr, "best_score": best.score}
        row |= {"best_loss": best.loss}
        rows.append(row | {"sensitivity": sensitivity(own.loss.to_numpy(), own.untrained)})
    return pd.DataFrame(rows)


def widths(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per study and method: the good range in decades with its interval, and the span of the grid."""
    rows = []
    for (study, method), own in runs.groupby(["study", "method"], sort=False):
        loss = own.pivot(index="seed", columns="lr", values="loss")
        lrs, quality = loss.columns.to_numpy(), np.exp(-loss) if own.language.iloc[0] else 1 - loss
        rng = numpy_generator(0, "width", study, method)
        width = dict(zip(["width", "low", "high"], width_interval(lrs, quality.to_numpy(), rng), strict=True))
        sweep = {"decades": np.log10(lrs[-1] / lrs[0]), "num_lrs": len(lrs)}
        rows.append({"study": study, "method": method, "task": own.task.iloc[0]} | width | sweep)
    return pd.DataFrame(rows)


def over_draws(table: pd.DataFrame, best: str = "1/sqrt(k)") -> pd.DataFrame:
    """Losses on random quadratics -> per rate and step their geometric mean over draws, and how far `best` is ahead.

    log10_ratio is the mean of log10(loss at `best` / loss), paired by draw, with its standard error. Losses below 1e-24
    are rounding and count as that.
    """
    keys, of_step = ["shift", "num_steps", "rate", "step"], ["draw", "shift", "num_steps", "step"]
    table = table.assign(log=np.log10(table.loss.clip(lower=1e-24)))
    ahead = table.loc[table.rate == best, [*of_step, "log"]].rename(columns={"log": "best"})
    table = table.merge(ahead, on=of_step, validate="many_to_one").assign(ratio=lambda t: t.best - t.log)
    logs, ratio = ("log", "mean"), {"log10_ratio": ("ratio", "mean"), "log10_ratio_error": ("ratio", "sem")}
    found = table.groupby(keys, sort=False).agg(
        num_draws=("draw", "size"), condition=("condition", "median"), loss=logs, **ratio
    )
    return found.assign(loss=10**found.loss).reset_index()
