"""Differences between cells of the ablation, in nats per token, with their noise.

Runs of one seed share initial weights, batches, times and noise, so cells are compared seed by seed. The evaluations of
two runs share their draws of (t, z), too, and count here as if they did not: the noise of a difference is an upper
bound.
"""

import functools
from collections.abc import Iterator, Sequence

import pandas as pd

from shared.artifacts.estimates import Estimate, difference, from_spread, from_standard_error, mean_of

Cell = tuple[pd.Series, Estimate]  # nats per token of a cell's runs by seed; 0 with the error of one evaluation


def ablation(
    curves: pd.DataFrame, table: pd.DataFrame, settings, needed: tuple[str, float]
) -> Iterator[tuple[str, dict[tuple[str, float], Cell]]]:
    """(study, {(loss, p_u): cell}) of what was trained, for studies that trained the cell `needed`.

    Args:
        curves: learning curves, whose ends are the runs' final bounds. table: of the ablation, for standard errors.
    """
    ends = curves[curves.step == curves.groupby("study").step.transform("max")]
    runs = {key: rows.set_index("seed").nats_per_token for key, rows in ends.groupby(["study", "loss", "p_u"])}
    for study, part in table.dropna(subset="nats_per_token").groupby("study"):
        found = {
            (row.loss, row.p_u): (runs[study, row.loss, row.p_u], _evaluation(row, settings))
            for row in part.itertuples()
        }
        if needed in found:
            yield study, found


def contrast(plus: Sequence[Cell], minus: Sequence[Cell]) -> Estimate:
    """Nats of the cells `plus` less those of `minus`, mean over the seeds that all of them have."""
    nats = sum(cell[0] for cell in plus) - sum(cell[0] for cell in minus)
    return functools.reduce(difference, [cell[1] for cell in (*plus, *minus)], mean_of(nats))


def unpaired(row, settings) -> Estimate:
    """Nats per token of a table's row, with the spread between its seeds and the error of the evaluation."""
    return difference(from_spread(row.nats_per_token, row.seed_std, row.num_seeds), _evaluation(row, settings))


def _evaluation(row, settings) -> Estimate:
    """0 with the standard error of one evaluation, known from as many draws as the study's settings say."""
    return from_standard_error(0.0, row.standard_error, getattr(settings, row.study).likelihood.num_draws)
