"""Whatever an answer holds, it is one row; whatever a reply holds, it is no error."""

import json
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from papers.gitchameleon.data.parsing import json_object, parsed, tree_of
from papers.gitchameleon.data.solutions import read_solutions
from papers.gitchameleon.harness.choosing import harness_of
from papers.gitchameleon.harness.execution import flags
from papers.gitchameleon.harness.results import ResultFolder, evaluate_into
from papers.gitchameleon.harness.verdicts import test_names as names_of
from papers.gitchameleon.harness.verdicts import undecorated
from papers.gitchameleon.metrics.api_hit import is_hit
from papers.gitchameleon.metrics.lint import black_isort
from papers.gitchameleon.metrics.logic_nodes import logic_nodes
from papers.gitchameleon.metrics.scoring import score_rows
from papers.gitchameleon.protocols.agent import parse_turn
from papers.gitchameleon.protocols.generation import explanation_of
from papers.gitchameleon.protocols.keywords import parse_keywords
from papers.gitchameleon.suites.loader import load_suite

MANY = 20_000
ODD = {
    "signs": "x=" + "-" * MANY + "1",
    "brackets": "(" * MANY,
    "closed brackets": "[" * MANY + "]" * MANY,
    "attributes": "x" + ".a" * MANY,
    "calls": "x" + "()" * MANY,
    "sums": "x=" + "+".join("1" * MANY),
    "nots": "x=" + "not " * MANY + "1",
    "lambdas": "x=" + "lambda: " * MANY + "1",
    "blocks": "".join(" " * i + "if 1:\n" for i in range(150)),
    "digits": "x=" + "9" * 5000,
    "null": "x = 1\0",
    "surrogate": "x = '\ud800'",
    "coding": "# -*- coding: no-such -*-\nx = 1",
    "mark": "\ufeffx = 1",
    "separators": "x = 'a\u2028b\x85c\x0cd'\n",
    "escapes": "x = '\\d \\777'\n",
    "nothing but text": "I am sorry.",
    "number in JSON": '{"answer": ' + "9" * 5000 + "}",
    "depth in JSON": '{"answer": ' + "[" * MANY + "]" * MANY + "}",
    "yield outside": "yield 1\nreturn 2\nawait x",
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_one_row_of_each_measure(name):
    code, problem = ODD[name], load_suite("builtin")[0]
    assert isinstance(flags(code), list) and isinstance(undecorated(code), list)
    assert is_hit(code, ["f"]) in (False, None)
    row = {"example_id": problem.example_id, "code": code, "hidden": "fail-assert", "visible": "fail-assert"}
    assert len(score_rows([problem], [row], suite="builtin", system="odd", protocol="greedy")) == 1
    tree, reason = parsed(code)
    assert (tree is None) == bool(reason)
    for measure in (tree_of, logic_nodes, names_of):
        if tree is None:
            with pytest.raises(ValueError):
                measure(code)
        else:
            measure(code)


@pytest.mark.parametrize("name", [name for name in ODD if "surrogate" not in name])
def test_formatting_leaves_what_it_cannot_read(name):
    assert isinstance(black_isort(ODD[name]), str)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_reply_is_read_as_no_more_than_text(name):
    assert parse_turn(ODD[name]) is None and parse_keywords(ODD[name]) == []
    assert isinstance(explanation_of(ODD[name]), str)
    assert json_object(ODD[name]) is None


PIECES = ["-", "(", ")", "[", "]", "{", "}", "x", ".a", "f(", "1", " ", "\n", "\n  ", "\0", "'", '"""', "\\", "#", ":"]
PIECES += [
    "lambda ",
    "not ",
    "if 1:\n ",
    "class A:\n ",
    "def f():\n ",
    "\ud800",
    "\u2028",
    "\x0c",
    "9" * 4400,
    "@",
    "f'{",
    "=",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.integers(1, 400)), max_size=8))
@example([("-", 3000), ("1", 1)])
@example([("f(", 95), ("x", 1), (")", 95)])
def test_any_text_has_flags_a_hit_or_none_and_names(pieces):
    code = "".join(piece * count for piece, count in pieces)
    assert isinstance(flags(code), list) and is_hit(code, ["f"]) in (True, False, None)
    assert isinstance(undecorated(code), list)


def test_deep_answers_leave_little_stack_unharmed():
    """Near the limit of recursion it is the same."""

    def deep(left: int):
        return deep(left - 1) if left else (flags(ODD["signs"]), is_hit(ODD["attributes"], ["f"]))

    frame, used = sys._getframe(), 0
    while frame:
        frame, used = frame.f_back, used + 1
    assert deep(sys.getrecursionlimit() - used - 60) == ([], None)


def test_every_problem_has_its_row_whatever_the_answers_are(tmp_path, store, level, limits):
    problems = load_suite("builtin")[: len(ODD) + 1]
    lines = [
        json.dumps({"example_id": p.example_id, "answer": t}) for p, t in zip(problems, ODD.values(), strict=False)
    ]
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    harness = harness_of(store, level, limits, 2, "both", "", False)
    rows = evaluate_into(
        ResultFolder(tmp_path / "out", problems, harness.settings, False),
        harness,
        problems,
        read_solutions(path, problems),
    )
    assert [row["example_id"] for row in rows] == [p.example_id for p in problems]
    assert not any(row["hidden_passed"] or row["visible_passed"] for row in rows)
