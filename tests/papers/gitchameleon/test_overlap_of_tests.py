"""What counts as a repeated call, and which problems a subset holds."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papers.gitchameleon.metrics.overlap import asserted_calls, defined_names, overlap, score
from papers.gitchameleon.metrics.report import in_words, summarise
from papers.gitchameleon.metrics.subsets import success_by, with_overlap
from papers.gitchameleon.suites.loader import load_suite

ANSWER = """
import lib

def go(x, y=2):
    return x

def make():
    return go

class Box:
    pass

ready = make()
"""
DEFINED = defined_names(ANSWER)


def calls(source: str) -> set[str]:
    return set(asserted_calls(source, DEFINED))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("assert go(1) == 3", {"go(x=1)"}),
        ("x = 1\nvalue = go(x, y = 'a')\nassert value == 3", {"go(x=1, y='a')"}),
        ("import sample\nassert sample.go(1).strip() == ''", {"go(x=1)"}),
        ("assert lib.close(go(y=1, x=2), 3) and not go(4)", {"go(x=2, y=1)", "go(x=4)"}),
        ("a, b = go(1)\nassert a == 1 and b == 2", {"go(x=1)"}),
        ("with warnings.catch_warnings():\n    value = go(5)\nassert value", {"go(x=5)"}),
        ("go(box)\nassert len(box) == 1", {"go(x=box)"}),
        ("assert make()(1, 2).y == 2", {"make()(1, 2).y"}),
        ("assert Box().items == []", {"Box().items"}),
        ("assert ready(3) == 3", {"ready(3)"}),
        ("assert lib.go2(1) == 3\nprint(2)", set()),
        ("def test_it():\n    with pytest.raises(ValueError):\n        go(-1)", {"go(x=-1)"}),
    ],
)
def test_an_asserted_call_is_written_the_same_however_it_was_spelled(source, expected):
    assert calls(source) == expected


def test_methods_see_what_set_up_assigns_and_what_helpers_return():
    source = """
class TestGo(unittest.TestCase):
    def setUp(self):
        self.value = 7
    def call(self, y):
        return sample_3.go(self.value, y)
    def test_a(self):
        self.assertEqual(self.call(1), 7)
    def test_b(self):
        value = 8
        self.assertRaises(TypeError, go(value))
    def test_c(self):
        self.assertTrue(go(self.value))
"""
    assert calls(source) == {"go(x=7, y=1)", "go(x=8)", "go(x=7)"}


def test_long_values_and_own_classes_are_told_apart_by_their_content():
    table = "data = [{}]\nassert go(data) == 1"
    one, same, other = (calls(table.format(", ".join(map(str, r)))) for r in (range(99), range(99), range(1, 100)))
    assert one == same != other and len(next(iter(one))) < 40
    own = "class Mine:\n    size = {}\nassert go(Mine()) == 1"
    assert calls(own.format(1)) != calls(own.format(2))


def test_names_in_names_do_not_grow_without_end():
    source = "x = go(1)\n" + "x = (x, x)\n" * 60 + "assert x"
    assert all(len(call) < 20000 for call in calls(source))


def test_the_score_is_the_share_of_the_visible_calls():
    (problem, *_) = load_suite("builtin")
    copied = problem.model_copy(update={"test": problem.test + "\nassert join_with_bar(['x']) == 'x'\n"})
    assert (overlap(problem), overlap(copied), score(copied)) == ((1, 0), (2, 1), 0.5)
    assert overlap(problem.model_copy(update={"hidden_test": None})) is None
    with pytest.raises(ValueError, match=f"problem {problem.example_id} .*do not parse"):
        overlap(problem.model_copy(update={"hidden_test": "def ("}))


LINES = "text = 'one\\ntwo'\nassert go(f'{text} and {text!r:>9}') == 1\nassert go(f\"{text}'{go(text)}\") == 2\n"


def test_strings_within_f_strings_have_no_text_and_a_score_all_the_same():
    """Before Python 3.12 no f-string can be written whose replaced parts hold a backslash."""
    (problem, *_) = load_suite("builtin")
    hidden = "import sample\n" + LINES.replace("go(", "sample.join_with_bar(")
    visible = LINES.replace("go(", "join_with_bar(")
    both = problem.model_copy(update={"test": visible, "hidden_test": hidden})
    assert overlap(both) == (3, 3)
    changed = both.model_copy(update={"hidden_test": hidden.replace("two", "three")})
    assert overlap(changed) == (3, 0)


def test_a_test_that_cannot_be_scored_stops_nothing_and_is_named():
    problems = load_suite("builtin")
    broken = problems[0].model_copy(update={"hidden_test": "def ("})
    with pytest.warns(UserWarning, match=f"problem {broken.example_id} has no overlap score"):
        found = with_overlap([broken, *problems[1:]])
    assert sum(map(len, found.values())) == len(problems)


LEAVES = ["x", "self.y", "1", r"'a\nb'", r'"it\'s"', r"b'\x00'", "None", "...", r"'\N{BULLET}'", "'''q\"'''"]
EXPRESSIONS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"go({p[0]}, y={p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"[{p[0]}, *({p[1]},)]"),
        inner.map(lambda e: f"(lambda z=1: {e})()"),
        inner.map(lambda e: f"[w for w in [{e}] if w]"),
        inner.map(lambda e: f"(v := {e})"),
        st.sampled_from(["f'{x}'", "f'{x!r:>{1}}'", "f'{go(x)} {self.y}'", 'f"{x}\'"']),
    ),
    max_leaves=6,
)


@given(st.lists(EXPRESSIONS, min_size=3, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_test_that_parses_has_a_score(expressions):
    a, b, c = expressions
    source = f"x = {a}\nclass T:\n    def setUp(self):\n        self.y = {b}\n    def test_a(self):\n"
    source += f"        assert {c} == 1\n        self.assertEqual(go({c}), {a})\n"
    source += f"        with pytest.raises(E):\n            go({b})\n"
    found = calls(source)
    assert found and found == calls(source)


def test_success_is_given_within_each_subset():
    problems = load_suite("builtin")
    subsets = with_overlap(problems)
    assert len(subsets["disjoint"]) + len(subsets["overlapping"]) == len(problems)
    assert subsets["overlapping"] == [p.example_id for p in problems if p.task == "dotted-store"]
    assert with_overlap([problems[0].model_copy(update={"hidden_test": None})]) == {}
    rows = [{"example_id": i, "hidden": "pass" if i % 2 else "fail-assert"} for i in (1, 2, 3)]
    found = success_by(rows, {"disjoint": [1, 3], "decisive": [2, 3], "overlapping": []})
    assert {name: part["success_percent"] for name, part in found.items()} == {"disjoint": 100, "decisive": 50}


def test_a_report_speaks_of_subsets_and_keeps_them(tmp_path):
    from papers.gitchameleon.metrics.report import write_report

    base = {"visible": None, "hidden_exception": None, "visible_exception": None, "library": "l", "version": "1"}
    rows = [{"example_id": i, "hidden": v, "python_version": "3.11", **base} for i, v in ((1, "pass"), (2, "timeout"))]
    summary = summarise(rows, {"decisive": [2]})
    assert "hidden, where the reference of another version fails: 0 of 1 pass" in in_words(summary)
    from papers.gitchameleon.metrics import report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "results_csv", lambda rows: "")
        assert write_report(tmp_path, rows, {"decisive": [1]}) == write_report(tmp_path, rows)
        assert write_report(tmp_path, rows)["subsets"]["decisive"]["ids"] == [1]


def chained(helpers: int, called: str) -> str:
    """A test class whose helpers each call the one before twice."""
    lines = [
        "import unittest",
        "import sample",
        "class TestGo(unittest.TestCase):",
        "    def h0(self):",
        "        return sample.go(1)",
    ]
    for i in range(1, helpers + 1):
        lines += [f"    def h{i}(self):", f"        return self.h{i - 1}() + self.h{i - 1}()"]
    return "\n".join([*lines, "    def test_it(self):", f"        self.assertEqual({called}, 1)"])


def test_helpers_that_double_are_put_in_as_far_as_they_stay_small():
    assert calls(chained(5, "self.h5()")) == {"go(x=1)"}
    start = time.process_time()
    for source in (chained(40, "self.h40()"), chained(200, "self.h5() + self.h200()")):
        assert calls(source) <= {"go(x=1)"}
    assert time.process_time() - start < 20


def test_a_helper_that_repeats_its_argument_is_put_in_as_far_as_that_stays_small():
    nested = "self.twice(" * 30 + "sample.go(1)" + ")" * 30
    source = (
        "import unittest\nimport sample\nclass TestGo(unittest.TestCase):\n    def twice(self, x):\n"
        "        return x + x\n"
        f"    def test_it(self):\n        self.assertEqual({nested}, 1)\n"
    )
    start = time.process_time()
    assert calls(source) == {"go(x=1)"} and time.process_time() - start < 20


def test_values_that_double_are_put_in_as_far_as_they_stay_small():
    lines = ["import sample", "x0 = sample.go(1)", *(f"x{i} = x{i - 1} + x{i - 1}" for i in range(1, 60))]
    start = time.process_time()
    assert calls("\n".join([*lines, "assert x2 == x59"])) == {"go(x=1)"} and time.process_time() - start < 20
