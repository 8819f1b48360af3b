"""Harness validation: what scripted solvers have to come to, beside what was measured.

Their rates are arguments of a constructor, so these numbers prove the path from prompt to table and say nothing about
language models.
"""

import numpy as np
import pandas as pd

DOCUMENTS = ("docs_gold", "docs_wrong", "greedy")  # of doc-reader: right version, wrong version, none


def of_simulation(simulate: pd.DataFrame) -> pd.DataFrame:
    """Rows of mixture and repairer: closed form against the mean over seeds."""
    parts = []
    for ending, kind in (("", "mixture"), ("_after", "after self-debug")):
        renamed = {f"expected{ending}_percent": "expected", f"hidden{ending}_percent": "measured"}
        part = simulate.rename(columns=renamed | {f"standard_error{ending}_percent": "error"})
        rates = part.quality.map("q = {:g}".format)
        if ending:
            rates += part.repair_rate.map(", r = {:g}".format) + part.overfit_rate.map(", o = {:g}".format)
        parts.append(part.assign(kind=kind, solver=rates)[["kind", "solver", "suite", "expected", "measured", "error"]])
    return pd.concat(parts).drop_duplicates(["kind", "solver", "suite"])


def of_answers(scores: pd.DataFrame, execute: pd.DataFrame) -> pd.DataFrame:
    """Rows of doc-reader by its documents and of tool-user by its attempts, from the verdicts of both idioms."""
    rows = []
    for suite, part in scores[scores.seed == 0].groupby("suite"):
        idioms = execute[execute.suite == suite].pivot(index="example_id", columns="system", values="hidden") == "pass"
        seen = execute[execute.suite == suite].pivot(index="example_id", columns="system", values="visible") == "pass"
        wrong, wrong_seen = idioms["version-blind"], seen["version-blind"]
        for (system, protocol), found in part.groupby(["system", "protocol"]):
            if system.startswith("doc-reader") and protocol in DOCUMENTS:
                q = float(system[len("doc-reader(") : -1])
                share = {"docs_gold": 1.0, "docs_wrong": 0.0, "greedy": q}[protocol]
                kind, name = "documents", {"docs_gold": "right", "docs_wrong": "wrong version"}.get(protocol, "none")
                each = share + (1 - share) * wrong
            elif system.startswith("tool-user") and protocol == "agent_sandbox":
                attempts = int(system[len("tool-user(") : -1])
                kept = wrong if attempts == 1 else wrong & wrong_seen | ~wrong_seen
                kind, name, each = "sandbox", f"{attempts} attempts", 0.5 + 0.5 * kept
            else:
                continue
            n, spread = len(found), np.sqrt((each * (1 - each)).sum()) / len(each)
            row = {"kind": kind, "solver": name, "suite": suite, "expected": 100 * each.mean(), "n": n}
            rows.append(row | {"measured": 100 * found.hidden_passed.mean(), "error": 100 * spread})
    return pd.DataFrame(rows, columns=["kind", "solver", "suite", "expected", "measured", "error", "n"])


def expected_and_measured(simulate: pd.DataFrame, scores: pd.DataFrame, execute: pd.DataFrame) -> pd.DataFrame:
    """kind, solver, suite, expected, measured (hidden success, percent) and the measured one's standard error."""
    table = pd.concat([of_simulation(simulate), of_answers(scores, execute)], ignore_index=True)
    return table.drop(columns="n").assign(source="measured")
