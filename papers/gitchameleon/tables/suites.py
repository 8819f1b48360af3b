"""Tables about our suites' tests and about formatting: (records, settings) -> tidy frame.

Records read: `examine`, `formatting`, `pairs`, `execute` and `scores`.
"""

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.coverage import percent
from papers.gitchameleon.metrics.lint import STAGES
from papers.gitchameleon.metrics.published import reported, wide
from papers.gitchameleon.tables.results import BENCHMARK, MEASURED, REPORTED, RUN
from shared.artifacts.config import Settings
from shared.artifacts.records import Records

UNASKED = "-"  # protocol of a system that sees no prompt


def tab_coverage(records: Records, settings: Settings) -> pd.DataFrame:
    """Share of the references' lines that their hidden tests reach: mean and minimum over problems, in percent."""
    rows = []
    for suite, part in _examined(records).groupby("suite", sort=True):
        row = {"source": MEASURED, "suite": suite, "num_references": len(part), "num_lines": part.num_lines.sum()}
        row |= {"num_missed": part.num_missed.sum(), "mean_percent": part.percent.mean()}
        rows.append(row | {"min_percent": part.percent.min()})
    published = reported()("text", "hidden tests", "coverage_percent")
    rows.append({"source": REPORTED, "suite": BENCHMARK, "num_references": 328, "mean_percent": published})
    return pd.DataFrame(rows).astype({"num_lines": float, "num_missed": float})


def tab_overlap(records: Records, settings: Settings) -> pd.DataFrame:
    """Each problem: asserted calls of its visible test, how many the hidden test repeats, whether it is decisive."""
    frame = _examined(records)
    columns = ["suite", "example_id", "task", "version", "visible_calls", "shared_calls", "overlap", "decisive"]
    return frame[columns].sort_values(["suite", "example_id"], ignore_index=True)


def tab_subsets(records: Records, settings: Settings) -> pd.DataFrame:
    """Success over all problems, over those whose hidden test repeats no visible call, and over the decisive ones."""
    executed, scores = records("execute"), records("scores")
    executed = executed.assign(protocol=UNASKED, seed=0, hidden_passed=executed.hidden == "pass")
    columns = [*RUN, "seed", "example_id", "hidden_passed"]
    frame = pd.concat([executed[executed.hidden.notna()][columns], scores[columns]])
    kinds = _examined(records)[["suite", "example_id", "overlap", "decisive"]]
    frame = frame.merge(kinds, on=["suite", "example_id"], how="inner")
    subsets = {"all": frame, "disjoint": frame[~(frame.overlap > 0)], "overlapping": frame[frame.overlap > 0]}
    subsets["decisive"] = frame[frame.decisive]
    table = pd.DataFrame(index=pd.MultiIndex.from_frame(frame[RUN].drop_duplicates()))
    for name, part in subsets.items():
        groups = part.groupby(RUN)
        table[f"n_{name}"] = groups.example_id.nunique()
        table[f"{name}_percent"] = 100.0 * groups.hidden_passed.mean()
    counts = [f"n_{name}" for name in subsets]
    table[counts] = table[counts].fillna(0).astype(int)
    return table.reset_index().sort_values(RUN, ignore_index=True).assign(source=MEASURED)


def tab_formatting(records: Records, settings: Settings) -> pd.DataFrame:
    """Hidden success and pylint's score per ten before and after each stage, beside Table 13."""
    frame, rows = records("formatting"), []
    frame["passed"] = frame.hidden == "pass"
    for (suite, system), part in frame.groupby(["suite", "system"], sort=True):
        row = {"source": MEASURED, "suite": suite, "system": system}
        stages = {stage: part[part.stage == stage].set_index("example_id").sort_index() for stage in STAGES}
        row["num_problems"] = len(stages["raw"])
        for name, stage in stages.items():
            row |= {f"passed_{name}": stage.passed.sum(), f"success_{name}": 100.0 * stage.passed.mean()}
            row |= {f"changed_{name}": stage.changed.sum(), f"pylint_{name}": stage.pylint.mean()}
        differ = [(stages[s].hidden != stages["raw"].hidden) for s in STAGES[1:]]
        rows.append(row | {"other_verdicts": int(np.logical_or(*differ).sum())})
    for system, row in wide("table13").iterrows():
        values = {f"pylint_{name}": row[f"pylint_{name}"] for name in STAGES} | {"success_raw": row.success}
        rows.append({"source": REPORTED, "suite": BENCHMARK, "system": system, "num_problems": 328, **values})
    columns = ["source", "suite", "system", "num_problems"]
    columns += [f"{kind}_{name}" for kind in ("passed", "success", "changed", "pylint") for name in STAGES]
    table = pd.DataFrame(rows)[[*columns, "other_verdicts"]].drop(columns="changed_raw")
    return table.astype(dict.fromkeys([c for c in table if c[:7] in ("passed_", "changed", "other_v")], float))


def fig1_worked_failure(records: Records, settings: Settings) -> pd.DataFrame:
    """One problem at its pin, as it was executed: the other version's idiom, its trace, the right answer.

    The trace's marks below a line go: they differ between versions of Python.
    """
    frame = records("examine")
    row = frame[frame.task == settings.worked].sort_values("example_id").iloc[-1]
    trace = "\n".join(line for line in row.wrong_trace.splitlines() if line.strip(" ^~"))
    here, there = f"{row.library} {row.version}", f"{row.library} {row.wrong_version}"
    parts = [
        ("problem", f"The problem, pinned to {here}", f"{row.statement}\n\n{row.stub.rstrip()}"),
        ("wrong", f"The idiom of {there}", row.wrong.rstrip()),
        ("trace", f"What its hidden tests gave in the box: {row.wrong_outcome}", trace),
        ("right", f"The idiom of {here}: pass", row.right.rstrip()),
    ]
    return pd.DataFrame(parts, columns=["part", "title", "text"])


def _examined(records: Records) -> pd.DataFrame:
    """The record `examine` with coverage, overlap and whether the reference of another version fails here."""
    frame, pairs = records("examine"), records("pairs")
    frame["num_missed"] = frame.missed_lines.str.split().map(len)
    frame["percent"] = [percent(n, k) for n, k in zip(frame.num_lines, frame.num_missed, strict=True)]
    frame["overlap"] = frame.shared_calls / frame.visible_calls.where(frame.visible_calls > 0)
    ran = pairs[pairs.hidden.notna() & ~pairs.hidden.isin(["env-missing", "harness-error"])]
    failing = set(zip(ran[ran.hidden != "pass"].suite, ran[ran.hidden != "pass"].tests_id, strict=True))
    frame["decisive"] = [key in failing for key in zip(frame.suite, frame.example_id, strict=True)]
    return frame
