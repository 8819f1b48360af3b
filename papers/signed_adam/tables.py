"""Records -> tables; those that show a part of a record as it is need no function, see paper.yaml."""

from collections.abc import Callable

import pandas as pd

from papers.signed_adam import beside, comparing, grid
from papers.signed_adam.landscapes import mollified_curves
from papers.signed_adam.runs import METHODS, TUNED, described, ended, equal_betas, of_studies

PRINTED = {"ppl": "reported_ppl", "two_sigma": "reported_two_sigma"}  # columns of Tables 1 and 3
REGRETS = {"regret": "reported_regret_ppl", "best": "reported_best_ppl"}  # columns of Table B


def logged(records) -> pd.DataFrame:
    """Every logged row of the sweeps."""
    return described(records("sweep"))


def runs(logged) -> pd.DataFrame:
    """One row per run."""
    return ended(logged)


def tab_methods(runs, reported) -> pd.DataFrame:
    """Table 1: the best setting of each method in the main study."""
    table = comparing.best_settings(of_studies(runs, ["main"], METHODS))
    return reported.beside(table, "Table 1", rows="method", columns=PRINTED)


def tab_betas(runs, reported, settings) -> pd.DataFrame:
    """Table A: P(beta1, beta2), the smallest loss over the learning rate, of every study with a grid."""
    names = {"rows": "beta1", "across": "beta2", "value": "reported_ppl"}
    of_adam = reported("Table 1", "Adam", "two_sigma") / 2 / reported("Table 1", "Adam", "ppl")
    cells = grid.tuned_cells(runs, of_adam if settings.thresholds.reported_spread else float("nan"))
    table = reported.beside(cells, "Table A", **names, where={"study": "main"})
    return table.assign(ratio=(1 - table.beta2) / (1 - table.beta1))


def tab_equal(tab_betas, reported) -> pd.DataFrame:
    """Table B: for each beta1 the best beta2, and what tying the two costs."""
    ours = grid.best_betas(tab_betas.dropna(subset="val_loss"))
    found = reported.beside(ours, "Table B", rows="row", columns=REGRETS)
    found[["study", "beta1"]] = found.row.str.rsplit(" ", n=1, expand=True)
    return found.astype({"beta1": float})


def fig3_scores(tab_betas, settings) -> pd.DataFrame:
    """What each cell loses to the best of its row; beside the paper's Table A, where ours are other cells."""
    return beside.cells_with_paper_s(tab_betas, settings.studies)


def fig_reported(tab_methods, tab_confounders, tab_betas, tab_equal) -> pd.DataFrame:
    """Tables 1, 3 and B beside ours."""
    return beside.reported_beside(tab_methods, tab_confounders, tab_betas, tab_equal)


def tab_confounders(runs, reported) -> pd.DataFrame:
    """Tables 2 and 3: eps, initialisation and bias correction at fixed betas."""
    chosen = of_studies(runs, ["eps", "init"], ["Adam", "Signum"])
    table = comparing.tuned_over_lr(chosen, ["study", "method", "eps", "bias_correction", "gradient_init"])
    table = table.assign(row=comparing.row_of_table_3(table))
    beside_3 = reported.beside(table, "Table 3", rows="row", columns=PRINTED, where={"study": "init"})
    return comparing.described_by_row(beside_3)


def tab_adavar(runs) -> pd.DataFrame:
    """Figure 20: AdaVar around the point where it is Adam."""
    table = comparing.tuned_over_lr(of_studies(runs, ["adavar"], ["AdaVar"]), ["beta1", "gamma", "tau"])
    return table.assign(is_adam=(table.beta1 == table.gamma) & (table.beta1 == table.tau))


def fig1_tokens(logged, tab_methods) -> pd.DataFrame:
    """Perplexity over tokens at each method's best setting."""
    rows = equal_betas(logged[logged.study == "main"])
    return comparing.perplexity_over_tokens(rows.merge(tab_methods[["method", *TUNED]], on=["method", *TUNED]))


def fig19_bias(logged) -> pd.DataFrame:
    """Training loss over tokens by the start of Adam's averages, above that from zero with bias correction."""
    rows = logged[(logged.study == "init") & (logged.method == "Adam")]
    return comparing.loss_above(rows, {"gradient_init": 0, "bias_correction": 1})


def _curves(studies: list[str], methods: list[str], by: list[str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The table of a figure of loss against learning rate, a line per setting `by`."""
    return lambda runs: comparing.loss_over_lr(runs, studies, methods, by)


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


def fig7_mollifier(records, settings) -> pd.DataFrame:
    """Final loss of Signum with a constant against learning rate, with Adam and Signum; first rotation, het."""
    plain, mollified = records("quadratics", "final"), records("quadratics", "mollified")
    return mollified_curves(plain, mollified, settings.quadratics.draws[0])
