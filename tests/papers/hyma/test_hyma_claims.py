"""Claims that need several rows altered at once, on tables made by hand; what tables compute from records."""

import numpy as np
import pandas as pd
import pytest

from papers.hyma import claims
from papers.hyma.comparing import against_grid, agreements, authors, crossings, deltas, over_seeds
from papers.hyma.flops import search_flops
from papers.hyma.shapes import connector_shapes
from papers.hyma.tables import named_pairs
from shared.artifacts.checks import FAILS, HOLDS, NOISE, NOT_TESTABLE, verdict_of

SEEDS = (0, 1, 2)


def ranking(**values: float) -> pd.DataFrame:
    """Rows of two depths, three seeds and every method, equal but for a little noise."""
    usual = {"spearman": 0.95, "ndcg_minmax": 0.98, "ndcg_raw": 0.99, "random_raw_p95": 0.9, "mean_score": 0.6}
    usual |= {"regret": 0.0, "own_score": 0.9, "grid_best": 0.9, "random_raw": 0.8} | values
    rows = []
    for method in ("hyma", "short", "halving", "grid, another seed"):
        for depth in (0, 1):
            for seed in SEEDS:
                noisy = {name: value + 1e-4 * seed for name, value in usual.items()}
                rows.append({"objective": "contrastive", "method": method, "depth": depth, "seed": seed} | noisy)
    return pd.DataFrame(rows)


def changed(table: pd.DataFrame, method: str, **values: float) -> pd.DataFrame:
    table = table.copy()
    for name, value in values.items():
        own = table.method == method
        table.loc[own, name] = value + 1e-4 * table.seed[own]
    return table


def verdict(function, *tables) -> str:
    return verdict_of(list(function(*tables)))


@pytest.mark.parametrize("values", [{"spearman": 0.7}, {"ndcg_minmax": 0.8}, {"ndcg_raw": 0.85}])
def test_ranking_agrees(values):
    assert verdict(claims.ranking_agrees, ranking()) == HOLDS
    assert verdict(claims.ranking_agrees, changed(ranking(), "hyma", **values)) == FAILS


def test_short_grid_leaves_poor_connectors_at_a_fraction_of_the_cost():
    costs = pd.DataFrame({"setting": "ours", "method": "short", "depth": [0, 1], "over_hyma": [0.2, 0.3]})
    poor = changed(ranking(), "short", mean_score=0.4)
    assert verdict(claims.short_grid_leaves_poor_connectors, poor, costs) == HOLDS
    assert verdict(claims.short_grid_leaves_poor_connectors, ranking(), costs) == FAILS
    assert verdict(claims.short_grid_leaves_poor_connectors, poor, costs.assign(over_hyma=1.5)) == FAILS


def test_one_seed_has_no_ceiling():
    table = ranking()
    table = table[(table.seed == 0) & (table.method != "grid, another seed")]
    assert verdict(claims.agreement_is_at_its_ceiling, table) == NOT_TESTABLE


def test_beats_equal_budget_and_its_ceiling():
    assert verdict(claims.beats_equal_budget, changed(ranking(), "halving", own_score=0.8)) == HOLDS
    assert verdict(claims.beats_equal_budget, changed(ranking(), "halving", own_score=0.95)) == FAILS
    assert verdict(claims.agreement_is_at_its_ceiling, ranking()) == HOLDS
    assert verdict(claims.agreement_is_at_its_ceiling, changed(ranking(), "hyma", spearman=0.8)) == FAILS


def test_extension_is_cheap_with_the_noise_of_seeds():
    rows = [{"pair": p, "seed": s, "extended": 0.50 + 0.1 * p + 0.01 * s, "grid": 0.52 + 0.1 * p, "ratio": 13.0}
            for p in range(3) for s in SEEDS]  # fmt: skip
    table = pd.DataFrame(rows)
    assert verdict(claims.extension_is_cheap, table) == HOLDS
    assert verdict(claims.extension_is_cheap, table.assign(ratio=2.0)) == FAILS
    assert verdict(claims.extension_is_cheap, table.assign(extended=0.1)) == FAILS
    assert verdict(claims.extension_is_cheap, table.assign(extended=table.grid * (0.5 + 0.4 * table.seed))) == NOISE
    assert verdict(claims.extension_is_cheap, table[table.seed == 0]) == NOISE  # several pairs, but one training


def curves(hyma: list[float]) -> pd.DataFrame:
    rows = []
    for seed in SEEDS:
        for method, values, one in (("grid", [0.2, 0.5, 0.79, 0.8], 10.0), ("hyma", hyma, 2.0)):
            for step, value in enumerate(values, 1):
                rows.append({"study": "ours", "method": method, "seed": seed, "flops": one * step, "score": value})
    return pd.DataFrame(rows)


def test_curve_crosses_early():
    early, late, never = [0.5, 0.77, 0.8, 0.8], [0.1] * 9 + [0.8], [0.1, 0.2, 0.3]
    grid, hyma = 20 + 10 * (0.76 - 0.5) / (0.79 - 0.5), 2 + 2 * (0.76 - 0.5) / (0.77 - 0.5)  # between checkpoints
    assert crossings(curves(early), 0.95).fair.tolist() == pytest.approx([grid / hyma] * 3)
    assert crossings(curves(early), 0.95).whole.tolist() == pytest.approx([40 / hyma] * 3)
    assert crossings(curves([0.78, 0.8]), 0.95).whole.tolist() == pytest.approx([40 / 2] * 3)  # at the first one
    assert crossings(curves(never), 0.95).fair.tolist() == [0.0] * 3
    assert verdict(claims.curve_crosses_early, curves(early)) == HOLDS
    assert verdict(claims.curve_crosses_early, curves(late)) == FAILS
    assert verdict(claims.curve_crosses_early, curves(never)) == FAILS


def pairs(method: str, seed: int, values: list[float], depth: int = 0) -> pd.DataFrame:
    names = [(i, t) for i in ("a", "b") for t in ("x", "y")]
    frame = pd.DataFrame(names, columns=["image", "text"]).assign(score=values, method=method, seed=seed, depth=depth)
    return frame.assign(flops=1.0)


def test_the_ceiling_is_grid_search_against_its_next_seed():
    frame = pd.concat([
        pairs("grid", 0, [0.1, 0.2, 0.3, 0.4]), pairs("grid", 1, [0.1, 0.2, 0.4, 0.3]),
        pairs("hyma", 0, [0.4, 0.3, 0.2, 0.1]), pairs("hyma", 1, [0.1, 0.2, 0.4, 0.3]),
    ])  # fmt: skip
    rows = pd.DataFrame(agreements(frame, ["depth", "seed"], 7)).set_index(["method", "seed"])
    assert rows.spearman["hyma", 0] == pytest.approx(-1) and rows.spearman["hyma", 1] == pytest.approx(1)
    assert rows.spearman["grid, another seed", 0] == pytest.approx(0.8)
    assert rows.regret["hyma", 0] == pytest.approx(0.3) and rows.pick["hyma", 0] == "a + x"
    assert set(rows.num_pairs) == {4}
    one = agreements(frame[frame.seed == 0], ["depth", "seed"], 3)
    assert [row["method"] for row in one] == ["hyma"]  # a single seed has no ceiling


def test_deltas_have_the_sign_of_their_objective():
    unit = {"UniT-1": ("a", "x"), "Ask-LLM": ("b", "x")}
    up = pd.concat([pairs("grid", 0, [0.1, 0.2, 0.3, 0.4]), pairs("hyma", 0, [0.1, 0.5, 0.2, 0.2])])
    found = {row["baseline"]: row["delta"] for row in deltas(up, "contrastive", unit)}
    assert found == pytest.approx({"Random": 0.25, "Oracle": 0.1, "UniT-1": 0.4, "Ask-LLM": 0.2})
    down = up.assign(score=-up.score)  # perplexities 0.1 ... 0.4, the score is minus them
    found = {row["baseline"]: row["delta"] for row in deltas(down, "captioning", unit)}
    assert found == pytest.approx({"Random": 0.1 - 0.25, "Oracle": 0.0, "UniT-1": 0.0, "Ask-LLM": -0.2})


def test_a_recorded_answer_becomes_a_baseline():
    search = pd.DataFrame({"part": ["scores", "asked"], "image": ["a", "b"], "text": ["x", "y"]})
    found = named_pairs({"contrastive": ("a", "x"), "captioning": ("a", "m")}, lambda step: search)
    assert found == {"contrastive": {"UniT-1": ("a", "x"), "Ask-LLM": ("b", "y")}, "captioning": {"UniT-1": ("a", "m")}}
    assert "Ask-LLM" not in named_pairs({"contrastive": ("a", "x")}, lambda step: search[:1])["contrastive"]


def test_agreement_with_grid_search_uses_the_same_pairs_and_seed():
    grid = pd.concat([pairs("grid", s, [0.1, 0.2, 0.3, 0.4 + s]) for s in (0, 1)])
    own = pd.concat([pairs("hyma", s, [0.4, 0.3, 0.2, 0.1]) for s in (0, 1)])
    few = own[own.image == "a"].assign(num_pairs=2)
    rows = against_grid(few, grid, ["num_pairs", "depth"])
    assert rows.spearman.tolist() == pytest.approx([-1, -1]) and rows.grid.tolist() == pytest.approx([0.15, 0.15])
    table = over_seeds(rows, ["depth"], ["hyma"])
    assert table.hyma_error.iloc[0] == 0 and table.num_seeds.iloc[0] == 2


def test_spread_over_seeds_is_the_standard_error_of_the_mean():
    rows = pd.DataFrame({"depth": [0] * 4 + [1] * 2, "hyma": [1.0, 2.0, 3.0, 6.0, 5.0, 5.0]})
    table = over_seeds(rows, ["depth"], ["hyma"]).set_index("depth")
    assert table.hyma.tolist() == [3.0, 5.0] and table.hyma_error[1] == 0
    assert table.hyma_error[0] == pytest.approx((14 / 3 / 4) ** 0.5)  # squares 4, 1, 0, 9 around the mean


def test_the_authors_grid_costs_what_the_formula_gives_for_27_pairs():
    rows = pd.DataFrame(authors()).set_index(["setting", "depth", "method"]).flops
    total = sum(rows["authors'", depth, "grid"] for depth in (0, 1, 2))
    assert total == pytest.approx(24.9e15, rel=2e-3)
    assert rows["authors'", 0, "grid"] == pytest.approx(7.47e15, rel=1e-3)
    widths = [connector_shapes(0, t, i, 1024) for i in (384, 768, 1024) for t in (384, 768, 1024) for _ in range(3)]
    assert rows["authors'", 0, "matched"] == search_flops(widths, 512, 10_900, None, None)
    curve = rows["authors' curve, one epoch"].droplevel(0)
    assert np.round(curve / 1e12, 2).to_dict() == {"grid": 48.63, "matched": 7.9, "hyma": 10.07}
