"""The command line of generation: what it writes, what it refuses, its exit status."""

import json

import pytest
import typer
import yaml
from typer.testing import CliRunner

from papers.gitchameleon.cli import generate
from papers.gitchameleon.cli.from_settings import command_of, leaves
from papers.gitchameleon.cli.settings import GenerateSettings

APP = typer.Typer()
APP.command()(generate.main)


def call(*arguments: object):
    return CliRunner().invoke(APP, [str(a) for a in arguments])


@pytest.mark.parametrize("protocol", ["greedy", "cot", "rag"])
def test_every_problem_gets_a_row_that_evaluate_reads(tmp_path, protocol):
    out = tmp_path / "answers.jsonl"
    result = call(protocol, "--data", "builtin", "--model", "scripted:oracle", "--out", out)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 24 and all(row["answer"] and row["templates"] for row in rows)
    again = call(protocol, "--data", "builtin", "--model", "scripted:oracle", "--out", out)
    assert again.exit_code == 0 and len(out.read_text(encoding="utf-8").splitlines()) == 24


def test_temperature_has_a_row_per_seed_and_ids_choose(tmp_path):
    out = tmp_path / "t.jsonl"
    ids = ("--ids", "1000-1001", "--seeds", 3)
    assert call("temperature", "--data", "builtin", *ids, "--model", "scripted:mixture", "--out", out).exit_code == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert sorted((r["example_id"], r["seed"]) for r in rows) == [(i, s) for i in (1000, 1001) for s in range(3)]


def test_recorded_answers_replay_and_what_is_missing_is_counted(tmp_path):
    tape, out = tmp_path / "tape.jsonl", tmp_path / "a.jsonl"
    arguments = ("greedy", "--data", "builtin", "--out", out)
    assert call(*arguments, "--ids", "1000-1003", "--model", "scripted:oracle", "--cache", tape).exit_code == 0
    out.unlink()
    result = call(*arguments, "--ids", "1000-1005", "--model", f"recorded:{tape}")
    assert result.exit_code == 1 and "2 requests without one" in result.output
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4


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


def settings_file(tmp_path, **changes):
    content = {"protocol": "temperature", "data": "builtin", "model": "scripted:mixture,0.5", "problems": "1000-1001"}
    content |= {"out": str(tmp_path / "a.jsonl"), "asking": {"seeds": 2}, "resume": False}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(content | changes), encoding="utf-8")
    return path


def test_settings_come_from_a_file_and_options_go_before_it(tmp_path):
    path = settings_file(tmp_path)
    assert call("--config", path).exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted((r["example_id"], r["seed"]) for r in rows) == [(i, s) for i in (1000, 1001) for s in (0, 1)]
    assert call("--config", path, "--seeds", 1, "--ids", "1000").exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(r["example_id"], r["seed"]) for r in rows] == [(1000, 0)]  # resume: false of the file holds
    assert call("--config", path, "--resume").exit_code == 0
    assert len((tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()) == 4  # and the option goes before it


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modle": "scripted:oracle"}, "unknown key 'modle'; did you mean 'model'?"),
        ({"asking": {"seed": 2}}, "unknown key 'seed' in 'asking'; did you mean 'seeds'?"),
        ({"endpoint": {"max_attempts": 0}}, "'endpoint.max_attempts'"),
        ({"protocol": "ask"}, "unknown protocol 'ask'"),
    ],
)
def test_a_wrong_settings_file_is_refused_and_named(tmp_path, changes, message):
    result = call("--config", settings_file(tmp_path, **changes))
    assert result.exit_code == 2 and message in result.stderr and "settings.yaml" in result.stderr


def test_what_neither_file_nor_options_give_is_named(tmp_path):
    result = call("greedy", "--data", "builtin", "--out", tmp_path / "a.jsonl")
    assert result.exit_code == 2 and "key 'model' is missing" in result.stderr


def test_every_setting_is_an_option():
    names = {path[-1].replace("_", "-") for path, _ in leaves(GenerateSettings)}
    options = {option for p in typer.main.get_command(APP).params for option in p.opts}
    assert {f"--{name}" for name in names - {"protocol"}} | {"--ids", "--allow-unsandboxed", "protocol"} <= options


def test_what_is_not_an_option_given_leaves_the_files_value(tmp_path):
    content = {"protocol": "agent", "out": "o", "model": "hf:x", "library": ["textkit"], "resume": False}
    content |= {"asking": {"show_version": False, "use_sandbox": False, "k": 7}, "local": {"batch": 2}}
    content |= {"endpoint": {"reasoning": True, "system_role": False}, "boxes": {"unsafe": True, "sandbox": "bwrap"}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    found, app = [], typer.Typer()
    app.command()(command_of(GenerateSettings, found.append))
    result = CliRunner().invoke(app, ["--config", str(tmp_path / "s.yaml"), "--steps", "9", "--library", "storekit"])
    assert result.exit_code == 0, result.output
    content["asking"]["steps"], content["library"] = 9, ["storekit"]
    assert found == [GenerateSettings(**content)]
