"""Hyma's headline statements as checks over the rebuilt tables.

Scores of ours are R@5 on held-out scenes at cpu; the noise is that between training seeds of both methods, whose
seeds are paired. The zoo and the test scenes are the same for all.
"""

import functools

import pandas as pd

from papers.hyma.comparing import crossings
from shared.artifacts.claims import at_least, at_most, claim, greater, less, note, untestable
from shared.artifacts.estimates import mean_of, paired_difference

CHOSEN = (
    "Both methods' learning rates, each of five tried; Hyma's trunk and steps (400, 500, 600 by depth), as 300 were too"
    " few for two hidden layers (best connector 0.80, grid search 0.96): on validation scenes, with a seed of its own."
    " The encoders train for 80 steps, as after 150 three of them tie as the best alone."
)
_trained = functools.partial(
    claim,
    kind="paper",
    scales=["cpu", "gpu", "paper"],
    needs="smoke trains for 20 steps, which shows no effect of training",
    chosen_after=CHOSEN,
)


def _by_depth(table: pd.DataFrame, method: str = "hyma", objective: str = "contrastive"):
    """(name of the depth, rows in the order of their seeds)."""
    own = table[(table.objective == objective) & (table.method == method)]
    for depth, rows in own.groupby("depth"):
        yield f"depth_{depth:g}", rows.sort_values("seed")


@_trained(
    "unimodal-best-is-not-multimodal-best",
    "The pair of the encoders that are best alone (UniT-1) is not the best pair, by 0.05 or more.",
    reported="26.8 for best-to-best, 42.3 for the best pair",
)
def unimodal_best_is_not_multimodal_best(fig_unimodal):
    pairs = fig_unimodal[(fig_unimodal.part == "pair") & fig_unimodal.score.notna()]
    for depth, rows in pairs.groupby("depth"):
        best = rows.groupby("seed").score.max()
        unit = rows[rows.role == "UniT-1"].set_index("seed").score.reindex(best.index)
        yield at_least(f"depth_{depth:g}_regret_of_unit_1", paired_difference(best, unit), 0.05)


@_trained(
    "ranking-agrees",
    "Hyma orders the pairs as grid search does, and better than raw NDCG gives a random order.",
    reported="NDCG@7 = 0.97 over 27 pairs",
)
def ranking_agrees(tab_ranking):
    for depth, rows in _by_depth(tab_ranking):
        yield at_least(f"{depth}_spearman", mean_of(rows.spearman), 0.8)
        yield at_least(f"{depth}_ndcg_minmax", mean_of(rows.ndcg_minmax), 0.9)
        yield greater(f"{depth}_ndcg_raw_above_random_p95", mean_of(rows.ndcg_raw - rows.random_raw_p95), 0)


@_trained("pick-is-near-oracle", "Under grid search's connectors Hyma's pick is within 0.05 of the best pair.")
def pick_is_near_oracle(tab_ranking):
    for depth, rows in _by_depth(tab_ranking):
        yield at_most(f"{depth}_regret", mean_of(rows.regret), 0.05)


@_trained(
    "generated-connector-is-competitive",
    "Hyma's own connector for its pick is within 0.05 of grid search's best.",
    reported="-4.84 points of ImageNet accuracy against the oracle",
)
def generated_connector_is_competitive(tab_ranking):
    for depth, rows in _by_depth(tab_ranking):
        yield at_least(f"{depth}_hyma_minus_grid_best", paired_difference(rows.own_score, rows.grid_best), -0.05)


def _ratios(table: pd.DataFrame, setting: str, method: str) -> dict[str, float]:
    rows = table[(table.setting == setting) & (table.method == method)].dropna(subset="over_hyma")
    return {f"{row.depth:g}": row.over_hyma for row in rows.itertuples()}


@claim(
    "search-is-cheaper",
    "Grid search at its own settings costs at least 5 times (linear) or 3 times (deeper) as many FLOPs as Hyma.",
    kind="paper",
    scales=["cpu", "gpu", "paper"],
    needs="smoke has 9 pairs and batches of 64, where nothing is to be saved",
    reported="10 times for 27 pairs",
    chosen_after=f"Grid search has 150 steps, the most that was planned. {CHOSEN}",
)
def search_is_cheaper(tab_efficiency):
    for depth, value in _ratios(tab_efficiency, "ours", "grid").items():
        yield at_least(f"ratio_depth_{depth}", value, 5 if depth == "0" else 3)
    for depth, value in _ratios(tab_efficiency, "authors'", "grid").items():
        yield note(f"ratio_at_the_authors_settings_depth_{depth}", value)


@claim(
    "advantage-depends-on-grid-batch",
    "At the authors' settings grid search in Hyma's batches costs half or less: most of the ratio is its large batch.",
    kind="paper",
    reported="by the formula 48.63 against 7.90 TFLOPs per epoch of three pairs",
)
def advantage_depends_on_grid_batch(tab_efficiency):
    for setting in ("authors'", "authors' curve, one epoch"):
        default, matched = (_ratios(tab_efficiency, setting, m) for m in ("grid", "matched"))
        for depth in default:
            name = "curve" if "curve" in setting else f"depth_{depth}"
            yield at_most(f"authors_{name}_matched_over_default", matched[depth] / default[depth], 0.5)
    default, matched = (_ratios(tab_efficiency, "ours", m) for m in ("grid", "matched"))
    for depth in default:
        share = matched[depth] / default[depth]
        yield at_most(f"ours_depth_{depth}_matched_over_default", share, 0.5, decisive=False)


@_trained(
    "beats-uninformed-picks",
    "Hyma's pick is better than a random pair and than UniT-1's.",
    reported="+5.20 and +11.65 points",
)
def beats_uninformed_picks(tab_delta):
    own = tab_delta[tab_delta.objective == "contrastive"].dropna(subset="delta")
    for baseline in ("Random", "UniT-1"):
        for depth, rows in own[own.baseline == baseline].groupby("depth"):
            yield greater(f"depth_{depth:g}_minus_{baseline}", mean_of(rows.delta), 0)


@claim(
    "output-input-is-harder",
    "Hyma's order agrees less with grid search's for captioning than for the contrastive objective, 9 pairs each.",
    kind="paper",
    scales=["paper"],
    needs="small language models that were trained on prefaces show no such difficulty",
    reported="NDCG@7 0.76 against 0.97",
)
def output_input_is_harder(tab_ranking):
    parts = [
        tab_ranking[(tab_ranking.objective == o) & (tab_ranking.method == "hyma")].sort_values("seed")
        for o in ("captioning", "contrastive, 9 pairs")
    ]
    captions, contrastive = (part.ndcg_minmax.to_numpy() for part in parts)
    yield less("ndcg_captioning_minus_contrastive", paired_difference(captions, contrastive), 0)
    yield note("spearman_captioning", float(parts[0].spearman.mean()))


@_trained(
    "curve-crosses-early",
    "For three pairs Hyma needs at most half of grid search's FLOPs to 95% of grid search's final score.",
    reported="4.4 times fewer to equal accuracy (arrow of panel A)",
)
def curve_crosses_early(fig_curve_vlm):
    ours = crossings(fig_curve_vlm[fig_curve_vlm.study == "ours"], 0.95)
    yield at_least("flops_to_95_percent_grid_over_hyma", mean_of(ours.fair), 2)
    yield note("whole_grid_search_over_hyma_to_95_percent", float(ours.whole.mean()))


_ours = functools.partial(_trained, kind="ours")


@_ours("agreement-is-at-its-ceiling", "Hyma agrees with grid search as well as grid search with itself, within 0.05.")
def agreement_is_at_its_ceiling(tab_ranking):
    ceiling = dict(_by_depth(tab_ranking, "grid, another seed"))
    if not ceiling:
        yield untestable("with one seed there is no other grid search to agree with")
        return
    for depth, rows in _by_depth(tab_ranking):
        gap = paired_difference(rows.spearman, ceiling[depth].spearman)
        yield at_least(f"{depth}_spearman_minus_grid_with_itself", gap, -0.05)


@_ours(
    "short-grid-leaves-poor-connectors",
    "A short grid search that costs at most half of Hyma leaves connectors that are worse than Hyma's by 0.1.",
)
def short_grid_leaves_poor_connectors(tab_ranking, tab_efficiency):
    for depth, value in _ratios(tab_efficiency, "ours", "short").items():
        yield at_most(f"depth_{depth}_cost_short_over_hyma", value, 0.5)
    short = dict(_by_depth(tab_ranking, "short"))
    for depth, rows in _by_depth(tab_ranking):
        gap = paired_difference(rows.mean_score, short[depth].mean_score)
        yield at_least(f"{depth}_mean_score_hyma_minus_short", gap, 0.1)
        yield note(f"{depth}_spearman_of_the_short_grid", float(short[depth].spearman.mean()))
        yield note(f"{depth}_regret_of_the_short_grid", float(short[depth].regret.mean()))


@_ours(
    "beats-equal-budget", "Hyma's pick with its own connector is better than that of successive halving in its FLOPs."
)
def beats_equal_budget(tab_ranking):
    halving = dict(_by_depth(tab_ranking, "halving"))
    for depth, rows in _by_depth(tab_ranking):
        yield greater(f"{depth}_minus_halving", paired_difference(rows.own_score, halving[depth].own_score), 0)


@_ours(
    "extension-is-cheap",
    "A new encoder's conditions alone give 80% of its own connectors' score at a third of the cost.",
)
def extension_is_cheap(tab_extend):
    own = tab_extend.dropna(subset="extended")
    seeds = own.groupby("seed")[["extended", "grid"]].mean()  # one encoder: its pairs are no repetitions
    yield at_least("share_of_the_grids_score", mean_of(seeds.extended / seeds.grid), 0.8)
    yield at_least("cost_ratio", own.ratio.mean(), 3)


@claim(
    "costs-are-those-logged", "The FLOP formula gives the author's logged costs and torch's own counts.", kind="ours"
)
def costs_are_those_logged(tab_exact):
    for check, bound in (("logged", 2e-4), ("counted", 1e-6)):
        error = tab_exact[tab_exact.check == check].relative_error.abs().max()
        yield at_most(f"largest_error_{check}", error, bound)


@claim(
    "raw-ndcg-is-inflated",
    "Random orders of the poster's nine pairs have a raw NDCG@7 of 0.85 or more, so a raw value near 0.9 says little.",
    kind="audit",
)
def raw_ndcg_is_inflated(tab_exact):
    rows = tab_exact.set_index("case").expected
    yield at_least("random_order_raw", rows["random order, raw gains"], 0.85)
    yield note("random_order_minmax", rows["random order, minmax gains"])
