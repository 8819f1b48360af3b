"""Tables of scripted solvers under every protocol, from the record `scores`, with the published numbers below them.

Rows say where they come from: `source` is measured or reported. Percentages are of all problems of a suite.
"""

import pandas as pd

from papers.gitchameleon.metrics import published, rates
from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS
from papers.gitchameleon.metrics.rates import RUN


def first_scores(scores) -> pd.DataFrame:
    """The rows of each run's first seed."""
    return scores[scores.seed == scores.groupby(RUN).seed.transform("min")]


def tab_main(scores) -> pd.DataFrame:
    """Every system and protocol measured here, then the published ones (Tables 1 and 8)."""
    theirs = published.rates().assign(n=NUM_PROBLEMS, num_seeds=1)
    return published.beside(rates.rates(scores, RUN), theirs).sort_values(["source", *RUN])
