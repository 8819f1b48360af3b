"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

from collections.abc import Callable

import pandas as pd

from papers.merging_noise.collapse import half_decades
from papers.merging_noise.rows import judged, over_seeds
from papers.merging_noise.stand_ins import stand_ins
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported


def merges(records: Records, settings: Settings) -> pd.DataFrame:
    """One row per merge."""
    return judged(records("branch", "pairs"), settings.studies, settings.thresholds)


def means(merges: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with standard errors."""
    return over_seeds(merges)


def kept_rows(merges: pd.DataFrame) -> pd.DataFrame:
    """Rows of the two grids that count, with the bin of their noise."""
    rows = merges[merges.study.isin(["grid", "constant"]) & merges.kept & merges.main]
    return rows.assign(bin=half_decades(rows.noise))


def fig_2(tab_pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per checkpoint and seed."""
    return tab_pairs[tab_pairs.study == "forks"].reset_index(drop=True)


def _single(study: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda means: means[means.study == study].reset_index(drop=True)


fig_language, fig_transfer, fig_split, fig_many = map(_single, ("language", "transfer", "split", "many"))


def tab_reported(reported: Reported, tab_gains: pd.DataFrame, tab_cross: pd.DataFrame, settings) -> pd.DataFrame:
    """The paper's numbers beside ours of the study that stands for them; empty where there is none."""
    rows = pd.DataFrame(stand_ins(tab_gains, tab_cross, settings), columns=["item", "quantity", "stands_for", "ours"])
    table = reported.beside(rows, "Gains", rows="item", columns={"value": "reported"})
    return table.fillna({"quantity": "", "stands_for": "not rebuilt"})
