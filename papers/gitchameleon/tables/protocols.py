"""Tables of single protocols beside the published ones, and of the audit: (records, settings) -> tidy frame.

Records read: `scores` (scoring.score_rows) and `retrieve` (scoring.retrieval_rows).
"""

import pandas as pd

from papers.gitchameleon.metrics import audit, published
from papers.gitchameleon.metrics.published import reported, wide
from papers.gitchameleon.metrics.rates import rates
from papers.gitchameleon.metrics.retrieval import mean_and_error
from papers.gitchameleon.tables.results import BENCHMARK, MEASURED, REPORTED
from shared.artifacts.config import Settings
from shared.artifacts.records import Records


def _measured(records: Records, protocols: dict[str, str]) -> pd.DataFrame:
    """Measured success and API hits of some protocols, each under its column's name."""
    scores = records("scores")
    table = rates(scores[scores.protocol.isin(protocols)], ["suite", "system", "protocol"])
    return table.assign(variant=table.protocol.map(protocols), source=MEASURED)


VARIANT = ["suite", "system", "variant", "source", "success", "success_se", "api"]


def _variants(records: Records, table: str, measured: dict[str, str], columns: dict[str, str]) -> pd.DataFrame:
    """A published table with columns `success_<x>` and `api_<x>`, long, below what was measured.

    Args:
        measured: protocol -> variant.
        columns: suffix of the published columns -> variant.
    """
    own = _measured(records, measured).rename(
        columns={"hidden": "success", "hidden_se": "success_se", "api_published": "api"}
    )
    frame, parts = wide(table), [own[VARIANT]]
    for suffix, variant in columns.items():
        part = pd.DataFrame({"suite": BENCHMARK, "system": frame.index, "variant": variant, "source": REPORTED})
        for ours, theirs in (("success", f"success{suffix}"), ("api", f"api{suffix}")):
            part[ours] = frame[theirs].to_numpy() if theirs in frame else float("nan")
        error = f"success{suffix}_se"
        part["success_se"] = frame[error].to_numpy() if error in frame else float("nan")
        parts.append(part.dropna(subset=["success"]))
    return pd.concat(parts, ignore_index=True)[VARIANT]


def tab_agents(records: Records, settings: Settings) -> pd.DataFrame:
    """Tool agents without and with a sandbox (Table 2); the published rows name model and grounding tool."""
    names = {"_without_sandbox": "no sandbox", "_with_sandbox": "sandbox"}
    return _variants(records, "table2", {"agent": "no sandbox", "agent_sandbox": "sandbox"}, names)


def tab_assistants(records: Records, settings: Settings) -> pd.DataFrame:
    """Coding assistants without and with the statement (Table 3); vendors' products, so published numbers only."""
    return _variants(records, "table3", {}, {"_without_statement": "no statement", "_with_statement": "statement"})


def tab_rag(records: Records, settings: Settings) -> pd.DataFrame:
    """Retrieved documentation: success with k = 3 (Table 4), and k = 1 against k = 3 (Table 12)."""
    table = _variants(records, "table4", {"greedy": "none", "rag_k1": "k=1", "rag_k3": "k=3"}, {"": "k=3"})
    frame = wide("table12")
    parts = [table.assign(published_in=table.source.map({MEASURED: "-", REPORTED: "Table 4"}))]
    for k in (1, 3):
        part = {"suite": BENCHMARK, "system": frame.index, "variant": f"k={k}", "source": REPORTED}
        parts.append(pd.DataFrame(part | {"success": frame[f"k{k}"].to_numpy(), "published_in": "Table 12"}))
    with_rag = set(table[table.variant.isin(["k=1", "k=3"])].system)
    table = pd.concat(parts, ignore_index=True)
    return table[table.system.isin(with_rag | set(frame.index))].reset_index(drop=True)


def tab_temperature(records: Records, settings: Settings) -> pd.DataFrame:
    """Sampling at T = 0.8 (Table 9): mean and standard deviation over seeds."""
    scores = records("scores")
    own = rates(scores[scores.protocol == "temperature"], ["suite", "system"])
    own = own.rename(columns={"hidden": "success", "seed_std": "success_std", "api_published": "api"})
    frame = wide("table9").reset_index(names="system")
    theirs = frame.assign(suite=BENCHMARK, source=REPORTED, num_seeds=10)
    columns = ["suite", "system", "source", "num_seeds", "success", "success_std", "api"]
    return pd.concat([own.assign(source=MEASURED)[columns], theirs[columns]], ignore_index=True)


def tab_no_version(records: Records, settings: Settings) -> pd.DataFrame:
    """What hiding the version from the prompt costs, in points of success; not in the paper's tables."""
    table = _measured(records, {"greedy": "shown", "no_version": "hidden"})
    table = table.pivot(index=["suite", "system", "n"], columns="variant", values="hidden")
    table = table.reindex(columns=["shown", "hidden"]).dropna().reset_index().rename_axis(columns=None)
    return table.assign(change=table.hidden - table.shown, source=MEASURED)


def tab_other_protocols(records: Records, settings: Settings) -> pd.DataFrame:
    """Published only: keyword planning (Table 10), prompt optimisation (Table 11)."""
    names = {"table10": "Table 10", "table11": "Table 11"}
    rows = [reported().table(table).assign(table=name) for table, name in names.items()]
    frame = pd.concat(rows, ignore_index=True)
    frame = frame.rename(columns={"row": "system", "column": "quantity"})
    return frame[["table", "system", "quantity", "value"]].astype({"value": float}).assign(source=REPORTED)


def tab_retrieval(records: Records, settings: Settings) -> pd.DataFrame:
    """Precision, recall and hits in percent, reciprocal rank; mean and std / sqrt(n), beside those of Table 4."""
    rows = []
    for (suite, retriever, k), frame in records("retrieve").groupby(["suite", "retriever", "k"]):
        row = {"suite": suite, "retriever": retriever, "k": k, "source": MEASURED, "n": len(frame)}
        for column, factor in (
            ("precision", 100),
            ("recall", 100),
            ("reciprocal_rank", 1),
            ("hit", 100),
            ("strict", 100),
        ):
            mean, error = mean_and_error(factor * frame[column])
            row |= {column: mean, f"{column}_se": error}
        rows.append(row)
    published_rows = wide("table4").rename(columns={"mrr": "reciprocal_rank", "mrr_se": "reciprocal_rank_se"})
    shared = {"suite": BENCHMARK, "k": 3, "source": REPORTED, "n": 328}
    names = [f"{c}{s}" for c in ("precision", "recall", "reciprocal_rank") for s in ("", "_se")]
    for model, row in published_rows.iterrows():
        rows.append(shared | {"retriever": f"for {model}"} | {name: row[name] for name in names})
    for k in (1, 3):
        hit = reported()("text", "retrieval", f"hit_at_{k}_percent")
        rows.append(shared | {"k": k, "retriever": "authors' store", "hit": hit})
    columns = ["suite", "retriever", "k", "source", "n"]
    columns += [f"{c}{s}" for c in ("precision", "recall", "reciprocal_rank", "hit", "strict") for s in ("", "_se")]
    return pd.DataFrame(rows, columns=columns)


def tab_se_audit(records: Records, settings: Settings) -> pd.DataFrame:
    """Every published success and API hit: printed and binomial standard error, nearest count of problems."""
    return published.se_audit()


def tab_audit(records: Records, settings: Settings) -> pd.DataFrame:
    """Checks of the published tables: published, recomputed, agreement."""
    return audit.findings()
