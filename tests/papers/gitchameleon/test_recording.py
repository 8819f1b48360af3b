"""Verdicts of a build of the benchmark, kept in the files that scale `paper` reads."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from papers.gitchameleon.cli import app as commands
from papers.gitchameleon.cli import record
from papers.gitchameleon.harness.harness import code_id
from papers.gitchameleon.suites.loader import load_problems
from shared.artifacts.paths import PaperPaths
from shared.artifacts.provenance import sidecar
from shared.artifacts.records import write_record
from shared.base.files import write_json

FACTS = {"library": "numpy", "year": "2021", "perf_category": "Argument"}
PROBLEMS = load_problems("builtin")[:2]
FIRST, SECOND = (p.example_id for p in PROBLEMS)


def known_answers(**values) -> pd.DataFrame:
    row = {"model": "o1", "protocol": "selfdebug", "example_id": FIRST} | FACTS
    row |= {"hidden": "pass", "visible": "pass", "visible_exception": "", "visible_date": "2026-01-01"}
    return pd.DataFrame([row | values])


def built_answers(*verdicts: str, model: str = "o1") -> pd.DataFrame:
    rows = [
        {"tests": "visible", "model": model, "protocol": "selfdebug", "example_id": p.example_id, **FACTS,
         "verdict": verdict, "exception": "KeyError" if verdict == "fail-exception" else "", "flags": ""}
        for p, verdict in zip(PROBLEMS, verdicts, strict=False)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def found_in(*built: pd.DataFrame) -> pd.DataFrame:
    return record.answers_found(pd.concat(built).assign(date="2026-02-02"))


def test_what_is_found_again_changes_nothing():
    found = found_in(built_answers("pass"))
    table, changed = record.merged(known_answers(), found, record.ANSWER_KEYS)
    pd.testing.assert_frame_equal(table, known_answers())
    assert changed == []


def test_a_verdict_that_changes_is_named_and_keeps_the_hidden_one():
    found = found_in(built_answers("fail-exception", "timeout"))
    table, changed = record.merged(known_answers(), found, record.ANSWER_KEYS)
    assert table.visible.tolist() == ["fail-exception", "timeout"] and table.hidden.tolist() == ["pass", ""]
    assert table.visible_date.unique().tolist() == ["2026-02-02"]
    assert changed == [f"selfdebug, o1, {FIRST}: pass -> fail-exception", ]  # a new row is none  # fmt: skip


def test_a_hidden_verdict_of_the_build_takes_the_place_of_the_known_one():
    found = known_answers(hidden="fail-assert")
    table, changed = record.merged(known_answers(), found, record.ANSWER_KEYS)
    assert table.hidden.tolist() == ["fail-assert"] and changed == []


@pytest.mark.parametrize("verdict", ["env-missing", "harness-error"])
def test_what_could_not_be_run_leaves_the_known_verdict(verdict):
    assert not len(found_in(built_answers(verdict)))


@pytest.mark.parametrize("verdict", ["foreign", "no-answer"])
def test_a_problem_that_some_system_could_not_be_run_on_is_kept_for_none(verdict):
    found = found_in(built_answers("env-missing", "pass"), built_answers(verdict, "pass", model="o3 mini"))
    assert found.example_id.tolist() == [SECOND, SECOND]


def test_runs_are_named_by_the_hash_of_their_program():
    executed = pd.DataFrame(
        [
            {"system": s, "example_id": p.example_id, "hidden": None, "visible": v, "visible_exception": e}
            for p in PROBLEMS
            for s, v, e in (("reference", "pass", None), ("stub", "fail-assert", "AssertionError"))
        ]
    )
    pairs = pd.DataFrame(
        [{"tests_id": FIRST, "code_id": SECOND, "visible": "fail-exception", "visible_exception": "TypeError"}]
    )
    found = record.runs_found(executed, pairs, PROBLEMS, "2026-02-02")
    by_key = found.set_index(["example_id", "code_id"]).visible
    assert by_key[FIRST, code_id(PROBLEMS[0].answer)] == by_key[SECOND, code_id(PROBLEMS[1].answer)] == "pass"
    assert by_key[FIRST, code_id(PROBLEMS[1].answer)] == "fail-exception"
    assert len(found) == 5 and set(found.hidden) == {""}


def test_the_command_writes_both_files_and_says_what_it_did(tmp_path, monkeypatch):
    runs = PaperPaths("gitchameleon", "smoke").runs.__class__(tmp_path / "runs")
    monkeypatch.setattr(record.PaperPaths, "runs", property(lambda self: runs))
    monkeypatch.setattr(record, "load_problems", lambda name: PROBLEMS)
    for name in ("ANSWERS", "RUNS"):
        monkeypatch.setattr(record, name, tmp_path / f"{name}.csv")
    known_answers(visible="timeout").to_csv(record.ANSWERS, index=False)
    pd.DataFrame(columns=[*record.RUN_KEYS, "hidden", *record.VISIBLE]).to_csv(record.RUNS, index=False)
    executed = [
        {"system": "reference", "example_id": FIRST, "hidden": None, "visible": "pass", "visible_exception": ""}
    ]
    pairs = [{"tests_id": SECOND, "code_id": FIRST, "visible": "env-missing", "visible_exception": ""}]
    for name, rows in (("execute/benchmark", executed), ("pairs/benchmark", pairs)):
        _write(runs / f"{name}.parquet", pd.DataFrame(rows))
    command = ["record", "--scale", "benchmark"]
    result = CliRunner().invoke(commands.app, command)
    assert result.exit_code == 2 and "no published answers" in result.output
    _write(runs / "answers" / "selfdebug_o1.parquet", built_answers("pass"))
    result = CliRunner().invoke(commands.app, command)
    assert result.exit_code == 0, result.output
    assert f"selfdebug, o1, {FIRST}: timeout -> pass" in result.output
    assert "ANSWERS.csv: 0 new, 1 changed, 0 as they were" in result.output
    runs_kept = pd.read_csv(record.RUNS, keep_default_na=False)
    assert runs_kept.to_dict("records") == [
        {"example_id": FIRST, "code_id": code_id(PROBLEMS[0].answer), "hidden": "", "visible": "pass",
         "visible_exception": "", "visible_date": "2026-02-02"}
    ]  # fmt: skip


def _write(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, frame)
    write_json(sidecar(path), {"started": "2026-02-02T10:00:00Z"})


def test_the_committed_files_are_as_the_command_writes_them():
    """Sorted, with a row a key; written again they are the same bytes."""
    for file, keys in ((record.ANSWERS, record.ANSWER_KEYS), (record.RUNS, record.RUN_KEYS)):
        known = pd.read_csv(file, dtype=str, keep_default_na=False).astype({"example_id": int})
        table, changed = record.merged(known, known, keys)
        assert not changed and table.to_csv(index=False, lineterminator="\n") == file.read_text(encoding="utf-8")


def test_references_have_the_same_verdicts_in_both_committed_files():
    answers, runs = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in (record.ANSWERS, record.RUNS))
    both = answers[answers.protocol == "reference"].merge(runs[runs.hidden != ""], on="example_id")
    assert len(both) == 287
    assert (both.visible_x == both.visible_y).all() and (both.hidden_x == both.hidden_y).all()
