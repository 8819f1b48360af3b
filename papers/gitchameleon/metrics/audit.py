"""Audit of the published tables: does the printed arithmetic hold, and do text and tables agree?

Nothing is corrected. Every finding keeps the published number beside the recomputed one. All inputs are in
`reported.csv`, all derived quantities in `published.py`.
"""

import pandas as pd

from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS, correlation
from papers.gitchameleon.metrics.published import (
    ROUNDING,
    SE_SLACK,
    bench_correlations,
    reported,
    sandbox_gains,
    se_audit,
    selfdebug_changes,
    wide,
)

PROTOCOLS = {"greedy": "greedy", "selfdebug": "self-debug", "cot": "zero-shot CoT"}  # prefix of a column -> name
CLOSE = 5e-4  # of a coefficient printed with three decimals


def _finding(check: str, subject: str, published: str, recomputed: str, agrees: bool, note: str = "") -> dict:
    return {
        "check": check,
        "subject": subject,
        "published": published,
        "recomputed": recomputed,
        "agrees": bool(agrees),
        "note": note,
        "source": "reported",
    }


def _all(check: str, subject: str, good: pd.Series, note: str = "") -> dict:
    """A statement about every row: how many of them it is true of."""
    total = f"of {len(good)}"
    return _finding(check, subject, f"{len(good)} {total}", f"{good.sum()} {total}", good.all(), note)


def _standard_errors() -> list[dict]:
    entries = se_audit()
    api = entries.column.str.contains("api")
    rows = []
    for prefix, name in PROTOCOLS.items():
        part = entries[(entries.table == "table1") & entries.column.str.startswith(prefix)]
        note = f"within {SE_SLACK:g} of 100 sqrt(p(1-p)/{NUM_PROBLEMS})"
        rows.append(_all("standard error is binomial", f"Table 1, {name}", part.agrees, note))
    for table in entries.table.unique():
        part = entries[(entries.table == table) & ~api]
        rows.append(_all(f"success is k/{NUM_PROBLEMS}", f"Table {table.removeprefix('table')}", part.is_count))
    note = "expected to differ: answers that do not parse are left out of the denominator"
    rows.append(
        _all(f"API hit is k/{NUM_PROBLEMS}", "Table 1", entries[(entries.table == "table1") & api].is_count, note)
    )
    return rows


def _selfdebug() -> list[dict]:
    changes, where = selfdebug_changes(), "Tables 1 and 8"
    low, high = (reported()("text", "self-debug gain", end) for end in ("low", "high"))
    gains = changes.gain.sort_values()
    ends = ", ".join(f"{gains.iloc[i]:.1f} ({gains.index[i]})" for i in (0, 1, -1))
    inside = gains.between(low, high)
    note = f"{inside.sum()} of {len(gains)} lie in the stated range; the two smallest and the largest are given"
    return [
        _all("self-debug raises hidden success", where, gains > 0),
        _finding("self-debug gain in points", where, f"about {low:g} to {high:g}", ends, inside.all(), note),
        _all("self-debug widens visible minus hidden", where, changes.gap_after > changes.gap_before),
    ]


def _text_against_tables() -> list[dict]:
    text, tables, rows = wide("text"), wide("table1", "table8"), []
    for model in [m for m in text.index if m in tables.index]:
        for column in text.columns[text.loc[model].notna()]:
            said, printed = text.loc[model, column], tables.loc[model, column]
            slack = ROUNDING if said % 1 else 1.0 - ROUNDING  # whole points may be rounded or cut off
            subject = f"{model}, {column.replace('_', ' ')}"
            agrees = abs(said - printed) <= slack + 1e-9
            rows.append(_finding("text against table", subject, f"{said:g}", f"{printed:g}", agrees))
    return rows


def _other_tables() -> list[dict]:
    gains = sandbox_gains()
    worse = ", ".join(f"{row}: {gain:+.1f}" for row, gain in gains[gains <= 0].items())
    k1, k3 = wide("table12").k1, wide("table12").k3
    counts = f"{(k3 > k1).sum()} of {len(k1)} up, {(k3 == k1).sum()} same, {(k3 < k1).sum()} down"
    change = (wide("table1").cot_hidden - wide("table1").greedy_hidden).sort_values()
    ends = f"{change.iloc[0]:+.1f} ({change.index[0]}) to {change.iloc[-1]:+.1f} ({change.index[-1]})"
    directions = f"{(change > 0).sum()} up, {(change < 0).sum()} down"
    mixed = (change < 0).any() and (change > 0).any()
    almost_all = (k3 > k1).mean() >= 0.9
    return [
        _all("sandbox helps", "Table 2", gains > 0, worse),
        _finding("three documents beat one", "Table 12", "almost all", counts, almost_all),
        _finding("CoT is no uniform gain", "Table 1", "not uniform", directions, mixed, ends),
        *_repeated_rows(),
    ]


def _repeated_rows() -> list[dict]:
    """Pairs of rows of Table 3 that share three or more of their four numbers."""
    frame, rows = wide("table3"), []
    frame = frame[[c for c in frame if not c.endswith("_se")]]
    for i, one in enumerate(frame.index):
        for other in frame.index[i + 1 :]:
            same = frame.loc[one][frame.loc[one] == frame.loc[other]]
            if len(same) >= 3:
                note = f"{', '.join(f'{v:g}' for v in same)}: a slip in copying?"
                subject = f"Table 3, {one} and {other}"
                rows.append(
                    _finding("rows differ", subject, "distinct systems", f"{len(same)} of 4 equal", False, note)
                )
    return rows


def _correlations() -> list[dict]:
    frame, rows = wide("table1", "table8"), []
    for prefix, name in PROTOCOLS.items():
        r, n = (reported()("text", f"API hit against success, {prefix}", c) for c in ("r", "n"))
        found = correlation(frame[f"{prefix}_api"], frame[f"{prefix}_hidden"])
        texts = f"r = {r:.3f}, N = {n:g}", f"r = {found.pearson:.3f}, N = {found.n}"
        agrees = abs(found.pearson - r) < CLOSE
        rows.append(_finding("API hit against success", name, *texts, agrees, "recomputed from Tables 1 and 8"))
    for row in bench_correlations().itertuples():
        rho, r = (reported()("fig3_correlation", "published", f"{row.benchmark}_{c}") for c in ("spearman", "pearson"))
        recomputed = f"rho = {row.spearman:.3f}, r = {row.pearson:.3f}, N = {row.n}"
        agrees = abs(row.spearman - rho) < CLOSE and abs(row.pearson - r) < CLOSE
        subject = f"{row.benchmark}, points {row.points}"
        rows.append(
            _finding("success against other benchmarks", subject, f"rho = {rho:.3f}, r = {r:.3f}", recomputed, agrees)
        )
    return rows


def findings() -> pd.DataFrame:
    """All checks: published, recomputed, and whether they agree."""
    return pd.DataFrame(_standard_errors() + _selfdebug() + _text_against_tables() + _other_tables() + _correlations())
