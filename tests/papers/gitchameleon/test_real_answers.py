"""Tables and figures of real answers from recorded verdicts, and recorded verdicts in the place of a harness."""

import json

import pandas as pd
import pytest

from papers.gitchameleon import pairs
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.published_answers import read_answers
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.harness.harness import code_id
from papers.gitchameleon.harness.recorded_verdicts import RecordedVerdicts
from papers.gitchameleon.metrics.swaps import failing_pairs
from papers.gitchameleon.settings import Suite
from shared.artifacts.figures import paper_style
from shared.artifacts.paper import load_paper, paper_functions

FIGURES = ["fig6_gap", "fig7_categories", "fig8_errors", "fig10_years", "fig11_libraries", "fig13_agreement"]
TABLES = ["tab_answers", "tab_paired", *FIGURES]


def make_recorded() -> pd.DataFrame:
    """GPT-4o on ten problems, with self-debug on nine of them: 4 and 7 pass hidden tests, 6 and 8 visible ones."""
    rows = []
    for protocol, n, hidden, visible in (("greedy", 10, 4, 6), ("selfdebug", 9, 7, 8)):
        for i in range(n):
            facts = {"model": "gpt 4o", "protocol": protocol, "example_id": i, "library": ("torch", "numpy")[i % 2]}
            facts |= {"year": 2021 + i // 5, "perf_category": ("Argument", "Semantics")[i % 2]}
            seen = "pass" if i < visible else "fail-exception"
            asked = "pass" if i < hidden else "fail-assert"
            rows.append(facts | {"tests": "hidden", "verdict": asked, "exception": ""})
            rows.append(facts | {"tests": "visible", "verdict": seen, "exception": "TypeError" if i >= visible else ""})
    return pd.DataFrame(rows)


class Frames:
    """Records of steps, given as frames."""

    def __init__(self, **frames):
        self.shards = frames

    def __call__(self, step):
        return self.shards[step].copy()


RECORDS = Frames(recorded=make_recorded())


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_rows_and_says_where_they_come_from(name, table_of):
    table, paper = table_of(name, RECORDS), load_paper("gitchameleon")
    assert len(table) and set(table.source) <= {"measured", "reported"}
    assert not set({**paper.tables, **paper.figures}[name].all_columns()) - set(table)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_its_table(name, table_of):
    with paper_style():
        figure = paper_functions("gitchameleon", "figures")[name](table_of(name, RECORDS))
        figure.canvas.draw()
        drawn = [ax for ax in figure.axes if ax.lines or ax.patches or ax.collections]
    assert drawn


def test_errors_are_counted_over_problems_that_both_protocols_answered(table_of):
    table = table_of("fig8_errors", RECORDS).set_index(["source", "tests", "error"])
    row = table.loc["measured", "visible", "TypeError"]
    assert (row.greedy, row.selfdebug) == (3, 1) and row.reduction_percent == pytest.approx(100 * 2 / 3)
    assert table.loc["measured", "hidden", "AssertionError"].greedy == 5
    assert table.loc["reported", "hidden", "HTTPError"].reduction_percent == 68.1


def test_agreement_is_over_common_problems(table_of):
    table = table_of("fig13_agreement", RECORDS).set_index(["source", "tests", "system", "other"])
    pair = table.loc["measured", "hidden", "GPT-4o, greedy", "GPT-4o, self-debug"]
    assert (pair.n, pair.agreement) == (9, pytest.approx(1 - 3 / 9))
    assert table.loc["measured", "hidden", "GPT-4o, greedy", "GPT-4o, greedy"].agreement == 1
    assert ("measured", "hidden", "GPT-4o, self-debug", "GPT-4o, greedy") not in table.index
    assert table.loc["reported", "hidden", "least", "-"].agreement.min() == 0.56


def test_rates_of_answers_are_over_their_verdicts_with_the_published_beside(table_of):
    table = table_of("tab_answers", RECORDS).set_index(["problems", "tests", "model", "protocol"])
    row = table.loc["recorded", "hidden", "GPT-4o", "greedy"]
    assert (row.n, row.passed, row.percent, row.published) == (10, 4, 40, 49.1) and row.low < 40 < row.high
    assert table.loc["shared by all", "visible", "GPT-4o", "selfdebug"].published == 72.3
    assert (row.num_empty, row.num_foreign) == (0, 0)
    common = table.loc["shared by all", "hidden"]
    assert common.n.tolist() == [9, 9] and common.passed.tolist() == [4, 7]


def test_systems_are_compared_on_the_problems_that_all_have(table_of):
    table = table_of("fig11_libraries", RECORDS).set_index(["source", "tests", "system", "library"]).sort_index()
    assert set(table.index.get_level_values("library")) == {"all", "torch"}  # numpy has four of the nine
    ours = table.loc["measured", "hidden", "GPT-4o, greedy"]
    assert (ours.n["torch"], ours.passed["torch"]) == (5, 2) and (ours.n["all"], ours.passed["all"]) == (9, 4)


@pytest.mark.parametrize(("name", "column"), [("fig10_years", "year"), ("fig11_libraries", "library")])
def test_what_is_published_over_all_problems_stands_beside_ours_over_all(table_of, name, column):
    table = table_of(name, RECORDS)
    theirs = table[table.source == "reported"].set_index(["tests", "system"])
    assert set(theirs[column]) == {"all"} and set(theirs.n) == {328} and theirs.passed.isna().all()
    row = theirs.loc["hidden", "GPT-4o, greedy"]
    assert (row.percent, row.low, row.high) == pytest.approx((49.1, 49.1 - 1.96 * 2.8, 49.1 + 1.96 * 2.8))


def test_a_published_range_has_no_value_and_a_mark_of_its_own(table_of):
    table = table_of("fig7_categories", RECORDS)
    theirs = table[table.source == "reported"]
    assert theirs.percent.isna().all() and (theirs.low < theirs.high).all() and len(theirs) == 4
    table.loc[table.perf_category == "Semantics", "perf_category"] = "Argument"  # whose panel the records have
    with paper_style():
        figure = paper_functions("gitchameleon", "figures")["fig7_categories"](table)
    drawn = [line for ax in figure.axes for line in ax.lines if line.get_label() == "hidden tests, published range"]
    assert [tuple(line.get_xdata()) for line in drawn] == [(55, 65), (60, 80)]
    assert "hidden tests, published range" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_ranges_of_agreement_are_over_pairs_of_systems(table_of):
    table = (
        table_of("fig13_agreement", RECORDS).query("other == '-'").set_index(["source", "tests", "protocol", "system"])
    )
    table = table.sort_index()
    ends = table.agreement.loc["measured", "hidden", "all"]
    assert ends.to_dict() == pytest.approx(
        {"least": 1 - 3 / 9, "largest": 1 - 3 / 9}
    )  # one pair; none of two self-debugged
    assert "selfdebug" not in table.loc["measured"].index.get_level_values("protocol")


def test_protocols_of_a_model_are_compared_in_pairs(table_of):
    table = table_of("tab_paired", RECORDS).set_index(["tests", "model", "protocol"])
    hidden, visible = (table.loc[tests, "GPT-4o", "selfdebug"] for tests in ("hidden", "visible"))
    assert (hidden.n, hidden.only_this, hidden.only_greedy, hidden.mcnemar_p) == (9, 3, 0, 0.25)
    assert (visible.n, visible.only_this, visible.only_greedy, visible.mcnemar_p) == (9, 2, 0, 0.5)
    assert hidden.difference == pytest.approx(100 * 3 / 9) and hidden.low <= hidden.difference <= hidden.high


def test_what_a_build_has_run_takes_the_place_of_what_is_recorded(table_of):
    run = make_recorded().query("tests == 'visible'").assign(verdict="pass", flags="", exception="")
    run.loc[run.example_id == 5, "verdict"] = "env-missing"
    run.loc[run.example_id == 7, "verdict"] = "foreign"
    run.loc[run.example_id == 6, "verdict"] = "no-answer"
    table = table_of("tab_answers", Frames(recorded=make_recorded(), answers=run))
    table = table.set_index(["problems", "tests", "model", "protocol"])
    row = table.loc["recorded", "visible", "GPT-4o", "greedy"]
    assert (row.passed, row.num_foreign, row.num_empty) == (8, 1, 1)  # 5 could not be run and had passed
    assert table.loc["recorded", "hidden", "GPT-4o", "greedy"].passed == 4


def test_gaps_are_over_problems_with_all_four_verdicts(table_of):
    table = table_of("fig6_gap", RECORDS)
    (row,) = table[table.source == "measured"].itertuples()
    assert (row.system, row.n) == ("GPT-4o", 9)
    assert row.gain == pytest.approx(100 * 3 / 9) and row.gap_after == pytest.approx(100 * (8 - 7) / 9)


def make_problem(id: int, pin: str) -> Problem:
    return Problem(
        example_id=id,
        python_version="3.10",
        library="lib",
        version=pin,
        problem="Do it.",
        starting_code="def solve(x):\n",
        solution=f"    return x  # {pin}\n",
        test="assert solve(1) == 1",
        type_of_change="new feature",
        api_calls=[],
        release_date="2021-01",
        docs=[],
    )


OLD, NEW = make_problem(3, "1.0"), make_problem(4, "2.0")


@pytest.fixture
def recorded_runs(tmp_path):
    """A file with the old problem's reference, and the new one's under the old one's tests."""
    lines = ["example_id,code_id,hidden,visible,visible_exception,visible_date"]
    lines += [
        f"3,{code_id(OLD.answer)},pass,pass,,2026-11-29",
        f"3,{code_id(NEW.answer)},pass,fail-exception,TypeError,",
        f"3,{code_id('no record of it')},pass,,,",
    ]
    file = tmp_path / "runs.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return RecordedVerdicts(file)


def test_recorded_verdicts_answer_for_the_programs_that_they_name(recorded_runs):
    solutions = [Solution(3, text, text) for text in (NEW.answer, "other", "no record of it")]
    known, other, half = recorded_runs.evaluate([OLD], solutions)
    assert (known["hidden"], known["visible"], known["visible_exception"]) == ("pass", "fail-exception", "TypeError")
    assert (known["hidden_passed"], known["visible_passed"]) == (True, False)
    assert (other["hidden"], other["visible"], other["visible_exception"]) == (None, "env-missing", "not recorded")
    assert (half["hidden"], half["visible"], half["visible_exception"]) == ("pass", "env-missing", "not recorded")


def test_recorded_pairs_have_visible_verdicts_alone(recorded_runs):
    suite = Suite(name="benchmark", systems=["reference"], wall_seconds=60, memory_mb=512, recorded=True)
    first, second = pairs.rows_of(suite, recorded_runs, [OLD, NEW])
    assert (first["tests_id"], first["hidden"], first["visible"]) == (3, None, "fail-exception")
    assert (second["tests_id"], second["hidden"], second["visible"]) == (4, None, "env-missing")
    table = failing_pairs(pd.DataFrame([first, second]), references([OLD, NEW]))
    assert table[["tests", "num_pairs", "num_run", "num_failed"]].to_numpy().tolist()[0] == ["visible", 2, 1, 1]


def references(problems):
    ids = [p.example_id for p in problems]
    return pd.DataFrame({"suite": "benchmark", "example_id": ids, "hidden": "pass", "visible": "pass"})


def test_an_empty_answer_is_none_and_another_problems_answer_is_foreign(tmp_path, monkeypatch):
    folder = tmp_path / "gitchameleon_outputs"
    folder.mkdir()
    rows = [{"example_id": 3, "answer": ""}, {"example_id": 4, "answer": "def other():\n    pass\n"}]
    (folder / "greedy_m.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path))
    answers, foreign = read_answers("greedy_m", [OLD, NEW])
    assert [(a.example_id, a.code) for a in answers] == [(3, "")] and foreign == [4]
