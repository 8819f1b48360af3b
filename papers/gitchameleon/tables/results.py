"""Tables of results: one function per artifact, each (records, settings) -> tidy frame.

They read the record `scores` (scoring.score_rows: one row per suite, system, protocol, seed and problem) and put the
published numbers below with `source` = reported and suite = benchmark. Percentages are of all problems of a suite.
"""

import pandas as pd

from papers.gitchameleon.metrics.comparison import agreement, compare
from papers.gitchameleon.metrics.published import reported, wide
from papers.gitchameleon.metrics.rates import before_and_after, rates
from papers.gitchameleon.metrics.tracebacks import DRAWN, reduction_percent
from shared.artifacts.config import Settings
from shared.artifacts.records import Records

BENCHMARK, MEASURED, REPORTED = "benchmark", "measured", "reported"
RUN = ["suite", "system", "protocol"]
PROTOCOLS = ["greedy", "selfdebug", "cot"]  # of Tables 1 and 8
PANELS = ["Argument", "Function Name", "New Feature", "Semantics"]  # of Figure 7


def _published_rates() -> pd.DataFrame:
    """Tables 1 and 8 in long form, with the columns of `rates` that they have."""
    frame, parts = wide("table1", "table8"), []
    for protocol in PROTOCOLS:
        part = pd.DataFrame({"suite": BENCHMARK, "system": frame.index, "protocol": protocol, "n": 328, "num_seeds": 1})
        for name, column in (("hidden", "hidden"), ("visible", "visible"), ("api_published", "api")):
            for suffix in ("", "_se"):
                source = f"{protocol}_{column}{suffix}"
                if source in frame and name + suffix != "api_published_se":
                    part[name + suffix] = frame[source].to_numpy()
        parts.append(part.dropna(subset=["hidden"]))
    table = pd.concat(parts)
    return table.assign(gap=table.visible - table.hidden, source=REPORTED)


MAIN = [*RUN, "source", "n", "num_seeds", "hidden", "hidden_se", "hidden_low", "hidden_high", "seed_std", "visible"]
MAIN += ["visible_se", "gap", "api_published", "api_strict", "num_missing"]


def tab_main(records: Records, settings: Settings) -> pd.DataFrame:
    """Every system and protocol measured here, then the published ones (Tables 1 and 8)."""
    measured = rates(records("scores"), RUN).assign(source=MEASURED)
    table = pd.concat([measured, _published_rates()], ignore_index=True)
    return table.sort_values(["source", *RUN], ignore_index=True)[MAIN]


def tab_comparisons(records: Records, settings: Settings) -> pd.DataFrame:
    """Each protocol against greedy, same system, suite and seed 0: exact McNemar and bootstrap interval.

    A system without a greedy run has no row: published tables give no outcomes per problem.
    """
    scores, rows = records("scores"), []
    scores = scores[scores.seed == scores.groupby(RUN).seed.transform("min")]
    for (suite, system), frame in scores.groupby(["suite", "system"]):
        runs = {name: part.set_index("example_id").hidden_passed for name, part in frame.groupby("protocol")}
        for name in [n for n in runs if n != "greedy" and "greedy" in runs]:
            found = compare(runs[name].to_dict(), runs["greedy"].to_dict())
            rows.append({"suite": suite, "system": system, "protocol": name, "num_problems": len(runs[name])})
            rows[-1] |= {"only_this": found.only_a, "only_greedy": found.only_b, "difference": found.difference}
            rows[-1] |= {"low": found.low, "high": found.high, "mcnemar_p": found.mcnemar_p, "source": MEASURED}
    columns = ["suite", "system", "protocol", "num_problems", "only_this", "only_greedy", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "mcnemar_p", "source"])


def fig6_gap(records: Records, settings: Settings) -> pd.DataFrame:
    """Visible minus hidden success without and with self-debug, and what hidden success gains."""
    table = before_and_after(tab_main(records, settings))
    columns = ["suite", "system", "source", "gap_before", "gap_after", "gain"]
    return table[columns].dropna().sort_values(["source", "suite", "system"], ignore_index=True).round(6)


def _by(records: Records, column: str, protocols: tuple[str, ...]) -> pd.DataFrame:
    """Success per system, protocol and kind of problem."""
    scores = records("scores")
    table = rates(scores[scores.protocol.isin(protocols)], [*RUN, column])
    columns = [*RUN, column, "n", "hidden", "hidden_se"]
    return table[columns].assign(source=MEASURED)


def fig7_categories(records: Records, settings: Settings) -> pd.DataFrame:
    """Success by category of change, greedy and self-debug, with standard errors."""
    table = _by(records, "perf_category", ("greedy", "selfdebug"))
    return table[table.perf_category.isin(PANELS)].reset_index(drop=True)


def fig10_years(records: Records, settings: Settings) -> pd.DataFrame:
    """Success by year of the pinned release, greedy and self-debug."""
    return _by(records, "year", ("greedy", "selfdebug"))


def fig11_libraries(records: Records, settings: Settings) -> pd.DataFrame:
    """Success by library, greedy and self-debug."""
    return _by(records, "library", ("greedy", "selfdebug"))


def fig12_rag_by_library(records: Records, settings: Settings) -> pd.DataFrame:
    """What three retrieved documents change per library, in points over greedy; largest libraries first."""
    table = _by(records, "library", ("greedy", "rag_k3"))
    wide_form = table.pivot(index=["suite", "system", "library", "n"], columns="protocol", values="hidden")
    wide_form = wide_form.reindex(columns=["greedy", "rag_k3"]).dropna().reset_index()
    wide_form["change"] = wide_form.rag_k3 - wide_form.greedy
    order = ["suite", "system", "n", "library"]
    wide_form = wide_form.sort_values(order, ascending=[True, True, False, True], ignore_index=True)
    return wide_form.rename_axis(columns=None).assign(source=MEASURED)


def fig8_errors(records: Records, settings: Settings) -> pd.DataFrame:
    """Exceptions in hidden traces, greedy against self-debug, over all systems that have both; the ten drawn types.

    Published are the reductions only.
    """
    scores, rows = records("scores"), []
    for suite, frame in scores.groupby("suite"):
        both = frame.groupby("system").protocol.agg(lambda p: {"greedy", "selfdebug"} <= set(p))
        frame = frame[frame.system.isin(both[both].index)]
        for name in DRAWN:
            raised = frame[frame.errors.str.split().map(lambda names, name=name: name in names)]
            before, after = ((raised.protocol == p).sum() for p in ("greedy", "selfdebug"))
            reduction = reduction_percent(int(before), int(after))
            rows.append({"suite": suite, "error": name, "greedy": before, "selfdebug": after, "source": MEASURED})
            rows[-1]["reduction_percent"] = reduction
    for row in reported().table("fig8").itertuples():
        rows.append({"suite": BENCHMARK, "error": row.row, "source": REPORTED, "reduction_percent": float(row.value)})
    columns = ["suite", "error", "source", "greedy", "selfdebug", "reduction_percent"]
    table = pd.DataFrame(rows, columns=columns)
    table[["greedy", "selfdebug"]] = table[["greedy", "selfdebug"]].astype(float)
    return table


def fig13_agreement(records: Records, settings: Settings) -> pd.DataFrame:
    """Share of problems on which two systems have the same hidden outcome, per protocol; pairs in upper triangle."""
    scores, rows = records("scores"), []
    scores = scores[scores.seed == scores.groupby(RUN).seed.transform("min")]
    for (suite, protocol), frame in scores.groupby(["suite", "protocol"]):
        outcomes = frame.pivot(index="example_id", columns="system", values="hidden_passed")
        shares = agreement(outcomes)
        for i, one in enumerate(shares.index):
            for other in shares.columns[i:]:
                values = {"system": one, "other": other, "agreement": shares.loc[one, other]}
                rows.append({"suite": suite, "protocol": protocol, **values, "source": MEASURED})
    return pd.DataFrame(rows)


def fig_protocols(records: Records, settings: Settings) -> pd.DataFrame:
    """Measured success per system and protocol with its Wilson interval."""
    table = tab_main(records, settings)
    columns = [*RUN, "source", "n", "num_seeds", "hidden", "hidden_low", "hidden_high"]
    return table[table.source == MEASURED][columns].reset_index(drop=True)
