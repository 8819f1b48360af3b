"""SGD's loss over Adam's on block quadratics: tuned on each rotation, compared over the rotations. No torch here."""

import math

import numpy as np
import pandas as pd

from papers.optimizer_gap.comparing import tuned_with_second
from papers.optimizer_gap.problems import SOLVED
from shared.artifacts.estimates import Estimate, from_standard_error

CASE = ["noise", "landscape", "sigma", "num_samples", "batch_size"]


def ratios_by_rotation(descents: pd.DataFrame) -> pd.DataFrame:
    """Best setting of each method on each rotation, and the loss there on the seeds that did not choose it.

    Args:
        descents: one row per CASE, draw, optimizer, lr, momentum and seed with `loss` and `fresh`. A descent without
            noise has one seed, which chooses and measures.
    Returns:
        CASE, draw, optimizer, lr, momentum, edge, loss (mean over the fresh seeds), log_ratio = ln(loss / Adam's),
        log_ratio_error over the seeds, which share their noise, to first order (missing where there is no noise),
        floored: 1 where Adam's loss is SOLVED, so that the ratio is a lower bound.
    """
    cell = [*CASE, "draw", "optimizer"]
    best = tuned_with_second(descents[~descents.fresh], cell, "momentum", "loss").drop(columns="loss")
    keys = [*cell, "lr", "momentum"]
    measuring = descents[descents.fresh | ~descents.groupby(cell).fresh.transform("any")]
    seeds = (
        best[keys].merge(measuring, on=keys).pivot(index=[*CASE, "draw", "seed"], columns="optimizer", values="loss")
    )
    groups = seeds.groupby(level=[*CASE, "draw"])
    means = groups.mean()
    spread = (seeds / groups.transform("mean")).pipe(lambda t: t.sub(t["adam"], axis=0))
    ratios = {
        "loss": means,
        "log_ratio": np.log(means.div(means["adam"], axis=0)),
        "log_ratio_error": spread.groupby(level=[*CASE, "draw"]).sem(),
        "num_seeds": groups.count(),
    }
    table = best.drop(columns="num_seeds").join(pd.DataFrame({k: t.stack() for k, t in ratios.items()}), on=cell)
    adam = table[[*CASE, "draw"]].merge(means["adam"].rename("adam_loss").reset_index(), on=[*CASE, "draw"], how="left")
    return table.assign(floored=(adam.adam_loss.to_numpy() <= SOLVED).astype(int))


def over_rotations(descents: pd.DataFrame) -> pd.DataFrame:
    """What holds over all rotations: geometric means, their noise over the rotations, and the extreme rotations.

    Returns:
        CASE, optimizer, num_steps, num_settings, num_draws, num_seeds (that measure each), loss (geometric mean);
        over_adam with low and high (95%, Student's t of the logarithms over rotations) and log_error; smallest and
        largest ratio of a rotation, smallest_log_error of the smallest over its seeds (missing where it is exact);
        floored: rotations whose ratio is a lower bound; at_edge: optima at an end of their grid, and on how many.
    """
    rows = []
    steps = descents.groupby(["noise", "num_samples", "batch_size"]).num_steps.first()
    for case, part in ratios_by_rotation(descents).groupby([*CASE, "optimizer"]):
        row = dict(zip([*CASE, "optimizer"], case, strict=True))
        row |= {"num_steps": steps[row["noise"], row["num_samples"], row["batch_size"]], "num_draws": len(part)}
        row |= {name: part[name].iloc[0] for name in ("num_settings", "num_seeds")}
        found = from_standard_error(part.log_ratio.mean(), part.log_ratio.sem(), len(part))
        low, high = (math.exp(found.value + sign * found.margin()) for sign in (-1, 1))
        worst = part.loc[part.log_ratio.idxmin()]
        row |= {"loss": math.exp(np.log(part.loss).mean()), "over_adam": math.exp(found.value)}
        row |= {"log_error": found.noise, "low": low, "high": high}
        row |= {"smallest": math.exp(worst.log_ratio), "smallest_log_error": worst.log_ratio_error}
        row |= {"largest": math.exp(part.log_ratio.max()), "floored": int(part.floored.sum())}
        edges = part.edge[part.edge != "inside"].value_counts().sort_index()
        rows.append(row | {"at_edge": "; ".join(f"{edge} on {number}" for edge, number in edges.items())})
    return pd.DataFrame(rows)


def decades(row: pd.Series) -> Estimate:
    """Decimal logarithm of SGD's loss over Adam's: the mean over rotations with their noise."""
    return from_standard_error(math.log10(row.over_adam), row.log_error / math.log(10), row.num_draws)


def fewest_decades(row: pd.Series) -> Estimate:
    """That of the rotation with the smallest ratio, with the noise over its seeds; exact where there is none."""
    value = math.log10(row.smallest)
    if math.isnan(row.smallest_log_error):
        return Estimate(value)
    return from_standard_error(value, row.smallest_log_error / math.log(10), row.num_seeds)
