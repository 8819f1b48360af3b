"""Tables of scripted solvers from small records with known answers."""

import pandas as pd
import pytest

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.metrics import scoring
from papers.gitchameleon.metrics.comparison import standard_error_percent
from shared.artifacts.paper import load_paper

CHANGES = ["argument change", "name change", "new feature", "output behaviour", "other library"]
PAPER = load_paper("gitchameleon")
TABLES = [
    name
    for name, artifact in {**PAPER.tables, **PAPER.figures}.items()
    if (artifact.source or "").startswith(("metrics.protocols.", "metrics.rates."))
] + ["tab_main", "tab_retrieval"]


def make_problem(id: int) -> Problem:
    return Problem(
        example_id=id,
        python_version="3.11",
        library=f"lib{id % 3}",
        version=("1", "1.0", "2")[id % 3],
        problem="Do it.",
        starting_code="import lib\ndef solve(x):\n",
        solution="    return lib.go(x)\n",
        test="assert solve(1) == 1",
        type_of_change=CHANGES[id % 5],
        api_calls=["lib.go"] if id % 2 else [],
        release_date=f"{2021 + id % 4}-01",
        docs=[f"https://docs/{id}", "https://docs/all/"],
    )


PROBLEMS = [make_problem(i) for i in range(10)]


def results(passing: set[int], visible: set[int], trace: str = "TypeError: no") -> list[dict]:
    """Rows as `evaluate` writes them; problem 9 has none."""
    return [
        {
            "example_id": p.example_id,
            "code": p.answer if p.example_id != 8 else "def broken(:",
            "hidden": "pass" if p.example_id in passing else "fail-exception",
            "hidden_trace": "" if p.example_id in passing else trace,
            "visible": "pass" if p.example_id in visible else "fail-assert",
        }
        for p in PROBLEMS[:9]
    ]


def make_scores() -> pd.DataFrame:
    rows = []
    for system, shift in (("one", 0), ("two", 1)):
        runs = {
            "greedy": results({0, 1, 2 + shift}, {0, 1, 2, 3}),
            "selfdebug": results(set(range(5 + shift)), set(range(8)), "AssertionError"),
            "rag_k1": results({0, 1}, {0}),
            "rag_k3": results({0, 1, 2, 3, 4}, {0}),
            "no_version": results({0}, {0}),
            "agent": results({0}, {0}),
            "agent_sandbox": results({0, 5}, {0}),
        }
        for protocol, found in runs.items():
            rows += scoring.score_rows(PROBLEMS, found, suite="mini", system=system, protocol=protocol)
        for seed in (1, 2):
            found = results(set(range(seed)), set())
            rows += scoring.score_rows(PROBLEMS, found, suite="mini", system=system, protocol="temperature", seed=seed)
    return pd.DataFrame(rows)


def make_records():
    found = {p.example_id: [p.docs[0].upper(), "x", "y"] for p in PROBLEMS}
    retrieval = [
        row for k in (1, 3) for row in scoring.retrieval_rows(PROBLEMS, found, suite="mini", retriever="BM25", k=k)
    ]
    frames = {
        "scores": make_scores(),
        "retrieve": pd.DataFrame(retrieval),
    }
    return lambda step: frames[step].copy()


RECORDS = make_records()


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_rows_and_says_where_they_come_from(name, table_of):
    table, paper = table_of(name, RECORDS), load_paper("gitchameleon")
    assert len(table) and set(table.source) <= {"measured", "reported"}
    assert not set({**paper.tables, **paper.figures}[name].all_columns()) - set(table)


def test_the_rates_are_of_all_problems_also_unanswered_ones(table_of):
    table = table_of("tab_main", RECORDS).set_index(["source", "system", "protocol"])
    row = table.loc["measured", "one", "greedy"]
    assert (row.n, row.hidden, row.visible, row.gap, row.num_missing) == (10, 30, 40, 10, 1)
    assert row.hidden_se == pytest.approx(standard_error_percent(30, 10))
    assert row.hidden_low < 30 < row.hidden_high
    # problem 8 does not parse; of the other nine, 9 has no answer and is a miss
    assert row.api_published == pytest.approx(100 * 8 / 9) and row.api_strict == 80


def test_published_rows_stand_beside_measured_ones(table_of):
    table = table_of("tab_main", RECORDS).set_index(["source", "system", "protocol"])
    assert table.loc["reported", "GPT-4o", "greedy"].hidden == 49.1
    assert table.loc["reported", "o1", "selfdebug"].gap == pytest.approx(11.0)
    assert pd.isna(table.loc["reported", "GPT-4o", "cot"].visible)
    assert len(table.loc["reported"]) == 21 + 20 + 20  # codex-mini lacks self-debug, o4-mini CoT


def test_seeds_are_averaged_with_their_spread(table_of):
    table = table_of("tab_temperature", RECORDS)
    row = table[(table.source == "measured") & (table.system == "one")].iloc[0]
    assert (row.num_seeds, row.success) == (2, 15) and row.success_std == pytest.approx(50**0.5)


def test_comparisons_count_what_only_one_protocol_solves(table_of):
    table = table_of("tab_comparisons", RECORDS).set_index(["system", "protocol"])
    row = table.loc["two", "selfdebug"]
    assert (row.only_this, row.only_greedy, row.difference, row.mcnemar_p) == (3, 0, 30, 0.25)
    assert row.low <= 30 <= row.high


def test_retrieval_is_averaged_with_its_error(table_of):
    table = table_of("tab_retrieval", RECORDS).set_index(["source", "retriever", "k"])
    row = table.loc["measured", "BM25", 3]
    assert row.precision == pytest.approx(100 / 3) and row.recall == 50 and row.hit == 100 and row.recall_se == 0
    assert table.loc["measured", "BM25", 1].precision == 100
    assert table.loc["reported", "authors' store", 3].hit == 70.1
    assert table.loc["reported", "for GPT-4.1", 3].recall == 50.1


def test_two_results_for_one_problem_are_refused():
    with pytest.raises(ValueError, match="two results for problem 0"):
        scoring.score_rows(PROBLEMS, results(set(), set()) * 2, suite="mini", system="s", protocol="greedy")
