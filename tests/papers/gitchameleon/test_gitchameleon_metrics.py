"""The API-hit visitor on snippets; simulated solvers; gains; counts of the data set."""

import math

import numpy as np
import pandas as pd
import pytest

from papers.gitchameleon.metrics.api_hit import api_hit_rates, called_names, is_hit
from papers.gitchameleon.metrics.dataset import by_library, by_logic_nodes, by_panel, counts
from papers.gitchameleon.metrics.logic_nodes import logic_nodes
from papers.gitchameleon.metrics.published import plotted_correlations, plotted_points
from papers.gitchameleon.metrics.rates import gains
from papers.gitchameleon.metrics.simulation import Verdicts, expected_after_repair, expected_success, outcomes
from papers.gitchameleon.suites.loader import load_suite


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import numpy as np\nnp.linalg.norm(x)", {"numpy.linalg.norm"}),
        ("from a import b as c\nc()", {"a.b"}),
        ("from a import b\nb.c()", {"a.b.c"}),
        ("import os.path\nos.path.join()", {"os.path.path.join"}),  # the published rule, see _aliases
        ("import a.b as c\nc.d()", {"a.b.d"}),
        ("f()()", {"f"}),
        ("x().y()", {"x", "y"}),
        ("(lambda: g())()", {"g"}),
        ("@d(1)\ndef f(): pass", {"d"}),
        ("def f():\n    import m as n\n    n.g()", {"m.g"}),
        ("from m import *\ng()", {"g"}),
        ("x[0].y.z()", {"y.z"}),
        ("from . import a\na()", {"a"}),
        ("class C(B()):\n    x = f()", {"B", "f"}),
        ("x = 1", set()),
    ],
)
def test_called_names(code, names):
    assert called_names(code) == names


def test_an_answer_that_does_not_parse_is_a_miss_or_left_out():
    assert is_hit("def (", ["a"]) is None and is_hit("x", []) is True and is_hit("a()", ["a", "b"]) is False
    rates = api_hit_rates([True, False, None, None])
    assert (rates["published"], rates["strict"]) == (0.5, 0.25)


def test_references_of_the_suites_call_what_they_name():
    for problem in (*load_suite("builtin"), *load_suite("mini")):
        # the published rule misnames what is imported as `import a.b`
        assert is_hit(problem.answer, problem.api_calls) or "import packaging.version" in problem.answer, problem.task


def test_a_lone_library_call_has_no_logic_nodes():
    assert logic_nodes("import m\ndef f(x):\n    return m.g(x)") == 0
    assert logic_nodes("import m\ndef f(x):\n    return m.g(m.h(x.i()))") == 3
    assert logic_nodes("def f(x):\n    return x + 1\ndef g(x):\n    return f(x)") == 2


def verdicts() -> Verdicts:
    wrong = np.array([True, False, False, False])
    right = np.ones(4, bool)
    return Verdicts(right, wrong, right, wrong)


def test_simulated_solvers_meet_their_closed_forms():
    for q in (0.0, 0.3, 1.0):
        for r in (0.0, 0.5, 1.0):
            result = outcomes(verdicts(), q, r, seeds=2000, seed=0)
            for name, expected in (
                ("hidden", expected_success(verdicts(), q)),
                ("hidden_after", expected_after_repair(verdicts(), q, r)),
            ):
                error = result[name].std(ddof=1) / math.sqrt(2000)
                assert abs(result[name].mean() - expected) <= 4 * error + 1e-12
    # w = 1 for one problem of four, and everything that fails fails visibly: p + (1 - p) r
    assert expected_success(verdicts(), 0.5) == 0.625
    assert expected_after_repair(verdicts(), 0.5, 0.5) == pytest.approx(0.625 + 0.375 * 0.5)


def test_one_more_seed_does_not_change_the_others():
    few, many = (outcomes(verdicts(), 0.5, 0.5, seeds, 0)["hidden"] for seeds in (10, 20))
    assert np.array_equal(few, many[:10])


def test_a_gain_is_clear_beyond_1_96_errors_of_the_difference_and_needs_both():
    table = pd.DataFrame(
        [("a", "no", 40.0), ("a", "yes", 45.5), ("b", "no", 40.0), ("b", "yes", 45.6), ("c", "no", 40.0)],
        columns=["system", "variant", "success"],
    ).assign(source="reported", suite="benchmark", success_se=2.0)
    found = gains(table, "variant", "yes", "no").set_index("system")  # 1.96 sqrt(8) = 5.54
    assert found.gain.to_dict() == {"a": 5.5, "b": 5.6} and found.clear.to_dict() == {"a": False, "b": True}


def test_the_published_coefficients_are_of_the_plotted_points_and_not_of_the_table():
    found = plotted_correlations(plotted_points()).set_index(["benchmark", "points"])
    assert found.xs("plotted", level="points")[["spearman_off", "pearson_off"]].max().max() < 6e-4
    assert found.loc[("livecodebench", "table"), "spearman_off"] > 0.2


def described() -> pd.DataFrame:
    """Two problems of one library at two versions; only one has API calls, which its reference hits."""
    frame = pd.DataFrame(
        {
            "library": "lib", "version": ["1", "2"], "python_version": "own", "env": ["lib==1", "lib==2"],
            "upstream_env": "", "functional": [True, False], "webdev": False, "num_docs": [2, 0], "year": [2014, 2024],
            "parses": True, "reference_hits": True, "stub_hits": [False, True], "num_api_calls": [1, 0],
            "stub_parses": [True, False],
            "logic_nodes": [7, 1], "stats_category": ["Argument", "Other"], "perf_category": ["Argument", "none"],
        }
    )  # fmt: skip
    return frame.assign(dataset="mini", read_from="own suites")


def test_counts_of_the_data_set_are_of_problems():
    table = counts(described()).set_index("quantity")["count"]
    assert table[["problems", "libraries", "library versions", "environments", "documents"]].tolist() == [2, 1, 2, 2, 2]
    assert table[["released 2014 to 2023", "released later", "without API calls"]].tolist() == [1, 1, 1]
    assert table["references with fewer than 5 logic nodes"] == 1 == table["stubs that parse"]
    assert (table["category Argument (Figure 4b)"], table["category none (Figure 7)"]) == (1, 1)


@pytest.mark.parametrize("table", [by_panel, by_library, by_logic_nodes])
def test_tables_of_the_data_say_which_file_was_read(table):
    for source in ("public file", "described.csv"):
        assert set(table(described().assign(read_from=source, example_id=[0, 1])).problems) == {source}


def test_groups_of_a_panel_sum_to_the_problems():
    table = by_panel(described())
    assert (
        set(table.problems) == {"own suites"} == set(table.dataset)
        and table.groupby("panel")["count"].sum().eq(2).all()
    )
