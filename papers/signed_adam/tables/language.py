"""Tables of the language-model sweeps."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from papers.signed_adam.tables.runs import METHODS, TUNED, common_seeds, most_seeds, of_studies
from shared.artifacts.config import Settings
from shared.artifacts.reported import Reported
from shared.artifacts.sweeps import over_seeds, tuned, with_regret

SCORE_SCALE = 0.25 / 22  # of Figure 3: 0.25 in perplexity at the paper's perplexity of about 22, as a relative change


def tab_methods(runs: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Table 1: the best setting of each method in the main study, chosen by seed mean."""
    found = of_studies(runs, ["main"], METHODS)
    table = tuned(most_seeds(found, ["method"]), ["method"], over=TUNED)
    table["num_runs"] = table.method.map(found.groupby("method").size())
    table = table.sort_values("val_loss", ignore_index=True)
    table = table.assign(two_sigma=2 * table["std"], ppl=np.exp(table.val_loss))
    columns = {"ppl": "reported_ppl", "two_sigma": "reported_two_sigma"}
    return reported.beside(table, "Table 1", rows="method", columns=columns)


def cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Adam's (beta1, beta2) cells, tuned over the learning rate on the seeds that all settings of a study share.

    Of every study with a grid: one that varies beta2 for some beta1. beta2 = 0 is left out, as v is then g^2 itself.
    """
    adam = runs[(runs.method == "Adam") & (runs.beta2 > 0)]
    counts = adam.groupby(["study", "beta1"]).beta2.nunique()
    grids = counts[counts > 1].reset_index().study.unique()
    adam = common_seeds(adam[adam.study.isin(grids)], ["study"])
    return with_regret(tuned(adam, ["study", "beta1", "beta2"]), ["study", "beta1"])


def tab_betas(cells: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Table A: P(beta1, beta2), the smallest loss over the learning rate, of every study with a grid."""
    table = cells.assign(ppl=np.exp(cells.val_loss), two_sigma=2 * cells["std"])
    table["score"] = np.exp(-np.expm1(table.regret) / SCORE_SCALE)
    names = {"rows": "beta1", "across": "beta2", "value": "reported_ppl"}
    table = reported.beside(table, "Table A", **names, where={"study": "main"})
    return table.assign(ratio=(1 - table.beta2) / (1 - table.beta1))


def tab_equal(cells: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Table B: for each beta1 the best beta2, and what tying the two costs."""
    rows = []
    for (study, beta1), row in cells.groupby(["study", "beta1"]):
        row = row.sort_values("beta2").reset_index(drop=True)
        best = row.loc[row.val_loss.idxmin()]
        diagonal = row[row.beta2 == beta1]
        equal = diagonal.val_loss.iloc[0] if len(diagonal) else np.nan
        apart = abs(best.name - diagonal.index[0]) if len(diagonal) else np.nan
        rows.append([f"{study} {beta1:g}", best.beta2, best.val_loss, equal, equal - best.val_loss, apart])
    columns = ["row", "best_beta2", "best_loss", "equal_loss", "regret", "steps_apart"]
    found = pd.DataFrame(rows, columns=columns)
    found["regret_ppl"] = np.exp(found.equal_loss) - np.exp(found.best_loss)
    found = reported.beside(found, "Table B", rows="row", columns={"regret": "reported_regret_ppl"})
    found[["study", "beta1"]] = found.row.str.rsplit(" ", n=1, expand=True)
    return found.astype({"beta1": float})


def fig3_scores(tab_betas: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Score of each cell within its row; 1 at the best beta2."""
    titles = {name: study.title for name, study in settings.studies.items() if study is not None}
    return tab_betas.assign(title=tab_betas.study.map(titles)).dropna(subset="val_loss")


def _one_setting(runs: pd.DataFrame, studies: list[str], methods: list[str], by: list[str]) -> pd.DataFrame:
    """Means over the seeds of each setting, tuned over the learning rate."""
    table = tuned(of_studies(runs, studies, methods), by)
    return table.assign(two_sigma=2 * table["std"], ppl=np.exp(table.val_loss.astype(float)))


def tab_confounders(runs: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Tables 2 and 3: eps, initialisation and bias correction at fixed betas."""
    by = ["study", "method", "eps", "bias_correction", "gradient_init"]
    table = _one_setting(runs, ["eps", "init"], ["Adam", "Signum"], by)
    start = table.gradient_init.map({1.0: " GI", 0.0: " ZI"})
    corrected = table.bias_correction.map({1.0: "+BC", 0.0: "-BC"}).where(table.method == "Adam", "")
    table["row"] = table.method + start + corrected
    where = {"study": "init"}
    table = reported.beside(table, "Table 3", rows="row", columns={"ppl": "reported_ppl"}, where=where)
    table["method"] = table.method.fillna(table.row.str.split().str[0])
    table["gradient_init"] = table.gradient_init.fillna(table.row.str.contains("GI").astype(float))
    return table.assign(bias_correction=table.bias_correction.fillna(table.row.map(_correction)))


def _correction(row: str) -> float:
    """Bias correction of a row of Table 3: 1, 0, or missing for Signum, which has none."""
    return {"+BC": 1.0, "-BC": 0.0}.get(row[-3:], np.nan)


def tab_adavar(runs: pd.DataFrame) -> pd.DataFrame:
    """Figure 20: AdaVar around the point where it is Adam."""
    table = _one_setting(runs, ["adavar"], ["AdaVar"], ["beta1", "gamma", "tau"])
    return table.assign(is_adam=(table.beta1 == table.gamma) & (table.beta1 == table.tau))


def fig1_tokens(logged: pd.DataFrame, tab_methods: pd.DataFrame) -> pd.DataFrame:
    """Training loss over tokens at each method's best setting, seeds averaged; means over the updates in between."""
    rows = logged[(logged.study == "main") & (logged.phase == "train")]
    rows = rows.merge(tab_methods[["method", *TUNED]], on=["method", *TUNED])
    return rows.groupby(["method", "tokens"]).loss.mean().reset_index()


def fig19_bias(logged: pd.DataFrame) -> pd.DataFrame:
    """Training loss over tokens with and without bias correction."""
    rows = logged[(logged.study == "init") & (logged.method == "Adam") & (logged.phase == "train")]
    return rows.groupby(["bias_correction", "gradient_init", "tokens"]).loss.mean().reset_index()


def _curves(studies: Iterable[str], methods: list[str], by: list[str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The table function of a figure of loss against learning rate: seed means, infinite where a seed diverged."""

    def table(runs: pd.DataFrame) -> pd.DataFrame:
        found = of_studies(runs, studies, methods)
        found = found.assign(clipped=np.isfinite(found.clip_norm))
        found["eps"] = found.eps.where(found.method != "Signum", 0.0)  # Figure 4: eps 0 is Signum itself
        signum = runs[(runs.method == "Signum") & ~runs.diverged.astype(bool)].groupby("study").val_loss.min()
        curves = over_seeds(found.fillna({"gradient_init": 0.0}), [*by, "lr"])
        return curves.assign(best_signum=curves.study.map(signum)) if "study" in by else curves

    return table


def _adam(*studies: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return _curves(studies, ["Adam"], ["study", "beta1", "beta2"])


fig2_adam, fig5_larger, fig12_noclip = _adam("main"), _adam("larger"), _adam("adam_noclip")
fig13_tokens, fig14_short, fig18_fineweb = _adam("tokens_2x"), _adam("short_sequences"), _adam("fineweb")
fig15_batches = _adam("batch_128", "batch_256", "batch_512")
fig2_signum = _curves(["main"], ["Signum"], ["beta1", "clipped"])
fig4_mollified = _curves(["mollified"], ["Signum + eps", "Signum"], ["eps", "gradient_init"])
fig8_sgd = _curves(["main"], ["SGD", "SGD + Gclip", "SGD + Cclip"], ["method", "beta1", "weight_decay"])
fig10_rmsprop = _curves(["main"], ["RMSprop", "SignSGD"], ["beta2"])
fig11_emasign = _curves(["main"], ["EMASign", "Signum"], ["method", "beta1"])
fig20_adavar = _curves(["adavar"], ["AdaVar"], ["beta1", "gamma", "tau"])
