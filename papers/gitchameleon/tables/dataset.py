"""Tables of the data set, and of what is reported only."""

import pandas as pd

from papers.gitchameleon.metrics import dataset
from papers.gitchameleon.metrics.rates import BENCHMARK, REPORTED


def tab_dataset(describe, reported) -> pd.DataFrame:
    """Counts of the data set that a claim or a caption of the paper rests on."""
    theirs = {"columns": {"value": "reported"}, "where": {"dataset": BENCHMARK}}
    return reported.beside(dataset.counts(describe), "dataset", rows="quantity", **theirs)


def tab_other_protocols(reported) -> pd.DataFrame:
    """Keyword planning (Table 10) and prompt optimisation (Table 11)."""
    parts = [reported.table(f"table{number}").assign(table=f"Table {number}") for number in (10, 11)]
    return pd.concat(parts).rename(columns={"row": "system", "column": "quantity"}).assign(source=REPORTED)
