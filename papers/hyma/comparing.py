"""Methods against grid search, seeds against each other, our costs against the authors'. No torch here."""

import numpy as np
import pandas as pd

from papers.hyma.flops import contrastive_flops, generation_flops
from papers.hyma.ranking import agreement
from papers.hyma.shapes import connector_shapes
from shared.models.config import HypernetworkConfig

PAIR = ["image", "text"]
RUN = ["depth", "seed"]
AUTHORS = {"batch": 16384, "matched": 512, "samples": 558_128, "epochs": 10, "drawn": 4}  # 4 per step: development code
WIDTHS = [(image, text) for image in (384, 768, 1024) for text in (384, 768, 1024) for _ in range(3)]  # 27 pairs


def agreements(frame: pd.DataFrame, keys: list[str], k: int, truth_column: str = "score") -> list[dict]:
    """A row per setting and seed of each method against grid search of that seed; grid search against its next seed."""
    found = []
    for setting, part in frame.groupby(keys[:-1]) if len(keys) > 1 else [((), frame)]:
        wide = {key: p.set_index(PAIR) for key, p in part.groupby(["method", "seed"])}
        seeds = sorted(part.seed.unique())
        for (method, seed), own in wide.items():
            if method == "grid":
                own = wide["grid", seeds[(seeds.index(seed) + 1) % len(seeds)]]
                if len(seeds) == 1:
                    continue
            truth = wide["grid", seed]
            own = own.loc[truth.index]
            row = dict(zip(keys, [*setting, seed], strict=True))
            row |= {"method": "grid, another seed" if method == "grid" else method, "num_pairs": len(truth)}
            row |= agreement(own.score.to_numpy(), truth[truth_column].to_numpy(), min(k, len(truth)))
            pick = own.score.idxmax()
            row |= {"regret": truth.score.max() - truth.score[pick], "pick": " + ".join(pick)}
            row |= {"grid_pick": " + ".join(truth.score.idxmax()), "own_score": own.score[pick]}
            found.append(row | {"grid_best": truth.score.max(), "mean_score": own.score.mean()})
    return found


def against_grid(frame: pd.DataFrame, grid: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """A row per setting and seed of `frame`: its scores and their agreement with grid search's on the same pairs."""
    rows = []
    for values, own in frame.groupby([*keys, "seed"]):
        pair = own.merge(grid[grid.seed == values[-1]], on=[*RUN, *PAIR], suffixes=("", "_grid"))
        row = dict(zip([*keys, "seed"], values, strict=True)) | {"hyma": pair.score.mean(), "best": pair.score.max()}
        row |= {"grid": pair.score_grid.mean(), "flops": pair.flops.iloc[0]}
        row |= {"ratio": pair.ratio.iloc[0]} if "ratio" in pair else {}
        rows.append(row | agreement(pair.score.to_numpy(), pair.score_grid.to_numpy(), min(7, len(pair))))
    return pd.DataFrame(rows)


def deltas(frame: pd.DataFrame, objective: str, named: dict[str, tuple[str, str]]) -> list[dict]:
    """Hyma's pick with its own connector less each baseline's value; perplexities for captioning.

    Args:
        named: baseline -> the pair that it names; its value is that pair's under grid search.
    """
    rows, sign = [], 1 if objective == "contrastive" else -1
    for (depth, seed), part in frame.groupby(RUN):
        own = {method: p.set_index(PAIR).score for method, p in part.groupby("method")}
        values = {"Random": own["grid"].mean(), "Oracle": own["grid"].max()}
        values |= {baseline: own["grid"][pair] for baseline, pair in named.items()}
        if "halving" in own:
            values["AutoPair"] = own["halving"].max()
        for baseline, value in values.items():
            row = {"objective": objective, "depth": depth, "seed": seed, "baseline": baseline, "value": sign * value}
            rows.append(row | {"delta": sign * (own["hyma"].max() - value)})
    return rows


def crossings(curves: pd.DataFrame, share: float) -> pd.DataFrame:
    """Per seed, grid search's FLOPs over Hyma's to `share` of grid search's final score; 0 where Hyma never gets there.

    whole: grid search's FLOPs to its end in place of those to the bound.
    """
    rows = []
    for _, own in curves.groupby("seed"):
        parts = {method: part.sort_values("flops") for method, part in own.groupby("method")}
        bound = share * parts["grid"].score.iloc[-1]
        there = {
            method: _first_at(part.flops.to_numpy(), part.score.to_numpy(), bound) for method, part in parts.items()
        }
        rows.append({"fair": there["grid"] / there["hyma"], "whole": parts["grid"].flops.iloc[-1] / there["hyma"]})
    return pd.DataFrame(rows)


def _first_at(flops: np.ndarray, scores: np.ndarray, bound: float) -> float:
    """Where a curve first reaches `bound`, on the line between its checkpoints; inf if it never does."""
    reached = np.flatnonzero(scores >= bound)
    if not len(reached):
        return np.inf
    last, first = max(reached[0] - 1, 0), reached[0]  # nothing is known of what lies before the first checkpoint
    return float(np.interp(bound, scores[[last, first]], flops[[last, first]])) if last < first else float(flops[first])


def over_seeds(frame: pd.DataFrame, keys: list[str], measures: list[str]) -> pd.DataFrame:
    """Means over seeds, <measure>_error (standard errors) and num_seeds."""
    groups = frame.groupby(keys)
    table = groups[measures].mean()
    for measure in measures:
        table[f"{measure}_error"] = groups[measure].std() / np.sqrt(groups.size())
    return table.assign(num_seeds=groups.size()).reset_index()


def authors() -> list[dict]:
    """27 pairs for 10 epochs, and the three pairs of the poster's curve for one epoch."""
    a, network, rows = AUTHORS, HypernetworkConfig(condition_dim=32, widths=(128, 512)), []
    for depth in (0, 1, 2):
        shapes = [connector_shapes(depth, text, image, 1024) for image, text in WIDTHS]
        largest = [(max(s[i][0] for s in shapes), max(s[i][1] for s in shapes)) for i in range(depth + 1)]
        for method, batch in (("grid", a["batch"]), ("matched", a["matched"])):
            steps = a["epochs"] * (a["samples"] // batch)
            cost = steps * sum(contrastive_flops(batch, s) for s in shapes)
            rows.append({"setting": "authors'", "depth": depth, "method": method, "flops": cost})
        each = sum(contrastive_flops(a["matched"], s) for s in shapes) / len(shapes)
        each += generation_flops(network, largest)
        steps = a["epochs"] * (a["samples"] // a["matched"])
        rows.append({"setting": "authors'", "depth": depth, "method": "hyma", "flops": steps * a["drawn"] * each})
    shapes = connector_shapes(1, 384, 384, 1024)
    for method, batch in (("grid", a["batch"]), ("matched", a["matched"])):
        cost = 3 * (a["samples"] // batch) * contrastive_flops(batch, shapes)
        rows.append({"setting": "authors' curve, one epoch", "depth": 1, "method": method, "flops": cost})
    return [*rows, {"setting": "authors' curve, one epoch", "depth": 1, "method": "hyma", "flops": 10.07e12}]


def points(reported, name: str) -> pd.DataFrame:
    """Rows of reported.csv "<method> <number>" with columns tflops and score."""
    wide = reported.table(name).pivot(index="row", columns="column", values="value").astype(float)
    parts = wide.index.str.split(" ")
    table = pd.DataFrame({"study": "paper", "method": parts.str[0], "step": parts.str[1].astype(int), "seed": 0})
    values = {"flops": 1e12 * wide.tflops.to_numpy(), "reported": wide.score.to_numpy()}
    return table.assign(**values).sort_values(["method", "step"])


def heat_map(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean score over the seeds of each pair under both methods."""
    frame = scores[scores.method.isin(["grid", "hyma"])]
    return (
        frame.groupby(["depth", "method", *PAIR], sort=False)
        .agg(score=("score", "mean"), spread=("score", "std"))
        .reset_index()
        .sort_values(["depth", "method"], kind="stable")
    )
