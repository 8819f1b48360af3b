"""Evaluation end to end: known systems get their known scores; stopped runs go on; files are refused or resumed."""

import json
import subprocess
import sys

import pytest

from papers.gitchameleon.cli.options import any_run
from papers.gitchameleon.data.json_lines import append_lines, read_whole_lines
from papers.gitchameleon.data.solutions import Solution, write_solutions
from papers.gitchameleon.data.versions import is_strict
from papers.gitchameleon.environments.spec import spec_of
from papers.gitchameleon.harness.execution import run_visible, without_exit
from papers.gitchameleon.harness.harness import Harness, Settings, code_id
from papers.gitchameleon.harness.results import ResultFolder, evaluate_into
from papers.gitchameleon.harness.verdict_cache import VerdictCache, verdict_key
from papers.gitchameleon.harness.verdicts import Talk, Verdict, judge, test_names
from papers.gitchameleon.metrics.report import results_csv, summarise
from papers.gitchameleon.suites.loader import load_suite
from papers.gitchameleon.suites.systems import SYSTEMS, answers_of
from shared.sandbox.box import Limits
from shared.sandbox.levels import choose_level

names_of_tests = test_names  # pytest would collect it under its own name
del test_names


@pytest.fixture(scope="module")
def problems():
    tasks = ("join-with-bar", "first-place", "cheapest", "middle-price")  # two libraries, two tasks each
    return [p for p in load_suite("builtin") if p.task in tasks]


@pytest.fixture(scope="module")
def cache():
    return VerdictCache(None)


def harness(store, cache, level, limits, jobs=2) -> Harness:
    return Harness(store, cache, Settings(level=level, limits=limits, jobs=jobs))


def solutions_of(system, problems):
    return [Solution(i, text, text) for i, text in answers_of(system, problems).items()]


@pytest.fixture(scope="module")
def scores(store, cache, level, limits, problems):
    """system -> example_id -> row."""
    run = harness(store, cache, level, limits)
    return {s: {row["example_id"]: row for row in run.evaluate(problems, solutions_of(s, problems))} for s in SYSTEMS}


def test_references_pass_and_stubs_do_not(scores):
    assert {r["hidden"] for r in scores["reference"].values()} == {"pass"}
    assert {r["visible"] for r in scores["reference"].values()} == {"pass"}
    assert {r["hidden_exception"] for r in scores["stub"].values()} == {"NotImplementedError"}


def test_the_other_versions_idiom_fails_as_the_task_says(scores, problems):
    for problem in problems:
        row = scores["version-blind"][problem.example_id]
        if problem.expect_fail:
            assert row["hidden_exception"] in problem.expect_fail, row
        else:
            assert row["hidden"] == "pass", row


def test_ignoring_the_pin_gets_half_of_the_strict_pairs(scores, problems):
    strict = [p.example_id for p in problems if is_strict(p, problems)]
    assert len(strict) == 6
    for system in ("newest", "oldest"):
        assert sum(scores[system][i]["hidden"] == "pass" for i in strict) == len(strict) / 2


def test_a_second_run_executes_nothing(store, cache, level, limits, problems, scores):
    again = harness(store, cache, level, limits)
    rows = list(again.evaluate(problems, solutions_of("reference", problems)))
    assert again.num_executed == 0 and len(rows) == len(problems)


def test_unanswered_and_empty_answers_count_as_failures(store, cache, level, limits, problems):
    rows = list(
        harness(store, cache, level, limits).evaluate(problems[:2], [Solution(problems[0].example_id, " ", " ")])
    )
    assert [r["hidden"] for r in rows] == ["no-answer"] * 2
    assert summarise(rows)["hidden"]["success_percent"] == 0


def test_a_missing_environment_is_unavailable_and_named(store, cache, level, limits, problems):
    other = problems[0].model_copy(update={"python_version": "3.8", "version": "9.9"})
    (row,) = harness(store, cache, level, limits).evaluate([other], solutions_of("reference", problems)[:1])
    assert row["hidden"] == row["visible"] == "env-missing" and row["hidden_exception"] in (
        "no-wheel",
        "no-interpreter",
    )
    assert summarise([row])["unavailable"][0][:2] == ("textkit", "9.9")


def test_what_cannot_be_run_stays_in_the_denominator(store, cache, level, limits, problems):
    """Two of eight unavailable and the rest right: 75 %, and never 100 %."""
    gone = [p.model_copy(update={"version": "9.9"}) for p in problems[:2]]
    mixed = gone + problems[2:]
    rows = list(harness(store, cache, level, limits).evaluate(mixed, solutions_of("reference", mixed)))
    summary = summarise(rows)
    for tests in ("hidden", "visible"):
        part = summary[tests]
        assert (part["passed"], part["num_problems"], part["num_run"]) == (6, 8, 6) and part["success_percent"] == 75
    assert {row[1] for row in summary["unavailable"]} == {"9.9"}


def test_separators_and_surrogates_in_answers_and_outputs_lose_no_row(store, cache, level, limits, problems, tmp_path):
    texts = ["a\u2028b\u2029c\x85d", "\ud800"]
    codes = [f"print('{texts[0]}')\nraise ValueError('{texts[0]}')\n", f"x = '{texts[1]}'\n"]
    answers = [Solution(p.example_id, code, code) for p, code in zip(problems, codes, strict=False)]
    out = ResultFolder(tmp_path, problems[:2], Settings(level, limits), resume=True)
    rows = evaluate_into(out, harness(store, cache, level, limits), problems[:2], answers)
    assert [row["hidden"] for row in rows] == ["fail-exception", "compile-error"] and "\u2028" in rows[0]["code"]
    again = []
    assert evaluate_into(out, harness(store, cache, level, limits), problems[:2], answers, again.append) == rows
    assert again == [] and summarise(rows)["hidden"]["num_problems"] == 2
    out.rows_file.write_text(out.rows_file.read_text().split("\n")[0] + "\n")
    monkey = harness(store, cache, level, limits)
    monkey.evaluate = lambda *a: iter(())
    with pytest.raises(ValueError, match="1 are missing"):
        evaluate_into(out, monkey, problems[:2], answers)


def test_a_run_in_which_nothing_could_be_executed_is_no_success():
    base = {"visible": None, "hidden_exception": "network", "visible_exception": None, "library": "l", "version": "1"}
    missing = [{"example_id": 1, "hidden": "env-missing", "python_version": "3.11", **base}]
    assert not any_run(summarise(missing)) and any_run(summarise([*missing, {**missing[0], "hidden": "timeout"}]))


def test_a_stopped_run_goes_on_and_ends_with_the_same_table(store, cache, level, limits, problems, tmp_path, scores):
    solutions = solutions_of("newest", problems)
    whole = ResultFolder(tmp_path / "a", problems, Settings(level, limits), resume=True)
    expected = results_csv(evaluate_into(whole, harness(store, cache, level, limits, jobs=1), problems, solutions))
    half = ResultFolder(tmp_path / "b", problems, Settings(level, limits), resume=True)
    evaluate_into(half, harness(store, cache, level, limits), problems[:3], solutions[:3])
    with half.rows_file.open("a", encoding="utf-8") as file:
        file.write('{"example_id": 1, "cut sho')  # what a crash leaves
    told = []
    rows = evaluate_into(half, harness(store, cache, level, limits, jobs=4), problems, solutions, told.append)
    assert len(told) == len(problems) - 3 and results_csv(rows) == expected


def test_results_of_other_data_are_not_resumed(problems, tmp_path, level, limits):
    ResultFolder(tmp_path, problems, Settings(level, limits), resume=True)
    with pytest.raises(ValueError, match="made with another data_digest"):
        ResultFolder(tmp_path, problems[1:], Settings(level, limits), resume=True)
    ResultFolder(tmp_path, problems[1:], Settings(level, limits), resume=False)


def test_a_changed_answer_is_run_again(store, cache, level, limits, problems, tmp_path):
    out = ResultFolder(tmp_path, problems, Settings(level, limits), resume=True)
    run, one = harness(store, cache, level, limits), problems[:1]
    evaluate_into(out, run, one, solutions_of("reference", problems)[:1])
    (row,) = evaluate_into(out, run, one, solutions_of("stub", problems)[:1])
    assert row["hidden"] == "fail-exception" and row["code_id"] == code_id(row["code"])


def test_lines_survive_a_cut(tmp_path):
    path = tmp_path / "x.jsonl"
    append_lines(path, ['{"a": 1}'])
    with path.open("a", encoding="utf-8") as file:
        file.write('{"b": ')
    append_lines(path, ['{"c": 3}'])
    assert read_whole_lines(path) == [{"a": 1}, {"c": 3}]


def test_verdicts_are_kept_between_processes_but_not_those_that_may_change(tmp_path, store, level, limits, problems):
    path = tmp_path / "verdicts.jsonl"
    first = harness(store, VerdictCache(path), level, limits)
    list(first.evaluate(problems[:1], solutions_of("reference", problems)[:1]))
    second = harness(store, VerdictCache(path), level, limits)
    list(second.evaluate(problems[:1], solutions_of("reference", problems)[:1]))
    assert (first.num_executed, second.num_executed) == (2, 0)
    assert {json.loads(line)["verdict"]["code"] for line in path.read_text(encoding="utf-8").splitlines()} == {"pass"}


def test_a_time_limit_and_a_failure_of_ours_are_not_kept(tmp_path):
    """A busy machine can cause them, so they would come out otherwise the next time."""
    cache = VerdictCache(tmp_path / "verdicts.jsonl")
    for code in ("timeout", "harness-error", "fail-assert"):
        cache.put(code, Verdict(code))
    assert [cache.get(code) is None for code in ("timeout", "harness-error", "fail-assert")] == [True, True, False]


def test_the_tests_of_a_source_are_counted_before_they_run():
    source = (
        "def test_a(): pass\nclass TestB:\n    def test_c(self): pass\n    def helper(self): pass\ndef other(): pass\n"
    )
    assert names_of_tests(source) == {"test_a", "TestB.test_c"}
    with pytest.raises(ValueError, match="do not parse"):
        names_of_tests("def (")


@pytest.mark.parametrize("block", ["try:\n{}\nexcept ImportError:\n    pass\n", "if True:\n{}\n"])
def test_a_test_class_within_a_block_is_counted_as_unittest_counts_it(block, store, level, limits, problems):
    """Reference and stub are judged by what is collected beside the reference, not by what the source looks like."""
    indented = "\n".join("    " + line for line in problems[0].hidden_test.splitlines())
    problem = problems[0].model_copy(update={"hidden_test": "import unittest\n" + block.format(indented)})
    run = harness(store, VerdictCache(None), level, limits)
    env = store.get(spec_of(problem))
    reference = run.run(problem, problem.answer, "hidden", env)
    assert reference.passed and reference.num_tests == len(reference.collected) > 0
    leaving = "import sys\n" + problem.answer + "\nimport unittest\nunittest.TestLoader.loadTestsFromModule = None\n"
    assert run.run(problem, leaving, "hidden", env).code == "tampered"
    fewer = problem.answer + "\nimport os\nos.environ['FEWER'] = '1'\n"
    picky = problem.hidden_test + "\nimport os\nif os.environ.get('FEWER'):\n    del TestJoinWithBar.test_none\n"
    assert run.run(problem.model_copy(update={"hidden_test": picky}), fewer, "hidden", env).code == "no-tests"


def test_classes_that_are_not_collected_are_not_expected():
    source = (
        "class Helper:\n    def test_a(self): pass\nclass TestB:\n    def __init__(self): 0\n    def test_a(self): 0\n"
    )
    assert names_of_tests(source) == frozenset()
    inherited = "class Case(unittest.TestCase):\n    pass\nclass Mine(Case):\n    def test_a(self): pass\n"
    assert names_of_tests(inherited) == {"Mine.test_a"}


def line(event, *fields):
    return {"nonce": "n", "event": event, "fields": list(fields)}


def talked(*lines, canaries=None) -> str:
    found = Talk("n", frozenset({"T.a", "T.b"}), canaries or {})
    for entry in lines:
        found.hear(entry)
    return judge(found, 0, None, None, "").code


START = ({"event": "ready"}, line("imported", "", ""), line("collected", "T.a", "T.b"))
A, B = (line("test", f"T.{name}", "passed", "", "") for name in "ab")
END = line("done", "")


def test_a_pass_needs_every_test_and_the_end():
    assert talked(*START, A, B, END) == "pass"
    assert talked(*START, A, B) == "early-exit"
    assert talked(*START, A, END) == "no-tests"
    assert talked(*START, A, A, B, END) == "tampered"
    assert talked(*START, A, B, END, B) == "tampered"
    assert talked(*START, A, {**B, "nonce": "x"}, END) == "tampered"
    assert talked(*START, A, B, line("forged"), END) == "tampered"
    assert talked(*START[:1], A, B, END) == "tampered"
    assert talked(*START, A, line("replaced", "unittest.case.TestCase.run"), B, END) == "tampered"
    assert talked(*START, A, B, line("done", "numpy.allclose")) == "tampered"


def test_canaries_with_another_outcome_or_none_are_tampering():
    """Without this check a candidate that makes every test pass would be believed."""
    canaries = {"C.fine": True, "C.bad": False}
    fine, bad = line("test", "C.fine", "passed", "", ""), line("test", "C.bad", "failed", "AssertionError", "")
    assert talked(*START, fine, A, B, bad, END, canaries=canaries) == "pass"
    assert talked(*START, fine, A, B, END, canaries=canaries) == "tampered"
    turned = line("test", "C.bad", "passed", "", "")
    assert talked(*START, fine, A, B, turned, END, canaries=canaries) == "tampered"


def test_the_key_of_a_verdict_holds_the_text_of_the_tests(store, level, limits, problems):
    """Another test, other canaries' style, other libraries in the environment: none of them takes an old verdict."""
    problem, env = problems[0], store.get(spec_of(problems[0]))

    def key(mode, **changes):
        changed = problem.model_copy(update=changes)
        return verdict_key(changed, problem.answer, mode, env, level, limits)

    assert key("hidden") != key("hidden", hidden_test=problem.hidden_test + "\n")
    assert key("visible") != key("visible", test=problem.test + "\n")
    assert key("hidden") != key("hidden", runner="pytest")
    run = harness(store, VerdictCache(None), level, limits)
    assert run.run(problem, problem.answer, "visible", env).passed
    other = problem.model_copy(update={"test": "assert False\n"})
    assert run.run(other, problem.answer, "visible", env).code == "fail-assert"


def test_a_verdict_that_rests_on_data_is_not_kept_for_other_data(store, level, limits, problems, tmp_path, monkeypatch):
    """An answer that asks for a folder of NLTK's fails without it, and passes as soon as it is there."""
    tmp_path.chmod(0o755)  # the box has a user of its own
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    env, cache = store.get(spec_of(problems[0])), VerdictCache(None)
    run, code = (
        harness(store, cache, level, limits),
        "import os\nassert 'punkt' in os.listdir(os.environ['NLTK_DATA'])\n",
    )
    problem = problems[0].model_copy(update={"test": "pass"})
    assert not run.run(problem, code, "visible", env).passed
    (tmp_path / "punkt").mkdir(mode=0o755)
    assert run.run(problem, code, "visible", env).passed
    assert run.run(problem, code, "visible", env).passed and (run.num_executed, cache.hits) == (2, 1)


def test_an_answer_that_lacks_a_corpus_is_unavailable_and_not_kept(store, level, limits, problems, monkeypatch):
    monkeypatch.delenv("NLTK_DATA", raising=False)
    env, cache = store.get(spec_of(problems[0])), VerdictCache(None)
    problem = problems[0].model_copy(update={"library": "nltk", "test": "pass"})
    code = "name = 'pun' 'kt'\nraise LookupError(f'Resource {name} not found. Please use the NLTK Downloader')\n"
    run = harness(store, cache, level, limits)
    for times in (1, 2):
        found = run.run(problem, code, "visible", env)
        assert (found.code, found.exception, run.num_executed) == ("env-missing", "corpus", times)
    assert run.run(problem, "nltk.word_tokenize('a')", "visible", env).code == "env-missing"
    assert run.num_executed == 2


def test_without_a_box_untrusted_code_is_refused(monkeypatch):
    monkeypatch.setattr("shared.sandbox.levels.available_levels", lambda: ("rlimit",))
    with pytest.raises(ValueError, match="--unsafe"):
        choose_level("auto")
    assert choose_level("auto", unsafe=True) == "rlimit"
    with pytest.raises(ValueError, match="does not work here"):
        choose_level("bwrap")
    with pytest.raises(ValueError, match="has to be positive"):
        Limits(wall_seconds=0)


def test_the_resource_level_runs_trusted_programs(store, limits, problems):
    run = harness(store, VerdictCache(None), "rlimit", limits)
    (row,) = run.evaluate(problems[:1], solutions_of("reference", problems)[:1])
    assert row["hidden"] == row["visible"] == "pass", row


def test_the_command_line_evaluates_a_file(tmp_path, problems, level):
    write_solutions(tmp_path / "s.jsonl", answers_of("reference", problems[:1]))
    command = [
        sys.executable,
        "-m",
        "papers.gitchameleon.evaluate",
        str(tmp_path / "s.jsonl"),
        "--out",
        str(tmp_path / "o"),
    ]
    command += ["--data", "builtin", "--problems", "1000", "--envs", str(tmp_path / "envs"), "--no-cache", "--decisive"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "hidden: 1 of 1 pass" in done.stdout, done.stdout + done.stderr
    assert "where the reference of another version fails: 1 of 1 pass" in done.stdout
    header, row = (tmp_path / "o" / "results.csv").read_text(encoding="utf-8").splitlines()
    assert header.startswith("example_id,code_id,output,passed,compiled,output_manual") and ",True,True," in row
    wrong = subprocess.run([*command, "--jobs", "0"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: --jobs"), wrong.stderr


def test_verdicts_of_other_code_are_not_read(tmp_path):
    cache = VerdictCache(tmp_path / "verdicts.jsonl")
    cache.put("one", Verdict("pass"))
    foreign = {"key": "two", "runner": "other code", "verdict": {"code": "pass", "a field of its own": 1}}
    append_lines(cache.path, [json.dumps(foreign)])
    again = VerdictCache(cache.path)
    assert again.get("one") == Verdict("pass") and again.get("two") is None


@pytest.mark.parametrize("variable", ["NLTK_DATA", "LIBROSA_DATA_DIR"])
def test_a_named_folder_of_data_is_readable_in_the_box(variable, problems, store, level, limits, tmp_path, monkeypatch):
    tmp_path.chmod(0o755)  # in a box root's own folders are another's
    (tmp_path / "corpus").write_text("words", encoding="utf-8")
    code = f"import os\nprint(open(os.environ['{variable}'] + '/corpus').read())\n" + problems[0].answer
    env = store.get(spec_of(problems[0]))
    assert run_visible(problems[0], code, env, level, limits).exception == "KeyError"
    monkeypatch.setenv(variable, str(tmp_path))
    verdict = run_visible(problems[0], code, env, level, limits)
    assert verdict.passed and "words" in verdict.output


@pytest.mark.parametrize(("expected", "code"), [("one|two", "pass"), ("one", "fail-assert")])
def test_a_visible_test_that_leaves_through_unittest_is_judged_by_its_result(
    expected, code, problems, store, level, limits
):
    problem = problems[0]
    test = f"""
import unittest

class Joins(unittest.TestCase):
    def test_two(self):
        self.assertEqual(join_with_bar(["one", "two"]), {expected!r})

unittest.main()
"""
    verdict = run_visible(
        problem.model_copy(update={"test": test}), problem.answer, store.get(spec_of(problem)), level, limits
    )
    assert verdict.code == code and (code == "pass" or "AssertionError: 'one|two' != 'one'" in verdict.trace), verdict


def test_other_visible_tests_are_left_as_they_are():
    for test in ("main()  # unittest is not meant", "def never():\n    unittest.main()\n", "unittest.main("):
        assert without_exit(test) == (test, False)
    rest, cases = without_exit("import unittest\nif __name__ == '__main__':\n    unittest.main(verbosity=2)")
    assert cases and "main(" not in rest
