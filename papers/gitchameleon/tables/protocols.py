"""Tables of single protocols beside the published ones, and of the audit of the published numbers."""

import pandas as pd

from papers.gitchameleon.metrics import audit, published
from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS
from papers.gitchameleon.metrics.published import wide
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED, REPORTED
from papers.gitchameleon.metrics.retrieval import quality

THEIRS = {"suite": BENCHMARK, "source": REPORTED}


def _variants(tab_main: pd.DataFrame, measured: dict[str, str], table: str, endings: dict[str, str]) -> pd.DataFrame:
    """Success and API hits of some protocols as measured, then a published table in long form.

    Args:
        measured: protocol -> variant.
        table, endings: published table, and ending of its columns -> variant.
    """
    own = tab_main[(tab_main.source == MEASURED) & tab_main.protocol.isin(measured)]
    own = own.rename(columns={"hidden": "success", "hidden_se": "success_se", "api_published": "api"})
    theirs = published.published_variants(table, endings).assign(**THEIRS)
    return pd.concat([own.assign(variant=own.protocol.map(measured)), theirs], ignore_index=True)


def tab_agents(tab_main) -> pd.DataFrame:
    """Tool agents without and with a sandbox (Table 2); the published rows name model and grounding tool."""
    names = {"_without_sandbox": "no sandbox", "_with_sandbox": "sandbox"}
    return _variants(tab_main, {"agent": "no sandbox", "agent_sandbox": "sandbox"}, "table2", names)


def tab_assistants(tab_main) -> pd.DataFrame:
    """Coding assistants without and with the statement (Table 3); vendors' products, so published numbers only."""
    return _variants(tab_main, {}, "table3", {"_without_statement": "no statement", "_with_statement": "statement"})


def tab_rag(tab_main) -> pd.DataFrame:
    """Retrieved documentation: success with k = 3 (Table 4), and k = 1 against k = 3 (Table 12)."""
    table = _variants(tab_main, {"greedy": "none", "rag_k1": "k=1", "rag_k3": "k=3"}, "table4", {"": "k=3"})
    table = table.assign(published_in=table.source.map({MEASURED: "-", REPORTED: "Table 4"}))
    both = wide("table12").rename(columns={"k1": "k=1", "k3": "k=3"}).rename_axis("system").reset_index()
    both = both.melt("system", ["k=1", "k=3"], "variant", "success").assign(published_in="Table 12", **THEIRS)
    table = pd.concat([table, both])
    return table[table.system.isin(table[table.variant != "none"].system)]


def tab_temperature(tab_main) -> pd.DataFrame:
    """Sampling at T = 0.8 (Table 9): mean and standard deviation over seeds."""
    own = tab_main[tab_main.protocol == "temperature"]
    own = own.rename(columns={"hidden": "success", "seed_std": "success_std", "api_published": "api"})
    theirs = wide("table9").rename_axis("system").reset_index().assign(num_seeds=10, **THEIRS)
    return pd.concat([own, theirs])


def tab_no_version(tab_main) -> pd.DataFrame:
    """What hiding the version from the prompt costs, in points of success; not in the paper's tables."""
    own = tab_main[(tab_main.source == MEASURED) & tab_main.protocol.isin(["greedy", "no_version"])]
    table = own.pivot(index=["suite", "system", "n", "source"], columns="protocol", values="hidden").dropna()
    table = table.rename(columns={"greedy": "shown", "no_version": "hidden"}).reset_index()
    return table.assign(change=table.hidden - table.shown)


def tab_other_protocols(reported) -> pd.DataFrame:
    """Published only: keyword planning (Table 10), prompt optimisation (Table 11)."""
    parts = [reported.table(f"table{number}").assign(table=f"Table {number}") for number in (10, 11)]
    return pd.concat(parts).rename(columns={"row": "system", "column": "quantity"}).assign(source=REPORTED)


def tab_retrieval(records, reported) -> pd.DataFrame:
    """Quality of retrieved documents beside that of Table 4."""
    own = quality(records("retrieve")).assign(source=MEASURED)
    theirs = wide("table4").rename(columns={"mrr": "reciprocal_rank", "mrr_se": "reciprocal_rank_se"})
    theirs = theirs.rename(index=lambda model: f"for {model}").rename_axis("retriever").reset_index().assign(k=3)
    hits = [
        {"k": k, "retriever": "authors' store", "hit": reported("text", "retrieval", f"hit_at_{k}_percent")}
        for k in (1, 3)
    ]
    return pd.concat([own, pd.concat([theirs, pd.DataFrame(hits)]).assign(n=NUM_PROBLEMS, **THEIRS)])


def tab_se_audit() -> pd.DataFrame:
    """Every published success and API hit: printed and binomial standard error, nearest count of problems."""
    return published.se_audit()


def tab_audit() -> pd.DataFrame:
    """Checks of the published tables: published, recomputed, agreement."""
    return audit.findings()
