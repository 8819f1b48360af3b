"""The reducer on synthetic sweeps, names of methods, claims on grids with known answers, and the released results."""

import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from papers.signed_adam import claims, comparing, figures, grid, landscapes, released, tables
from papers.signed_adam import runs as reducer
from papers.signed_adam.config import PUBLISHED, shards
from papers.signed_adam.settings import ReleasedShard
from shared.artifacts.checks import verdict_of
from shared.artifacts.compare import compare_tables
from shared.artifacts.config import load_config
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import artifact_csv, load_paper
from shared.artifacts.paths import PaperPaths
from shared.artifacts.reported import Reported
from shared.data.pickles import read_frame

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
needs_mirror = pytest.mark.skipif(not (MIRROR / "secretsauce").is_dir(), reason="no mirror of third-party data here")
REPORTED = Reported("signed_adam")


def settings(**changed):
    thresholds = {"regret": 0.02, "tied": 0.01, "adavar": 0.02, "reported_spread": False} | changed
    studies, quadratics = {"main": SimpleNamespace(title="t")}, SimpleNamespace(num_seeds=10)
    return SimpleNamespace(thresholds=SimpleNamespace(**thresholds), studies=studies, quadratics=quadratics)


def verdict(function, *given) -> str:
    return verdict_of(list(function(*given)))


def check(function, name, *given):
    """The check of that name."""
    return next(item for item in function(*given) if item.name == name)


def row(optimizer="adamw", **changed):
    base = {"optimizer": optimizer, "clip_norm": 1.0, "beta": np.nan, "beta1": np.nan, "beta2": np.nan}
    return base | {"clip_value": np.inf, "alpha": np.nan, "momentum": np.nan} | changed


def named(**given) -> str:
    lines = [{"run": "a", "step": 1, "num_tokens": 8, "num_steps": 4} | given]
    return tables.logged(records_of(lines)).method.iloc[0]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (row(beta1=0.9, beta2=0.9), "Adam"),
        (row(beta1=0.0, beta2=0.9), "RMSprop"),
        (row(beta1=0.0, beta2=0.0), "SignSGD"),
        (row("signum", beta=0.9), "Signum"),
        (row("rmsprop", alpha=0.9, momentum=0.0), "RMSprop"),
        (row("signsgd"), "SignSGD"),
        (row("heavy_ball", clip_norm=np.inf, momentum=0.9), "SGD"),
        (row("heavy_ball", clip_value=1.0, momentum=0.9), "SGD + Cclip"),
        (row("sgd", clip_norm=np.inf), "SGD"),
        (row("sgd"), "SGD + Gclip"),
        (row("sgd", clip_value=1.0), "SGD + Cclip"),
        (row("emasign", beta=0.9), "EMASign"),
    ],
)
def test_methods_have_the_paper_s_names(given, name):
    assert named(**given) == name


@pytest.mark.parametrize(
    ("given", "factors"),  # averaging, beta1, beta2
    [
        (row(beta1=0.8, beta2=0.9), (0.8, 0.8, 0.9)),
        (row(beta1=0.0, beta2=0.9), (0.9, 0.0, 0.9)),
        (row("rmsprop", alpha=0.9, momentum=0.0), (0.9, 0.0, 0.9)),
        (row("signsgd"), (0.0, None, 0.0)),
        (row("signum", beta=0.7), (0.7, 0.7, None)),
        (row("heavy_ball", momentum=0.95), (0.95, 0.95, None)),
    ],
)
def test_every_method_has_one_averaging_factor(given, factors):
    line = {"run": "a", "step": 1, "num_tokens": 8, "num_steps": 4} | given
    found = tables.logged(records_of([line]))[["averaging", "beta1", "beta2"]].iloc[0]
    assert [None if np.isnan(x) else x for x in found] == list(factors)


def test_another_optimiser_is_refused():
    with pytest.raises(ValueError, match="no method of the paper is the optimiser 'lion'"):
        named(**row("lion"))


def synthetic(losses: dict, lrs=(1e-3, 1e-2, 1e-1), seed=0) -> list[dict]:
    """Runs of Adam whose loss over lr is a parabola with the given minimum, at the middle rate."""
    found = []
    for (beta1, beta2), loss in losses.items():
        for k, lr in enumerate(lrs):
            value = loss + 0.5 * abs(k - 1)
            settings = row(beta1=beta1, beta2=beta2) | {"study": "main", "lr": lr, "seed": seed, "weight_decay": 0.1}
            name = f"{beta1} {beta2} {lr} {seed}"
            common = {**settings, "run": name, "diverged": not math.isfinite(loss), "num_steps": 4, "num_tokens": 8}
            found.append({**common, "phase": "train", "step": 2, "loss": value, "val_loss": np.nan})
            found.append({**common, "phase": "eval", "step": 4, "loss": np.nan, "val_loss": value})
    return found


def records_of(rows: list[dict]):
    return lambda step: pd.DataFrame(rows)


GRID = {
    (0.9, 0.8): 3.2,
    (0.9, 0.9): 3.0,
    (0.9, 0.95): 3.01,
    (0.95, 0.8): math.inf,
    (0.95, 0.9): 3.1,
    (0.95, 0.95): 3.05,
}


# every best cell inside
WIDE = GRID | {(0.95, 0.8): 3.5, (0.95, 0.975): 3.2, (0.8, 0.6): 3.3, (0.8, 0.8): 3.2, (0.8, 0.9): 3.25}


def runs_of(rows: list[dict]) -> pd.DataFrame:
    return reducer.ended(tables.logged(records_of(rows)))


def betas_of(rows: list[dict], **thresholds) -> pd.DataFrame:
    return tables.tab_betas(runs_of(rows), REPORTED, settings(**thresholds))


def ours(table: pd.DataFrame) -> pd.DataFrame:
    return table.dropna(subset=["val_loss"])


def test_cells_are_tuned_before_they_are_compared():
    table = ours(betas_of(synthetic(GRID))).set_index(["beta1", "beta2"])
    assert table.val_loss.to_dict() == pytest.approx(GRID)
    assert (table.lr[np.isfinite(table.val_loss)] == 1e-2).all() and table.loc[(0.95, 0.8), "num_diverged"] == 3
    assert table.loc[(0.9, 0.95), "regret"] == pytest.approx(0.01)
    assert table.loc[(0.9, 0.9), "score"] == 1.0 and table.loc[(0.9, 0.95), "score"] < 0.5


def test_a_reported_cell_without_ours_is_shown_empty():
    table = betas_of(synthetic(GRID))
    missing = table[table.val_loss.isna()].set_index(["beta1", "beta2"])
    assert missing.loc[(0.8, 0.6), "reported_ppl"] == 23.09 and missing.loc[(0.8, 0.6), "ratio"] == pytest.approx(2)
    assert len(table) == 37 and set(table.study) == {"main"}
    equal = tables.tab_equal(table, REPORTED)
    theirs = equal[equal.best_loss.isna()].set_index(["study", "beta1"])
    assert theirs.loc[("batch_512", 0.975), "reported_regret_ppl"] == 0.355 and len(theirs) == 9
    confounders = tables.tab_confounders(runs_of(synthetic(GRID)), REPORTED).set_index(["method", "gradient_init"])
    assert confounders.loc[("Signum", 0.0), "reported_ppl"] == 23.3 and len(confounders) == 5
    assert confounders.loc[("Adam", 1.0), "bias_correction"] == 0


def grid_tables(losses: dict, num_seeds=1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """tab_betas and tab_equal of a grid whose seeds differ by 0.0001."""
    rows = [r for k in range(num_seeds) for r in synthetic({c: v + 1e-4 * k for c, v in losses.items()}, seed=k)]
    betas = betas_of(rows)
    return betas, tables.tab_equal(betas, REPORTED)


def grid_verdicts(losses: dict, num_seeds: int) -> list[str]:
    betas, equal = grid_tables(losses, num_seeds)
    found = [claims.equal_betas_near_optimal(betas, equal, settings()), claims.betas_correlated(betas, equal)]
    return [verdict_of(list(each)) for each in [*found, claims.momentum_ratio_instability(betas)]]


def test_claims_on_a_grid_hold_and_fail_with_seeds_and_are_within_noise_with_one():
    assert grid_verdicts(WIDE, 3) == ["holds", "holds", "holds"]
    assert grid_verdicts(WIDE, 1) == ["within noise"] * 3
    # the best beta2 moves down as beta1 moves up, and the cell far off the diagonal is the best of its row
    moved = {
        (0.8, 0.9): 2.95,
        (0.8, 0.95): 3.0,
        (0.9, 0.95): 2.9,
        (0.9, 0.975): 3.3,
        (0.95, 0.6): 3.6,
        (0.95, 0.8): 2.5,
    }
    assert grid_verdicts(WIDE | moved, 3) == ["fails", "fails", "fails"]


def test_what_rests_on_a_best_cell_at_an_end_of_its_grid_is_not_decided():
    at_the_end = WIDE | {(0.8, 0.6): 3.1}  # the best beta2 of a row
    assert grid_verdicts(at_the_end, 3) == ["within noise", "within noise", "holds"]
    best_pair = WIDE | {(0.8, 0.8): 2.9}  # of which no neighbour in beta1 was run on one side
    assert grid_verdicts(best_pair, 3) == ["within noise", "holds", "holds"]


def test_most_cells_beat_signum_or_do_not():
    betas, _ = grid_tables(GRID | {(0.95, 0.8): 3.5}, num_seeds=3)
    assert verdict(claims.most_adam_cells_beat_signum, betas, methods(Signum=3.15)) == "holds"
    assert verdict(claims.most_adam_cells_beat_signum, betas, methods(Signum=3.02)) == "fails"


def test_a_cell_that_diverged_is_infinitely_worse():
    betas, _ = grid_tables(GRID)
    far = check(claims.momentum_ratio_instability, "smallest gap to equal betas", betas)
    assert far.satisfied and math.isinf(far.estimate.value)  # one cell, (0.95, 0.8), and it diverged


def test_a_grid_without_diagonal_is_refused_and_without_far_cells_undecided():
    betas, equal = grid_tables({(0.9, 0.8): 3.0, (0.9, 0.95): 3.1})
    with pytest.raises(ValueError, match=r"no cell with beta2 = beta1 for beta1 = \[0.9\]"):
        list(claims.equal_betas_near_optimal(betas, equal, settings()))
    found = list(claims.momentum_ratio_instability(betas))
    assert verdict_of(found) == "not testable at this scale" and "ratio" in found[0].reason


def test_a_lucky_seed_of_one_cell_does_not_count():
    rows = synthetic(GRID) + synthetic({(0.9, 0.95): 2.0}, seed=1)
    runs = runs_of(rows)
    table = tables.tab_equal(betas_of(rows), REPORTED).set_index(["study", "beta1"])
    assert table.loc[("main", 0.9), "best_beta2"] == 0.9
    over = ["lr", "beta1", "beta2"]
    assert set(reducer.common_seeds(runs, ["study"], over).seed) == {0}
    assert set(reducer.most_seeds(runs, ["method"], over).beta2) == {0.95}


def test_studies_without_runs_give_empty_tables_and_a_sentence():
    runs, logged = runs_of(synthetic(GRID)), tables.logged(records_of(synthetic(GRID)))
    assert len(tables.tab_adavar(runs)) == 0
    for name in ("fig4_mollified", "fig8_sgd", "fig11_emasign", "fig12_noclip", "fig20_adavar"):
        table = getattr(tables, name)(runs)
        assert len(table) == 0 and getattr(figures, name)(table).axes[0].texts
    assert figures.fig19_bias(tables.fig19_bias(logged)).axes[0].texts
    confounders = tables.tab_confounders(runs, REPORTED)
    found = list(claims.eps_init_bc_minor(confounders, methods(Adam=3.0, Signum=3.1), settings()))
    assert verdict_of(found) == "not testable at this scale"


def methods(num_seeds=3, two_sigma=0.02, choice_error=0.0, **losses) -> pd.DataFrame:
    table = pd.DataFrame({"method": list(losses), "val_loss": list(losses.values())})
    table = table.assign(method=table.method.str.replace("_", " + "), num_seeds=num_seeds, num_settings=15)
    table = table.assign(edge="inside", edge_averaging="inside", choice_error=choice_error)
    table = table.assign(ppl=np.exp(table.val_loss), two_sigma=two_sigma if num_seeds > 1 else np.nan)
    columns = {"ppl": "reported_ppl", "two_sigma": "reported_two_sigma"}
    return REPORTED.beside(table, "Table 1", rows="method", columns=columns)


def test_edges_and_budgets_of_methods_are_told():
    table = methods(Adam=3.0, Signum=3.1, SGD=4.0)
    assert comparing.at_grid_edge(table, ["Adam", "Signum", "SGD"]) == "none"
    table.loc[table.method == "Signum", "edge_averaging"] = "low"
    table.loc[table.method == "SGD", "edge"] = "high"
    assert comparing.at_grid_edge(table, ["Adam", "Signum", "SGD"]) == "Signum (averaging low), SGD (lr high)"
    assert comparing.budgets(table, ["Adam", "SGD"]) == "Adam 15, SGD 15"


def fresh(rows: list[dict], losses: dict, seeds=(1, 2, 3)) -> list[dict]:
    """Evaluations on fresh seeds of the middle rate of cells; seeds differ by 0.001."""
    chosen = [r for r in rows if r["phase"] == "eval" and r["lr"] == 1e-2 and (r["beta1"], r["beta2"]) in losses]
    again = [(r, {"seed": k, "run": f"{r['run']} fresh {k}", "fresh": True}) for r in chosen for k in seeds]
    return [r | new | {"val_loss": losses[r["beta1"], r["beta2"]] + 1e-3 * new["seed"]} for r, new in again]


def test_fresh_seeds_measure_what_others_chose():
    """(0.9, 0.9) was chosen by luck: elsewhere it is worth 3.4, and that is what counts, lost to (0.9, 0.95)."""
    rows = synthetic(GRID)
    again = fresh(rows, {cell: loss for cell, loss in GRID.items() if math.isfinite(loss)} | {(0.9, 0.9): 3.4})
    cells = ours(betas_of(rows + again)).set_index(["beta1", "beta2"])
    assert cells.loc[(0.9, 0.9), "val_loss"] == pytest.approx(3.402) and cells.loc[(0.9, 0.9), "num_seeds"] == 3
    assert cells.loc[(0.9, 0.9), "regret"] == pytest.approx(0.39) and cells.loc[(0.9, 0.95), "regret"] == 0
    assert cells.loc[(0.9, 0.9), "regret_error"] == pytest.approx(1e-3 * math.sqrt(2 / 3))
    assert math.isinf(cells.loc[(0.95, 0.8), "val_loss"]) and cells.loc[(0.95, 0.8), "num_seeds"] == 1
    best = comparing.best_settings(runs_of(rows + again)).iloc[0]  # by the seed that tuned: (0.9, 0.9)
    assert best.averaging == 0.9 and best.val_loss == pytest.approx(3.402) and best.num_seeds == 3
    assert best.num_settings == 6 and best.num_runs == 12 and best.edge == "inside"  # two equal pairs, three rates


def means(*losses: float, num_seeds: int = 1) -> pd.DataFrame:
    return pd.DataFrame({"method": "Adam", "val_loss": losses, "num_seeds": num_seeds})


def test_other_tuning_seeds_might_have_chosen_a_near_tie():
    """Of two settings the worse one is chosen with probability p = Phi(-gap / (sqrt(2) error)): gap sqrt(p (1 - p))."""
    near, error = means(3.0, 3.01), comparing.choice_errors
    assert error(near, ["method"], 0.01).choice_error.tolist() == pytest.approx([0.00427], abs=2e-4)
    four = means(3.0, 3.01, num_seeds=4)
    assert error(four, ["method"], 0.01).choice_error.tolist() == pytest.approx([0.0027], abs=2e-4)
    for clear in (means(3.0), means(3.0, math.inf), means(3.0, 4.0), means(math.inf, math.inf)):
        assert error(clear, ["method"], 0.01).choice_error.tolist() == [0.0]


def test_the_choice_is_noise_where_fresh_seeds_measure_it():
    rows = synthetic(GRID | {(0.95, 0.95): 3.0005})
    once = comparing.best_settings(runs_of(rows)).iloc[0]
    again = comparing.best_settings(runs_of(rows + fresh(rows, {(0.9, 0.9): 3.0}))).iloc[0]
    assert once.choice_error == 0 and 1e-4 < again.choice_error < 3e-4
    cells = ours(betas_of(rows + fresh(rows, GRID))).assign(choice_error=1.0)
    assert grid.estimate(cells, grid.tied_regret).noise > 0.1
    assert verdict(claims.signum_closes_most, methods(**GOOD | {"Signum": 3.5}), settings()) == "fails"
    chosen = methods(**GOOD | {"Signum": 3.5}, choice_error=0.5)
    assert verdict(claims.signum_closes_most, chosen, settings()) == "within noise"


def test_adam_is_tuned_over_equal_betas_as_others_over_one_factor():
    best = comparing.best_settings(runs_of(synthetic(GRID | {(0.9, 0.95): 2.0}))).iloc[0]
    assert best.val_loss == pytest.approx(3.0) and best.averaging == 0.9 and best.num_settings == 6


def test_curves_keep_fresh_seeds_apart():
    rows = synthetic(GRID)
    curve = tables.fig2_adam(runs_of(rows + fresh(rows, {(0.9, 0.9): 3.4})))
    point = curve[(curve.beta1 == 0.9) & (curve.beta2 == 0.9) & (curve.lr == 1e-2)].set_index("fresh")
    assert point.val_loss[False] == pytest.approx(3.0) and point.val_loss[True] == pytest.approx(3.402)
    assert point.num_seeds.to_dict() == {False: 1, True: 3}
    assert point.standard_error[True] == pytest.approx(1e-3 / math.sqrt(3))


def test_the_spread_of_the_paper_is_the_noise_of_single_released_runs():
    one = ours(betas_of(synthetic(GRID), reported_spread=True)).set_index(["beta1", "beta2"])
    assert one.loc[(0.9, 0.95), "regret_error"] == pytest.approx(0.21 / 2 / 21.86 * math.sqrt(2))
    assert one.loc[(0.9, 0.9), "regret_error"] == 0
    unknown = ours(betas_of(synthetic(GRID))).set_index(["beta1", "beta2"])
    assert math.isnan(unknown.loc[(0.9, 0.95), "regret_error"])


def test_the_best_beta2_at_an_end_of_its_grid_is_told():
    _, equal = grid_tables(GRID | {(0.9, 0.95): 2.9})
    assert grid.edges(equal) == "0.9: 0.95 (high), 0.95: 0.95 (high)"
    assert grid.edges(equal, from_beta1=0.95) == "0.95: 0.95 (high)"


def test_the_best_pair_at_an_end_of_either_grid_is_told():
    def edge(**cells) -> str:
        rows = [{"beta1": b1, "beta2": b2, "val_loss": 3.0} for b1 in (0.6, 0.8, 0.9) for b2 in (0.6, 0.8, 0.9)]
        table = pd.DataFrame(rows)
        best = (table.beta1 == cells["beta1"]) & (table.beta2 == cells["beta2"])
        return grid.edge_of_pair(table.assign(val_loss=table.val_loss.mask(best, 2.0)))

    assert edge(beta1=0.8, beta2=0.8) == "none"
    assert edge(beta1=0.6, beta2=0.9) == "beta1 low, beta2 high"
    assert edge(beta1=0.8, beta2=0.6) == "beta2 low"


def test_losses_are_compared_seed_by_seed_with_those_of_the_base():
    base = {"phase": "train", "tokens": 8}
    rows = [base | {"seed": s, "start": 0, "loss": 3.0 + s, "fresh": True} for s in (1, 2)]
    rows += [base | {"seed": s, "start": 1, "loss": 3.0 + s + more, "fresh": True} for s, more in ((1, 0.1), (2, 0.3))]
    tuning = base | {"seed": 0, "start": 1, "loss": 9.0, "fresh": False}
    found = comparing.loss_above(pd.DataFrame([*rows, tuning, tuning | {"phase": "eval"}]), {"start": 0})
    assert found.more.tolist() == pytest.approx([0, 0.2]) and found.num_seeds.tolist() == [2, 2]
    assert found.two_standard_errors.tolist() == pytest.approx([0, 0.2])  # twice 0.1


def test_perplexity_over_tokens_is_that_of_validation_on_fresh_seeds():
    base = {"method": "Adam", "phase": "eval", "loss": np.nan, "fresh": True}
    rows = [base | {"run": k, "tokens": t, "val_loss": 3.0 + 0.1 * k + t} for k in (1, 2, 3) for t in (1, 2)]
    rows += [base | {"run": 0, "tokens": 1, "val_loss": 9.0, "fresh": False}]
    rows += [base | {"run": 1, "tokens": 1, "phase": "train", "loss": 7.0, "val_loss": np.nan}]
    found = comparing.perplexity_over_tokens(pd.DataFrame(rows))
    assert found.kind.tolist() == ["validation"] * 2 and found.num_seeds.tolist() == [3, 3]
    assert np.log(found.ppl).tolist() == pytest.approx([4.2, 5.2])
    assert np.log(found.high / found.ppl).tolist() == pytest.approx([0.1 / math.sqrt(3)] * 2)
    released_only = pd.DataFrame([r | {"fresh": False} for r in rows if r["run"] == 1 and r["tokens"] == 1])
    assert set(comparing.perplexity_over_tokens(released_only).kind) == {"training", "validation"}


def test_the_paper_s_tables_stand_beside_ours_in_nats():
    rows = tables.tab_confounders(runs_of(synthetic(GRID)), REPORTED)
    betas, equal = grid_tables(GRID)
    found = tables.fig_reported(methods(**GOOD), rows, betas, equal).set_index(["panel", "row", "whose"]).sort_index()
    signum = found.loc[("Table 1: above Adam", "Signum")]
    assert signum.value.to_dict() == pytest.approx({"paper": math.log(23.23 / 21.86), "ours": 0.1})
    assert signum.high["ours"] - signum.value["ours"] == pytest.approx(0.02 * math.sqrt(2))
    theirs = math.hypot(0.16 / 23.23, 0.21 / 21.86)  # two sigma in perplexity, over the perplexity
    assert signum.high["paper"] - signum.value["paper"] == pytest.approx(theirs)
    third = found.loc[("Table 3: above Adam\nfrom zero, corrected", "Adam GI-BC")]
    assert third.value["paper"] == pytest.approx(math.log(22.58 / 21.86)) and "ours" not in third.index
    last = found.loc["Table B, Figure 2:\nwhat equal betas lose"].value
    assert last["batch_512 0.975", "paper"] == pytest.approx(math.log(25.27 / 25.27 + 0.355 / 25.27))
    assert last["main 0.9", "paper"] == pytest.approx(math.log(22.25 / 22.14)) and last["main 0.9", "ours"] == 0


def test_the_paper_s_cells_are_shown_where_ours_are_others():
    found = tables.fig3_scores(betas_of(synthetic(GRID)), settings())
    theirs = found[found.title == "the paper's Table A"].set_index(["beta1", "beta2"])
    assert len(theirs) == 37 and theirs.loc[(0.95, 0.95), "regret"] == 0
    assert theirs.loc[(0.9, 0.9), "regret"] == pytest.approx(math.log(22.25 / 22.14))


def test_the_text_of_a_cell_marks_what_noise_may_have_decided():
    cells = pd.DataFrame(
        {"regret": [0.0, 0.004, 0.02, 2.0, math.inf], "regret_error": [0.0, 0.003, 0.003, 0.003, np.nan]}
    )
    assert grid.regret_text(cells).tolist() == [".000", ".004 \u2022", ".020", ">1", "div."]


def test_more_than_0_3_of_perplexity_is_refused_and_named():
    betas, equal = grid_tables(GRID | {(0.9, 0.95): 2.5}, num_seeds=3)
    assert verdict(claims.equal_betas_within, equal, betas) == "fails"
    assert grid.rows_above(equal, 0.3).startswith("1 of 2: main 0.9 (7.9")
    betas, near = grid_tables(GRID | {(0.9, 0.95): 2.999}, num_seeds=3)
    assert verdict(claims.equal_betas_within, near, betas) == "holds" and grid.rows_above(near, 0.3) == "0 of 2"


@pytest.mark.parametrize(("num_seeds", "dof"), [(1, 2), (3, 2), (5, 4)])
def test_the_largest_loss_tells_its_seeds_and_three_are_behind_a_printed_spread(num_seeds, dof):
    betas, equal = grid_tables(GRID, num_seeds=max(num_seeds, 2))
    found = grid.largest_loss_of_perplexity(equal, betas.assign(num_seeds=num_seeds))
    assert (found.n, found.dof) == (num_seeds, dof)


def confounders(eps=(3.0, 3.001), correction=(3.0, 3.002)) -> pd.DataFrame:
    common = {"method": "Adam", "num_seeds": 3, "two_sigma": 0.002, "choice_error": 0.0, "gradient_init": 0.0}
    small = pd.DataFrame({"study": "eps", "eps": [1e-6, 1e-15], "bias_correction": 1.0, "val_loss": eps})
    zero = pd.DataFrame({"study": "init", "eps": 1e-8, "bias_correction": [1.0, 0.0], "val_loss": correction})
    return pd.concat([small, zero]).assign(**common)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "holds"),
        ({"eps": (3.0, 3.1)}, "fails"),
        ({"correction": (3.1, 3.0)}, "fails"),
        ({"eps": (3.0, 3.04)}, "fails"),  # more than a third of 0.1, less than a half
    ],
)
def test_eps_and_bias_correction_are_held_against_a_third_of_the_gap(changed, expected):
    methods_ = methods(Adam=3.0, Signum=3.1, two_sigma=0.002)
    assert verdict(claims.eps_init_bc_minor, confounders(**changed), methods_, settings()) == expected


def test_a_large_eps_and_a_start_at_the_first_gradient_may_be_worse():
    rows = confounders()
    large = rows.iloc[[0]].assign(eps=1e-3, val_loss=9.0)
    from_first = rows.iloc[[-1]].assign(gradient_init=1.0, val_loss=9.0)
    given = pd.concat([rows, large, from_first], ignore_index=True)
    assert verdict(claims.eps_init_bc_minor, given, methods(Adam=3.0, Signum=3.1), settings()) == "holds"


def test_the_best_constant_counts_and_not_the_worst():
    rows = [
        {"landscape": "het", "draw": d, "eps": eps, "median": loss * (1 + 0.01 * d), "adam_median": 1.0}
        for d in range(3)
        for eps, loss in ((1.0, 2.0), (0.1, 50.0))
    ]
    assert verdict(claims.fixed_mollifier_no_gain, pd.DataFrame(rows)) == "fails"  # 2 is within a factor of 3 of Adam
    far = pd.DataFrame(rows).assign(median=lambda t: 10 * t["median"])
    assert verdict(claims.fixed_mollifier_no_gain, far) == "holds"


GOOD = {"Adam": 3.0, "Signum": 3.1, "RMSprop": 3.3, "SGD_Cclip": 3.5, "SGD_Gclip": 3.6, "SGD": 4.0}


@pytest.mark.parametrize("function", [claims.signum_between, claims.signum_closes_most, claims.optimizer_order])
def test_a_claim_on_methods_holds_on_a_clear_order_only_with_a_spread(function):
    assert verdict(function, methods(**GOOD), settings()) == "holds"
    assert verdict(function, methods(**GOOD, num_seeds=1), settings()) == "within noise"
    assert verdict(function, methods(**GOOD, num_seeds=1), settings(reported_spread=True)) == "holds"


def test_a_single_released_run_has_the_standard_deviation_that_table_1_prints():
    one = comparing.method_losses(methods(**GOOD, num_seeds=1), reported_spread=True)["SGD"]
    assert one.noise == pytest.approx(5.14 / 2 / 53.62) and (one.dof, one.n) == (2, 1)


@pytest.mark.parametrize(
    ("function", "changed", "expected"),
    [
        (claims.signum_between, {"Signum": 3.02}, "within noise"),  # 2.4 standard errors, 4 degrees of freedom
        (claims.signum_between, {"Signum": 2.9}, "fails"),
        (claims.signum_between, {"SGD_Gclip": 3.05}, "fails"),
        (claims.signum_between, {"SGD_Cclip": 3.05}, "fails"),  # the paper's best SGD
        (claims.signum_closes_most, {"Signum": 3.5}, "fails"),
        (claims.signum_closes_most, {"Signum": 3.25}, "within noise"),
        (claims.optimizer_order, {"Signum": 3.4}, "fails"),
    ],
)
def test_a_claim_on_methods_fails_where_it_is_wrong(function, changed, expected):
    assert verdict(function, methods(**GOOD | changed), settings()) == expected


def adavar(diagonal: float, other: float, num_seeds: int = 3) -> pd.DataFrame:
    table = pd.DataFrame({"beta1": 0.9, "gamma": [0.9, 0.5], "tau": 0.9, "val_loss": [diagonal, other]})
    return table.assign(is_adam=[True, False], two_sigma=0.004, choice_error=0.0, num_seeds=num_seeds)


def test_the_diagonal_of_adavar_is_compared_with_the_best_point_off_it():
    assert verdict(claims.adavar_diagonal, adavar(3.0, 3.1), settings()) == "holds"
    assert verdict(claims.adavar_diagonal, adavar(3.1, 3.0), settings()) == "fails"
    assert verdict(claims.adavar_diagonal, adavar(3.0, 3.1, num_seeds=1), settings()) == "within noise"


def test_the_best_off_the_diagonal_of_adavar_is_what_counts():
    """A point elsewhere is far worse than the diagonal, another better: the better one decides."""
    three = adavar(3.1, 3.0)
    worst = three.iloc[[1]].assign(gamma=0.1, val_loss=9.0)
    assert verdict(claims.adavar_diagonal, pd.concat([three, worst], ignore_index=True), settings()) == "fails"


def quadratics(het: dict, draws=(1.0, 1.1, 0.9)) -> pd.DataFrame:
    """Losses of methods per rotation; alike blocks give all methods one loss."""
    rows = [
        {"landscape": name, "design": "eig", "warmup": 0.05, "draw": draw, "method": method, "median": loss * factor}
        for draw, factor in enumerate(draws)
        for name, losses in (("het", het), ("hom", dict.fromkeys(het, 1.0)))
        for method, loss in losses.items()
    ]
    rows = pd.DataFrame(rows).assign(edge="inside")
    rows.loc[rows.method == "SGD", "median"] *= 1.01**rows.draw  # else the rotations would agree exactly
    return rows.assign(low=0.95 * rows["median"], high=1.05 * rows["median"])


def test_the_order_on_quadratics_is_that_of_the_worst_rotation():
    order, clear = claims.het_quadratic_order, {"SGD": 1e4, "Signum": 1.0, "Adam": 0.1}
    assert verdict(order, quadratics(clear), settings()) == "holds"
    assert verdict(order, quadratics(clear | {"SGD": 10.0}), settings()) == "fails"
    for landscape, factor in (("het", 30), ("hom", 1 / 400)):
        one = quadratics(clear)
        rows = (one.landscape == landscape) & (one.method == "Adam") & (one.draw == 2)
        one.loc[rows, ["median", "low", "high"]] *= factor
        assert verdict(order, one, settings()) == "fails"
        one.loc[rows, "low"] /= 1e6  # quartiles far apart
        assert verdict(order, one, settings()) == "within noise"
    assert landscapes.count_above(one, "hom", "SGD", "Adam", 20) == "1 of 3"
    assert {item.estimate.n for item in order(one, settings()) if hasattr(item, "estimate")} == {10}


def test_blocks_that_do_not_differ_fail():
    sigma2 = {"het": (1e-2, 1e1, 1e5), "hom": (1e4, 2e4, 3e4)}
    rows = [
        {"landscape": name, "draw": draw, "block": block, "sigma2": value * (1 + 0.1 * draw * block)}
        for draw in range(3)
        for name, values in sigma2.items()
        for block, value in enumerate(values)
    ]
    table = pd.DataFrame(rows)
    assert verdict(claims.variance_differs_by_block, table) == "holds"
    table["landscape"] = table.landscape.map({"het": "hom", "hom": "het"})
    assert verdict(claims.variance_differs_by_block, table) == "fails"


def test_statistics_of_a_small_grid():
    cells = grid.main_cells(betas_of(synthetic(GRID | {(0.95, 0.8): 3.5})))
    assert grid.largest_regret(cells) == pytest.approx(0) and grid.tied_regret(cells) == pytest.approx(0)
    assert grid.rank_correlation(cells) == pytest.approx(1) and grid.most_steps_apart(cells) == 0
    assert grid.gaps_to_diagonal(cells, 4).tolist() == pytest.approx([0.45])  # (0.95, 0.8) alone
    assert grid.listed(grid.best_of_rows(cells)) == "0.9: 0.9, 0.95: 0.95"
    moved = cells.assign(val_loss=cells.val_loss.mask(cells.beta2 == 0.8, 2.0))
    assert grid.largest_regret(moved) == pytest.approx(1.05) and grid.most_steps_apart(moved) == 2


def test_labels_of_table_3_are_read_as_they_are_written():
    table = pd.DataFrame({"method": ["Adam", "Adam", "Signum"], "gradient_init": [0.0, 1.0, 0.0]})
    table = table.assign(bias_correction=[1.0, 0.0, np.nan])
    labels = comparing.row_of_table_3(table)
    assert labels.tolist() == ["Adam ZI+BC", "Adam GI-BC", "Signum ZI"]
    empty = table.assign(row=labels, method=None, gradient_init=np.nan, bias_correction=np.nan)
    read = comparing.described_by_row(empty)[table.columns].astype(table.dtypes)
    pd.testing.assert_frame_equal(read, table)


def test_the_paper_s_grid_is_planned_whole():
    config = load_config("signed_adam", "paper")
    jobs = shards(config)["sweep"]
    assert sum(len(shard.runs) for shard in jobs.values()) > 1300
    assert sum(study.sweep.num_runs for study in config.present().values()) == len(jobs)
    lite = shards(load_config("signed_adam", "paper-lite"))["sweep"]
    assert len(lite) == 21 and set(PUBLISHED) == {"sweep"}


def test_the_paper_s_models_have_their_sizes():
    config = load_config("signed_adam", "paper")
    sizes = {name: config.sizes[config.studies[name].setup].model_cost({}).num_params for name in ("main", "larger")}
    assert sizes["main"] == pytest.approx(162e6, rel=0.02) and sizes["larger"] == pytest.approx(406e6, rel=0.03)


def released_row(**changed):
    base = {"optim": "sgd", "clip": 1000, "num_steps": 4800, "bs": 256, "lr": 0.25, "wd": 0, "beta1": 0.975}
    return base | {"ppl_test": 50.0, "ppl_all": np.full(500, 60.0)} | changed


def shard(**changed):
    base = {
        "study": "main",
        "source": "secretsauce",
        "files": ["f"],
        "seq_len": 2048,
        "max_ppl": 1000,
        "curve_points": 50,
    }
    return ReleasedShard(**base | changed)


def test_released_runs_take_the_form_of_our_records():
    rows = list(released.run_rows(released_row(), 0, "SGDPlain.pkl", shard()))
    assert len(rows) == 51 and rows[-1]["val_loss"] == pytest.approx(math.log(50)) and not rows[-1]["diverged"]
    assert rows[-1]["clip_norm"] == math.inf and rows[-1]["dampening"] == pytest.approx(0.025)
    assert [r["step"] for r in rows[:2]] == [96, 192] and rows[0]["loss"] == pytest.approx(math.log(60))
    assert list(released.run_rows(released_row(ppl_test=57972.0), 0, "f", shard()))[-1]["diverged"]
    assert list(released.run_rows(released_row(ppl_test=math.nan), 0, "f", shard()))[-1]["diverged"]
    assert released.settings_of(released_row(bs=64), "Adam_410M.pkl")["batch_size"] == 512
    assert rows[-1]["num_tokens"] == 4800 * 256 * 2048 and rows[-1]["clip_value"] == math.inf
    with pytest.raises(ValueError, match="has a run of optimiser 'lion'"):
        released.settings_of(released_row(optim="lion"), "f.pkl")


@pytest.mark.parametrize(
    ("changed", "clip_norm", "clip_value"),
    [
        ({"clip": 1}, 1.0, math.inf),
        ({"clip": 1000}, math.inf, math.inf),
        ({"clip": 1, "optim": "clipSGD"}, 1.0, 1.0),
        ({"optim": "signSGD", "clip": 1}, 1.0, None),
        ({"optim": "adamw", "beta2": 0.9, "clip": None}, 1.0, None),  # Adam's files have no such column
    ],
)
def test_the_reader_keeps_how_a_released_run_was_clipped(changed, clip_norm, clip_value):
    line = {name: value for name, value in released_row(**changed).items() if value is not None}
    found = released.settings_of(line, "f.pkl")
    assert found["clip_norm"] == clip_norm and found.get("clip_value") == clip_value


def test_a_setting_that_a_file_has_twice_keeps_its_first_row():
    twice = pd.DataFrame([released_row(), released_row(ppl_test=40.0), released_row(lr=0.5, ppl_test=45.0)])
    ends = [line for line in released.tidy(twice, "f.pkl", shard(curve_points=2)) if line["phase"] == "eval"]
    assert [round(math.exp(line["val_loss"])) for line in ends] == [50, 45]


@needs_mirror
def test_the_reducer_recomputes_tables_a_and_b_from_the_released_results():
    config, lines = load_config("signed_adam", "paper"), []
    for name in ("main", "batch_128", "batch_256", "batch_512"):
        settings = shards(config)["released"][name].model_copy(update={"curve_points": 2})
        for file in settings.files:
            lines += released.tidy(read_frame(MIRROR / "secretsauce" / file), file, settings)
    betas = betas_of(lines)
    known = betas.dropna(subset=["val_loss", "reported_ppl"])
    assert len(known) >= 36
    small = known[known.reported_ppl < 100]
    assert (small.ppl - small.reported_ppl).abs().max() < 0.006  # two decimals were reported
    equal = tables.tab_equal(betas, REPORTED)
    rows = equal[equal.reported_regret_ppl.notna()]
    assert len(rows) == 9 and (rows.regret_ppl - rows.reported_regret_ppl).abs().max() < 0.0006
    correlation = check(claims.betas_correlated, "rank correlation", betas, equal).estimate.value
    assert correlation == pytest.approx(0.949, abs=1e-3)


@pytest.mark.parametrize(("scale", "lost"), [("paper", 0), ("cpu", 1)])
def test_runs_that_diverge_no_more_or_newly_are_seen(scale, lost):
    figure = load_paper("signed_adam").figures["fig2_adam"]
    reference = read_csv(artifact_csv(PaperPaths("signed_adam", scale), "fig2_adam", reference=True))
    assert compare_tables(reference, reference, figure) == []
    assert "num_diverged" in compare_tables(reference, reference.assign(num_diverged=lost), figure)[0]
