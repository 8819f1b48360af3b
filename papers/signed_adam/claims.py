"""The paper's headline statements as named checks over the rebuilt tables; losses are nats per token.

What rests on a single seed is within noise. On the quadratics rotations repeat, or the runs of the one that decides.
"""

import functools
import itertools
from collections.abc import Callable

from numpy import log10

from papers.signed_adam import comparing, grid
from papers.signed_adam.landscapes import block_decades, count_above, decades, decades_of_best_constant
from papers.signed_adam.runs import TABLE_1
from shared.artifacts.claims import at_least, at_most, claim, greater, less, note, untestable
from shared.artifacts.estimates import difference, mean_of

ALL = ("smoke", "cpu", "gpu", "paper", "paper-lite")
PROBED = "at cpu the middle of the grids follows sixteen probe runs on one seed, at twice the batch; 256 updates, five"
PROBED += " fresh and two tuning seeds followed builds with 128, three and one that left most claims within noise;"
PROBED += " the noise of the choice among near ties was added after signum-closes-most had failed by one"
GRID = PROBED + "; beta1 over 0.95 left out for time; 0.2, and beta2 over 0.95 at 0.6, added after the best lay at ends"

exact_claim = functools.partial(claim, kind="paper", scales=ALL)
best_claim = functools.partial(claim, kind="paper", scales=ALL[1:], needs="runs of over 40 steps", chosen_after=PROBED)
grid_claim = functools.partial(
    claim, kind="paper", scales=ALL[1:4], needs="a grid of (beta1, beta2) trained for over 40 steps", chosen_after=GRID
)


def _ranking(pairs: list[tuple[str, str]]) -> Callable:
    """The check that of each pair the first method's loss is below the second's."""

    def check(tab_methods, settings):
        loss = comparing.method_losses(tab_methods, settings.thresholds.reported_spread)
        for better, worse in pairs:
            yield greater(f"{worse} minus {better}", difference(loss[worse], loss[better]), 0)
        compared = list(dict.fromkeys(sum(pairs, ())))
        yield note("best_at_grid_edge", comparing.at_grid_edge(tab_methods, compared))
        yield note("settings tried", comparing.budgets(tab_methods, compared))

    return check


signum_between = best_claim(
    "signum-between",
    "Tuned Signum beats tuned SGD and stays behind Adam.",
    reported="perplexity 21.86 (Adam), 23.23 (Signum), 33.40 (best SGD); two sigma 0.21 and 0.16",
)(_ranking([("Adam", "Signum"), *(("Signum", sgd) for sgd in ("SGD", "SGD + Gclip", "SGD + Cclip"))]))


@best_claim(
    "signum-closes-most",
    "Signum closes at least three quarters of the gap between plain SGD and Adam.",
    reported="0.957 in perplexity against SGD without clipping, 0.914 against clipped SGD",
)
def signum_closes_most(tab_methods, settings):
    loss = comparing.method_losses(tab_methods, settings.thresholds.reported_spread)
    yield at_least("nats closed beyond three quarters", comparing.closed_beyond(loss, 0.75), 0)
    for column, other in itertools.product(("val_loss", "ppl"), ("SGD", "SGD + Gclip")):
        yield note(f"share of {column} against {other}", comparing.share_closed(tab_methods, column, other))
    yield note("best_at_grid_edge", comparing.at_grid_edge(tab_methods, ["SGD", "Signum", "Adam"]))
    yield note("settings tried", comparing.budgets(tab_methods, ["SGD", "SGD + Gclip", "Signum", "Adam"]))


optimizer_order = best_claim(
    "optimizer-order",
    "Adam, Signum, RMSprop, globally clipped SGD rank in this order.",
    reported="21.86 < 23.23 < 27.04 < 37.76",
)(_ranking([("Adam", "Signum"), ("Signum", "RMSprop"), ("RMSprop", "SGD + Gclip")]))

table1_order = best_claim(
    "table1-order",
    "All seven methods of Table 1 rank as there.",
    reported="21.86, 23.23, 27.04, 33.40, 36.78, 37.76, 53.62",
)(_ranking(list(itertools.pairwise(TABLE_1))))


@grid_claim(
    "adavar-diagonal",
    "AdaVar gains at most 0.02 nats by leaving gamma = tau = beta, where it is Adam with equal betas.",
    chosen_after=PROBED,
)
def adavar_diagonal(tab_adavar, settings):
    is_adam = tab_adavar.is_adam.astype(bool)
    diagonal, other = comparing.best_row(tab_adavar[is_adam]), comparing.best_row(tab_adavar[~is_adam])
    lost = difference(comparing.row_loss(diagonal), comparing.row_loss(other))
    yield at_most("diagonal minus best elsewhere", lost, settings.thresholds.adavar)
    yield note("best elsewhere", "beta {beta1:g}, gamma {gamma:g}, tau {tau:g}".format(**other))


@grid_claim(
    "eps-init-bc-minor",
    "Neither eps from 1e-6 to 1e-15 nor bias correction explains the gap between Signum and Adam.",
    reported="eps all alike (text); bias correction 21.86 against 21.89",
    chosen_after=PROBED,
)
def eps_init_bc_minor(tab_confounders, tab_methods, settings):
    adam = tab_confounders[tab_confounders.method == "Adam"].dropna(subset="val_loss")
    small = adam[(adam.study == "eps") & (adam.eps <= 1e-6)]
    zero = adam[(adam.study == "init") & (adam.gradient_init == 0)]
    if not len(small) or len(zero) < 2:
        yield untestable("no runs with other eps or without bias correction were released")
        return
    loss = comparing.method_losses(tab_methods, settings.thresholds.reported_spread)
    third = difference(loss["Signum"], loss["Adam"]).scaled(1 / 3)
    for name, rows in (("spread over eps", small), ("effect of bias correction", zero)):
        spread = comparing.range_of(rows)
        yield less(f"{name} minus a third of the gap", difference(spread, third), 0)
        yield note(name, spread.value)
    yield note("a third of the gap", third.value)


@grid_claim(
    "equal-betas-near-optimal",
    "Tying beta2 to beta1 costs little for every beta1 from 0.8 on (cpu: 0.05 nats), and at the optimum (cpu: 0.03).",
    reported="never more than 0.3 in perplexity",
)
def equal_betas_near_optimal(tab_betas, tab_equal, settings):
    cells, rows = grid.main_cells(tab_betas), grid.main_cells(tab_betas, from_beta1=0.8)
    edges, edge, allowed = grid.edges(tab_equal, from_beta1=0.8), grid.edge_of_pair(cells), settings.thresholds
    yield at_most("largest regret", grid.estimate(rows, grid.largest_regret, edges), allowed.regret)
    yield at_most("best tied minus best", grid.estimate(cells, grid.tied_regret, edge), allowed.tied)
    yield note("edges of the best beta2, and of the best pair", f"{edges}; {edge}")


@claim(
    "equal-betas-within-0.3",
    "In no study and for no beta1 does tying the betas lose more than 0.3 in perplexity.",
    kind="paper",
    scales=["paper"],
    needs="perplexities of about 22, of which 0.3 is a share that means something",
    reported="never more than 0.3; in the released data 0.438 on FineWeb at beta1 0.9 and 0.355 at batch 512, 0.975",
)
def equal_betas_within(tab_equal, tab_betas):
    yield at_most("largest loss of perplexity", grid.largest_loss_of_perplexity(tab_equal, tab_betas), 0.3)
    yield note("rows above 0.3", grid.rows_above(tab_equal, 0.3))


@grid_claim(
    "betas-correlated",
    "The best beta2 moves up with beta1 and stays within two grid steps of it.",
    reported="rank correlation 0.949 in the released data, all within two steps",
)
def betas_correlated(tab_betas, tab_equal):
    cells, edges = grid.main_cells(tab_betas), grid.edges(tab_equal)
    yield at_least("rank correlation", grid.estimate(cells, grid.rank_correlation, edges), 0.5)
    yield at_most("most steps apart", grid.estimate(cells, grid.most_steps_apart, edges), 2)
    yield note("best beta2", grid.listed(grid.best_of_rows(cells)))


@grid_claim(
    "most-adam-cells-beat-signum",
    "Most of Adam's cells, each tuned over the learning rate, beat the best Signum.",
    reported="26 of 40 cells in the released data",
    scales=ALL[2:4],
    needs="a grid that goes as far in beta1 as the paper's, on which the share depends",
)
def most_adam_cells_beat_signum(tab_betas, tab_methods):
    cells, signum = grid.main_cells(tab_betas), tab_methods.set_index("method").loc["Signum"]
    yield greater("share of cells", grid.share_below(cells, signum), 0.5)
    yield note("cells", f"{(cells.val_loss < signum.val_loss).sum()} of {len(cells)}")


@grid_claim(
    "momentum-ratio-instability",
    "Where beta1 is far above beta2, (1 - beta2) / (1 - beta1) >= 4, Adam is worse than with equal betas.",
    kind="ours",
    reported="all such cells in the released data; several diverge",
)
def momentum_ratio_instability(tab_betas):
    cells = grid.main_cells(tab_betas)
    if not (cells.ratio >= 4 - 1e-9).any():
        yield untestable("the grid has no cell with so large a ratio")
        return
    gaps = grid.gaps_to_diagonal(cells, 4)
    smallest = grid.estimate(cells, lambda c: grid.gaps_to_diagonal(c, 4).min())
    yield greater("smallest gap to equal betas", smallest, 0)
    yield note("worse cells", f"{(gaps > 0).sum()} of {len(gaps)}")


@exact_claim(
    "variance-identity",
    "Adam's v - m^2 is exactly beta times an average of (m_old - g)^2 if and only if the betas are equal.",
)
def variance_identity(tab_identity):
    is_equal = tab_identity.beta1 == tab_identity.beta2
    yield at_most("largest error with equal betas", tab_identity[is_equal].error.max(), 1e-12)
    unequal = tab_identity[~is_equal & (tab_identity.case == "random")]
    yield at_least("smallest error with unequal betas", unequal.error.min(), 1e-3)


@exact_claim(
    "vi-optimum", "The two averages solve the online inference problem with the old belief first in the divergence."
)
def vi_optimum(tab_inference):
    yield at_most("largest distance to the minimum", tab_inference.error.max(), 1e-6)
    yield at_least("smallest distance with the arguments swapped", tab_inference.swapped_distance.min(), 1e-3)


@exact_claim(
    "het-quadratic-order",
    "In every rotation SGD is 100 times behind Signum and Signum 3 times behind Adam on blocks of different scale; on"
    " alike ones SGD is at most 20 times behind Adam.",
    chosen_after="the worst rotation decides, after a mean over eight, which were three, had hidden one that fails",
)
def het_quadratic_order(tab_quadratics, settings):
    for worse, better, ratio in (("SGD", "Signum", 100), ("Signum", "Adam", 3), ("SGD", "Adam", 1000)):
        for name, gap in decades(tab_quadratics, "het", worse, better, "least", settings.quadratics.num_seeds):
            yield at_least(name, gap, log10(ratio))
    for name, gap in decades(tab_quadratics, "hom", "SGD", "Adam", "most", settings.quadratics.num_seeds):
        yield at_most(name, gap, log10(20))
    yield note("rotations of alike blocks beyond 20", count_above(tab_quadratics, "hom", "SGD", "Adam", 20))
    yield note("best learning rates at a grid's edge", int((tab_quadratics.edge != "inside").sum()))


@exact_claim(
    "fixed-mollifier-no-gain",
    "On blocks of different scale Signum with the best constant for the variance stays 3 times behind Adam on average.",
)
def fixed_mollifier_no_gain(tab_mollifier):
    behind = decades_of_best_constant(tab_mollifier, "het")
    yield at_least("decades of the best constant over Adam", mean_of(behind), log10(3))
    yield note("least of a rotation", behind.min())


@exact_claim(
    "variance-differs-by-block",
    "sigma2 spans 5 decades or more, rising with the eigenvalues, between blocks that differ, under 4 between alike.",
)
def variance_differs_by_block(tab_variance):
    (span, rise), (alike, _) = block_decades(tab_variance, "het"), block_decades(tab_variance, "hom")
    yield at_least("het, decades between blocks", span, 5)
    yield greater("het, decades from a block to the next, least", rise, 0)
    yield less("hom, decades between blocks", alike, 4)
