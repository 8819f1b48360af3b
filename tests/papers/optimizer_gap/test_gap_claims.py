"""Predicates on made-up tables: each holds where it should, fails where it should, and is refused at an edge."""

import math

import pandas as pd
import pytest

from papers.optimizer_gap import claims
from papers.optimizer_gap.reduce import best, edges
from papers.optimizer_gap.tables import _gap_table


def gap_table(gaps=(-0.02, 0.2, 1.0), adam=(3.6, 3.5, 3.9), edge="", required=0.5):
    return pd.DataFrame(
        {
            "batch_size": [2, 16, 128],
            "gap": gaps,
            "gap_tuned": gaps,
            "adam_loss": adam,
            "sgd_loss": [a + g for a, g in zip(adam, gaps, strict=True)],
            "required_gap": required,
            "at_edge": ["", "", edge],
        }
    )


def test_a_growing_gap_holds_and_an_edge_refuses_it():
    assert claims.gap_grows_with_batch(gap_table()).holds
    refused = claims.gap_grows_with_batch(gap_table(edge="sgd"))
    assert not refused.holds and refused.evidence["at_edge"] == "B=128: sgd"
    assert not claims.gap_grows_with_batch(gap_table(gaps=(-0.02, 0.5, 0.4))).holds
    assert not claims.gap_grows_with_batch(gap_table(gaps=(-0.02, 0.1, 0.4))).holds
    assert claims.gap_grows_with_batch(gap_table(gaps=(-0.02, 0.1, 0.4), required=math.log(1.3))).holds


def test_small_batch_and_flatness():
    assert claims.sgd_matches_adam_small_batch(gap_table()).holds
    assert claims.sgd_matches_adam_small_batch(gap_table(edge="sgd")).holds  # the edge is at another batch size
    assert not claims.sgd_matches_adam_small_batch(gap_table(gaps=(0.11, 0.2, 1.0))).holds
    assert claims.adam_flat_in_batch(gap_table()).holds
    assert not claims.adam_flat_in_batch(gap_table(adam=(3.0, 3.5, 5.0))).holds


def beta2_table(gain, middle, edge="inside"):
    rows = [(2, 0.95, 0.0), (2, 0.999, gain), (16, 0.95, 0.0), (16, 0.999, middle), (128, 0.95, 0.0)]
    return pd.DataFrame(rows, columns=["batch_size", "beta2", "gain"]).assign(edge=edge)


def test_beta2_has_to_help_more_where_the_batch_is_small():
    assert claims.beta2_caveat(beta2_table(0.15, 0.02)).holds
    assert not claims.beta2_caveat(beta2_table(0.15, 0.2)).holds
    assert not claims.beta2_caveat(beta2_table(0.04, 0.0)).holds
    assert not claims.beta2_caveat(beta2_table(0.15, 0.02, edge="high")).holds


def test_momentum_is_judged_at_the_largest_batch():
    grid = pd.DataFrame(
        [(2, 0.0, 3.0), (2, 0.9, 3.2), (128, 0.0, 5.1), (128, 0.9, 5.05)],
        columns=["batch_size", "momentum", "val_loss"],
    ).assign(clip="norm 1", lr=1.0, edge="inside")
    assert claims.sgd_needs_tuned_momentum(grid).holds
    assert not claims.sgd_needs_tuned_momentum(grid.assign(val_loss=[3.0, 3.2, 5.06, 5.05])).holds


def test_every_group_has_to_shrink_and_the_rarer_half_more():
    groups = pd.DataFrame(
        [(b, g, gap) for b, gaps in ((2, (0.1, 0.2, 0.3)), (128, (0.2, 0.5, 1.2))) for g, gap in enumerate(gaps)],
        columns=["batch_size", "group", "gap_val"],
    )
    assert claims.imbalance_not_sufficient(groups, gap_table()).holds
    groups.loc[2, "gap_val"] = 0.5  # the rarest shrinks by less than 3
    assert not claims.imbalance_not_sufficient(groups, gap_table()).holds


def arms(adam_on_sgd=4.9, sgd_on_adam=4.1, clipped=4.7, edge="inside"):
    names = ["SGD", "Adam", "Adam length, SGD direction", "SGD length, Adam direction", "SGD, clip p=0.1"]
    losses = [5.0, 4.0, adam_on_sgd, sgd_on_adam, clipped]
    return pd.DataFrame({"arm": names, "val_loss": losses, "edge": edge})


def test_interventions():
    assert claims.grafting_does_not_rescue(arms()).holds and claims.direction_suffices(arms()).holds
    assert claims.adaptive_clip_helps(arms()).holds
    assert not claims.grafting_does_not_rescue(arms(adam_on_sgd=4.4)).holds
    assert not claims.direction_suffices(arms(sgd_on_adam=4.4)).holds
    assert not claims.adaptive_clip_helps(arms(clipped=4.95)).holds
    for judge in (claims.grafting_does_not_rescue, claims.direction_suffices, claims.adaptive_clip_helps):
        assert not judge(arms(edge="high")).holds


def runs(best_lr):
    rows = [
        {"optimizer": optimizer, "batch_size": b, "num_steps": 128 // b, "lr": lr, "momentum": m, "beta2": beta2}
        for b in (2, 16)
        for optimizer, m, beta2 in (("sgd_ema", 0.9, math.nan), ("adam", math.nan, 0.95), ("adam", math.nan, 0.999))
        for lr in (0.1, 1.0, 10.0)
    ]
    table = pd.DataFrame(rows).assign(diverged=False, beta=math.nan, clip_share=math.nan)
    distance = (table.lr.map(math.log10) - math.log10(best_lr)).abs()
    return table.assign(val_loss=3 + distance + 0.1 * (table.optimizer == "sgd_ema") + 0.05 * (table.beta2 == 0.95))


class Cpu:
    scale = "cpu"


def test_gap_of_made_up_runs_tunes_rates_and_beta2():
    table = _gap_table(runs(1.0), Cpu())
    assert table.gap.tolist() == pytest.approx([0.05, 0.05]) and table.gap_tuned.tolist() == pytest.approx([0.1, 0.1])
    assert table.at_edge.tolist() == ["", ""] and table.num_steps.tolist() == [64, 8]
    assert _gap_table(runs(10.0), Cpu()).at_edge.tolist() == ["sgd adam adam_tuned"] * 2


def test_best_among_fixed_values_only():
    table = best(runs(1.0), "adam", ["batch_size"], ["lr"], beta2=0.95)
    assert table.val_loss.tolist() == pytest.approx([3.05, 3.05])
    assert edges(a="inside", b="low", c="single") == "b c"
