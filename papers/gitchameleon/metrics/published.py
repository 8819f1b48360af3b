"""What follows from the published numbers alone: standard errors, gains, gaps, correlations.

The numbers are in `reported.csv`. How they are printed is undone here: what stands beside a table of ours has a row per
system and variant.
"""

from collections.abc import Mapping
from functools import cache

import pandas as pd

from papers.gitchameleon.metrics.comparison import NUM_PROBLEMS, correlation, standard_error_percent
from papers.gitchameleon.metrics.lint import by_stage
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED, REPORTED
from papers.gitchameleon.metrics.retrieval import quality
from shared.artifacts.reported import Reported

SLUG = "gitchameleon"
ROUNDING = 0.05  # of a number printed with one decimal
SE_SLACK = 0.06  # 0.05 of the printed error, and what 0.05 of the printed value moves it
COEFFICIENTS = ("spearman", "pearson")
RAG_NAMES = {"Llama 4 Maverick 400B": "Llama 4 Maverick (not FP8)", "Grok 3": "Grok3"}  # Table 1 -> Table 4
AUDITED = {
    "table1": None,
    "table8": None,
    "table2": None,
    "table3": None,
    "table4": ("success", "api"),
}  # None: all columns


@cache
def reported() -> Reported:
    return Reported(SLUG)


def wide(*tables: str) -> pd.DataFrame:
    """Reported tables one below another, a row per printed row, a column per number, in printed order."""
    parts = []
    for table in tables:
        frame = reported().table(table)
        part = frame.pivot(index="row", columns="column", values="value").astype(float)
        parts.append(part.reindex(index=frame.row.unique(), columns=frame.column.unique()))
    return pd.concat(parts)


def rates() -> pd.DataFrame:
    """Tables 1 and 8 in long form: system, protocol, hidden, visible, api_published, their errors and the gap."""
    frame, parts = wide("table1", "table8").rename_axis("system"), []
    for protocol in ("greedy", "selfdebug", "cot"):
        part = frame.filter(regex=f"^{protocol}_").rename(columns=lambda name: name.partition("_")[2])
        part = part.rename(columns={"api": "api_published"}).dropna(subset="hidden").reset_index()
        part = part.reindex(columns=["system", "hidden", "hidden_se", "visible", "visible_se", "api_published"])
        parts.append(part.assign(gap=part.visible - part.hidden, protocol=protocol))
    return pd.concat(parts)


def variants(table: str, endings: Mapping[str, str]) -> pd.DataFrame:
    """A table with columns `success<ending>` and `api<ending>` in long form: system, variant, success, success_se, api.

    Args:
        endings: ending of the columns -> variant; rows without success are left out.
    """
    parts, frame = [], wide(table).rename_axis("system").reset_index()
    for ending, variant in endings.items():
        part = frame.rename(columns=lambda name, ending=ending: name.replace(ending, ""))
        part = part.reindex(columns=["system", "success", "success_se", "api"]).dropna(subset="success")
        parts.append(part.assign(variant=variant))
    return pd.concat(parts)


def other_protocols() -> pd.DataFrame:
    """table, system, quantity, value: keyword planning (Table 10) and prompt optimisation (Table 11)."""
    parts = [reported().table(f"table{number}").assign(table=f"Table {number}") for number in (10, 11)]
    return pd.concat(parts).rename(columns={"row": "system", "column": "quantity"}).assign(source=REPORTED)


def of_paper(table: pd.DataFrame) -> pd.DataFrame:
    """The published rows of a table."""
    return table[table.source == REPORTED]


def span(values: pd.Series) -> str:
    """The least and the largest value, in words."""
    return f"{values.min():.3g} to {values.max():.3g}"


def up_down(values: pd.Series) -> str:
    """How many rise and fall, in words."""
    return f"{(values > 0).sum()} up, {(values < 0).sum()} down"


def beside(own: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Measured rows, then published ones, with source (and suite, benchmark, of the published)."""
    theirs = theirs.assign(suite=BENCHMARK, source=REPORTED)
    return pd.concat([own.assign(source=MEASURED), theirs], ignore_index=True)


def retrieval_variants() -> pd.DataFrame:
    """system, variant (k=1 or k=3), success, success_se, api, published_in: Tables 4 and 12."""
    with_three = variants("table4", {"": "k=3"}).assign(published_in="Table 4")
    both = wide("table12").rename(columns={"k1": "k=1", "k3": "k=3"}).rename_axis("system").reset_index()
    both = both.melt("system", ["k=1", "k=3"], "variant", "success").assign(published_in="Table 12")
    return pd.concat([with_three, both])


def retrieval_beside(retrieve: pd.DataFrame) -> pd.DataFrame:
    """Quality of retrieved documents beside that of Table 4."""
    return beside(quality(retrieve), retrieval_quality())


def formatting_beside(formatting: pd.DataFrame) -> pd.DataFrame:
    """Hidden success and pylint's score per ten before and after each stage, beside Table 13."""
    theirs = wide("table13").rename(columns={"success": "success_raw"}).rename_axis("system").reset_index()
    return beside(by_stage(formatting), theirs.assign(num_problems=NUM_PROBLEMS))


def retrieval_quality() -> pd.DataFrame:
    """retriever, k, n, precision, recall, reciprocal_rank with their errors (Table 4), and hit (the text)."""
    theirs = wide("table4").rename(columns={"mrr": "reciprocal_rank", "mrr_se": "reciprocal_rank_se"})
    theirs = theirs.rename(index=lambda model: f"for {model}").rename_axis("retriever").reset_index().assign(k=3)
    hits = {k: reported()("text", "retrieval", f"hit_at_{k}_percent") for k in (1, 3)}
    store = pd.DataFrame({"k": hits.keys(), "retriever": "authors' store", "hit": hits.values()})
    return pd.concat([theirs, store]).assign(n=NUM_PROBLEMS)


def plotted_points() -> pd.DataFrame:
    """benchmark, model, score, plotted_percent, table_percent, source: Figure 3's points and those of the tables."""
    points = wide("fig3").assign(table_percent=wide("table1", "table8").greedy_hidden)
    points = points.rename(columns={"gitchameleon": "plotted_percent"}).rename_axis("model").reset_index()
    kept = ["model", "plotted_percent", "table_percent"]
    long = points.melt(kept, ["swebench", "livecodebench"], "benchmark", "score").dropna(subset="score")
    return long.assign(source=REPORTED)


def plotted_correlations(points: pd.DataFrame) -> pd.DataFrame:
    """Correlations over Figure 3's points, as plotted and as in the tables, and how far they are from those it prints.

    Args:
        points: of `plotted_points`.
    Returns:
        benchmark, points (plotted or table), the fields of `Correlation`, spearman_off, pearson_off.
    """
    rows = []
    for benchmark, part in points.groupby("benchmark", sort=False):
        said = {name: reported()("fig3_correlation", "published", f"{benchmark}_{name}") for name in COEFFICIENTS}
        for kind in ("plotted", "table"):
            found = vars(correlation(part[f"{kind}_percent"], part.score))
            off = {f"{name}_off": abs(found[name] - said[name]) for name in COEFFICIENTS}
            rows.append({"benchmark": benchmark, "points": kind, **found, **off})
    return pd.DataFrame(rows)


def is_count(percent: float, n: int = NUM_PROBLEMS) -> bool:
    """Whether a percentage printed with one decimal is k / n for a whole k."""
    return abs(100.0 * round(percent * n / 100.0) / n - percent) <= ROUNDING + 1e-9


def se_audit() -> pd.DataFrame:
    """Every published value with a standard error: the binomial error, and the nearest count of problems."""
    rows = []
    for table, only in AUDITED.items():
        frame = wide(table)
        for column in [c for c in frame if f"{c}_se" in frame and (only is None or c in only)]:
            for row, value, error in zip(frame.index, frame[column], frame[f"{column}_se"], strict=True):
                if pd.notna(value) and pd.notna(error):
                    binomial = standard_error_percent(value)
                    rows.append(
                        {
                            "table": table,
                            "row": row,
                            "column": column,
                            "percent": value,
                            "standard_error": error,
                            "binomial": binomial,
                            "difference": error - binomial,
                            "agrees": abs(error - binomial) <= SE_SLACK,
                            "nearest_count": round(value * NUM_PROBLEMS / 100.0),
                            "is_count": is_count(value),
                            "source": "reported",
                        }
                    )
    return pd.DataFrame(rows)


def selfdebug_changes() -> pd.DataFrame:
    """Per model of Tables 1 and 8: gain of hidden success by self-debug, and the gap before and after, in points."""
    frame = wide("table1", "table8").dropna(subset=["greedy_hidden", "selfdebug_hidden"])
    return pd.DataFrame(
        {
            "gain": frame.selfdebug_hidden - frame.greedy_hidden,
            "gap_before": frame.greedy_visible - frame.greedy_hidden,
            "gap_after": frame.selfdebug_visible - frame.selfdebug_hidden,
        }
    )


def sandbox_gains() -> pd.Series:
    """Points of success that the sandbox adds, per cell of Table 2."""
    frame = wide("table2")
    return frame.success_with_sandbox - frame.success_without_sandbox


def bench_points() -> pd.DataFrame:
    """Points of Figure 3: the authors' own, and the same with success taken from Tables 1 and 8.

    Columns: points ("as drawn" or "from the tables"), model, gitchameleon, swebench, livecodebench. Claude 3.5 Sonnet
    has no greedy row in the tables (what is drawn is the agent with a sandbox), so the second set lacks it.
    """
    drawn = wide("fig3")
    tables = wide("table1", "table8").greedy_hidden
    corrected = drawn[drawn.index.isin(tables.index)].copy()
    corrected["gitchameleon"] = tables.reindex(corrected.index)
    parts = {"as drawn": drawn, "from the tables": corrected}
    return pd.concat([part.reset_index(names="model").assign(points=name) for name, part in parts.items()])


def bench_correlations() -> pd.DataFrame:
    """Correlations of both sets of points with both benchmarks."""
    rows = []
    for name, part in bench_points().groupby("points", sort=False):
        for benchmark in ("swebench", "livecodebench"):
            rows.append(
                {"points": name, "benchmark": benchmark, **vars(correlation(part.gitchameleon, part[benchmark]))}
            )
    return pd.DataFrame(rows)
