"""The command line of generation: what it writes, what it refuses, its exit status."""

import json

import pytest
import typer
from typer.testing import CliRunner

from papers.gitchameleon.cli import generate

APP = typer.Typer()
APP.command()(generate.main)


def call(*arguments: object):
    return CliRunner().invoke(APP, [str(a) for a in arguments])


@pytest.mark.parametrize("protocol", ["greedy", "cot", "rag"])
def test_every_problem_gets_a_row_that_evaluate_reads(tmp_path, protocol):
    out = tmp_path / "answers.jsonl"
    result = call(protocol, "--data", "builtin", "--model", "scripted:oracle", "--out", out)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 24 and all(row["answer"] and row["templates"] for row in rows)
    again = call(protocol, "--data", "builtin", "--model", "scripted:oracle", "--out", out)
    assert again.exit_code == 0 and len(out.read_text().splitlines()) == 24


def test_temperature_has_a_row_per_seed_and_ids_choose(tmp_path):
    out = tmp_path / "t.jsonl"
    ids = ("--ids", "1000-1001", "--seeds", 3)
    assert call("temperature", "--data", "builtin", *ids, "--model", "scripted:mixture", "--out", out).exit_code == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted((r["example_id"], r["seed"]) for r in rows) == [(i, s) for i in (1000, 1001) for s in range(3)]


def test_recorded_answers_replay_and_what_is_missing_is_counted(tmp_path):
    tape, out = tmp_path / "tape.jsonl", tmp_path / "a.jsonl"
    arguments = ("greedy", "--data", "builtin", "--out", out)
    assert call(*arguments, "--ids", "1000-1003", "--model", "scripted:oracle", "--cache", tape).exit_code == 0
    out.unlink()
    result = call(*arguments, "--ids", "1000-1005", "--model", f"recorded:{tape}")
    assert result.exit_code == 1 and "2 requests without one" in result.output
    assert len(out.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ask", "--model", "scripted:oracle"), "unknown protocol 'ask'"),
        (("greedy", "--model", "gpt"), "--model is scripted:SOLVER"),
        (("greedy", "--model", "openai:m"), "needs --base-url"),
        (("greedy", "--model", "openai:m", "--base-url", "host/v1"), "needs a scheme"),
        (("greedy", "--model", "recorded:nowhere.jsonl"), "no recorded completions"),
        (("greedy", "--model", "scripted:oracle", "--workers", 0), "--workers has to be at least 1"),
        (("rag", "--model", "scripted:oracle", "--k", 0), "k is at least 1"),
        (("selfdebug", "--model", "scripted:oracle"), "--greedy"),
        (("greedy", "--model", "hf:no/where"), "no model folder"),
    ],
)
def test_bad_input_ends_in_a_sentence_and_status_2(tmp_path, capfd, arguments, message):
    result = call(*arguments, "--data", "builtin", "--out", tmp_path / "a.jsonl")
    assert result.exit_code == 2 and message in result.output + result.stderr
