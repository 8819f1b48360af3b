"""Records of the steps `exact` and `quadratics` -> tables. One function per artifact of paper.yaml."""

import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records

SETUP = ["landscape", "design", "warmup", "draw"]


def _check(records: Records, step: str, check: str) -> pd.DataFrame:
    frame = records(step)
    return frame[frame.check == check].dropna(axis=1, how="all")


def tab_identity(records: Records, settings: Settings) -> pd.DataFrame:
    return _check(records, "exact", "identity")[["beta1", "beta2", "case", "error", "remainder"]]


def tab_inference(records: Records, settings: Settings) -> pd.DataFrame:
    columns = ["case", "g", "m_old", "s2_old", "beta1", "m", "s2", "error", "swapped_distance"]
    return _check(records, "exact", "inference")[columns].rename(columns={"beta1": "beta"})


def tab_bounds(records: Records, settings: Settings) -> pd.DataFrame:
    return _check(records, "exact", "bound")[["beta1", "beta2", "step", "value", "bound", "limit"]]


def fig22_filter(records: Records, settings: Settings) -> pd.DataFrame:
    frame = _check(records, "exact", "filter")
    return frame[["case", "beta1", "step", "value"]].rename(columns={"case": "method", "beta1": "beta"})


def _best(finals: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Per group the learning rate with the smallest median of those that dropped no seed; `edge` as in a sweep."""
    ranked = finals.sort_values(["num_dropped", "median"], key=lambda s: s > 0 if s.name == "num_dropped" else s)
    best = ranked.groupby(by, sort=True).head(1).sort_values(by).reset_index(drop=True)
    ends = finals.groupby(by).lr.agg(["min", "max"])
    span = best.merge(ends.reset_index(), on=by)
    best["edge"] = "inside"
    best.loc[span["lr"] == span["min"], "edge"] = "low"
    best.loc[span["lr"] == span["max"], "edge"] = "high"
    return best[[*by, "lr", "median", "low", "high", "num_dropped", "edge"]]


def tab_quadratics(records: Records, settings: Settings) -> pd.DataFrame:
    """Best final loss of every method on every landscape, rotation, design and warm-up."""
    return _best(_check(records, "quadratics", "final"), [*SETUP, "method"])


def tab_mollifier(records: Records, settings: Settings) -> pd.DataFrame:
    """Best final loss of Signum with each constant, beside Adam's and Signum's own in the same setting."""
    table = _best(_check(records, "quadratics", "mollified"), ["landscape", "draw", "eps"])
    chosen = settings.quadratics
    best = tab_quadratics(records, settings)
    best = best[(best.design == chosen.designs[0]) & (best.warmup == chosen.warmup_fractions[0])]
    wide = best.pivot(index=["landscape", "draw"], columns="method", values="median")[["Adam", "Signum"]]
    wide.columns = ["adam_median", "signum_median"]
    return table.merge(wide.reset_index(), on=["landscape", "draw"])


def tab_variance(records: Records, settings: Settings) -> pd.DataFrame:
    """sigma2 and the radius of each block in the middle of Adam's best run: medians over the block's coordinates."""
    frame = _check(records, "quadratics", "variance")
    middle = settings.quadratics.num_steps // 2
    steps = frame.step.unique()
    frame = frame[frame.step == min(steps, key=lambda step: abs(step - middle))]
    table = frame.groupby(["landscape", "draw", "block", "step"])[["value", "radius"]].median().reset_index()
    return table.rename(columns={"value": "sigma2"}).astype({"block": int, "step": int})


def fig6_quadratics(records: Records, settings: Settings) -> pd.DataFrame:
    """Of the first rotation: loss curves at each method's best rate, and sigma2 of Adam's coordinates."""
    frame = records("quadratics")
    frame = frame[frame.draw == settings.quadratics.draws[0]]
    curves = frame[frame.check == "curve"].assign(kind="loss", line=frame.method, value=frame["median"])
    blocks = frame[frame.check == "variance"]
    lines = "block " + (blocks.block + 1).astype("Int64").astype(str) + ", coordinate "
    blocks = blocks.assign(kind="sigma2", line=lines + (blocks.coordinate + 1).astype("Int64").astype(str))
    both = pd.concat([curves, blocks]).astype({"step": int})
    return both[["landscape", "kind", "line", "step", "value", "low", "high", "lr"]]


def fig6_learning_rates(records: Records, settings: Settings) -> pd.DataFrame:
    """Final loss against learning rate, first design and warm-up, all rotations."""
    frame = _check(records, "quadratics", "final")
    chosen = settings.quadratics
    frame = frame[(frame.design == chosen.designs[0]) & (frame.warmup == chosen.warmup_fractions[0])]
    return frame[["landscape", "draw", "method", "lr", "median", "num_dropped"]]


def fig7_mollifier(records: Records, settings: Settings) -> pd.DataFrame:
    """Final loss of Signum with a constant against learning rate, with Adam and Signum; first rotation, het."""
    chosen = settings.quadratics
    frame = records("quadratics")
    frame = frame[(frame.landscape == "het") & (frame.draw == chosen.draws[0])]
    plain = frame[
        (frame.check == "final")
        & (frame.design == chosen.designs[0])
        & (frame.warmup == chosen.warmup_fractions[0])
        & frame.method.isin(["Adam", "Signum"])
    ]
    mollified = frame[frame.check == "mollified"]
    mollified = mollified.assign(method="eps = " + mollified.eps.map("{:g}".format))
    return pd.concat([plain, mollified])[["method", "lr", "median", "low", "high"]]


def fig21_hessians(records: Records, settings: Settings) -> pd.DataFrame:
    frame = _check(records, "quadratics", "hessian")
    frame = frame[frame.draw == settings.quadratics.draws[0]]
    return frame.astype({"row": int, "coordinate": int})[["landscape", "row", "coordinate", "value"]]
