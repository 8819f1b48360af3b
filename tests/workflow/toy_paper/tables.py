"""Records -> tables."""

import pandas as pd


def descents(records) -> pd.DataFrame:
    """Every step of every descent."""
    return records("descend")


def tab_final(descents, reported) -> pd.DataFrame:
    last = descents.groupby("curvature").last().reset_index()
    return reported.beside(last, "tab_final", rows="curvature", columns={"loss": "reported"})


def fig_loss(descents, settings) -> pd.DataFrame:
    return descents.assign(label=settings.plot.label)
