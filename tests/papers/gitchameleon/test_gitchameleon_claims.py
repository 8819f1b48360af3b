"""Claims on small tables with known verdicts: each can hold and can fail."""

import pandas as pd
import pytest

from papers.gitchameleon import claims
from shared.artifacts.checks import verdict_of


def verdict(claim, *tables) -> str:
    return verdict_of(claim.claim.findings(**dict(zip(claim.claim.parameters, tables, strict=True))))


def frame(columns: str, *rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


VALIDATION = frame(
    "suite num_problems num_run hidden_passed visible_passed", ("mini", 4, 4, 4, 4), ("benchmark", 100, 99, 0, 97)
)
SWAP = frame("tests code outcome as_expected", ("old", "old", "pass", True), ("old", "new", "fail-exception", True))
PAIRS = frame("suite tests change num_pairs num_run num_failed", ("benchmark", "visible", "all", 148, 147, 145))
SYSTEMS = frame(
    "suite system passed strict_percent",
    ("mini", "reference", 4, 100),
    ("mini", "version-blind", 1, 0),
    ("mini", "newest", 2, 50),
    ("mini", "oldest", 3, 50),
)
SOLVERS = pd.DataFrame(
    {
        "suite": "mini",
        "quality": [0.5, 1.0],
        "repair_rate": 0.5,
        "overfit_rate": 0.0,
        "visible_percent": [50.5, 100],
        "visible_after_percent": [75.0, 100],
        "hidden_percent": [50.5, 100],
        "expected_percent": [50.0, 100],
        "standard_error_percent": [1.0, 0],
        "hidden_after_percent": [75.0, 100],
        "standard_error_after_percent": [1.0, 0],
        "num_seeds": 50,
    }
)
OVERFITTING = pd.concat(
    [SOLVERS, SOLVERS.assign(overfit_rate=0.3, visible_after_percent=[90.0, 100])], ignore_index=True
)
FORMATTING = frame(
    "source passed_raw passed_black_isort passed_ruff changed_ruff other_verdicts pylint_raw",
    ("measured", 3, 3, 3, 4, 0, 2.0),
)
GAP = frame(
    "source system n gap_before gap_after gain gain_se widening_se",
    ("reported", "a", None, 1, 2, 10, None, None),
    ("measured", "b", 99, 5, 12, 14, 2, 2),
)
ANSWERS = frame(
    "problems tests model protocol n passed percent low high published published_se",
    ("recorded", "hidden", "reference", "reference", 287, 285, 99.3, 97.5, 99.8, None, None),
    ("recorded", "hidden", "GPT-4o", "greedy", 2870, 1400, 48.8, 47.0, 50.6, 49.1, 2.8),
)
PAIRED = frame(
    "tests model protocol n only_this only_greedy difference low high mcnemar_p",
    ("visible", "a", "selfdebug", 137, 30, 5, 18.2, 10.2, 26.3, 2e-5),
)
RANKED = pd.DataFrame({"percent": range(50, 67), "published": [*range(51, 67), 50], "model": [*"abcdefghijklmnopq"]})
RANKED = RANKED.assign(problems="shared by all", tests="visible", protocol="selfdebug")
VALIDATED = frame(
    "kind suite solver measured",
    *(("sandbox", "mini", f"{n} attempts", 50 + 10 * n) for n in (1, 2, 3)),
    *(("documents", "mini", name, rate) for name, rate in (("wrong version", 20), ("none", 40), ("right", 100))),
)
AGENTS = frame(
    "source suite system variant success success_se",
    ("reported", "benchmark", "a", "no sandbox", 40, 2),
    ("reported", "benchmark", "a", "sandbox", 50, 2),
    ("measured", "mini", "b", "no sandbox", 40, 2),
    ("measured", "mini", "b", "sandbox", 50, 2),
)
RAG = frame(
    "published_in system variant success success_se",
    ("Table 4", "a", "k=3", 50, 2),
    ("Table 12", "a", "k=1", 48, None),
    ("Table 12", "a", "k=3", 50, None),
).assign(source="reported", suite="benchmark")
MAIN = frame(
    "source suite system protocol hidden hidden_se",
    ("reported", "benchmark", "a", "greedy", 45, 2),
    ("reported", "benchmark", "a", "cot", 30, 2),
)
AUDITED = frame("table column agrees", ("table1", "greedy_hidden", True), ("table8", "greedy_hidden", False))
DATASET = frame(
    "dataset quantity count reported",
    ("benchmark", "problems", 328, 328),
    ("benchmark", "released later", 0, None),
    ("benchmark", "references that hit their API calls", 277, None),
    ("benchmark", "stubs that hit their API calls", 38, None),
)

# claim, tables on which it holds, what makes it fail: table, column, row, value
CASES = [
    (claims.gt_sound, [VALIDATION, ANSWERS], (0, "hidden_passed", 0, 3)),
    (claims.gt_sound, [VALIDATION, ANSWERS], (0, "visible_passed", 1, 90)),
    (claims.gt_sound, [VALIDATION, ANSWERS], (1, "passed", 0, 200)),
    (claims.greedy_real, [ANSWERS], (0, "percent", 1, 40.0)),
    (claims.selfdebug_real, [GAP], (0, "gain", 1, -14)),
    (claims.selfdebug_visible_real, [PAIRED], (0, "mcnemar_p", 0, 0.02)),
    (claims.selfdebug_visible_real, [PAIRED], (0, ["low", "difference", "high"], 0, [-26, -18, -10])),
    (claims.visible_ranks_real, [RANKED], (0, "published", slice(None), [*range(66, 49, -1)])),
    (claims.selfdebug_real, [GAP], (0, "gap_after", 1, -8)),
    (claims.selfdebug_simulated, [OVERFITTING], (0, "visible_after_percent", 2, 75.0)),
    (claims.selfdebug_simulated, [OVERFITTING], (0, "visible_after_percent", 0, 80.0)),
    (claims.tools_and_documents_simulated, [VALIDATED], (0, "measured", 1, 55)),
    (claims.tools_and_documents_simulated, [VALIDATED], (0, "measured", 5, 30)),
    (claims.version_swap, [SWAP], (0, "as_expected", 1, False)),
    (claims.version_swap, [SWAP], (0, "outcome", 1, "pass")),
    (claims.pins_decide, [PAIRS], (0, "num_failed", 0, 50)),
    (claims.version_blind_coin_flip, [SYSTEMS, SOLVERS], (0, "strict_percent", 2, 75)),
    (claims.version_blind_coin_flip, [SYSTEMS, SOLVERS], (0, "passed", 3, 2)),
    (claims.version_blind_coin_flip, [SYSTEMS, SOLVERS], (1, "hidden_percent", 0, 54.5)),
    (claims.version_blind_coin_flip, [SYSTEMS, SOLVERS], (1, "hidden_percent", 1, 99.9)),
    (claims.format_neutral, [FORMATTING], (0, "passed_ruff", 0, 2)),
    (claims.selfdebug_up, [GAP], (0, "gain", 0, 0)),
    (claims.selfdebug_simulated, [OVERFITTING], (0, "hidden_after_percent", 0, 40.0)),
    (claims.selfdebug_gap, [GAP], (0, "gap_after", 0, 1)),
    (claims.sandbox_helps, [AGENTS], (0, "success", 1, 40)),
    (claims.rag_lift, [RAG, MAIN], (0, "success", 0, 44)),
    (claims.rag_lift, [RAG, MAIN], (0, "success", 1, 50)),
    (claims.cot_not_uniform, [MAIN], (0, "hidden", 1, 40)),
    (claims.se_binomial, [AUDITED], (0, "agrees", 0, False)),
    (claims.dataset_stats, [DATASET], (0, "count", 0, 327)),
    (claims.dataset_stats, [DATASET], (0, "count", 1, 3)),
    (claims.api_hit_ceiling, [DATASET], (0, "count", 2, 328)),
    (claims.api_hit_ceiling, [DATASET], (0, "count", 3, 0)),
]


@pytest.mark.parametrize(("claim", "tables", "change"), CASES)
def test_a_claim_holds_and_fails_where_one_value_changes(claim, tables, change):
    assert verdict(claim, *tables) == "holds"
    index, column, row, value = change
    wrong = [table.copy() for table in tables]
    wrong[index].loc[row, column] = value
    assert verdict(claim, *wrong) == "fails"


def test_a_simulated_gain_inside_its_error_is_within_noise():
    near = OVERFITTING.assign(hidden_after_percent=[51.5, 100] * 2, visible_after_percent=[51.5, 100, 90, 100])
    assert verdict(claims.selfdebug_simulated, near) == "within noise"


def test_rates_whose_interval_holds_the_threshold_are_within_noise():
    greedy = ANSWERS.assign(percent=47.4, low=41.7, high=53.2)
    assert verdict(claims.greedy_real, greedy) == "within noise"
    assert verdict(claims.pins_decide, PAIRS.assign(num_failed=81)) == "within noise"


def test_correlations_are_those_that_are_published(table_of):
    points = table_of("fig3_correlation", None)
    assert verdict(claims.bench_corr, points) == "holds"
    assert verdict(claims.bench_corr, points.assign(plotted_percent=points.table_percent)) == "fails"
