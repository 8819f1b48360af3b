"""Real answers: success by kind of problem, falls of errors, agreement and gaps, beside the published numbers.

`verdicts` are rows of the steps `recorded` and `answers`: tests (hidden, visible), model, protocol, example_id,
library, year, perf_category, verdict, exception. Rates stand beside the number of their problems. Figures compare
systems, so they take the problems on which all systems have a verdict of that kind of tests.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from papers.gitchameleon.data.published_answers import FOREIGN
from papers.gitchameleon.harness.verdicts import ENV_MISSING, NO_ANSWER
from papers.gitchameleon.metrics import published
from papers.gitchameleon.metrics.comparison import Success, agreement, compare, correlation
from papers.gitchameleon.metrics.dataset import KINDS
from papers.gitchameleon.metrics.rates import BENCHMARK, MEASURED, REPORTED
from papers.gitchameleon.metrics.tracebacks import DRAWN, reduction_percent
from shared.artifacts.estimates import Estimate, from_standard_error

PUBLISHED_AS = {  # our name of a model, made of the file's -> the published tables' name
    "gpt 4o": "GPT-4o",
    "gpt 4o mini": "GPT-4o-mini",
    "gpt 4 1": "GPT-4.1",
    "gpt 4 1 mini": "GPT-4.1-mini",
    "gpt 4 1 nano": "GPT-4.1-nano",
    "gpt 4 5": "GPT-4.5",
    "claude 3 7 sonnet": "Claude 3.7 Sonnet",
    "gemini 1 5 pro": "Gemini 1.5 Pro",
    "gemini 2 0 flash": "Gemini 2.0 Flash",
    "gemini 2 5 flash": "Gemini 2.5 Flash",
    "gemini 2 5 pro": "Gemini 2.5 Pro",
    "llama 3 1 70b": "Llama 3.1 Instruct Turbo",
    "llama 3 3 70b": "Llama 3.3 Instruct Turbo 70B",
    "llama 4 maverick": "Llama 4 Maverick 400B",
    "qwen2 5 vl 72b": "Qwen 2.5-VL Instruct 72B",
    "o1": "o1",
    "o3 mini": "o3-mini",
}
ASKED = {"greedy": "greedy", "selfdebug": "self-debug", "cot": "chain of thought", "agent": "agent"}
SHARED, RECORDED = "shared by all", "recorded"  # problems that a rate is over
RANGE = "published, 7 models"  # name of the rows with what is read off a figure
ALL = "all"  # kind of problem of the rows over all of them
FEWEST = 5  # problems of a kind that a rate is drawn for


def named(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Rows with the models' published names, whether they passed, and their source; references first."""
    frame = verdicts.assign(passed=verdicts.verdict == "pass", source=MEASURED)
    frame["model"] = frame.model.map(PUBLISHED_AS).fillna(frame.model)
    return frame


def rates(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """`by`, n, passed, percent, low, high (Wilson, 95 %, in percent), source."""
    groups = frame.groupby(list(by)).passed.agg(n="size", passed="sum").reset_index()
    found = [Success(int(k), int(n)) for k, n in zip(groups.passed, groups.n, strict=True)]
    ends = np.array([success.interval for success in found]).reshape(-1, 2)
    return groups.assign(percent=[s.percent for s in found], low=ends[:, 0], high=ends[:, 1], source=MEASURED)


def latest(recorded: pd.DataFrame, run: pd.DataFrame) -> pd.DataFrame:
    """Recorded verdicts, and in their place those of this build, where it could run the answer."""
    run = run[run.verdict != ENV_MISSING]
    return pd.concat([run[list(recorded)], recorded]).drop_duplicates(["tests", "model", "protocol", "example_id"])


def asked(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The rows of real systems, with a name of each system; references and stubs left out."""
    frame = named(verdicts)
    frame = frame[frame.protocol.isin(list(ASKED))]
    return frame.assign(system=frame.model + ", " + frame.protocol.map(ASKED))


def comparable(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Of `asked` the problems on which every system has a verdict, of each kind of tests."""
    frame = asked(verdicts)
    systems = frame.groupby("tests").system.transform("nunique")
    return frame[frame.groupby(["tests", "example_id"]).system.transform("nunique") == systems]


def overall(verdicts: pd.DataFrame) -> pd.DataFrame:
    """tests, model, protocol, problems, n, passed, percent, low, high, and published with its error (Tables 1 and 8).

    Problems are those recorded for the system, and those common to all systems. Among what failed are empty answers
    (num_empty) and answers to another problem (num_foreign).
    """
    by = ["problems", "tests", "model", "protocol"]
    frame = pd.concat([named(verdicts).assign(problems=RECORDED), comparable(verdicts).assign(problems=SHARED)])
    counts = frame.assign(num_empty=frame.verdict == NO_ANSWER, num_foreign=frame.verdict == FOREIGN).groupby(by)
    table = rates(frame, by).merge(counts[["num_empty", "num_foreign"]].sum().reset_index(), on=by)
    theirs = published.rates().melt(["system", "protocol"], ["hidden", "visible"], "tests", "published")
    errors = published.rates().melt(["system", "protocol"], ["hidden_se", "visible_se"], "tests", "published_se")
    theirs["published_se"] = errors.published_se.to_numpy()
    return table.merge(theirs.rename(columns={"system": "model"}), "left", ["tests", "model", "protocol"])


def rank_agreement(overall: pd.DataFrame) -> tuple[Estimate, str]:
    """Spearman's rho of measured and published visible success of self-debugged models on the shared problems.

    Its error is that of Bonett and Wright (2000). In words: the models that differ most, in points.
    """
    rows = overall[(overall.problems == SHARED) & (overall.tests == "visible") & (overall.protocol == "selfdebug")]
    rows = rows.dropna(subset="published")
    rho = correlation(rows.percent, rows.published).spearman
    error = (1 - rho**2) * ((1 + rho**2 / 2) / (len(rows) - 3)) ** 0.5
    far = rows.assign(difference=rows.percent - rows.published).set_index("model").difference.sort_values()
    return from_standard_error(rho, error, len(rows)), ", ".join(
        f"{m} {d:+.1f}" for m, d in pd.concat([far[:2], far[-2:]]).items()
    )


def _by(verdicts: pd.DataFrame, column: str) -> pd.DataFrame:
    table = rates(comparable(verdicts), ["tests", "system", column])
    return table[table.n >= FEWEST]


def _with_all(verdicts: pd.DataFrame, column: str) -> pd.DataFrame:
    """`_by`, and over all kinds: the same problems, and beside them what is published over all 328 with 1.96 errors."""
    table = overall(verdicts)
    table = table[(table.problems == SHARED) & table.protocol.isin(list(ASKED))]
    table["system"], table[column] = table.model + ", " + table.protocol.map(ASKED), ALL
    theirs = table.dropna(subset="published").assign(n=published.NUM_PROBLEMS, passed=np.nan, source=REPORTED)
    theirs = theirs.assign(percent=theirs.published, low=theirs.published - 1.96 * theirs.published_se)
    theirs["high"] = theirs.published + 1.96 * theirs.published_se
    kept = ["tests", "system", column, "n", "passed", "percent", "low", "high", "source"]
    return pd.concat([_by(verdicts, column).astype({column: str})[kept], table[kept], theirs[kept]], ignore_index=True)


def by_category(verdicts: pd.DataFrame, reported) -> pd.DataFrame:
    """Success by category of change (`_by`), and the ranges that can be read off Figure 7: low and high alone."""
    table = reported.table("fig7").pivot(index="row", columns="column", values="value").astype(float)
    theirs = []
    for protocol in ("greedy", "selfdebug"):
        low, high = table[f"{protocol}_low"], table[f"{protocol}_high"]
        part = pd.DataFrame({"low": low, "high": high}).rename_axis("perf_category")
        theirs.append(part.reset_index().assign(system=f"{RANGE}, {ASKED[protocol]}"))
    theirs = pd.concat(theirs).assign(tests="hidden", source=REPORTED)
    own = _by(verdicts, "perf_category")
    return pd.concat([own[own.perf_category.isin(KINDS)], theirs], ignore_index=True)


def by_year(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Success by year of the pinned release, and over all years beside Tables 1 and 8."""
    return _with_all(verdicts, "year")


def by_library(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Success by library, and over all libraries beside Tables 1 and 8."""
    return _with_all(verdicts, "library")


def agreement_of_systems(verdicts: pd.DataFrame, reported) -> pd.DataFrame:
    """tests, protocol, system, other, agreement, n: share of common problems with the same outcome, each pair once.

    Published are the least and the largest value of each panel of Figure 13, as systems `least` and `largest`; so are
    ours, over all pairs and over those of self-debugged models.
    """
    parts = []
    for tests, part in asked(verdicts).groupby("tests"):
        outcomes = part.pivot(index="example_id", columns="system", values="passed")
        shares, known = agreement(outcomes), outcomes.notna().astype(int)
        shares = shares.where(np.triu(np.ones(shares.shape, bool))).rename_axis(index="system", columns="other")
        table = shares.stack().dropna().reset_index(name="agreement")
        common = known.T @ known
        table["n"] = [int(common.loc[row.system, row.other]) for row in table.itertuples()]
        parts.append(table.assign(tests=tests, protocol=ALL, source=MEASURED))
        pairs = table[table.system != table.other]
        debugged = pairs[["system", "other"]].apply(lambda names: names.str.endswith(ASKED["selfdebug"])).all(axis=1)
        for protocol, shares in ((ALL, pairs.agreement), ("selfdebug", pairs.agreement[debugged])):
            ends = pd.DataFrame(
                {"system": ["least", "largest"], "agreement": [shares.min(), shares.max()], "other": "-"}
            )
            parts.append(ends.assign(tests=tests, protocol=protocol, source=MEASURED).dropna(subset="agreement"))
    theirs = reported.table("fig13").rename(columns={"row": "protocol", "value": "agreement"})
    ends = theirs.column.map({"agreement_min": "least", "agreement_max": "largest"})
    theirs = theirs.assign(
        tests="hidden", system=ends, other="-", source=REPORTED, agreement=theirs.agreement.astype(float)
    )
    return pd.concat(
        [*parts, theirs[["tests", "protocol", "system", "other", "agreement", "source"]]], ignore_index=True
    )


def errors_of(frame: pd.DataFrame) -> pd.Series:
    """The exception of each answer that failed, as far as it is known: an assertion, a syntax error, or its name."""
    known = {"fail-assert": "AssertionError", "compile-error": "SyntaxError"}
    return frame.verdict.map(known).fillna(frame.exception)


def error_falls(verdicts: pd.DataFrame, reported) -> pd.DataFrame:
    """tests, model, error, greedy, selfdebug (counts) and reduction_percent, of models that have both on a problem.

    Hidden verdicts are recorded without the names of exceptions: of these, assertions and syntax errors only. Visible
    ones are of the problems that all systems have, where the names are known.
    """
    every, shared, parts = asked(verdicts), comparable(verdicts), []
    frame = pd.concat([every[every.tests == "hidden"], shared[shared.tests == "visible"]])
    frame = frame.assign(error=errors_of(frame))
    for (tests, model), part in frame[frame.protocol.isin(["greedy", "selfdebug"])].groupby(["tests", "model"]):
        outcomes = part.pivot(index="example_id", columns="protocol", values="error")
        if outcomes.shape[1] < 2:
            continue
        counts = outcomes.dropna().apply(pd.Series.value_counts).reindex(DRAWN).fillna(0)
        rows = counts[counts.greedy + counts.selfdebug > 0].rename_axis("error").reset_index()
        parts.append(rows.assign(tests=tests, model=model, source=MEASURED))
    own = pd.concat(parts)
    own["reduction_percent"] = [reduction_percent(a, b) for a, b in zip(own.greedy, own.selfdebug, strict=True)]
    theirs = reported.table("fig8").rename(columns={"row": "error", "value": "reduction_percent"})
    theirs = theirs[["error"]].assign(reduction_percent=theirs.reduction_percent.astype(float), tests="hidden")
    return pd.concat([own, theirs.assign(model="published", source=REPORTED)], ignore_index=True)


def against_greedy(verdicts: pd.DataFrame) -> pd.DataFrame:
    """tests, model, protocol, n, only_this, only_greedy, difference, low, high, mcnemar_p: paired, on common problems.

    A model's answers under another protocol against its greedy ones, over the problems on which both have a verdict.
    """
    rows = []
    for (tests, model), part in asked(verdicts).groupby(["tests", "model"]):
        outcomes = part.pivot(index="example_id", columns="protocol", values="passed")
        for protocol in sorted(set(outcomes) - {"greedy"}) if "greedy" in outcomes else ():
            pairs = outcomes[[protocol, "greedy"]].dropna()
            found = compare(pairs[protocol].to_dict(), pairs.greedy.to_dict())
            row = {"tests": tests, "model": model, "protocol": protocol, "n": len(pairs), "source": MEASURED}
            row |= {"only_this": found.only_a, "only_greedy": found.only_b, "difference": found.difference}
            rows.append(row | {"low": found.low, "high": found.high, "mcnemar_p": found.mcnemar_p})
    return pd.DataFrame(rows)


def both_protocols(verdicts: pd.DataFrame) -> pd.DataFrame:
    """model, example_id and four outcomes, `<tests>_<protocol>`, of the problems that have all of them."""
    frame = named(verdicts)
    frame = frame[frame.protocol.isin(["greedy", "selfdebug"])]
    wide = frame.pivot(index=["model", "example_id"], columns=["tests", "protocol"], values="passed").dropna()
    wide.columns = [f"{tests}_{protocol}" for tests, protocol in wide.columns]
    return wide.astype(bool).reset_index()


def gaps(verdicts: pd.DataFrame) -> pd.DataFrame:
    """source, suite, system, n, gap_before, gap_after, gain, and paired standard errors of the gain and the widening.

    Gaps are visible minus hidden success of a model, in points.
    """
    rows = []
    for model, part in both_protocols(verdicts).groupby("model"):
        part = part.drop(columns=["model", "example_id"]).astype(float) * 100
        before, after = (part[f"visible_{p}"] - part[f"hidden_{p}"] for p in ("greedy", "selfdebug"))
        gain, n = part.hidden_selfdebug - part.hidden_greedy, len(part)
        row = {"system": model, "n": n, "gap_before": before.mean(), "gap_after": after.mean(), "gain": gain.mean()}
        errors = {"gain_se": gain.std() / n**0.5, "widening_se": (after - before).std() / n**0.5}
        rows.append(row | errors | {"suite": BENCHMARK})
    theirs = published.selfdebug_changes().rename_axis("system").reset_index().round(6)
    return published.beside(pd.DataFrame(rows), theirs)
