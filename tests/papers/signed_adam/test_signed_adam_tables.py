"""The reducer on synthetic sweeps, names of methods, claims on grids with known answers, and the released results."""

import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from papers.signed_adam import claims, comparing, figures, grid, released, tables
from papers.signed_adam import runs as reducer
from papers.signed_adam.config import PUBLISHED, shards
from papers.signed_adam.settings import ReleasedShard
from shared.artifacts.checks import verdict_of
from shared.artifacts.config import load_config
from shared.artifacts.reported import Reported
from shared.data.pickles import read_frame

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
needs_mirror = pytest.mark.skipif(not (MIRROR / "secretsauce").is_dir(), reason="no mirror of third-party data here")
REPORTED = Reported("signed_adam")


def settings(**changed):
    thresholds = {"regret": 0.02, "tied": 0.01, "adavar": 0.02, "reported_spread": False} | changed
    return SimpleNamespace(thresholds=SimpleNamespace(**thresholds), studies={"main": SimpleNamespace(title="t")})


def verdict(function, *given) -> str:
    return verdict_of(list(function(*given)))


def check(function, name, *given):
    """The check of that name."""
    return next(item for item in function(*given) if item.name == name)


def row(optimizer="adamw", **changed):
    base = {"optimizer": optimizer, "clip_norm": 1.0, "beta": np.nan, "beta1": np.nan, "beta2": np.nan}
    return base | {"clip_value": np.inf} | changed


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
        (row("sgd", clip_norm=np.inf), "SGD"),
        (row("sgd"), "SGD + Gclip"),
        (row("sgd", clip_value=1.0), "SGD + Cclip"),
        (row("emasign", beta=0.9), "EMASign"),
    ],
)
def test_methods_have_the_paper_s_names(given, name):
    assert named(**given) == name


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


def runs_of(rows: list[dict]) -> pd.DataFrame:
    return reducer.ended(tables.logged(records_of(rows)))


def betas_of(rows: list[dict]) -> pd.DataFrame:
    return tables.tab_betas(runs_of(rows), REPORTED)


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
    found = [claims.equal_betas_near_optimal(betas, equal, settings()), claims.betas_correlated(betas)]
    return [verdict_of(list(each)) for each in [*found, claims.momentum_ratio_instability(betas)]]


def test_claims_on_a_grid_hold_and_fail_with_seeds_and_are_within_noise_with_one():
    apart = GRID | {(0.95, 0.8): 3.5}
    assert grid_verdicts(apart, 3) == ["holds", "holds", "holds"]
    assert grid_verdicts(apart, 1) == ["within noise"] * 3
    # the best beta2 moves down as beta1 moves up, and the cell far off the diagonal is the best of its row
    assert grid_verdicts(apart | {(0.9, 0.95): 2.9, (0.95, 0.8): 2.5}, 3) == ["fails", "fails", "fails"]


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
    assert set(reducer.common_seeds(runs, ["study"]).seed) == {0}
    assert set(reducer.most_seeds(runs, ["method"]).beta2) == {0.95}


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


def methods(num_seeds=3, two_sigma=0.02, **losses) -> pd.DataFrame:
    table = pd.DataFrame({"method": list(losses), "val_loss": list(losses.values())})
    table = table.assign(method=table.method.str.replace("_", " + "), edge="inside", num_seeds=num_seeds)
    table = table.assign(ppl=np.exp(table.val_loss), two_sigma=two_sigma if num_seeds > 1 else np.nan)
    columns = {"ppl": "reported_ppl", "two_sigma": "reported_two_sigma"}
    return REPORTED.beside(table, "Table 1", rows="method", columns=columns)


GOOD = {"Adam": 3.0, "Signum": 3.1, "RMSprop": 3.3, "SGD_Gclip": 3.6, "SGD": 4.0}


@pytest.mark.parametrize("function", [claims.signum_between, claims.signum_closes_most, claims.optimizer_order])
def test_a_claim_on_methods_holds_on_a_clear_order_only_with_a_spread(function):
    assert verdict(function, methods(**GOOD), settings()) == "holds"
    assert verdict(function, methods(**GOOD, num_seeds=1), settings()) == "within noise"
    assert verdict(function, methods(**GOOD, num_seeds=1), settings(reported_spread=True)) == "holds"


@pytest.mark.parametrize(
    ("function", "changed", "expected"),
    [
        (claims.signum_between, {"Signum": 3.02}, "within noise"),  # 2.4 standard errors, 4 degrees of freedom
        (claims.signum_between, {"Signum": 2.9}, "fails"),
        (claims.signum_between, {"SGD_Gclip": 3.05}, "fails"),
        (claims.signum_closes_most, {"Signum": 3.5}, "fails"),
        (claims.signum_closes_most, {"Signum": 3.25}, "within noise"),
        (claims.optimizer_order, {"Signum": 3.4}, "fails"),
    ],
)
def test_a_claim_on_methods_fails_where_it_is_wrong(function, changed, expected):
    assert verdict(function, methods(**GOOD | changed), settings()) == expected


def adavar(diagonal: float, other: float, num_seeds: int = 3) -> pd.DataFrame:
    table = pd.DataFrame({"beta1": 0.9, "gamma": [0.9, 0.5], "tau": 0.9, "val_loss": [diagonal, other]})
    return table.assign(is_adam=[True, False], two_sigma=0.004, num_seeds=num_seeds)


def test_the_diagonal_of_adavar_is_compared_with_the_best_point_off_it():
    assert verdict(claims.adavar_diagonal, adavar(3.0, 3.1), settings()) == "holds"
    assert verdict(claims.adavar_diagonal, adavar(3.1, 3.0), settings()) == "fails"
    assert verdict(claims.adavar_diagonal, adavar(3.0, 3.1, num_seeds=1), settings()) == "within noise"


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
    return rows


def test_the_order_on_quadratics_holds_fails_and_drowns_in_rotations():
    order, clear = claims.het_quadratic_order, {"SGD": 1e4, "Signum": 1.0, "Adam": 0.1}
    assert verdict(order, quadratics(clear)) == "holds"
    assert verdict(order, quadratics(clear | {"SGD": 10.0})) == "fails"
    noisy = quadratics(clear)
    noisy.loc[(noisy.method == "Adam") & (noisy.draw == 2), "median"] *= 30
    assert verdict(order, noisy) == "within noise"


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
    with pytest.raises(ValueError, match="has a run of optimiser 'lion'"):
        released.settings_of(released_row(optim="lion"), "f.pkl")


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
    correlation = check(claims.betas_correlated, "rank correlation", betas).estimate.value
    assert correlation == pytest.approx(0.949, abs=1e-3)
