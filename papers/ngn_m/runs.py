"""Logged rows of the sweeps -> one row per run with the score that the paper compares. No torch here."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from papers.ngn_m.names import METHODS
from papers.ngn_m.sensitivity import counted
from papers.ngn_m.studies import Study
from shared.artifacts.sweeps import final_rows


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
