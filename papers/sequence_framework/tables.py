"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import numpy as np
import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported
from shared.artifacts.sweeps import tuned

TUNED = ["lr", "weight_decay"]


def final(records: Records) -> pd.DataFrame:
    """One row per run with a fresh seed, at the tuned values."""
    runs = records("ablate")
    return runs[runs.stage == "final"]


def scores(records: Records, final: pd.DataFrame) -> pd.DataFrame:
    """One row per study, task and variant: means over seeds, and how they were tuned."""
    keys, runs = ["study", "task", "variant"], records("ablate")
    searched = tuned(runs[runs.stage == "tuning"], keys, "val_loss", TUNED)
    searched = searched[[*keys, *TUNED, "num_settings", "edge"]]
    found = {"num_seeds": ("seed", "size"), "accuracy": ("accuracy", "mean"), "standard_error": ("accuracy", "sem")}
    found |= {"macro_accuracy": ("macro_accuracy", "mean"), "near_zero": ("near_zero", "mean")}
    found |= {"near_zero_error": ("near_zero", "sem"), "largest_grad_norm": ("largest_grad_norm", "max")}
    found |= {"seeds_solved": ("steps_to_solve", "count"), "steps_to_solve": ("steps_to_solve", "median")}
    found |= {name: (name, "first") for name in ("mixer", "readout", "features", "evolution", "decay", "scaling")}
    found |= {name: (name, "first") for name in ("normaliser", "n", "num_layers", "seq_len")}
    table = final.groupby(keys, sort=False).agg(**found).reset_index()
    return table.merge(searched, on=keys, how="left")


def _study(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    return table[table.study.isin(names)].reset_index(drop=True)


def _phi(table: pd.DataFrame) -> pd.Series:
    """The readout as figures name it."""
    named = np.where(table.features == "elu1", "elu + 1 features", table.readout)
    return pd.Series(np.where(table.normaliser == "one", named + ", eta = 1", named), index=table.index)


def tab_p1_rank(records: Records) -> pd.DataFrame:
    """Rank over seeds; equal seeds or not shows in its range."""
    groups = records("exact", "rank").groupby(["phi", "n", "T", "predicted"], sort=False)["rank"]
    return groups.agg(smallest_rank="min", largest_rank="max", num_seeds="size").reset_index()


def tab_p1_tradeoff(scores: pd.DataFrame) -> pd.DataFrame:
    """Numbers that decoding keeps after the whole sequence, beside accuracy: what a linear readout saves and costs.

    A linear phi with eta = 1 keeps n x d_v, with a sum of positive terms n x (d_v + 1); otherwise all keys and values.
    """
    table = _study(scores, "readout", "noise")
    d_v = 32  # one head as wide as the model
    positive = table.features == "elu1"
    recurrent = (table.readout == "identity") & (positive | (table.normaliser == "one"))
    state = np.where(recurrent, table.n * (d_v + positive), table.seq_len * (table.n + d_v))
    return table.assign(phi=_phi(table), recurrent=recurrent, state=state.astype(int))


def tab_p2_readout(scores: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and near-zero share by readout and n."""
    table = _study(scores, "readout", "noise")
    return table.assign(phi=_phi(table))


def fig_p2_readout(final: pd.DataFrame) -> pd.DataFrame:
    """A point per run."""
    table = _study(final, "readout", "noise")
    return table.assign(phi=_phi(table))


def tab_p2_intervals(records: Records, reported: Reported) -> pd.DataFrame:
    """Ends of the near-zero sets and their probability, beside the one setting that could be read in the paper."""
    table = records("exact", "zero_sets").drop_duplicates("phi")[["phi", "low", "high", "probability"]]
    return table.assign(reported_epsilon=reported("Figure P2", "near-zero set", "epsilon"))


def tab_p3_position(scores: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Accuracy on selective copying by evolution; a uniform guess knows that neither blank nor copy token is due."""
    guess = 1 / (settings.studies["position"].recall.data.vocab_size - 2)
    return _study(scores, "position").assign(uniform_guess=guess)


def tab_p4_structure(scores: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on rebinding recall by structure."""
    return _study(scores, "structure")


def tab_seeds(final: pd.DataFrame) -> pd.DataFrame:
    """Every final run: what paired comparisons are made of."""
    return final


def fig_p5_scaling(records: Records, scores: pd.DataFrame) -> pd.DataFrame:
    """Variance of the pre-activations by n and exponent of b, and the accuracy where it was trained."""
    exact, trained = records("exact", "scaling"), _study(scores, "scaling")
    exact = exact.rename(columns={"standard_error": "variance_error"})
    trained = trained.rename(columns={"scaling": "exponent"})
    columns = ["exponent", "n", "accuracy", "standard_error", "num_seeds", "lr", "edge", "largest_grad_norm"]
    return exact.merge(trained[columns], on=["exponent", "n"], how="left")


def tab_p6_stability(scores: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and gradient norm by decay and normaliser."""
    return _study(scores, "stability")


def tab_mad(scores: pd.DataFrame) -> pd.DataFrame:
    """MAD: accuracy of each mixer on each task, mean over the difficulty settings of that task."""
    table = scores[scores.study.str.startswith("mad")].assign(suite=lambda t: t.task.str.split(":").str[0])
    groups = table.groupby(["suite", "variant"], sort=False)
    found = groups.agg(
        accuracy=("accuracy", "mean"), macro_accuracy=("macro_accuracy", "mean"), num_tasks=("task", "size")
    )
    return found.reset_index().rename(columns={"suite": "task", "variant": "mixer"})
