"""Protocols measured here beside the published ones, and their success by kind of problem.

`scores` are rows of the step, `tab_main` the table of all systems and protocols (rates.rates), with source.
"""

import pandas as pd

from papers.gitchameleon.metrics import published
from papers.gitchameleon.metrics.dataset import KINDS
from papers.gitchameleon.metrics.rates import MEASURED, RUN, beside_greedy, rates, variants

TWO = ["greedy", "selfdebug"]  # what Figures 6 to 11 compare


def agents(tab_main: pd.DataFrame) -> pd.DataFrame:
    """Tool agents without and with a sandbox (Table 2); the published rows name model and grounding tool."""
    endings = {"_without_sandbox": "no sandbox", "_with_sandbox": "sandbox"}
    own = variants(tab_main, {"agent": "no sandbox", "agent_sandbox": "sandbox"})
    return published.beside(own, published.variants("table2", endings))


def assistants(tab_main: pd.DataFrame) -> pd.DataFrame:
    """Coding assistants without and with the statement (Table 3); vendors' products, so published numbers only."""
    endings = {"_without_statement": "no statement", "_with_statement": "statement"}
    return published.beside(variants(tab_main, {}), published.variants("table3", endings))


def retrieval_augmented(tab_main: pd.DataFrame) -> pd.DataFrame:
    """Retrieved documentation: success with k = 3 (Table 4), and k = 1 against k = 3 (Table 12)."""
    own = variants(tab_main, {"greedy": "none", "rag_k1": "k=1", "rag_k3": "k=3"}).assign(published_in="-")
    own = own[own.system.isin(own[own.variant != "none"].system)]
    return published.beside(own, published.retrieval_variants())


def sampled(tab_main: pd.DataFrame) -> pd.DataFrame:
    """Sampling at T = 0.8 (Table 9): mean and standard deviation over seeds."""
    theirs = published.wide("table9").rename_axis("system").reset_index().assign(num_seeds=10)
    return published.beside(variants(tab_main, {"temperature": "T = 0.8"}), theirs)


def version_hidden(tab_main: pd.DataFrame) -> pd.DataFrame:
    """What hiding the version from the prompt costs, in points of success; not in the paper's tables."""
    table = beside_greedy(tab_main[tab_main.source == MEASURED], ["suite", "system", "n", "source"], "no_version")
    return table.rename(columns={"greedy": "shown", "no_version": "hidden"})


def _by(scores: pd.DataFrame, column: str, protocols: list[str]) -> pd.DataFrame:
    """Success per system, protocol and kind of problem."""
    return rates(scores[scores.protocol.isin(protocols)], [*RUN, column]).assign(source=MEASURED)


def by_category(scores: pd.DataFrame) -> pd.DataFrame:
    """Success by category of change, greedy and self-debug, with standard errors."""
    table = _by(scores, "perf_category", TWO)
    return table[table.perf_category.isin(KINDS)]


def by_year(scores: pd.DataFrame) -> pd.DataFrame:
    """Success by year of the pinned release, greedy and self-debug."""
    return _by(scores, "year", TWO)


def by_library(scores: pd.DataFrame) -> pd.DataFrame:
    """Success by library, greedy and self-debug."""
    return _by(scores, "library", TWO)


def lift_by_library(scores: pd.DataFrame) -> pd.DataFrame:
    """What three retrieved documents change per library, in points over greedy; largest libraries first."""
    table = _by(scores, "library", ["greedy", "rag_k3"])
    table = beside_greedy(table, ["suite", "system", "library", "n", "source"], "rag_k3")
    return table.sort_values(["suite", "system", "n"], ascending=[True, True, False])
