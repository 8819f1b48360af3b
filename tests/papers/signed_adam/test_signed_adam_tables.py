"""The reducer on synthetic sweeps, names of methods, claims on grids with known answers, and the released results."""

import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from papers.signed_adam import claims, figures, released, tables
from papers.signed_adam.config import PUBLISHED, ReleasedShard, shards
from papers.signed_adam.runs import common_seeds, filled, method_of, most_seeds
from shared.artifacts.config import load_config
from shared.artifacts.reported import Reported
from shared.data.pickles import read_frame

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
needs_mirror = pytest.mark.skipif(not (MIRROR / "secretsauce").is_dir(), reason="no mirror of third-party data here")
THRESHOLDS = SimpleNamespace(regret=0.02, tied=0.01, adavar=0.02, sigmas=2.0)
SETTINGS = SimpleNamespace(thresholds=THRESHOLDS, studies={"main": SimpleNamespace(title="t")})


def row(optimizer="adamw", **changed):
    base = {"optimizer": optimizer, "clip_norm": 1.0, "beta": np.nan, "beta1": np.nan, "beta2": np.nan}
    return base | {"clip_value": np.inf} | changed


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
    assert method_of(given) == name


def test_another_optimiser_is_refused():
    with pytest.raises(ValueError, match="no method of the paper is the optimiser 'lion'"):
        method_of(row("lion"))


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


def test_cells_are_tuned_before_they_are_compared():
    table = tables.tab_betas(records_of(synthetic(GRID)), SETTINGS).set_index(["beta1", "beta2"])
    assert table.val_loss.to_dict() == pytest.approx(GRID)
    assert (table.lr[np.isfinite(table.val_loss)] == 1e-2).all() and table.loc[(0.95, 0.8), "num_diverged"] == 3
    assert table.loc[(0.9, 0.95), "regret"] == pytest.approx(0.01)
    assert table.loc[(0.9, 0.9), "score"] == 1.0 and table.loc[(0.9, 0.95), "score"] < 0.5


def test_claims_on_a_grid_with_known_answers():
    records = records_of(synthetic(GRID))
    equal = tables.tab_equal(records, SETTINGS)
    assert claims.equal_betas_near_optimal(equal).holds and claims.betas_correlated(equal).holds
    betas = tables.tab_betas(records, SETTINGS)
    assert claims.momentum_ratio_instability(betas).holds  # one cell, (0.95, 0.8), and it diverged
    worse = dict(GRID) | {(0.9, 0.8): 2.9}
    equal = tables.tab_equal(records_of(synthetic(worse)), SETTINGS)
    assert not claims.equal_betas_near_optimal(equal).holds


def test_a_grid_without_diagonal_is_refused_and_without_far_cells_undecided():
    records = records_of(synthetic({(0.9, 0.8): 3.0, (0.9, 0.95): 3.1}))
    with pytest.raises(ValueError, match=r"no cell with beta2 = beta1 for beta1 = \[0.9\]"):
        claims.equal_betas_near_optimal(tables.tab_equal(records, SETTINGS))
    judged = claims.momentum_ratio_instability(tables.tab_betas(records, SETTINGS))
    assert judged.verdict == "not testable at this scale" and "ratio" in judged.evidence["reason"]


def test_a_lucky_seed_of_one_cell_does_not_count():
    rows = synthetic(GRID) + synthetic({(0.9, 0.95): 2.0}, seed=1)
    table = tables.tab_equal(records_of(rows), SETTINGS).set_index("beta1")
    assert table.loc[0.9, "best_beta2"] == 0.9
    runs = filled(pd.DataFrame(rows).assign(method="Adam", momentum=np.nan, eps=np.nan, gamma=np.nan))
    assert set(common_seeds(runs, ["study"]).seed) == {0}
    assert set(most_seeds(runs, ["method"]).beta2) == {0.95}


def test_studies_without_runs_give_empty_tables_and_a_sentence():
    records = records_of(synthetic(GRID))
    assert len(tables.tab_adavar(records, SETTINGS)) == 0
    assert claims.adavar_diagonal(tables.tab_adavar(records, SETTINGS)).holds is None
    assert len(tables.tab_confounders(records, SETTINGS)) == 0
    for name in ("fig4_mollified", "fig12_noclip", "fig19_bias", "fig20_adavar"):
        table = getattr(tables, name)(records, SETTINGS)
        assert len(table) == 0 and getattr(figures, name)(table).axes[0].texts


def methods(**losses) -> pd.DataFrame:
    table = pd.DataFrame({"method": list(losses), "val_loss": list(losses.values())})
    reported = Reported("signed_adam")
    return table.assign(
        method=table.method.str.replace("_", " + "),
        ppl=np.exp(table.val_loss),
        two_sigma=0.02,
        required_sigmas=2.0,
        edge="inside",
        reported_ppl=[reported("Table 1", m, "ppl") for m in table.method],
        reported_two_sigma=0.1,
    )


def test_the_order_claims_tell_the_orders_apart():
    good = methods(Adam=3.0, Signum=3.1, RMSprop=3.3, SGD_Gclip=3.6, SGD=4.0)
    assert claims.signum_between(good).holds and claims.signum_closes_most(good).holds
    assert claims.optimizer_order(good).holds
    close = methods(Adam=3.0, Signum=3.02, RMSprop=3.3, SGD_Gclip=3.6, SGD=4.0)
    assert not claims.signum_between(close).holds  # 1.4 sigma
    assert not claims.signum_closes_most(methods(Adam=3.0, Signum=3.5, RMSprop=3.6, SGD_Gclip=3.7, SGD=4.0)).holds
    assert not claims.optimizer_order(methods(Adam=3.0, Signum=3.4, RMSprop=3.3, SGD_Gclip=3.6, SGD=4.0)).holds


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
    base = {"study": "main", "source": "secretsauce", "files": [], "seq_len": 2048, "max_ppl": 1000, "curve_points": 50}
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
    records = records_of(lines)
    cells = tables.tab_betas(records, config)
    known = cells[cells.reported_ppl.notna()]
    assert len(known) >= 36
    small = known[known.reported_ppl < 100]
    assert (small.ppl - small.reported_ppl).abs().max() < 0.006  # two decimals were reported
    rows = tables.tab_equal(records, config)
    rows = rows[rows.reported_regret_ppl.notna()]
    assert len(rows) == 9 and (rows.regret_ppl - rows.reported_regret_ppl).abs().max() < 0.0006
    assert claims.betas_correlated(tables.tab_equal(records, config)).evidence["rank_correlation"] == pytest.approx(
        0.949, abs=1e-3
    )
