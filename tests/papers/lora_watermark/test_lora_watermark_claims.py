"""Claims on tables made by hand: each holds on one and fails on another."""

import pandas as pd
import pytest

from papers.lora_watermark import claims, tables
from papers.lora_watermark.summaries import means_over_seeds, shares_of_scores
from shared.artifacts.checks import FAILS, HOLDS, NOISE, verdict_of


class Own:
    """Settings as far as claims read them."""

    class language:
        class evaluation:
            attacked = ("dual 0.1",)

        class training:
            num_response, num_steps = 50, 100


def robust(aucs: list[float], error: float = 0.01) -> pd.DataFrame:
    rows = {"strength": [0.05, 0.1, 0.2, 0.5], "auc": aucs, "auc_error": error, "num_seeds": 3}
    return pd.DataFrame(rows | {"world": "language", "attack": "substitution"})


@pytest.mark.parametrize(
    ("aucs", "verdict"),
    [([0.95, 0.9, 0.8, 0.6], HOLDS), ([0.95, 0.5, 0.4, 0.3], FAILS), ([0.7, 0.9, 0.9, 0.9], FAILS)],
)
def test_decay_needs_an_order_and_a_tenth_that_is_still_found(aucs, verdict):
    assert verdict_of(list(claims.wm_robust_decay(robust(aucs)))) == verdict


def test_decay_with_noise_as_large_as_the_distance_decides_nothing():
    assert verdict_of(list(claims.wm_robust_decay(robust([0.95, 0.7, 0.65, 0.6], error=0.1)))) == NOISE


def quality(nll: float, distinct: float, variant: str = "dual 0.1") -> pd.DataFrame:
    rows, spread = [], {"base_nll_spread": 0.25}
    for seed in range(3):
        same = {"data": "docstrings", "variant": variant, "eps": 0.1, "seed": seed}
        rows.append(same | {"texts": "base", "base_nll": 2.0 + 0.01 * seed, "distinct_2": 0.4} | spread)
        spread["matched_auc"] = 0.8 + 0.001 * seed
        rows.append(same | {"texts": "watermarked", "base_nll": nll + 0.012 * seed, "distinct_2": distinct} | spread)
    return pd.DataFrame(rows)


def found(auc: float) -> pd.DataFrame:
    rows = [
        {"variant": "NLL too 0.1", "data": "d", "eps": 0.1, "seed": seed, "auc": auc + 0.001 * seed}
        for seed in range(3)
    ]
    return pd.DataFrame(rows).assign(untrained_auc=0.4)


@pytest.mark.parametrize(("nll", "distinct", "verdict"), [(1.8, 0.39, HOLDS), (1.2, 0.39, FAILS), (1.8, 0.2, FAILS)])
def test_collapse_is_low_entropy_or_few_pairs(nll, distinct, verdict):
    assert verdict_of(list(claims.wm_no_collapse(quality(nll, distinct), Own))) == verdict
    with_nll = quality(nll, distinct, variant="NLL too 0.1")
    assert verdict_of(list(claims.wm_without_collapse(with_nll, found(0.9), Own))) == verdict
    assert verdict_of(list(claims.wm_without_collapse(with_nll, found(0.5), Own))) == FAILS
    assert not list(claims.wm_no_collapse(with_nll, Own))  # each judges its own variants


def roles(pair: float, alone: float, observer: float = 0.5) -> pd.DataFrame:
    rows = []
    for seed in range(5):
        for k, rise in enumerate((0.01, 0.05, 0.1)):
            for role, auc in (("pair", pair), ("performer only", alone), ("observer only", observer)):
                value = auc + 0.05 * k + 0.001 * seed * (role == "pair") if role != "observer only" else auc
                rows.append({"roles": role, "eps": rise, "seed": seed, "auc": value, "rise_performer": rise})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "verdict"), [(roles(0.8, 0.7), HOLDS), (roles(0.6, 0.7), FAILS), (roles(0.8, 0.7, 0.6), FAILS)]
)
def test_the_pair_is_compared_at_equal_rise(table, verdict):
    table = table.assign(auc=table.auc + 1e-6 * table.seed)
    assert verdict_of(list(claims.wm_pair_needed(table))) == verdict


def test_the_untrained_pair_is_judged_on_its_own_text_and_zero_shot_on_the_watermarked():
    rows = [
        ("watermarked", "own pair", 16, 0.9),
        ("watermarked", "own pair", 8, 0.7),
        ("base", "own pair", 16, 0.6),
        ("base", "untrained pair", 16, 0.3),
        ("watermarked", "untrained pair", 16, 0.8),
        ("watermarked", "likelihood ratio", 16, 0.95),
    ]
    detection = pd.DataFrame(rows, columns=["texts", "scorer", "length", "auc"])
    detection = detection.assign(data="docstrings", variant="dual 0.1", seed=0, full=detection.length == 16)
    one = {"data": "docstrings", "variant": "dual 0.1", "seed": 0, "texts": "watermarked"}
    looks = pd.DataFrame([one | {"rise_performer": 0.1, "rise_observer": 0.2}])

    row = tables.tab_main_seeds(detection, looks).iloc[0]
    assert (row.auc, row.untrained_auc, row.zero_shot_auc, row.llr_auc) == (0.9, 0.3, 0.8, 0.95)
    assert (row.tokens, row.rise_performer) == (16, 0.1)


def kinds(watermarked: float, base: float) -> pd.DataFrame:
    rows = []
    for seed in range(3):
        same = {"variant": "dual 0.1", "scorer": "own pair", "seed": seed, "flagged": 0.0}
        rows += [same | {"texts": "watermarked", "auc": watermarked + 0.01 * seed}]
        rows += [same | {"texts": "base", "auc": base}, same | {"texts": "other seed", "auc": 0.5}]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("watermarked", "base", "verdict"), [(0.9, 0.4, HOLDS), (0.4, 0.9, FAILS), (0.9, 0.8, FAILS)])
def test_text_of_the_base_has_to_be_found_less(watermarked, base, verdict):
    assert verdict_of(list(claims.wm_specific(kinds(watermarked, base), Own))) == verdict


@pytest.mark.parametrize(
    ("aucs", "verdict"), [([0.6, 0.8, 0.9], HOLDS), ([0.9, 0.8, 0.6], FAILS), ([0.6, 0.95, 0.8], FAILS)]
)
def test_the_tradeoff_is_an_order_and_a_span(aucs, verdict):
    rows = [
        {
            "roles": "pair",
            "variant": f"dual {eps}",
            "data": "d",
            "eps": eps,
            "seed": seed,
            "auc": auc + 0.001 * seed * eps,
        }
        for eps, auc in zip((0.05, 0.1, 0.2), aucs, strict=True)
        for seed in range(3)
    ]
    table = pd.DataFrame(rows)
    assert verdict_of(list(claims.wm_tradeoff(table, table))) == verdict


@pytest.mark.parametrize(("worst", "verdict"), [(0.7, HOLDS), (0.85, FAILS)])
def test_one_detector_above_the_oracle_is_enough(worst, verdict):
    rows = [
        {"roles": roles, "eps": 0.1, "seed": seed, "auc": auc + 0.001 * seed, "llr_auc": 0.8, "bound": 0.9}
        for roles, auc in (("pair", 0.6), ("performer only", worst))
        for seed in range(3)
    ]
    assert verdict_of(list(claims.wm_below_oracle(pd.DataFrame(rows)))) == verdict


def lengths(gain: float) -> pd.DataFrame:
    rows = []
    for world, variant, eps in (("bigram", "dual", 0.05), ("language", "dual 0.1", 0.1)):
        for k, length in enumerate((8, 12, 16, 32)):
            for seed in range(3):
                auc = 0.6 + gain * k + 0.001 * seed * k
                rows.append(
                    {"world": world, "variant": variant, "eps": eps, "seed": seed, "length": length, "auc": auc}
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("gain", "verdict"), [(0.05, HOLDS), (-0.05, FAILS)])
def test_twice_as_many_tokens_are_compared(gain, verdict):
    found = list(claims.wm_length(lengths(gain), Own))
    assert verdict_of(found) == verdict
    assert [check.name for check in found if "dual" in check.name] == [
        "dual 0.1: 16 minus 8 tokens",
        "dual 0.1: 32 minus 16 tokens",
    ]


def preserved(rise: float, points: float | None = None) -> str:
    seeds = [{"variant": "dual 0.1", "data": "d", "eps": 0.1, "seed": seed} for seed in range(3)]
    pairs = pd.DataFrame([row | {"roles": "pair", "rise_performer": rise + 0.001 * row["seed"]} for row in seeds])
    means = {"sft": 0.5, "watermarked": 0.5 + (points or 0.0)}
    looks = pd.DataFrame(
        [row | {"texts": kind, "benchmark_mean": mean} for row in seeds for kind, mean in means.items()]
    )
    looks["benchmark_mean"] += 0.001 * looks.seed * (looks.texts == "sft")
    looks = looks if points is not None else looks.assign(benchmark_mean=float("nan"))
    return verdict_of(list(claims.wm_task_preserved(pairs, pairs, looks)))


def test_the_task_is_preserved_where_the_rise_and_the_benchmarks_are():
    assert preserved(0.1) == preserved(0.1, points=-0.01) == HOLDS
    assert preserved(0.15) == preserved(0.1, points=-0.05) == FAILS


@pytest.mark.parametrize(("matched", "first", "verdict"), [(0.8, 0.5, HOLDS), (0.5, 0.5, FAILS), (0.8, 0.9, FAILS)])
def test_matched_texts_are_told_apart_and_first_tokens_are_not(matched, first, verdict):
    one = {"data": "d", "variant": "dual 0.1", "eps": 0.1, "texts": "watermarked", "num_matched": 50}
    values = {"predictability_auc": 0.99, "first_token_auc": first}
    rows = [one | values | {"seed": seed, "matched_auc": matched + 0.001 * seed} for seed in range(3)]
    table = pd.DataFrame(rows).assign(first_token_auc=lambda t: t.first_token_auc + 0.001 * t.seed)
    assert verdict_of(list(claims.wm_no_shortcut(table, Own))) == verdict


@pytest.mark.parametrize(("large", "verdict"), [(0.6, HOLDS), (0.85, FAILS)])
def test_sampling_is_differentiated_at_every_eps(large, verdict):
    rows = []
    for variant, aucs in (("dual", (0.9, 0.9)), ("dual, no sampling gradient", (0.6, large))):
        rows += [
            {"variant": variant, "eps": eps, "auc": auc, "auc_error": 0.001, "num_seeds": 4}
            for eps, auc in zip((0.05, 0.2), aucs, strict=True)
        ]
    assert verdict_of(list(claims.wm_sampling_gradient_needed(pd.DataFrame(rows)))) == verdict


def test_shares_of_scores_are_means_over_seeds_and_sum_to_one():
    scores = {0: [0.5, 0.51, 3.0, 3.0], 1: [0.5, 0.51, 0.5, 3.0]}
    rows = [{"variant": "v", "texts": "human", "seed": s, "score": x} for s, own in scores.items() for x in own]
    table = shares_of_scores(pd.DataFrame(rows)).set_index("score")
    assert len(table) == 50 and table.share.sum() == pytest.approx(1)  # each bin has a row
    assert table.share[0.48] == pytest.approx((2 / 4 + 3 / 4) / 2) and table.share_error[0.48] == pytest.approx(1 / 8)
    assert table.share[1.96] == pytest.approx((2 / 4 + 1 / 4) / 2)  # what lies beyond the last bin counts there
    assert table.mean_score.unique() == pytest.approx([(7.01 / 4 + 4.51 / 4) / 2])


def test_means_over_seeds_leave_out_errors_of_single_rows():
    rows = [{"variant": "v", "seed": s, "auc": 0.8 + 0.1 * s, "auc_error": 0.5, "note": "x"} for s in (0, 1)]
    (row,) = means_over_seeds(pd.DataFrame(rows), ["variant"]).to_dict("records")
    assert row == {"variant": "v", "auc": pytest.approx(0.85), "auc_error": pytest.approx(0.05), "num_seeds": 2}
