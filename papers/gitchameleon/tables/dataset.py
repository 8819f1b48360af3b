"""Tables of the data set, and of what the paper prints alone: Figure 3 and the audit of its tables."""

import pandas as pd

from papers.gitchameleon.metrics import audit, dataset, published
from papers.gitchameleon.metrics.rates import BENCHMARK, REPORTED


def tab_dataset(records, reported) -> pd.DataFrame:
    """Counts of the data set that a claim or a caption of the paper rests on."""
    theirs = {"columns": {"value": "reported"}, "where": {"dataset": BENCHMARK}}
    return reported.beside(dataset.counts(records("describe")), "dataset", rows="quantity", **theirs)


def fig4_dataset(records) -> pd.DataFrame:
    """Problems per release year and per category of change."""
    return dataset.by_panel(records("describe"))


def fig9_libraries(records) -> pd.DataFrame:
    """Problems and versions per library."""
    return dataset.by_library(records("describe"))


def fig14_logic_nodes(records) -> pd.DataFrame:
    """How many references have how many logic nodes."""
    return records("describe").groupby("logic_nodes").size().reset_index(name="num_problems")


def fig3_correlation() -> pd.DataFrame:
    """Points of Figure 3 as plotted, and with the values that Tables 1 and 8 give for greedy decoding."""
    return published.plotted_points()


def tab_other_protocols(reported) -> pd.DataFrame:
    """Keyword planning (Table 10) and prompt optimisation (Table 11)."""
    parts = [reported.table(f"table{number}").assign(table=f"Table {number}") for number in (10, 11)]
    return pd.concat(parts).rename(columns={"row": "system", "column": "quantity"}).assign(source=REPORTED)


def tab_se_audit() -> pd.DataFrame:
    """Every published success and API hit: printed and binomial standard error, nearest count of problems."""
    return published.se_audit()


def tab_audit() -> pd.DataFrame:
    """Checks of the published tables: published, recomputed, agreement."""
    return audit.findings()
