"""Names of calls on snippets, and the ceilings of the references on the real data."""

import os
from pathlib import Path

import pytest

from papers.gitchameleon.api_hits import api_hit, api_hits, called_names
from papers.gitchameleon.problems import Problem, read_problems

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
DATA = MIRROR / "gitchameleon" / "dataset.jsonl"
needs_mirror = pytest.mark.skipif(not DATA.is_file(), reason="no mirror of the benchmark's data here")


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import numpy as np\nnp.linalg.norm(x)", {"numpy.linalg.norm"}),
        ("from a import b as c\nc()", {"a.b"}),
        ("from a.b import c\nc.d()", {"a.b.c.d"}),
        ("import a\na.b()", {"a.b"}),
        ("import os.path\nos.path.join()", {"os.path.path.join"}),  # the published rule, not Python's
        ("f()()", {"f"}),
        ("x().y()", {"x", "y"}),
        ("a.b(1).c.d()", {"a.b", "c.d"}),
        ("g = lambda v: h(v)", {"h"}),
        ("@register('x')\ndef f(): pass", {"register"}),
        ("@register\ndef f(): pass", set()),
        ("def f(v):\n    return v.mean()", {"v.mean"}),
        ("def f():\n    import numpy as n\n    n.sum()", {"numpy.sum"}),
        ("from m import *\nthing()", {"thing"}),
        ("xs[0].real.sum()", {"real.sum"}),
        ("from . import a\na.b()", {"a.b"}),
        ("from .m import a\na()", {"m.a"}),
        ("class A:\n    x = make()\n    def f(self): self.g()", {"make", "self.g"}),
        ("'a'.join(b)", {"join"}),
        ("x.y", set()),
    ],
)
def test_called_names(code, names):
    assert called_names(code) == names


def test_all_calls_have_to_be_there():
    assert api_hit("import numpy as np\nnp.sum(np.exp(x))", ["numpy.sum", "numpy.exp"]) is True
    assert api_hit("import numpy as np\nnp.sum(x)", ["numpy.sum", "numpy.exp"]) is False


@pytest.mark.parametrize("code", ["def f(:", "x = '\0'"])
def test_what_does_not_parse_is_neither_hit_nor_miss(code):
    assert api_hit(code, []) is None


def problem(id: int, calls: list[str]) -> Problem:
    return Problem.model_construct(example_id=id, api_calls=calls)


def test_the_two_denominators_differ_by_what_does_not_parse():
    problems = [problem(i, ["f"]) for i in range(4)]
    found = api_hits(problems, {0: "f()", 1: "f(", 2: "g()"})
    assert found.published_percent == pytest.approx(100 / 3) and found.strict_percent == 25


@needs_mirror
def test_the_references_hit_277_of_328_and_any_text_38():
    problems = read_problems(DATA)
    answers = {p.example_id: p.answer for p in problems}
    found = api_hits(problems, answers)
    assert (found.hits, found.n, found.num_unparsable) == (277, 328, 0)
    asked = api_hits(problems, answers, empty=False)
    assert (asked.hits, asked.n) == (239, 290)
    assert api_hits(problems, dict.fromkeys(answers, "x = 1")).hits == 38
