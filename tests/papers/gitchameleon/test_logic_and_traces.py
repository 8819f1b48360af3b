"""Logic nodes of references, exceptions in traces, quality of retrieval."""

import math
import os
import random
from pathlib import Path

import pandas as pd
import pytest

from papers.gitchameleon.data.problems import read_problems
from papers.gitchameleon.metrics.logic_nodes import logic_nodes
from papers.gitchameleon.metrics.retrieval import quality, retrieval
from papers.gitchameleon.metrics.tracebacks import exception_names, reduction_percent, top_level_trace

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
DATA = MIRROR / "gitchameleon" / "dataset.jsonl"


@pytest.mark.parametrize(
    ("code", "nodes"),
    [
        ("def f(x):\n    return lib.call(x)", 0),
        ("plt.style.use('seaborn')", 0),
        ("a.b(c.d(e.f()))", 3),
        ("f(a.b())", 2),
        ("x = a + b * c", 2),
        ("a and b and c", 1),
        ("0 < x <= 1", 1),
        ("x = y", 0),
        ("x = -y", 1),
        ("x = 1", 0),
        ("def g(): pass\ng()", 1),
        ("sum(x)", 1),
    ],
)
def test_logic_nodes(code, nodes):
    assert logic_nodes(code) == nodes


@pytest.mark.skipif(not DATA.is_file(), reason="no mirror of the benchmark's data here")
def test_logic_nodes_of_two_references():
    answers = {p.example_id: p.answer for p in read_problems(DATA)}
    assert (logic_nodes(answers[0]), logic_nodes(answers[329])) == (3, 0)


TRACE = """Traceback (most recent call last):
  File "/tmp/box/sample_3.py", line 4, in solve
    return lib.call(x, bw=1)
  File "/opt/env/lib/python3.11/site-packages/lib/core.py", line 99, in call
    raise TypeError("not a ValueError: bw")
TypeError: not a ValueError: bw

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/tmp/box/sample_3.py", line 6, in solve
    raise urllib.error.HTTPError
urllib.error.HTTPError: HTTP Error 404
"""


def test_names_open_a_line_and_lose_their_module():
    assert exception_names(TRACE) == ["TypeError", "HTTPError"]
    assert exception_names("E       AssertionError: assert 1 == 2\nE   KeyError") == ["AssertionError", "KeyError"]
    assert exception_names("raise ValueError('x')\nMyException: y") == ["MyException"]


def test_reduction_is_relative_to_before():
    assert reduction_percent(200, 100) == 50 and math.isnan(reduction_percent(0, 0))


def test_the_top_level_trace_has_no_frames_of_packages_and_no_folders():
    shown = top_level_trace(TRACE)
    assert 'File "sample_3.py", line 4, in solve' in shown and "return lib.call(x, bw=1)" in shown
    assert "site-packages" not in shown and "raise TypeError" not in shown and "/tmp" not in shown
    assert "TypeError: not a ValueError: bw" in shown
    assert len(top_level_trace("x" * 9000, max_chars=100)) < 120


def test_retrieval_metrics_equal_brute_force():
    rng = random.Random(0)
    for _ in range(200):
        found = [f"U{rng.randrange(6)}/" for _ in range(rng.randrange(1, 5))]
        gold = [f"u{rng.randrange(6)}" for _ in range(rng.randrange(1, 4))]
        distinct = []
        for url in found:
            if url.lower().strip("/") not in distinct:
                distinct.append(url.lower().strip("/"))
        common = [u for u in distinct if u in gold]
        measured = retrieval(found, gold)
        assert measured.precision == pytest.approx(len(common) / len(distinct))
        assert measured.recall == pytest.approx(len(common) / len(set(gold)))
        rank = next((i for i, u in enumerate(distinct, 1) if u in gold), 0)
        assert measured.reciprocal_rank == pytest.approx(1 / rank if rank else 0)
        assert (measured.hit, measured.strict) == (bool(common), set(distinct) <= set(gold))


def test_with_one_document_each_all_metrics_are_the_hit():
    for found in (["a"], ["b"]):
        measured = retrieval(found, ["A/"])
        assert measured.precision == measured.recall == measured.hit == measured.reciprocal_rank == (found == ["a"])
    assert retrieval([], ["a"]).recall == 0
    with pytest.raises(ValueError, match="without references"):
        retrieval(["a"], [])


def test_the_error_is_of_the_mean():
    rows = pd.DataFrame([vars(retrieval([found], ["a"])) for found in "ab"])
    row = quality(rows.assign(suite="s", retriever="r", k=1)).iloc[0]
    assert (row.n, row.hit, row.hit_se) == (2, 50, pytest.approx(50 / math.sqrt(2)))
    assert row.reciprocal_rank == 0.5
