"""The audit finds what is known to be inconsistent in the published tables, and nothing where they are right."""

import pytest

from papers.gitchameleon.metrics import audit, published
from papers.gitchameleon.metrics.comparison import standard_error_percent
from papers.gitchameleon.metrics.tracebacks import DRAWN

FOUND = audit.findings().set_index(["check", "subject"])


def test_108_of_136_errors_of_table_1_are_binomial():
    entries = published.se_audit()
    table = entries[entries.table == "table1"]
    assert (len(table), table.agrees.sum()) == (136, 108)
    by_protocol = table.groupby(table.column.str.partition("_")[0]).agrees.sum()
    assert by_protocol.to_dict() == {"greedy": 47, "selfdebug": 31, "cot": 30}
    worst = table[(table.row == "GPT-4.1-mini") & (table.column == "cot_hidden")].iloc[0]
    assert worst.standard_error == 1.8 and worst.binomial == pytest.approx(2.36, abs=0.005) and not worst.agrees


def test_34_entries_of_table_1_are_no_count_of_problems():
    entries = published.se_audit()
    assert (~entries[entries.table == "table1"].is_count).sum() == 34


def test_a_percentage_is_a_count_exactly_if_rounding_gives_it():
    printed = {round(100 * k / 328, 1) for k in range(329)}
    for tenth in range(1001):
        assert published.is_count(tenth / 10) == (tenth / 10 in printed), tenth


def test_every_row_rises_and_widens_its_gap_under_self_debug():
    changes = published.selfdebug_changes()
    assert len(changes) == 20 and (changes.gap_after > changes.gap_before).all()
    gains = changes.gain.sort_values().round(1)
    assert list(gains[:2]) == [6.4, 11.3] and gains.index[0] == "o1" and gains.iloc[-1] == 33.9


def test_the_sandbox_lowers_one_cell_of_nine():
    gains = published.sandbox_gains()
    assert len(gains) == 9 and list(gains[gains <= 0].index) == ["Gemini 1.5 Pro, Perplexity"]


def test_three_documents_do_not_beat_one_in_almost_all_cases():
    assert FOUND.loc[("three documents beat one", "Table 12")].recomputed == "12 of 19 up, 1 same, 6 down"


def test_the_points_as_drawn_give_the_published_coefficients_and_the_tables_others():
    found = published.bench_correlations().set_index(["points", "benchmark"])
    drawn, tables = found.loc["as drawn"], found.loc["from the tables"]
    assert list(drawn.n) == [9, 7] and list(tables.n) == [9, 6]
    assert drawn.spearman.round(3).to_list() == [0.550, 0.214]
    assert drawn.pearson.round(3).to_list() == [0.675, 0.130]
    assert tables.spearman.round(3).to_list() == [0.550, 0.486]
    assert tables.pearson.round(3).to_list() == [0.685, 0.196]


def test_recomputed_correlations_of_api_hits_are_kept_beside_the_published_ones():
    rows = FOUND.loc["API hit against success"]
    assert not rows.agrees.any()
    assert rows.recomputed["greedy"] == "r = 0.435, N = 21" and rows.published["greedy"] == "r = 0.392, N = 19"
    assert rows.recomputed["zero-shot CoT"] == "r = 0.504, N = 20"
    assert rows.recomputed["self-debug"] == "r = 0.552, N = 20"


def test_text_and_tables_differ_where_they_are_known_to():
    rows = FOUND.loc["text against table"]
    wrong = {"GPT-4.1", "Claude 3.7 Sonnet", "Gemini 2.0 Flash"}
    expected = {f"{m}, selfdebug visible" for m in wrong} | {"o3-mini, greedy hidden"}
    assert set(rows[~rows.agrees].index) == expected


def test_only_the_two_suspect_rows_of_table_3_share_their_numbers():
    assert FOUND.loc["rows differ"].index.to_list() == ["Table 3, Cline, GPT-4.1 and Cline, GPT-4.1-nano"]


def test_findings_are_marked_reported_and_complete():
    assert set(FOUND.source) == {"reported"} and FOUND.published.str.len().min() > 0
    assert FOUND.index.is_unique


def test_reported_numbers_are_the_printed_ones():
    # five spot checks over the shapes of the printed tables, and all reductions of Figure 8
    assert published.reported()("table1", "Gemini 2.0 Flash", "selfdebug_hidden_se") == 2.7
    assert published.reported()("table2", "GPT-4o, Grounded Gemini", "success_with_sandbox") == 50.0
    assert published.reported()("table4", "Nova Pro", "mrr") == 0.60
    assert published.reported()("table11", "GPT-4.1-mini", "change") == -2.1
    assert published.reported()("table9", "Gemini 2.5 Pro", "success_std") == 3.4
    assert published.reported().table("fig8").row.to_list() == list(DRAWN)
    assert standard_error_percent(70.4) == pytest.approx(2.52, abs=0.005)
