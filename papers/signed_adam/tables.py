"""Records -> tables of the language-model sweeps; those of the toy problems are in toy_tables.

The same functions reduce our own runs and the released ones: tune over the learning rate first, then compare.
"""

import numpy as np
import pandas as pd

from papers.signed_adam.runs import (
    METHODS,
    TUNED,
    all_rows,
    all_runs,
    common_seeds,
    filled,
    lr_curves,
    most_seeds,
    part,
    unfilled,
)
from papers.signed_adam.toy_tables import (
    fig6_learning_rates,
    fig6_quadratics,
    fig7_mollifier,
    fig21_hessians,
    fig22_filter,
    tab_bounds,
    tab_identity,
    tab_inference,
    tab_mollifier,
    tab_quadratics,
    tab_variance,
)
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported
from shared.artifacts.sweeps import tuned, with_regret

__all__ = [
    "fig6_learning_rates",
    "fig6_quadratics",
    "fig7_mollifier",
    "fig21_hessians",
    "fig22_filter",
    "tab_bounds",
    "tab_identity",
    "tab_inference",
    "tab_mollifier",
    "tab_quadratics",
    "tab_variance",
]

SLUG = "signed_adam"
SCORE_SCALE = 0.25 / 22  # of Figure 3: 0.25 in perplexity at the paper's perplexity of about 22, as a relative change


def _reported(table: str, rows: pd.Series, column: str) -> list[float]:
    reported = Reported(SLUG)
    return [reported(table, row, column) for row in rows]


def tab_methods(records: Records, settings: Settings) -> pd.DataFrame:
    """Table 1: the best setting of each method in the main study, chosen by seed mean."""
    runs = part(all_runs(records), "main", *METHODS)
    table = unfilled(tuned(most_seeds(filled(runs), ["method"]), ["method"], over=TUNED))
    counts = runs.groupby("method").size()
    table["num_runs"] = table.method.map(counts)
    table["two_sigma"] = 2 * table["std"]
    table["ppl"] = np.exp(table.val_loss)
    table["required_sigmas"] = settings.thresholds.sigmas
    table["reported_ppl"] = _reported("Table 1", table.method, "ppl")
    table["reported_two_sigma"] = _reported("Table 1", table.method, "two_sigma")
    table = table.sort_values("val_loss")
    columns = "method val_loss two_sigma ppl num_seeds lr beta1 beta2 weight_decay clip_norm edge num_runs"
    return table[[*columns.split(), "required_sigmas", "reported_ppl", "reported_two_sigma"]]


def _cells(records: Records) -> pd.DataFrame:
    """Adam's (beta1, beta2) cells, tuned over the learning rate on the seeds that all settings of a study share.

    Of every study with a grid: one that varies beta2 for some beta1. beta2 = 0 is left out, as v is then g^2 itself.
    """
    runs = all_runs(records)
    runs = runs[(runs.method == "Adam") & (runs.beta2 > 0)]
    counts = runs.groupby(["study", "beta1"]).beta2.nunique()
    grids = counts[counts > 1].reset_index().study.unique()
    runs = common_seeds(filled(runs[runs.study.isin(grids)]), ["study"])
    return with_regret(tuned(runs, ["study", "beta1", "beta2"]), ["study", "beta1"])


def tab_betas(records: Records, settings: Settings) -> pd.DataFrame:
    """Table A: P(beta1, beta2), the smallest loss over the learning rate, of every study with a grid."""
    table = _cells(records)
    table["ppl"] = np.exp(table.val_loss)
    table["score"] = np.exp(-np.expm1(table.regret) / SCORE_SCALE)
    table["ratio"] = (1 - table.beta2) / (1 - table.beta1)
    table["reported_ppl"] = [
        Reported(SLUG)("Table A", f"{b1:g}", f"{b2:g}") if study == "main" else np.nan
        for study, b1, b2 in zip(table.study, table.beta1, table.beta2, strict=True)
    ]
    columns = "study beta1 beta2 val_loss ppl lr edge num_settings num_diverged num_seeds regret score ratio"
    return table[[*columns.split(), "reported_ppl"]]


def tab_equal(records: Records, settings: Settings) -> pd.DataFrame:
    """Table B: for each beta1 the best beta2, and what tying the two costs."""
    table = _cells(records)
    rows = []
    for (study, beta1), cells in table.groupby(["study", "beta1"]):
        cells = cells.sort_values("beta2").reset_index(drop=True)
        best = cells.loc[cells.val_loss.idxmin()]
        diagonal = cells[cells.beta2 == beta1]
        equal = diagonal.val_loss.iloc[0] if len(diagonal) else np.nan
        apart = abs(best.name - diagonal.index[0]) if len(diagonal) else np.nan
        rows.append([study, beta1, best.beta2, best.val_loss, equal, equal - best.val_loss, apart])
    columns = ["study", "beta1", "best_beta2", "best_loss", "equal_loss", "regret", "steps_apart"]
    found = pd.DataFrame(rows, columns=columns)
    found["regret_ppl"] = np.exp(found.equal_loss) - np.exp(found.best_loss)
    found["allowed_regret"], found["allowed_tied"] = settings.thresholds.regret, settings.thresholds.tied
    label = found.study + " " + found.beta1.map("{:g}".format)
    found["reported_regret_ppl"] = _reported("Table B", label, "regret")
    return found


def _one_setting(records: Records, study: str, methods: tuple[str, ...], by: list[str]) -> pd.DataFrame:
    """Means over the seeds of each setting, tuned over the learning rate."""
    runs = filled(part(all_runs(records), study, *methods))
    table = (
        unfilled(tuned(runs, by)) if len(runs) else pd.DataFrame(columns=[*by, "lr", "val_loss", "std", "num_seeds"])
    )
    return table.assign(two_sigma=2 * table["std"])[[*by, "lr", "val_loss", "two_sigma", "num_seeds"]]


def tab_confounders(records: Records, settings: Settings) -> pd.DataFrame:
    """Tables 2 and 3: eps, initialisation and bias correction at fixed betas."""
    by = ["study", "method", "eps", "bias_correction", "gradient_init"]
    parts = [_one_setting(records, study, ("Adam", "Signum"), by) for study in ("eps", "init")]
    table = pd.concat([each for each in parts if len(each)] or parts[:1], ignore_index=True)
    table["ppl"] = np.exp(table.val_loss.astype(float))
    labels = [
        f"{m} {'GI' if g else 'ZI'}{'' if m == 'Signum' else '+BC' if b else '-BC'}"
        for m, g, b in zip(table.method, table.gradient_init, table.bias_correction, strict=True)
    ]
    known = Reported(SLUG)
    table["reported_ppl"] = [
        known("Table 3", label, "ppl") if study == "init" else np.nan
        for study, label in zip(table.study, labels, strict=True)
    ]
    return table[[*by, "lr", "val_loss", "two_sigma", "ppl", "num_seeds", "reported_ppl"]]


def tab_adavar(records: Records, settings: Settings) -> pd.DataFrame:
    """Figure 20: AdaVar around the point where it is Adam."""
    table = _one_setting(records, "adavar", ("AdaVar",), ["beta1", "gamma", "tau"])
    table["is_adam"] = (table.beta1 == table.gamma) & (table.beta1 == table.tau)
    return table.assign(allowed_regret=settings.thresholds.adavar)


def fig1_tokens(records: Records, settings: Settings) -> pd.DataFrame:
    """Training loss over tokens at each method's best setting, seeds averaged; means over the updates in between."""
    best = filled(tab_methods(records, settings))
    rows = filled(all_rows(records))
    rows = rows[(rows.study == "main") & (rows.phase == "train")]
    rows = rows.merge(best[["method", *TUNED]], on=["method", *TUNED])
    rows["tokens"] = (rows.step * (rows.num_tokens / rows.num_steps)).astype(int)
    return rows.groupby(["method", "tokens"], sort=True).loss.mean().reset_index()


def fig2_signum(records: Records, settings: Settings) -> pd.DataFrame:
    """Signum: loss against learning rate for each beta, with and without clipping."""
    runs = part(all_runs(records), "main", "Signum")
    runs = runs.assign(clipped=np.isfinite(runs.clip_norm))
    return lr_curves(runs, ["beta1", "clipped"])


def _adam(records: Records, studies: list[str]) -> pd.DataFrame:
    """Adam's loss against learning rate for each (beta1, beta2), and the best Signum of the same study."""
    runs = all_runs(records)
    runs = runs[runs.study.isin(studies) & runs.method.isin(["Adam", "Signum"])]
    curves = lr_curves(runs[runs.method == "Adam"], ["study", "beta1", "beta2"])
    signum = runs[(runs.method == "Signum") & ~runs.diverged.astype(bool)].groupby("study").val_loss.min()
    return curves.assign(best_signum=curves.study.map(signum))


def fig2_adam(records: Records, settings: Settings) -> pd.DataFrame:
    return _adam(records, ["main"])


def fig3_scores(records: Records, settings: Settings) -> pd.DataFrame:
    """Score of each cell within its row; 1 at the best beta2."""
    names = {name: study.title for name, study in settings.studies.items() if study is not None}
    table = tab_betas(records, settings)
    return table.assign(title=table.study.map(names))[["study", "title", "beta1", "beta2", "score", "regret"]]


def fig5_larger(records: Records, settings: Settings) -> pd.DataFrame:
    return _adam(records, ["larger"])


def fig12_noclip(records: Records, settings: Settings) -> pd.DataFrame:
    return _adam(records, ["adam_noclip"])


def fig13_tokens(records: Records, settings: Settings) -> pd.DataFrame:
    return _adam(records, ["tokens_2x"])


def fig14_short(records: Records, settings: Settings) -> pd.DataFrame:
    return _adam(records, ["short_sequences"])


def fig15_batches(records: Records, settings: Settings) -> pd.DataFrame:
    return _adam(records, ["batch_128", "batch_256", "batch_512"])


def fig18_fineweb(records: Records, settings: Settings) -> pd.DataFrame:
    return _adam(records, ["fineweb"])


def fig4_mollified(records: Records, settings: Settings) -> pd.DataFrame:
    """Signum with a constant under the root, from zero and from the first gradient; eps 0 is Signum itself."""
    runs = all_runs(records)
    plain = part(runs, "mollified", "Signum").assign(eps=0.0)
    runs = pd.concat([part(runs, "mollified", "Signum + eps"), plain])
    return lr_curves(runs.assign(gradient_init=runs.gradient_init.fillna(0.0)), ["eps", "gradient_init"])


def fig8_sgd(records: Records, settings: Settings) -> pd.DataFrame:
    """SGD without clipping, with a global clip, and with a clip of each coordinate on top."""
    runs = part(all_runs(records), "main", "SGD", "SGD + Gclip", "SGD + Cclip")
    return lr_curves(runs, ["method", "beta1", "weight_decay"])


def fig10_rmsprop(records: Records, settings: Settings) -> pd.DataFrame:
    """RMSprop; beta2 = 0 is SignSGD."""
    return lr_curves(part(all_runs(records), "main", "RMSprop", "SignSGD"), ["beta2"])


def fig11_emasign(records: Records, settings: Settings) -> pd.DataFrame:
    """Momentum after the sign, with Signum (momentum before it) for comparison."""
    return lr_curves(part(all_runs(records), "main", "EMASign", "Signum"), ["method", "beta1"])


def fig19_bias(records: Records, settings: Settings) -> pd.DataFrame:
    """Training loss over tokens with and without bias correction."""
    rows = all_rows(records)
    rows = rows[(rows.study == "init") & (rows.method == "Adam") & (rows.phase == "train")]
    rows = rows.assign(tokens=(rows.step * (rows.num_tokens / rows.num_steps)).astype(int))
    return rows.groupby(["bias_correction", "gradient_init", "tokens"]).loss.mean().reset_index()


def fig20_adavar(records: Records, settings: Settings) -> pd.DataFrame:
    runs = part(all_runs(records), "adavar", "AdaVar")
    return lr_curves(runs, ["beta1", "gamma", "tau"])
