"""Tables of results of scripted solvers, from the record `scores`, with the published numbers below them.

Rows say where they come from: `source` is measured or reported. Percentages are of all problems of a suite.
"""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS, agreement
from papers.gitchameleon.metrics.published import published_rates
from papers.gitchameleon.metrics.rates import (
    BENCHMARK,
    MEASURED,
    REPORTED,
    RUN,
    against_greedy,
    before_and_after,
    rates,
)
from papers.gitchameleon.metrics.tracebacks import falls

TWO = ["greedy", "selfdebug"]  # what Figures 6 to 11 compare
PANELS = ["Argument", "Function Name", "New Feature", "Semantics"]  # of Figure 7


def scores(records) -> pd.DataFrame:
    """One row per suite, system, protocol, seed and problem (scoring.score_rows)."""
    return records("scores")


def first_scores(scores) -> pd.DataFrame:
    """The rows of each run's first seed."""
    return scores[scores.seed == scores.groupby(RUN).seed.transform("min")]


def tab_main(scores) -> pd.DataFrame:
    """Every system and protocol measured here, then the published ones (Tables 1 and 8)."""
    theirs = published_rates().assign(suite=BENCHMARK, source=REPORTED, n=NUM_PROBLEMS, num_seeds=1)
    return pd.concat([rates(scores, RUN).assign(source=MEASURED), theirs]).sort_values(["source", *RUN])


def tab_comparisons(first_scores) -> pd.DataFrame:
    """Each protocol against greedy; published tables give no outcomes per problem."""
    return against_greedy(first_scores).assign(source=MEASURED)


def fig_protocols(tab_main) -> pd.DataFrame:
    """Measured success per system and protocol with its Wilson interval."""
    return tab_main[tab_main.source == MEASURED]


def fig6_gap(tab_main) -> pd.DataFrame:
    """Gap between visible and hidden success without and with self-debug, and what hidden success gains."""
    return before_and_after(tab_main).dropna().round(6)


def _by(scores: pd.DataFrame, column: str, protocols: list[str]) -> pd.DataFrame:
    """Success per system, protocol and kind of problem."""
    return rates(scores[scores.protocol.isin(protocols)], [*RUN, column]).assign(source=MEASURED)


def fig7_categories(scores) -> pd.DataFrame:
    """Success by category of change, greedy and self-debug, with standard errors."""
    return _by(scores, "perf_category", TWO).query("perf_category in @PANELS")


def fig10_years(scores) -> pd.DataFrame:
    """Success by year of the pinned release, greedy and self-debug."""
    return _by(scores, "year", TWO)


def fig11_libraries(scores) -> pd.DataFrame:
    """Success by library, greedy and self-debug."""
    return _by(scores, "library", TWO)


def fig12_rag_by_library(scores) -> pd.DataFrame:
    """What three retrieved documents change per library, in points over greedy; largest libraries first."""
    table = _by(scores, "library", ["greedy", "rag_k3"])
    table = table.pivot(index=["suite", "system", "library", "n", "source"], columns="protocol", values="hidden")
    table = table.dropna().reset_index().sort_values(["suite", "system", "n"], ascending=[True, True, False])
    return table.assign(change=table.rag_k3 - table.greedy)


def fig8_errors(scores, reported) -> pd.DataFrame:
    """Exceptions in hidden traces and their fall by self-debug; published are the reductions only."""
    theirs = reported.table("fig8").rename(columns={"row": "error", "value": "reduction_percent"})
    theirs = theirs[["error", "reduction_percent"]].assign(suite=BENCHMARK, source=REPORTED)
    return pd.concat([falls(scores).assign(source=MEASURED), theirs])


def fig13_agreement(first_scores) -> pd.DataFrame:
    """Share of problems on which two systems have the same hidden outcome, per protocol; pairs in upper triangle."""
    parts = []
    for (suite, protocol), frame in first_scores.groupby(["suite", "protocol"]):
        shares = agreement(frame.pivot(index="example_id", columns="system", values="hidden_passed"))
        shares = shares.where(np.triu(np.ones(shares.shape, bool))).rename_axis(index="system", columns="other")
        pairs = shares.stack().dropna().reset_index(name="agreement")
        parts.append(pairs.assign(suite=suite, protocol=protocol, source=MEASURED))
    return pd.concat(parts)
