"""Records -> tables."""

import pandas as pd

from papers.toy.reported_numbers import final_loss


def tab_final(records, settings) -> pd.DataFrame:
    rows = records("descend").groupby("curvature").last().reset_index()
    rows["reported"] = [final_loss(c) for c in rows.curvature]
    return rows[["curvature", "loss", "reported"]]


def fig_loss(records, settings) -> pd.DataFrame:
    return records("descend").assign(label=settings.plot.label)
