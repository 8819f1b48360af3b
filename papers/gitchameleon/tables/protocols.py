"""Tables of scripted solvers under every protocol, from the record `scores`, with the published numbers below them.

Rows say where they come from: `source` is measured or reported. Percentages are of all problems of a suite.
"""

import pandas as pd

from papers.gitchameleon.metrics import published, rates
from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS
from papers.gitchameleon.metrics.rates import MEASURED, RUN
from papers.gitchameleon.metrics.retrieval import quality
from papers.gitchameleon.metrics.tracebacks import falls


def first_scores(scores) -> pd.DataFrame:
    """The rows of each run's first seed."""
    return scores[scores.seed == scores.groupby(RUN).seed.transform("min")]


def tab_main(scores) -> pd.DataFrame:
    """Every system and protocol measured here, then the published ones (Tables 1 and 8)."""
    theirs = published.rates().assign(n=NUM_PROBLEMS, num_seeds=1)
    return published.beside(rates.rates(scores, RUN), theirs).sort_values(["source", *RUN])


def fig_protocols(tab_main) -> pd.DataFrame:
    """Measured success per system and protocol with its Wilson interval."""
    return tab_main[tab_main.source == MEASURED]


def tab_retrieval(retrieve) -> pd.DataFrame:
    """Quality of retrieved documents beside that of Table 4."""
    return published.beside(quality(retrieve), published.retrieval_quality())


def fig8_errors(scores, reported) -> pd.DataFrame:
    """Exceptions in hidden traces and their fall by self-debug; published are the reductions only."""
    theirs = reported.table("fig8").rename(columns={"row": "error", "value": "reduction_percent"})
    return published.beside(falls(scores), theirs[["error", "reduction_percent"]])
