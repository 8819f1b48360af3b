"""Success and API hits of groups of rows (scoring.score_rows), and protocols side by side."""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.comparison import agreement, compare, standard_error_percent
from shared.artifacts.estimates import wilson_interval

BENCHMARK, MEASURED, REPORTED = "benchmark", "measured", "reported"  # a suite, and sources of rows
RUN = ["suite", "system", "protocol"]


def rates(scores: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Success and API hits per group, in percent; means over seeds.

    Args:
        by: columns that tell the groups apart; seeds are averaged within each.
    Returns:
        `by`, n (problems), num_seeds, hidden, hidden_se (binomial, of the mean), hidden_low and hidden_high (Wilson,
        95 %), seed_std (nan for one seed), visible, visible_se, gap, api_published, api_strict, num_missing (mean).
    """
    per_seed = scores.groupby([*by, "seed"]).agg(
        n=("hidden_passed", "size"),
        hidden=("hidden_passed", "mean"),
        visible=("visible_passed", "mean"),
        hits=("api_hit", "sum"),
        parsing=("parses", "sum"),
        num_missing=("missing", "sum"),
    )
    per_seed[["hidden", "visible"]] *= 100.0
    per_seed["api_published"] = 100.0 * per_seed.hits / per_seed.parsing.replace(0, np.nan)
    per_seed["api_strict"] = 100.0 * per_seed.hits / per_seed.n
    groups = per_seed.groupby(by)
    table = groups[["n", "hidden", "visible", "api_published", "api_strict", "num_missing"]].mean().reset_index()
    table["n"] = table.n.astype(int)
    table["num_seeds"] = groups.size().to_numpy()
    table["seed_std"] = groups.hidden.std().to_numpy()
    for column in ("hidden", "visible"):
        pairs = zip(table[column], table.n, strict=True)
        table[f"{column}_se"] = [standard_error_percent(percent, n) for percent, n in pairs]
    # a mean over seeds need not be a whole count: the interval is that of the nearest one
    counts = (table.hidden * table.n / 100.0).round().astype(int)
    intervals = [wilson_interval(k, n) for k, n in zip(counts, table.n, strict=True)]
    table[["hidden_low", "hidden_high"]] = 100.0 * np.array(intervals).reshape(-1, 2)
    return table.assign(gap=table.visible - table.hidden)


def variants(main: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Measured rows of some protocols, named as the published tables name them.

    Args:
        main: a row per system and protocol (`rates`), with source. names: protocol -> variant.
    Returns:
        Its columns with variant, and success, success_se, success_std (over seeds) and api.
    """
    own = main[(main.source == MEASURED) & main.protocol.isin(names)]
    renamed = {"hidden": "success", "hidden_se": "success_se", "seed_std": "success_std", "api_published": "api"}
    return own.rename(columns=renamed).assign(variant=own.protocol.map(names))


def beside_greedy(table: pd.DataFrame, keys: list[str], protocol: str) -> pd.DataFrame:
    """`keys`, greedy, `protocol` (hidden success of both) and change in points, where both were asked.

    Args:
        table: suite, system, protocol and hidden, at most one row per `keys` and protocol.
    """
    both = table[table.protocol.isin(["greedy", protocol])]
    found = both.pivot(index=keys, columns="protocol", values="hidden").dropna().rename_axis(columns=None)
    return found.assign(change=found[protocol] - found.greedy).reset_index()


def gains(table: pd.DataFrame, by: str, more: str, less: str, value: str = "success") -> pd.DataFrame:
    """Points of success that `more` has above `less`, values of the column `by`, one row per system that has both.

    Args:
        table: source, suite, system, the column `by`, `value`, and its standard error in `<value>_se`.
    Returns:
        source, suite, system, `less` and `more` (their success), gain, and clear: whether it lies beyond 1.96 errors.
    """
    cells = table.pivot(index=["source", "suite", "system"], columns=by, values=[value, f"{value}_se"])
    found = cells[value].reindex(columns=[less, more]).dropna()
    errors = cells[f"{value}_se"].reindex(index=found.index)
    found["gain"] = (found[more] - found[less]).round(6)
    found["clear"] = found.gain.abs() > 1.96 * np.hypot(errors[more], errors[less])
    return found.rename_axis(columns=None).reset_index()


def before_and_after(tab_main: pd.DataFrame) -> pd.DataFrame:
    """suite, system, source, gap_before, gap_after, gain: greedy beside self-debug, per system that has both."""
    keys, parts = (
        ["suite", "system", "source"],
        tab_main.groupby("protocol")[["suite", "system", "source", "hidden", "gap"]],
    )
    before, after = (parts.get_group(protocol) for protocol in ("greedy", "selfdebug"))
    table = before.merge(after, on=keys, suffixes=("_before", "_after"))
    return table.assign(gain=table.hidden_after - table.hidden_before).dropna().round(6)


def against_greedy(first_scores: pd.DataFrame) -> pd.DataFrame:
    """Each protocol against greedy, same system and suite: exact McNemar and bootstrap interval (comparison.compare).

    Args:
        first_scores: one seed of each run. A system without a greedy run gets no row.
    """
    rows = []
    for (suite, system), frame in first_scores.groupby(["suite", "system"]):
        runs = {name: part.set_index("example_id").hidden_passed.to_dict() for name, part in frame.groupby("protocol")}
        for name in [n for n in runs if n != "greedy" and "greedy" in runs]:
            row = {"suite": suite, "system": system, "protocol": name, "num_problems": len(runs[name])}
            rows.append(row | vars(compare(runs[name], runs["greedy"])))
    return pd.DataFrame(rows).rename(columns={"only_a": "only_this", "only_b": "only_greedy"}).assign(source=MEASURED)


def agreement_of_pairs(first_scores: pd.DataFrame) -> pd.DataFrame:
    """suite, protocol, system, other, agreement, source: share of common problems with the same hidden outcome.

    Args:
        first_scores: one seed of each run. Pairs stand once, a system beside itself included.
    """
    parts = []
    for (suite, protocol), frame in first_scores.groupby(["suite", "protocol"]):
        shares = agreement(frame.pivot(index="example_id", columns="system", values="hidden_passed"))
        shares = shares.where(np.triu(np.ones(shares.shape, bool))).rename_axis(index="system", columns="other")
        parts.append(shares.stack().dropna().reset_index(name="agreement").assign(suite=suite, protocol=protocol))
    return pd.concat(parts).assign(source=MEASURED)
