"""Tables of results of scripted solvers, from the record `scores`, with the published numbers below them.

Rows say where they come from: `source` is measured or reported. Percentages are of all problems of a suite.
"""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS, agreement, compare
from papers.gitchameleon.metrics.published import wide
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED, REPORTED, RUN, before_and_after, rates
from papers.gitchameleon.metrics.tracebacks import DRAWN, reduction_percent

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
    parts, published = [rates(scores, RUN).assign(source=MEASURED)], wide("table1", "table8").rename_axis("system")
    for protocol in (*TWO, "cot"):
        part = published.filter(regex=f"^{protocol}_").rename(columns=lambda name: name.partition("_")[2])
        part = part.rename(columns={"api": "api_published"}).dropna(subset="hidden").reset_index()
        part = part.reindex(columns=["system", "hidden", "hidden_se", "visible", "visible_se", "api_published"])
        labels = {"suite": BENCHMARK, "protocol": protocol, "source": REPORTED, "n": NUM_PROBLEMS, "num_seeds": 1}
        parts.append(part.assign(gap=part.visible - part.hidden, **labels))
    return pd.concat(parts).sort_values(["source", *RUN])


def tab_comparisons(first_scores) -> pd.DataFrame:
    """Each protocol against greedy, same system, suite and seed: exact McNemar and bootstrap interval.

    A system without a greedy run has no row: published tables give no outcomes per problem.
    """
    rows = []
    for (suite, system), frame in first_scores.groupby(["suite", "system"]):
        runs = {name: part.set_index("example_id").hidden_passed.to_dict() for name, part in frame.groupby("protocol")}
        for name in [n for n in runs if n != "greedy" and "greedy" in runs]:
            row = {"suite": suite, "system": system, "protocol": name, "num_problems": len(runs[name])}
            rows.append(row | vars(compare(runs[name], runs["greedy"])))
    return pd.DataFrame(rows).rename(columns={"only_a": "only_this", "only_b": "only_greedy"}).assign(source=MEASURED)


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
    """Exceptions in hidden traces, greedy against self-debug, over all systems that have both; the ten drawn types.

    Published are the reductions only.
    """
    runs = scores[scores.protocol.isin(TWO)]
    runs = runs[runs.groupby(["suite", "system"]).protocol.transform("nunique") == len(TWO)]
    raised = runs.assign(error=runs.errors.str.split()).explode("error")
    types = pd.MultiIndex.from_product([sorted(set(scores.suite)), DRAWN], names=["suite", "error"])
    counts = raised.groupby(["suite", "error", "protocol"]).size().unstack()
    counts = counts.reindex(index=types, columns=TWO).fillna(0.0).reset_index()
    fallen = [reduction_percent(before, after) for before, after in zip(counts.greedy, counts.selfdebug, strict=True)]
    theirs = reported.table("fig8").rename(columns={"row": "error", "value": "reduction_percent"})
    theirs = theirs[["error", "reduction_percent"]].assign(suite=BENCHMARK, source=REPORTED)
    return pd.concat([counts.assign(reduction_percent=fallen, source=MEASURED), theirs])


def fig13_agreement(first_scores) -> pd.DataFrame:
    """Share of problems on which two systems have the same hidden outcome, per protocol; pairs in upper triangle."""
    parts = []
    for (suite, protocol), frame in first_scores.groupby(["suite", "protocol"]):
        shares = agreement(frame.pivot(index="example_id", columns="system", values="hidden_passed"))
        shares = shares.where(np.triu(np.ones(shares.shape, bool))).rename_axis(index="system", columns="other")
        pairs = shares.stack().dropna().reset_index(name="agreement")
        parts.append(pairs.assign(suite=suite, protocol=protocol, source=MEASURED))
    return pd.concat(parts)
