"""The table of the data set."""

import pandas as pd

from papers.gitchameleon.metrics import dataset
from papers.gitchameleon.metrics.rates import BENCHMARK


def tab_dataset(describe, reported) -> pd.DataFrame:
    """Counts of the data set that a claim or a caption of the paper rests on."""
    theirs = {"columns": {"value": "reported"}, "where": {"dataset": BENCHMARK}}
    return reported.beside(dataset.counts(describe), "dataset", rows="quantity", **theirs)
