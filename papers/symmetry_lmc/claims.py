"""Claims: each a sentence with the checks that could make it fail."""

import itertools

import pandas as pd

from shared.artifacts.claims import at_most, claim, greater, note
from shared.artifacts.estimates import from_standard_error, paired_difference


@claim("closed-form", "The stationary loss is lr / (2 (2 - lr)).", kind="ours")
def closed_form(tab_stationary: pd.DataFrame, settings):
    rows = tab_stationary.dropna(subset="loss")
    for row in rows.itertuples():
        relative, noise = abs(row.loss / row.closed_form - 1), row.standard_error / row.closed_form
        error = from_standard_error(relative, noise, row.num_seeds)
        yield at_most(f"relative_error_at_lr_{row.lr:g}", error, settings.thresholds.relative_error)
    yield note("num_seeds", int(rows.num_seeds.min()))


@claim("larger-steps-larger-loss", "A larger learning rate ends at a larger loss.", kind="paper", reported="Table 1")
def larger_steps_larger_loss(fig_losses: pd.DataFrame):
    runs = fig_losses.pivot(index="seed", columns="lr", values="loss")
    for low, high in itertools.pairwise(runs.columns):
        yield greater(f"loss_at_{high:g}_minus_{low:g}", paired_difference(runs[high], runs[low]), 0.0)
