"""Tables of scripted solvers under every protocol, from the record `scores`, with the published numbers below them.

Rows say where they come from: `source` is measured or reported. Percentages are of all problems of a suite.
"""

import pandas as pd

from papers.gitchameleon.metrics import published, rates
from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS
from papers.gitchameleon.metrics.dataset import KINDS
from papers.gitchameleon.metrics.rates import MEASURED, RUN
from papers.gitchameleon.metrics.retrieval import quality
from papers.gitchameleon.metrics.tracebacks import falls

TWO = ["greedy", "selfdebug"]  # what Figures 6 to 11 compare


def scores(records) -> pd.DataFrame:
    """One row per suite, system, protocol, seed and problem (scoring.score_rows)."""
    return records("scores")


def first_scores(scores) -> pd.DataFrame:
    """The rows of each run's first seed."""
    return scores[scores.seed == scores.groupby(RUN).seed.transform("min")]


def tab_main(scores) -> pd.DataFrame:
    """Every system and protocol measured here, then the published ones (Tables 1 and 8)."""
    theirs = published.rates().assign(n=NUM_PROBLEMS, num_seeds=1)
    return published.beside(rates.rates(scores, RUN), theirs).sort_values(["source", *RUN])


def tab_comparisons(first_scores) -> pd.DataFrame:
    """Each protocol against greedy; published tables give no outcomes per problem."""
    return rates.against_greedy(first_scores).assign(source=MEASURED)


def fig_protocols(tab_main) -> pd.DataFrame:
    """Measured success per system and protocol with its Wilson interval."""
    return tab_main[tab_main.source == MEASURED]


def tab_agents(tab_main) -> pd.DataFrame:
    """Tool agents without and with a sandbox (Table 2); the published rows name model and grounding tool."""
    endings = {"_without_sandbox": "no sandbox", "_with_sandbox": "sandbox"}
    own = rates.variants(tab_main, {"agent": "no sandbox", "agent_sandbox": "sandbox"})
    return published.beside(own, published.variants("table2", endings))


def tab_assistants(tab_main) -> pd.DataFrame:
    """Coding assistants without and with the statement (Table 3); vendors' products, so published numbers only."""
    endings = {"_without_statement": "no statement", "_with_statement": "statement"}
    return published.beside(rates.variants(tab_main, {}), published.variants("table3", endings))


def tab_rag(tab_main) -> pd.DataFrame:
    """Retrieved documentation: success with k = 3 (Table 4), and k = 1 against k = 3 (Table 12)."""
    own = rates.variants(tab_main, {"greedy": "none", "rag_k1": "k=1", "rag_k3": "k=3"}).assign(published_in="-")
    own = own[own.system.isin(own[own.variant != "none"].system)]
    return published.beside(own, published.retrieval_variants())


def tab_temperature(tab_main) -> pd.DataFrame:
    """Sampling at T = 0.8 (Table 9): mean and standard deviation over seeds."""
    theirs = published.wide("table9").rename_axis("system").reset_index().assign(num_seeds=10)
    return published.beside(rates.variants(tab_main, {"temperature": "T = 0.8"}), theirs)


def tab_no_version(tab_main) -> pd.DataFrame:
    """What hiding the version from the prompt costs, in points of success; not in the paper's tables."""
    table = rates.beside_greedy(tab_main[tab_main.source == MEASURED], ["suite", "system", "n", "source"], "no_version")
    return table.rename(columns={"greedy": "shown", "no_version": "hidden"})


def tab_retrieval(records) -> pd.DataFrame:
    """Quality of retrieved documents beside that of Table 4."""
    return published.beside(quality(records("retrieve")), published.retrieval_quality())


def fig6_gap(tab_main) -> pd.DataFrame:
    """Gap between visible and hidden success without and with self-debug, and what hidden success gains."""
    return rates.before_and_after(tab_main).dropna().round(6)


def _by(scores: pd.DataFrame, column: str, protocols: list[str]) -> pd.DataFrame:
    """Success per system, protocol and kind of problem."""
    return rates.rates(scores[scores.protocol.isin(protocols)], [*RUN, column]).assign(source=MEASURED)


def fig7_categories(scores) -> pd.DataFrame:
    """Success by category of change, greedy and self-debug, with standard errors."""
    table = _by(scores, "perf_category", TWO)
    return table[table.perf_category.isin(KINDS)]


def fig10_years(scores) -> pd.DataFrame:
    """Success by year of the pinned release, greedy and self-debug."""
    return _by(scores, "year", TWO)


def fig11_libraries(scores) -> pd.DataFrame:
    """Success by library, greedy and self-debug."""
    return _by(scores, "library", TWO)


def fig12_rag_by_library(scores) -> pd.DataFrame:
    """What three retrieved documents change per library, in points over greedy; largest libraries first."""
    table = _by(scores, "library", ["greedy", "rag_k3"])
    table = rates.beside_greedy(table, ["suite", "system", "library", "n", "source"], "rag_k3")
    return table.sort_values(["suite", "system", "n"], ascending=[True, True, False])


def fig8_errors(scores, reported) -> pd.DataFrame:
    """Exceptions in hidden traces and their fall by self-debug; published are the reductions only."""
    theirs = reported.table("fig8").rename(columns={"row": "error", "value": "reduction_percent"})
    return published.beside(falls(scores), theirs[["error", "reduction_percent"]])


def fig13_agreement(first_scores) -> pd.DataFrame:
    """Share of problems on which two systems have the same hidden outcome, per protocol; pairs in upper triangle."""
    return rates.agreement_of_pairs(first_scores).assign(source=MEASURED)
