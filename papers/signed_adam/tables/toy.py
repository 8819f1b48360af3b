"""Tables of the toy problems: parts of the records of steps `exact` and `quadratics`."""

import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records

SETUP = ["landscape", "design", "warmup", "draw"]


def tab_identity(records: Records) -> pd.DataFrame:
    return records("exact", "identity")


def tab_inference(records: Records) -> pd.DataFrame:
    return records("exact", "inference").rename(columns={"beta1": "beta"})


def tab_bounds(records: Records) -> pd.DataFrame:
    return records("exact", "bound")


def fig22_filter(records: Records) -> pd.DataFrame:
    return records("exact", "filter").rename(columns={"case": "method", "beta1": "beta"})


def _best(finals: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Per group the learning rate with the smallest median of those that dropped no seed; `edge` as in a sweep."""
    ranked = finals.sort_values(["num_dropped", "median"], key=lambda s: s > 0 if s.name == "num_dropped" else s)
    best = ranked.groupby(by, sort=True).head(1).sort_values(by)
    ends = finals.groupby(by).lr.agg(lowest="min", highest="max").reset_index()
    best = best.merge(ends, on=by).assign(edge="inside")
    best.loc[best.lr == best.lowest, "edge"] = "low"
    best.loc[best.lr == best.highest, "edge"] = "high"
    return best


def tab_quadratics(records: Records) -> pd.DataFrame:
    """Best final loss of every method on every landscape, rotation, design and warm-up."""
    return _best(records("quadratics", "final"), [*SETUP, "method"])


def _first(finals: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Rows of the first design and warm-up."""
    chosen = settings.quadratics
    return finals[(finals.design == chosen.designs[0]) & (finals.warmup == chosen.warmup_fractions[0])]


def tab_mollifier(records: Records, tab_quadratics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Best final loss of Signum with each constant, beside Adam's and Signum's own in the same setting."""
    table = _best(records("quadratics", "mollified"), ["landscape", "draw", "eps"])
    wide = _first(tab_quadratics, settings).pivot(index=["landscape", "draw"], columns="method", values="median")
    wide = wide.rename(columns={"Adam": "adam_median", "Signum": "signum_median"})
    return table.merge(wide.reset_index(), on=["landscape", "draw"])


def tab_variance(records: Records, settings: Settings) -> pd.DataFrame:
    """sigma2 and the radius of each block in the middle of Adam's best run: medians over the block's coordinates."""
    frame, middle = records("quadratics", "variance"), settings.quadratics.num_steps // 2
    frame = frame[frame.step == min(frame.step.unique(), key=lambda step: abs(step - middle))]
    table = frame.groupby(["landscape", "draw", "block", "step"])[["value", "radius"]].median().reset_index()
    return table.rename(columns={"value": "sigma2"}).astype({"block": int, "step": int})


def fig6_quadratics(records: Records, settings: Settings) -> pd.DataFrame:
    """Of the first rotation: loss curves at each method's best rate, and sigma2 of Adam's coordinates."""
    curves, blocks = records("quadratics", "curve"), records("quadratics", "variance")
    curves = curves.assign(kind="loss", line=curves.method, value=curves["median"])
    block, coordinate = ((blocks[column] + 1).astype(int).astype(str) for column in ("block", "coordinate"))
    blocks = blocks.assign(kind="sigma2", line="block " + block + ", coordinate " + coordinate)
    both = pd.concat([curves, blocks]).astype({"step": int})
    return both[both.draw == settings.quadratics.draws[0]]


def fig6_learning_rates(records: Records, settings: Settings) -> pd.DataFrame:
    """Final loss against learning rate, first design and warm-up, all rotations."""
    return _first(records("quadratics", "final"), settings)


def fig7_mollifier(records: Records, settings: Settings) -> pd.DataFrame:
    """Final loss of Signum with a constant against learning rate, with Adam and Signum; first rotation, het."""
    plain, mollified = _first(records("quadratics", "final"), settings), records("quadratics", "mollified")
    mollified = mollified.assign(method="eps = " + mollified.eps.map("{:g}".format))
    both = pd.concat([plain[plain.method != "SGD"], mollified])
    return both[(both.landscape == "het") & (both.draw == settings.quadratics.draws[0])]


def fig21_hessians(records: Records, settings: Settings) -> pd.DataFrame:
    frame = records("quadratics", "hessian").astype({"row": int, "coordinate": int})
    return frame[frame.draw == settings.quadratics.draws[0]]
