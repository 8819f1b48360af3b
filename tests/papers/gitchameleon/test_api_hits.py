"""Names of calls on snippets, and the ceilings of the references on the real data."""

import os
from pathlib import Path

import pytest

from papers.gitchameleon.data.problems import read_problems
from papers.gitchameleon.metrics.api_hit import api_hit_rates, called_names, is_hit

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
    assert is_hit("import numpy as np\nnp.sum(np.exp(x))", ["numpy.sum", "numpy.exp"]) is True
    assert is_hit("import numpy as np\nnp.sum(x)", ["numpy.sum", "numpy.exp"]) is False


@pytest.mark.parametrize("code", ["def f(:", "x = '\0'"])
def test_what_does_not_parse_is_neither_hit_nor_miss(code):
    assert is_hit(code, []) is None


def test_the_two_denominators_differ_by_what_does_not_parse():
    found = api_hit_rates([True, None, False, False])
    assert found["published"] == pytest.approx(1 / 3) and found["strict"] == 0.25


@needs_mirror
def test_the_references_hit_277_of_328_and_any_text_38():
    problems = read_problems(DATA)
    found = api_hit_rates(is_hit(p.answer, p.api_calls) for p in problems)
    assert (found["num_hits"], found["num_problems"], found["num_parsed"]) == (277, 328, 328)
    asked = api_hit_rates(is_hit(p.answer, p.api_calls) for p in problems if p.api_calls)
    assert (asked["num_hits"], asked["num_problems"]) == (239, 290)
    assert sum(is_hit("x = 1", p.api_calls) for p in problems) == 38
