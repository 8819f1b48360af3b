"""The paper's tables beside ours, in one unit: nats above a row of the same table. No torch here.

A perplexity p with two sigma s is log(p) with s / p. Models of other sizes differ in losses, and less in their gaps.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from papers.signed_adam.comparing import row_of_table_3

COLUMNS = ["panel", "row", "whose", "value", "low", "high"]


def _above(rows: pd.Series, loss: pd.Series, two_sigma: pd.Series, base: str) -> pd.DataFrame:
    """Loss above that of the row `base`, with two sigma of the difference on either side where both are known."""
    frame = pd.DataFrame({"row": rows.to_numpy(), "loss": loss.to_numpy(float), "spread": two_sigma.to_numpy(float)})
    found = frame.dropna(subset="loss")
    if base not in set(found.row):
        return pd.DataFrame(columns=COLUMNS[1:])
    at = found.set_index("row").loc[base]
    value, spread = found.loss - at.loss, np.hypot(found.spread, at.spread).mask(found.row == base, 0.0)
    return pd.DataFrame({"row": found.row, "value": value, "low": value - spread, "high": value + spread})


def _both(panel: str, table: pd.DataFrame, base: str) -> pd.DataFrame:
    """A table with columns row, val_loss, two_sigma, reported_ppl and reported_two_sigma."""
    theirs = _above(table.row, np.log(table.reported_ppl), table.reported_two_sigma / table.reported_ppl, base)
    ours = _above(table.row, table.val_loss, table.two_sigma, base)
    return pd.concat([theirs.assign(whose="paper"), ours.assign(whose="ours")]).assign(panel=panel)


def equal_betas(tab_betas: pd.DataFrame, tab_equal: pd.DataFrame) -> pd.DataFrame:
    """Table B, and the same of the main study from Table A: what equal betas lose to the best beta2.

    Both in nats; the paper's losses in perplexity are divided by the best one.
    """
    main = tab_betas[(tab_betas.study == "main") & tab_betas.reported_ppl.notna()]
    best = main.groupby("beta1").reported_ppl.min()
    equal = main[main.beta1 == main.beta2].set_index("beta1").reported_ppl
    theirs = pd.DataFrame(
        {"row": [f"main {beta1:g}" for beta1 in best.index], "value": np.log(equal / best).to_numpy()}
    )
    tab_equal = tab_equal.assign(row=tab_equal.study + " " + tab_equal.beta1.map("{:g}".format))
    known = tab_equal[tab_equal.reported_regret_ppl.notna()]
    batches = pd.DataFrame({"row": known.row, "value": np.log1p(known.reported_regret_ppl / known.reported_best_ppl)})
    ours = tab_equal[tab_equal.regret.notna()][["row", "regret", "regret_error"]].rename(columns={"regret": "value"})
    spread = 2 * ours.pop("regret_error")
    ours = ours.assign(low=ours.value - spread, high=ours.value + spread, whose="ours")
    both = pd.concat([theirs.dropna().assign(whose="paper"), batches.assign(whose="paper"), ours])
    return both.assign(panel="Table B, Figure 2:\nwhat equal betas lose")


def reported_beside(
    tab_methods: pd.DataFrame, tab_confounders: pd.DataFrame, tab_betas: pd.DataFrame, tab_equal: pd.DataFrame
) -> pd.DataFrame:
    """Panel, row, whose (paper or ours), value in nats, low and high (two sigma; the value where it is unknown)."""
    parts = [_both("Table 1: above Adam", tab_methods.assign(row=tab_methods.method), "Adam")]
    init = tab_confounders[tab_confounders.study == "init"]
    init = init.assign(row=row_of_table_3(init))
    parts += [_both("Table 3: above Adam\nfrom zero, corrected", init, "Adam ZI+BC"), equal_betas(tab_betas, tab_equal)]
    found = pd.concat(parts, ignore_index=True)
    order = [panel for panel in found.panel.unique()]
    found = found.assign(low=found.low.fillna(found.value), high=found.high.fillna(found.value))
    found["place"] = found.panel.map(order.index)
    return found.sort_values(["place", "whose", "value"], ascending=[True, False, True], ignore_index=True)[COLUMNS]


def cells_with_paper_s(tab_betas: pd.DataFrame, studies: Mapping) -> pd.DataFrame:
    """Our cells with their study's title, and those of the paper's Table A."""
    titles = {name: study.title for name, study in studies.items() if study is not None}
    ours = tab_betas.assign(title=tab_betas.study.map(titles)).dropna(subset="val_loss")
    return pd.concat([ours, paper_s_cells(tab_betas)])


def paper_s_cells(tab_betas: pd.DataFrame) -> pd.DataFrame:
    """Table A as a study of its own, beside our cells; nothing where ours are those very cells."""
    cells = tab_betas[(tab_betas.study == "main") & tab_betas.reported_ppl.notna()]
    if cells.val_loss.notna().all():
        return cells.iloc[:0]
    loss = np.log(cells.reported_ppl)
    regret = loss - loss.groupby(cells.beta1).transform("min")
    return cells.assign(study="paper", val_loss=loss, regret=regret, regret_error=np.nan, title="the paper's Table A")
