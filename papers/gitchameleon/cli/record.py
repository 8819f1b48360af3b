"""Subcommand: keep the verdicts of a build that executed the benchmark, in the two files that scale `paper` reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from papers.gitchameleon.cli import options
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.harness.harness import code_id
from papers.gitchameleon.harness.recorded_verdicts import FILE as RUNS
from papers.gitchameleon.harness.verdicts import ENV_MISSING, HARNESS_ERROR
from papers.gitchameleon.recorded import FILE as ANSWERS
from papers.gitchameleon.suites.loader import load_problems
from papers.gitchameleon.suites.systems import answers_of
from shared.artifacts.paths import PaperPaths
from shared.artifacts.provenance import sidecar
from shared.artifacts.records import read_record
from shared.base.files import atomic_path, read_json

UNDECIDED = (ENV_MISSING, HARNESS_ERROR, "")  # nothing was found out about the program
ANSWER_KEYS, RUN_KEYS = ["protocol", "model", "example_id"], ["example_id", "code_id"]
VISIBLE = ["visible", "visible_exception", "visible_date"]


def answers_found(built: pd.DataFrame) -> pd.DataFrame:
    """Rows of the step `answers`, of all systems and with their date, as columns of recorded.csv.

    Left out are problems that could not be run for some system: of these only empty and foreign answers have a verdict.
    """
    undecided = built.example_id[built.verdict.isin(UNDECIDED)]
    found = built[~built.example_id.isin(undecided)]
    found = found.rename(columns={"verdict": "visible", "exception": "visible_exception", "date": "visible_date"})
    return found[[*ANSWER_KEYS, "library", "year", "perf_category", *VISIBLE]]


def runs_found(executed: pd.DataFrame, pairs: pd.DataFrame, problems: Iterable[Problem], date: str) -> pd.DataFrame:
    """Rows of the steps `execute` and `pairs` as columns of recorded_runs.csv: programs by their hash.

    Args:
        executed: system, example_id, hidden, visible, visible_exception. pairs: tests_id, code_id (the problem whose
            reference was run), visible, visible_exception.
    """
    problems = list(problems)
    codes = {system: answers_of(system, problems) for system in executed.system.unique()}
    own = executed.assign(
        code_id=[code_id(codes[s][i]) for s, i in zip(executed.system, executed.example_id, strict=True)]
    )
    references = {p.example_id: code_id(p.answer) for p in problems}
    others = pairs.assign(example_id=pairs.tests_id, code_id=pairs.code_id.map(references), hidden=None)
    found = pd.concat([own, others], ignore_index=True)[[*RUN_KEYS, "hidden", "visible", "visible_exception"]]
    found = found.astype({"hidden": object, "visible_exception": object}).fillna("")
    return found[~found.visible.isin(UNDECIDED)].drop_duplicates(RUN_KEYS).assign(visible_date=date)


def merged(known: pd.DataFrame, found: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Known rows with what was found in their place, and sentences on visible verdicts that changed.

    A verdict that says the same keeps its day; hidden verdicts stay where the build has none.
    """
    rows = {tuple(row[k] for k in keys): row for row in known.to_dict("records")}
    changed = []
    for row in found.to_dict("records"):
        key = tuple(row[k] for k in keys)
        old = rows.setdefault(key, dict.fromkeys(known.columns, "") | row)
        if old["visible"] != row["visible"]:
            changed.append(f"{', '.join(map(str, key))}: {old['visible'] or 'nothing'} -> {row['visible']}")
        if (old["visible"], old["visible_exception"]) != (row["visible"], row["visible_exception"]):
            old |= {name: row[name] for name in VISIBLE}
        if row.get("hidden"):
            old["hidden"] = row["hidden"]
    return pd.DataFrame([rows[key] for key in sorted(rows)], columns=known.columns), changed


def _keep(file: Path, found: pd.DataFrame, keys: list[str]) -> None:
    known = pd.read_csv(file, dtype=str, keep_default_na=False).astype({"example_id": int})
    table, changed = merged(known, found.astype(str).astype({"example_id": int}), keys)
    with atomic_path(file) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    for sentence in changed:
        typer.echo(sentence)
    again = len(found) - len(changed) - (len(table) - len(known))
    typer.echo(f"{file.name}: {len(table) - len(known)} new, {len(changed)} changed, {again} as they were")


def _of_build(path: Path) -> tuple[pd.DataFrame, str]:
    """A record, and the day on which its step ran."""
    return read_record(path), read_json(sidecar(path))["started"][:10]


@options.exits
def main(
    scale: Annotated[str, typer.Option(help="Scale whose build is read.")] = "benchmark",
) -> None:
    """Write recorded.csv and recorded_runs.csv anew with what a build of scale `benchmark` found out."""
    runs = PaperPaths("gitchameleon", scale).runs
    executed, day = _of_build(runs / "execute" / "benchmark.parquet")
    pairs, _ = _of_build(runs / "pairs" / "benchmark.parquet")
    _keep(RUNS, runs_found(executed, pairs, load_problems("benchmark"), day), RUN_KEYS)
    parts = [_of_build(path) for path in sorted((runs / "answers").glob("*.parquet"))]
    if not parts:
        raise ValueError(f"no published answers among the records in {runs}; build them first")
    built = pd.concat([frame.assign(date=day) for frame, day in parts], ignore_index=True)
    _keep(ANSWERS, answers_found(built), ANSWER_KEYS)
