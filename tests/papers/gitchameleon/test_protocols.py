"""Prompts, protocols, retrieval and solvers. Execution is a function here: no environment is built."""

import json

import numpy as np
import pytest

from papers.gitchameleon.models import solvers
from papers.gitchameleon.models.base import Message, Sampling, prompt_hash
from papers.gitchameleon.models.scripted import Scripted
from papers.gitchameleon.protocols import agent
from papers.gitchameleon.protocols.generation import AnswerFile, explanation_of, generate, run_all
from papers.gitchameleon.protocols.prompts import Document, problem_text, render, sections, template_hash
from papers.gitchameleon.protocols.retrieval import BM25, Dense, documents_of, words
from papers.gitchameleon.protocols.selfdebug import Run, selfdebug
from papers.gitchameleon.protocols.single import rag_requests, requests
from papers.gitchameleon.suites.loader import load_suite

PROBLEMS = load_suite("builtin")
BY_ID = {p.example_id: p for p in PROBLEMS}


def answers(model, todo, **more) -> dict[int, dict]:
    file = AnswerFile(None, model.name, todo[0].protocol)
    assert generate(model, todo, file, **more) == []
    return {row["example_id"]: row for row in file.sorted()}


def share_right(rows) -> float:
    return np.mean([row["answer"].strip() == BY_ID[row["example_id"]].answer.strip() for row in rows])


def run_visible(problem, code) -> Run:
    """Passes exactly the problem's own reference; what fails says a wrong name."""
    passed = code.strip() == problem.answer.strip()
    return Run(passed, "" if passed else "Traceback\nAttributeError: gone")


def test_a_prompt_has_pin_python_statement_and_stub():
    found = sections(problem_text(PROBLEMS[0]))
    assert found["library"] == f"{PROBLEMS[0].library}=={PROBLEMS[0].version}"
    assert found["python"] == PROBLEMS[0].python_version and found["coding_problem"] == PROBLEMS[0].problem
    assert found["starter_code"].strip() == PROBLEMS[0].starting_code.strip()


def test_without_version_no_pin_is_told():
    for p in PROBLEMS:
        text = problem_text(p, show_version=False)
        assert p.version not in sections(text)["library"] and "python" not in sections(text)
        assert "==" not in text.replace(p.problem, "").replace(p.starting_code, "")
    # the two versions of a task cannot be told apart
    assert len({problem_text(p, show_version=False) for p in PROBLEMS}) == len(PROBLEMS) / 2


def test_hidden_material_is_in_no_prompt():
    for p in PROBLEMS:
        marked = p.model_copy(update={"hidden_test": "HIDDEN", "test": "VISIBLE", "solution": "SOLVED"})
        for protocol in ("greedy", "temperature", "cot"):
            (request,) = requests([marked], protocol)
            text = " ".join(m.content for m in request.messages)
            assert "HIDDEN" not in text and "VISIBLE" not in text and "SOLVED" not in text


def test_templates_are_hashed_by_content(tmp_path, monkeypatch):
    assert template_hash("system", "problem") == template_hash("problem", "system") != template_hash("system")
    with pytest.raises(Exception, match="undefined"):
        render("problem", library="x")
    with pytest.raises(ValueError, match="there are: v1"):
        render("problem", "v9")


def test_protocols_sample_as_the_paper_says():
    assert requests(PROBLEMS[:1])[0].sampling == Sampling(0.0, 0.95, 4096)
    assert requests(PROBLEMS[:1], "cot")[0].sampling == Sampling(0.0, 0.95, 6000)
    sampled = requests(PROBLEMS[:2], "temperature", range(10))
    assert len(sampled) == 20 and {r.sampling.temperature for r in sampled} == {0.8}
    assert requests(PROBLEMS[:1], show_version=False)[0].protocol == "no_version"


def test_bad_sampling_is_refused():
    for bad in ({"temperature": -1}, {"top_p": 0}, {"max_tokens": 0}):
        with pytest.raises(ValueError, match="got"):
            Sampling(**bad)


def test_known_solvers_get_known_scores():
    bank = solvers.Bank(PROBLEMS)
    assert share_right(answers(solvers.oracle(bank), requests(PROBLEMS)).values()) == 1
    for blind in (solvers.newest(bank), solvers.oldest(bank)):
        assert share_right(answers(blind, requests(PROBLEMS)).values()) == 0.5
    hidden = answers(solvers.oracle(bank), requests(PROBLEMS, show_version=False)).values()
    assert share_right(hidden) == 0.5  # told no pin, the oracle is blind


def test_the_mixture_is_right_with_its_probability_whatever_the_workers():
    model, seeds = solvers.mixture(solvers.Bank(PROBLEMS), 0.7), range(40)
    files = [AnswerFile(None, model.name, "temperature") for _ in range(2)]
    for file, workers in zip(files, (1, 4), strict=True):
        generate(model, requests(PROBLEMS, "temperature", seeds), file, workers=workers)
    assert files[0].sorted() == files[1].sorted()
    n = len(PROBLEMS) * len(seeds)
    assert share_right(files[0].sorted()) == pytest.approx(0.7, abs=4 * (0.21 / n) ** 0.5)


def test_self_debug_asks_only_what_failed_visibly_and_repairs_at_its_rate():
    model = solvers.repairer(solvers.Bank(PROBLEMS), q=0.5, r_raised=1.0)
    first = answers(model, requests(PROBLEMS))
    file = AnswerFile(None, model.name, "selfdebug")
    assert selfdebug(model, PROBLEMS, first, run_visible, file) == []
    rows = file.sorted()
    assert 0 < share_right(first.values()) < 1 and share_right(rows) == 1
    for row in rows:
        was_right = first[row["example_id"]]["answer"].strip() == BY_ID[row["example_id"]].answer.strip()
        assert row["retried"] is not was_right and row["protocol"] == "selfdebug" and not row["leaky"]


def test_self_debug_resumes_and_keeps_the_greedy_answer_where_no_other_came(tmp_path):
    bank = solvers.Bank(PROBLEMS)
    first = answers(solvers.newest(bank), requests(PROBLEMS))
    asked = []

    def answer(messages, seed):
        asked.append(prompt_hash(messages))
        return solvers.oracle(bank).complete(messages)[0].text

    model, path = Scripted("newest", answer), tmp_path / "sd.jsonl"
    for _ in range(2):
        selfdebug(model, PROBLEMS, first, run_visible, AnswerFile(path, "newest", "selfdebug"), workers=1)
    assert len(asked) == len(set(asked)) == len(PROBLEMS) / 2
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(PROBLEMS)
    silent = Scripted("silent", lambda messages, seed: (_ for _ in ()).throw(solvers_error()))
    file = AnswerFile(None, "silent", "selfdebug")
    assert len(selfdebug(silent, PROBLEMS, first, run_visible, file)) == len(PROBLEMS) / 2
    assert share_right(file.sorted()) == 0.5 and not any(r["retried"] for r in file.sorted())


def solvers_error():
    from papers.gitchameleon.models.base import ModelError

    return ModelError("down")


def test_retrying_on_hidden_verdicts_stamps_every_row_and_shows_no_hidden_trace():
    bank, seen = solvers.Bank(PROBLEMS), []
    first = answers(solvers.oracle(bank), requests(PROBLEMS))

    def answer(messages, seed):
        seen.append(messages[-1].content)
        return solvers.oracle(bank).complete(messages)[0].text

    file = AnswerFile(None, "m", "selfdebug")
    model = Scripted("m", answer)
    with pytest.raises(ValueError, match="needs hidden verdicts"):
        selfdebug(model, PROBLEMS, first, run_visible, file, "hidden")
    selfdebug(model, PROBLEMS, first, run_visible, file, "hidden", lambda p, code: p.example_id % 2 == 0)
    assert all(row["leaky"] for row in file.sorted())
    assert len(seen) == len(PROBLEMS) / 2 and all("(no trace)" in text for text in seen)


def test_without_being_asked_to_retrying_never_looks_at_hidden_verdicts():
    """A retry that goes by hidden verdicts without the mark would be a leak that no table shows."""
    bank = solvers.Bank(PROBLEMS)
    first = answers(solvers.newest(bank), requests(PROBLEMS))
    file = AnswerFile(None, "newest", "selfdebug")

    def never(problem, code):
        raise AssertionError("a hidden verdict was asked for")

    selfdebug(solvers.newest(bank), PROBLEMS, first, run_visible, file, "visible", never)
    rows = {row["example_id"]: row for row in file.sorted()}
    assert not any(row["leaky"] for row in rows.values())
    for problem in PROBLEMS:
        failed = not run_visible(problem, first[problem.example_id]["answer"]).passed
        assert rows[problem.example_id]["retried"] == failed


def test_a_missing_first_answer_is_asked_for():
    model = solvers.oracle(solvers.Bank(PROBLEMS))
    file = AnswerFile(None, model.name, "selfdebug")
    selfdebug(model, PROBLEMS[:2], {}, run_visible, file)
    assert share_right(file.sorted()) == 1


def test_documents_lift_a_reader_and_misleading_ones_do_not():
    reader = solvers.doc_reader(solvers.Bank(PROBLEMS), q=0.5)
    plain = share_right(answers(reader, requests(PROBLEMS)).values())

    class Fixed:
        name = "fixed"

        def __init__(self, gold):
            self.gold = gold

        def top(self, query, k):
            pin = sections(query)["library"]
            (library, version) = pin.split("==")
            versions = sorted({p.version for p in PROBLEMS if p.library == library})
            other = next(p for p in PROBLEMS if sections(problem_text(p)) == sections(query))
            wrong = next(p for p in PROBLEMS if p.task == other.task and p.version != version)
            assert len(versions) >= 2
            return [Document("u", f"{library} {version if self.gold else wrong.version}: so it is")][:k]

    gold = rag_requests(PROBLEMS, Fixed(True), 1)
    wrong = rag_requests(PROBLEMS, Fixed(False), 1)
    assert share_right(answers(reader, gold).values()) == 1 > plain > share_right(answers(reader, wrong).values()) == 0
    assert gold[0].retrieved == ("u",) and gold[0].protocol == "rag_k1"
    assert {tuple(row["retrieved"]) for row in answers(reader, gold).values()} == {("u",)}


def test_shared_documents_are_indexed_once():
    documents = documents_of(PROBLEMS)
    urls = [u.lower().rstrip("/") for p in PROBLEMS for u in p.docs]
    assert len(documents) == len(set(urls)) and all(d.text for d in documents)


def test_bm25_finds_rare_words_and_breaks_ties_by_order():
    index = BM25([Document("a", "alpha beta"), Document("b", "alpha gamma"), Document("c", "alpha alpha beta")])
    assert [d.url for d in index.top("gamma", 2)] == ["b", "a"]  # no word in a and c: the first of them
    assert [d.url for d in index.top("unknown", 3)] == ["a", "b", "c"]
    assert words("np.cumTrapz_old(v1.26.4)") == ["np", "cumtrapz_old", "cum", "trapz", "old", "v1", "26.4"]


def test_bm25_equals_its_formula():
    index = BM25([Document("a", "x y"), Document("b", "x x z w")], k1=1.2, b=0.75)
    idf = np.log(1 + (2 - 2 + 0.5) / (2 + 0.5))
    expected = [idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3)), idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3))]
    assert index.scores("x") == pytest.approx(expected)


def test_a_dense_index_ranks_by_cosine():
    class Letters:
        name = "letters"

        def embed(self, texts):
            return np.array([[t.count(c) + 1e-6 for c in "abc"] for t in texts], dtype=float)

    index = Dense([Document("1", "aab"), Document("2", "c"), Document("3", "bbbb")], Letters())
    assert [d.url for d in index.top("ba", 3)] == ["1", "3", "2"] and index.name == "letters"


def agent_rows(model, tools, steps) -> list[dict]:
    todo = [agent.request_of(p, tools, steps) for p in PROBLEMS]
    file = AnswerFile(None, model.name, todo[0].protocol)
    work = [(r, lambda r=r: agent.run_agent(model, r, tools, steps)) for r in todo]
    assert run_all(work, model.name, file) == []
    return file.sorted()


def program_runner(problem, program) -> str:
    return "fine" if problem.answer.strip() in program else "Traceback\nTypeError: no"


def test_an_agent_with_a_sandbox_beats_one_without_and_needs_turns_for_it():
    model = solvers.tool_user(solvers.Bank(PROBLEMS), 3)
    tools = [agent.search_tool(lambda query: "nothing"), agent.sandbox_tool(program_runner)]
    without = agent_rows(model, tools[:1], 3)
    by_budget = [share_right(agent_rows(model, tools, steps)) for steps in (1, 2, 3)]
    assert {row["protocol"] for row in without} == {"agent"}
    assert share_right(without) < 1 and by_budget == sorted(by_budget) and by_budget[-1] == 1


def test_an_agent_that_never_answers_has_an_empty_answer_and_is_told_its_mistakes():
    turns = ["no json", '{"tool": "fly", "arguments": {}}', '{"tool": "search", "arguments": {"wrong": 1}}']
    model = Scripted("lost", lambda messages, seed: turns[sum(m.role == "assistant" for m in messages)])
    tools = [agent.search_tool(lambda query: "nothing")]
    row = agent.run_agent(model, agent.request_of(PROBLEMS[0], tools, 3), tools, 3)
    assert (row["answer"], row["finish_reason"]) == ("", "budget")
    seen = [turn["observation"] for turn in row["turns"]]
    assert "no turn" in seen[0] and "There is no tool 'fly'" in seen[1] and "needs the argument 'query'" in seen[2]


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ('{"plan": "", "tool": "t", "arguments": {"a": "b"}}', ("t", {"a": "b"})),
        ('Now:\n```json\n{"tool": "t", "arguments": {}}\n```\n', ("t", {})),
        ('{"tool": "t"}', None),
        ('["t"]', None),
        ("print(1)", None),
    ],
)
def test_turns_are_read(text, turn):
    assert agent.parse_turn(text) == turn


def test_explanations_are_what_is_not_code():
    assert explanation_of("It was\n```python\nx\n```\nrenamed") == "It was\nrenamed"
    assert explanation_of(json.dumps({"answer": "x", "explanation": "why"})) == "why"
    assert explanation_of(json.dumps({"answer": "x", "steps": ["a", "b"]})) == "a\nb"
    assert explanation_of("x = 1") == ""


def test_answers_of_another_run_are_not_continued(tmp_path):
    path = tmp_path / "a.jsonl"
    model = solvers.oracle(solvers.Bank(PROBLEMS))
    generate(model, requests(PROBLEMS[:1]), AnswerFile(path, model.name, "greedy"))
    with pytest.raises(ValueError, match="holds answers of oracle under greedy"):
        AnswerFile(path, model.name, "cot")
    assert AnswerFile(path, "other", "cot", resume=False).rows == {} and not path.exists()


def test_solvers_are_made_by_name():
    assert solvers.make_solver("repairer,0.5,0.8,0.4", PROBLEMS).name == "repairer(0.5,0.8,0.4)"
    for wrong in ("orakel", "mixture,x", "oracle,1"):
        with pytest.raises(ValueError, match="solver"):
            solvers.make_solver(wrong, PROBLEMS)
    with pytest.raises(ValueError, match="has no problem"):
        solvers.oracle(solvers.Bank(PROBLEMS)).complete([Message("user", "hello")])
