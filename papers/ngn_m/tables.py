"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import numpy as np
import pandas as pd

from papers.ngn_m.names import METHODS, MOMENTUM
from papers.ngn_m.runs import by_seed, over_draws, scored, widths, with_methods
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported
from shared.artifacts.sweeps import edge_of

MEANS = {"ppl": ("score", "mean"), "ppl_error": ("score", "sem"), "num_seeds": ("seed", "size")}


def fig_e1(records: Records, reported: Reported) -> pd.DataFrame:
    """Updates to the tolerance on x^2 + x^4; reported counts beside the paper's two fastest settings."""
    table = records("toys", "quartic")
    table["setting"] = table.method + " " + table.lr.map("{:g}".format)
    return reported.beside(table, "Figure E.1", rows="setting", columns={"updates": "reported_updates"})


def fig_h4(records: Records) -> pd.DataFrame:
    """Losses on the quadratics and log10 of those at 1/sqrt(k) over them: means over the draws of A and y."""
    return over_draws(records("toys", "quadratics"))


def tab_h4(fig_h4: pd.DataFrame) -> pd.DataFrame:
    """The same after the last update."""
    return fig_h4[fig_h4.step == fig_h4.num_steps]


def logged(records: Records, settings: Settings) -> pd.DataFrame:
    """All logged rows of all studies."""
    return with_methods([records(step) for step in ("classify", "predict")], settings.studies)


def scores(logged: pd.DataFrame) -> pd.DataFrame:
    """One row per run."""
    return scored(logged)


def _swept(scores: pd.DataFrame) -> pd.DataFrame:
    """Runs of the stability sweeps, those with several methods over one grid of learning rates alone."""
    return scores[~scores.study.isin(["betas", "decay"])]


def tab_stability(scores: pd.DataFrame) -> pd.DataFrame:
    """Score over the learning rate: mean and range over seeds."""
    keys = ["study", "title", "score_unit", "method", "lr"]
    found = {"num_seeds": ("seed", "size"), "num_diverged": ("diverged", "sum")}
    for name in ("score", "train_loss"):
        found |= {name: (name, "mean"), f"{name}_low": (name, "min"), f"{name}_high": (name, "max")}
        found |= {f"{name}_error": (name, "sem")}
    table = _swept(scores).groupby(keys, sort=False).agg(**found).reset_index()
    return table.assign(family=np.where(table.method.isin(MOMENTUM), "momentum", "diagonal"))


def tab_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Each seed's sensitivity and best score over its own sweep."""
    return by_seed(_swept(scores))


def tab_2(scores: pd.DataFrame, tab_seeds: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Sensitivity and width per study and method, beside the paper's Table 3."""
    groups = tab_seeds.groupby(["study", "method"]).sensitivity
    found = groups.agg(sensitivity="mean", standard_error="sem", num_seeds="size").reset_index()
    table = widths(_swept(scores)).merge(found, on=["study", "method"], how="left")
    table = reported.beside(table, "Table 3", rows="method", across="task", value="reported_sensitivity")
    return table.fillna({"study": "not rebuilt"})


def tab_best(scores: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Best score of each method, chosen by the mean over seeds, beside the paper's Tables 7 to 9."""
    keys = ["study", "task", "method"]
    means = _swept(scores).groupby([*keys, "lr"], sort=False)
    means = means.agg(loss=("loss", "mean"), score=("score", "mean"), standard_error=("score", "sem")).reset_index()
    best = means.loc[means.groupby(keys, sort=False).loss.idxmin()]
    grids = means.groupby(keys).lr.unique()
    edges = [edge_of(row.lr, grids[(row.study, row.task, row.method)]) for row in best.itertuples()]
    best = best.assign(edge=edges, num_lrs=[len(grids[key]) for key in zip(*(best[k] for k in keys), strict=True)])
    best = reported.beside(best, "Tables 7-9", rows="method", across="task", value="reported_score")
    best = reported.beside(best, "Tables 7-9, std", rows="method", across="task", value="reported_std")
    return best.fillna({"study": "not rebuilt"})


def fig_5(logged: pd.DataFrame) -> pd.DataFrame:
    """gamma of NGN-M and NGN-MDv1, tau of MoMo and MoMo-Adam along training, mean over seeds."""
    rows = logged[(logged.phase == "train") & ~logged.study.isin(["betas", "decay"])]
    rows = rows[rows.method.isin(["NGN-M", "MoMo", "NGN-MDv1", "MoMo-Adam"])].dropna(subset="effective_lr")
    keys = ["study", "title", "method", "lr", "step"]
    return rows.groupby(keys, sort=False).effective_lr.agg(effective_lr="median", num_seeds="size").reset_index()


def tab_steps(logged: pd.DataFrame) -> pd.DataFrame:
    """Median step of NGN-M along training at c = 1 and c = 100, of each seed."""
    rows = logged[(logged.phase == "train") & (logged.method == "NGN-M") & logged.lr.isin([1.0, 100.0])]
    medians = rows.groupby(["study", "seed", "lr"]).effective_lr.median().unstack("lr")
    medians = medians.reindex(columns=[1.0, 100.0]).dropna()
    table = medians.set_axis(["step_at_1", "step_at_100"], axis=1).reset_index()
    return table.assign(log10_ratio=np.log10(table.step_at_100 / table.step_at_1))


def fig_i14(logged: pd.DataFrame) -> pd.DataFrame:
    """Training loss of the language models along training, mean over seeds."""
    rows = logged[(logged.phase == "train") & (logged.study == "lm") & logged.method.isin(["Adam", "NGN-MDv1"])]
    keys = ["method", "lr", "step"]
    return rows.groupby(keys, sort=False).loss.agg(train_loss="mean", num_seeds="size").reset_index()


def tab_betas(scores: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Perplexity over beta1 and beta2 and the learning rate, beside the paper's Tables 10 to 13."""
    runs = scores[scores.study == "betas"]  # those of "lm" with equal factors are the same runs, or of other data
    keys = ["method", "beta1", "beta2", "lr"]
    means = runs.groupby(keys).agg(**MEANS).reset_index()
    parts = [means[means[other] == value].assign(varied=name, beta=lambda t, n=name: t[n])
             for name, other, value in (("beta1", "beta2", 0.95), ("beta2", "beta1", 0.9))]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    table["setting"] = table.method + " " + table.varied + "=" + table.beta.map("{:g}".format)
    table = reported.beside(table, "Tables 10-13", rows="setting", across="lr", value="reported_ppl")
    words = table.setting.str.extract(r"(?P<method>\S+) (?P<varied>beta\d)=(?P<beta>\S+)")
    return table.assign(**words.astype({"beta": float}))


def fig_g1(scores: pd.DataFrame) -> pd.DataFrame:
    """Figure G.1: perplexity over learning rate and weight decay."""
    runs = scores[scores.study == "decay"]
    keys = ["method", "lr", "weight_decay"]
    return runs.groupby(keys, sort=False).agg(**MEANS).reset_index()


def tab_4(records: Records, reported: Reported) -> pd.DataFrame:
    """Update cost relative to torch's AdamW, and floats of state per parameter."""
    table = records("cost").assign(model="ours")
    table["method"] = table.optimizer.map(METHODS | {"sgd": "SGDM", "torch AdamW": "AdamW (torch)"})
    for name in ("update", "iteration"):
        how = {"rows": "method", "across": "model", "value": f"reported_{name}_seconds"}
        table = reported.beside(table, f"Table 4, {name}", **how)
    return table
