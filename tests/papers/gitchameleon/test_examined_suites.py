"""Lines counted in the box, formatters, and the tables that are made of both."""

import pandas as pd
import pytest

from papers.gitchameleon.examine import row_of
from papers.gitchameleon.figures.dataset import fig1_worked_failure
from papers.gitchameleon.formatting import rows_of as formatted_rows
from papers.gitchameleon.harness.harness import Harness, Settings
from papers.gitchameleon.harness.verdict_cache import VerdictCache
from papers.gitchameleon.harness.verdicts import Talk
from papers.gitchameleon.metrics import lint
from papers.gitchameleon.metrics.coverage import count_all, in_words, percent
from papers.gitchameleon.metrics.subsets import decisive
from papers.gitchameleon.suites.loader import load_suite
from shared.artifacts.figures import paper_style


@pytest.fixture(scope="module")
def pair():
    """One task at both versions; the old idiom passes nowhere else, nor does the new one."""
    return load_suite("builtin")[:2]


@pytest.fixture(scope="module")
def harness(store, level, limits):
    return Harness(store, VerdictCache(None), Settings(level=level, limits=limits))


def test_lines_that_no_test_reaches_are_counted(harness, pair):
    code = """    if len(lines) > 99:
        lines = lines[:99]
        raise ValueError
    joined = [
        line
        for line in lines
    ]
    return textkit.join_lines(joined, sep="|")
"""
    longer = pair[0].model_copy(update={"solution": code})
    whole, part = count_all(harness, [pair[0], longer])
    assert whole.passed and (whole.num_lines, whole.missed_lines) == (3, ())
    assert part.passed and part.missed_lines == (5, 6)  # after two lines of imports and the stub's def
    assert percent(part.num_lines, 2) < 100 == percent(whole.num_lines, 0)
    assert f"{longer.example_id} misses lines 5, 6" in in_words([pair[0], longer], [whole, part])
    executed = harness.num_executed
    assert count_all(harness, [pair[0]]) == [whole] and harness.num_executed == executed


def test_a_count_of_lines_that_is_none_breaks_the_talk():
    talk = Talk("n", frozenset())
    talk.hear({"event": "imported", "nonce": "n", "fields": ["", ""]})
    assert talk.broken is None
    with pytest.raises(ValueError, match="invalid literal"):
        talk.hear({"event": "done", "nonce": "n", "fields": ["", "many", "3"]})


def test_a_problem_is_examined_with_the_other_idioms_trace(harness, pair):
    row = row_of("builtin", harness, pair[1], pair[0])
    assert (row["num_lines"], row["missed_lines"], row["wrong_exception"]) == (3, "", "TypeError")
    assert "unexpected keyword argument 'sep'" in row["wrong_trace"] and "site-packages" not in row["wrong_trace"]
    failing = pair[1].model_copy(update={"solution": pair[0].solution})
    with pytest.raises(ValueError, match=r"the reference of join-with-bar 2\.0\.0 fails"):
        row_of("builtin", harness, failing, pair[0])


def test_decisive_problems_are_found_by_running(harness, pair):
    same = [p.model_copy(update={"solution": pair[0].solution}) for p in pair]
    assert decisive(harness, pair, pair) == [p.example_id for p in pair]
    # where both versions have the old idiom, it passes at the old one only
    assert decisive(harness, same, same) == [pair[1].example_id]
    assert decisive(harness, pair[:1], pair[:1]) == []


def test_formatters_do_what_their_names_say():
    stages = lint.stages_of(["import sys\nimport os\nx = os.name\n", "def broken(:\n"])
    assert stages["raw"] == ["import sys\nimport os\nx = os.name\n", "def broken(:\n"]
    assert stages["black_isort"] == ["import os\nimport sys\n\nx = os.name\n", "def broken(:\n"]
    assert stages["ruff"] == ["import os\n\nx = os.name\n", "def broken(:\n"]


def test_pylint_scores_follow_its_formula():
    counts = {"fatal": 0, "error": 0, "warning": 1, "refactor": 0, "convention": 1, "statement": 4}
    assert lint.score(counts) == 5
    assert lint.score({**counts, "error": 1}) == 0  # clipped: 10 - 10 * 7 / 4 < 0
    assert lint.score({**counts, "statement": 0}) == lint.score({**counts, "fatal": 1}) == 0
    clean = '"""A module."""\n\nimport nowhere_to_be_found\n\nnowhere_to_be_found.go()\n'
    unused = '"""A module."""\n\nimport os\nimport sys\n\nprint(os.name)\n'
    assert lint.pylint_scores([clean, unused, "def broken(:\n"]) == [10, pytest.approx(10 - 10 / 3), 0]


def test_formatted_answers_are_executed_again(harness, pair):
    rows = pd.DataFrame(formatted_rows("builtin", harness, pair, ["reference", "version-blind"]))
    assert len(rows) == 2 * 2 * 3 and set(rows[rows.system == "reference"].hidden) == {"pass"}
    assert set(rows[rows.system == "version-blind"].hidden) == {"fail-exception"}
    assert not rows[rows.stage == "raw"].changed.any() and rows[rows.stage == "ruff"].changed.all()


def examined(id: int, missed: str, shared: int) -> dict:
    texts = {"statement": "Do it.", "stub": "def f():\n", "right": "    new()\n", "wrong": "    old()\n"}
    texts |= {"wrong_version": "1", "wrong_trace": "x.py\n  ^^^\nTypeError: no\n", "wrong_exception": "TypeError"}
    row = {"suite": "mini", "example_id": id, "task": "t", "library": "lib", "version": str(id), "num_lines": 4}
    row |= {"missed_lines": missed, "visible_calls": 2, "shared_calls": shared, "wrong_outcome": "fail-exception"}
    return row | texts


def records(step: str) -> pd.DataFrame:
    hidden = {0: "pass", 1: "fail-assert", 2: "pass"}
    runs = {"suite": "mini", "system": "s", "seed": 0}
    frames = {
        "examine": [examined(0, "", 0), examined(1, "3", 1), examined(2, "", 2)],
        "pairs": [
            {"suite": "mini", "tests_id": i, "hidden": v} for i, v in ((0, "pass"), (1, "fail-assert"), (2, "timeout"))
        ],
        "execute": [{**runs, "example_id": i, "hidden": v} for i, v in hidden.items()],
        "scores": [
            {**runs, "protocol": "greedy", "example_id": i, "hidden_passed": v != "pass"} for i, v in hidden.items()
        ],
        "formatting": [
            {**runs, "example_id": i, "stage": s, "changed": s != "raw", "hidden": hidden[i], "pylint": 2.0 * k}
            for i in hidden
            for k, s in enumerate(lint.STAGES)
        ],
    }
    return pd.DataFrame(frames[step])


class Worked:
    worked = "t"


def test_coverage_is_averaged_over_problems_beside_the_reported_mean(table_of):
    table = table_of("tab_coverage", records).set_index("suite")
    row = table.loc["mini"]
    assert (row.num_lines, row.num_missed, row.min_percent) == (12, 1, 75)
    assert row.mean_percent == pytest.approx((100 + 75 + 100) / 3)
    assert table.loc["benchmark"].mean_percent == 96.5


def test_subsets_split_by_overlap_and_by_what_the_other_version_comes_to(table_of):
    table = table_of("tab_subsets", records).set_index("protocol")
    row = table.loc["-"]
    assert (row.n_all, row.n_disjoint, row.n_overlapping, row.n_decisive) == (3, 1, 2, 2)
    assert (row.disjoint_percent, row.overlapping_percent, row.decisive_percent) == (100, 50, 50)
    assert table.loc["greedy"].disjoint_percent == 0
    assert list(table_of("tab_overlap", records).overlap) == [0, 0.5, 1]


def test_formatted_answers_are_counted_by_stage_beside_the_published_scores(table_of):
    table = table_of("tab_formatting", records)
    ours = table[table.source == "measured"].iloc[0]
    assert (ours.passed_raw, ours.passed_ruff, ours.other_verdicts, ours.pylint_ruff) == (2, 2, 0, 4)
    assert table[table.system == "Goose, GPT-4o"].pylint_ruff.item() == 2.92


def test_the_worked_failure_shows_what_was_executed(table_of):
    table = table_of("fig1_worked_failure", records, Worked)
    texts = dict(zip(table.part, table.text, strict=True))
    assert texts["trace"] == "x.py\nTypeError: no" and texts["wrong"] == "    old()"
    with paper_style():
        figure = fig1_worked_failure(table)
        figure.canvas.draw()
        drawn = "\n".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert all(text.splitlines()[-1].strip() in drawn for text in texts.values())
