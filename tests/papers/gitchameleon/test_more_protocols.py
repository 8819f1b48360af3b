"""Keyword planning, prompt search and files of coding assistants."""

import json

import pytest

from papers.gitchameleon.models import solvers
from papers.gitchameleon.models.scripted import Scripted
from papers.gitchameleon.protocols import assistants, keywords, prompt_search
from papers.gitchameleon.protocols.selfdebug import Run
from papers.gitchameleon.suites.loader import load_suite

PROBLEMS = load_suite("builtin")


def test_assistants_see_the_statement_only_if_it_is_shown():
    problem = PROBLEMS[0].model_copy(update={"problem": "Line one\nline two", "additional_dependencies": "x==1"})
    shown, hidden = assistants.input_text(problem), assistants.input_text(problem, show_statement=False)
    assert shown.startswith("# Line one\n# line two\n# library: ") and "Line" not in hidden
    for text in (shown, hidden):
        assert f"# version: {problem.version}\n" in text and "x==1" in text and text.endswith(problem.starting_code)
        compile(text + "    pass\n", "input", "exec")


def test_untouched_and_missing_files_are_no_answers(tmp_path):
    paths = assistants.write_inputs(tmp_path, PROBLEMS[:3])
    with pytest.raises(ValueError, match="no completed file"):
        assistants.read_outputs(tmp_path, PROBLEMS)
    paths[0].write_text(paths[0].read_text(encoding="utf-8") + PROBLEMS[0].solution, encoding="utf-8")
    paths[1].unlink()
    (row,) = assistants.read_outputs(tmp_path, PROBLEMS)
    assert row["example_id"] == PROBLEMS[0].example_id and row["answer"].endswith(PROBLEMS[0].answer)


def test_rare_keywords_come_first_and_are_put_into_the_second_call():
    ranker = keywords.Ranker(["join lines", "join words", "join all"])
    entries = [{"keyword": "join", "explanation": "a"}, {"keyword": "joiner", "explanation": "b"}]
    assert [e["keyword"] for e in ranker.rank(entries, "join joiner")] == ["joiner", "join"]
    asked, oracle = [], solvers.oracle(solvers.Bank(PROBLEMS))

    def answer(messages, seed):
        asked.append(messages)
        if len(asked) == 1:
            return "Here: " + json.dumps({"keywords": entries + entries})
        return oracle.complete(messages)[0].text

    row = keywords.run_sek(Scripted("m", answer), keywords.request_of(PROBLEMS[0]), ranker)
    assert row["answer"].strip() == PROBLEMS[0].answer.strip() and len(row["keywords"]) == 3
    assert row["protocol"] == "sek" and "- joiner: b" in asked[1][-1].content


@pytest.mark.parametrize("text", ["none", "{}", '{"keywords": [1]}', '{"keywords": "abc"}'])
def test_a_reply_without_keywords_is_solved_without(text):
    assert keywords.parse_keywords(text) == []


def run(problem, code) -> Run:
    passed = code.strip() == problem.answer.strip()
    return Run(passed, "" if passed else "Traceback\nTypeError: x")


def model_of(good: str, replies: list[str], seen: list):
    """Right exactly under a system text that has `good` in it; proposes the replies one after another."""
    oracle, stub = solvers.oracle(solvers.Bank(PROBLEMS)), "pass"

    def answer(messages, seed):
        if messages[0].role == "system":
            return oracle.complete(messages)[0].text if good in messages[0].content else stub
        seen.append(messages[0].content)
        return json.dumps({"system": replies[len(seen) - 1]})

    return Scripted("m", answer)


def test_a_better_system_text_is_found_and_the_search_stops_when_all_pass():
    seen = []
    best, rounds = prompt_search.search(model_of("GOOD", ["a GOOD one"], seen), PROBLEMS, run)
    assert best == "a GOOD one" and [r.percent for r in rounds] == [0, 100]
    assert "made 0 of 5 answers pass" in seen[0] and "TypeError: x" in seen[0]


def test_the_search_stops_without_a_gain_and_keeps_what_it_had():
    seen = []
    best, rounds = prompt_search.search(model_of("never", ["worse"] * 9, seen), PROBLEMS, run)
    assert len(rounds) == 2 and best == rounds[0].system and len(seen) == 1


def test_the_subset_is_a_fixed_fifth():
    chosen = prompt_search.subset(PROBLEMS)
    assert len(chosen) == 5 and chosen == prompt_search.subset(PROBLEMS) != prompt_search.subset(PROBLEMS, seed=1)
