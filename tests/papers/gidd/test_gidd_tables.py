"""Tables on made-up runs: what is paired, what is averaged, what of the paper stands beside."""

import numpy as np
import pandas as pd
import pytest

from papers.gidd import tables
from papers.gidd.figures import fig_selfcorr
from papers.gidd.tables import clean, fig_scaling, fig_training, runs, tab_ablation, tab_judge, tab_ppl, tab_selfcorr
from papers.gidd.truncation import truncation_loss
from shared.artifacts.config import Settings
from shared.artifacts.reported import Reported

BASELINES = pd.DataFrame(
    {
        "study": ["markov", "text"],
        "vocab_size": [33, 257],
        "floor_nats_per_token": [0.9, np.nan],
        "unigram_nats_per_token": [3.1, 2.9],
        "entropy_rate_nats": [0.8, np.nan],
        "characters_per_token": [np.nan, 2.0],
        "baseline_nats_per_token": [0.9, 2.4],
    }
)


def likelihoods(nats: dict[tuple, float]) -> pd.DataFrame:
    """Runs of the headline recipe by (study, p_u, seed)."""
    frame = pd.DataFrame(
        [(*key, value) for key, value in nats.items()], columns=["study", "p_u", "seed", "nats_per_token"]
    )
    frame["model"] = "GIDD+ (p_u=" + frame.p_u.map("{:g}".format) + ")"
    settings = {"objective": "gidd", "loss": "dynamic", "weighting": "dynamic", "size": "m", "num_steps": 600}
    facts = {"standard_error": 0.01, "num_params": 100, "num_block_params": 90, "tokens": 10}
    return frame.assign(**settings, **facts, main=True, usual=True, headline=True)


TWO_SEEDS = {("text", 0.0, 0): 3.0, ("text", 0.0, 1): 3.2, ("text", 0.1, 0): 3.5, ("text", 0.1, 1): 3.9}


def test_the_gap_of_a_run_is_to_the_run_of_its_own_seed():
    table = fig_scaling(likelihoods(TWO_SEEDS), BASELINES)
    assert table[table.p_u == 0.1].set_index("seed").gap.to_dict() == pytest.approx({0: 0.5, 1: 0.7})
    assert (table[table.p_u == 0].gap == 0).all()


def test_perplexity_is_of_the_mean_over_seeds_and_says_their_spread():
    row = tab_ppl(likelihoods(TWO_SEEDS), BASELINES, Reported("gidd")).set_index("model").loc["GIDD+ (p_u=0)"]
    assert (row.ppl, row.seed_std, row.num_seeds) == pytest.approx((np.exp(3.1), 0.2 / np.sqrt(2), 2))
    assert row.reported_ppl == 22.29
    assert row.bits_per_character == pytest.approx(3.1 / 2 / np.log(2))


def test_an_ablation_s_cell_says_the_spread_between_its_seeds_and_the_mean_error_of_their_evaluations():
    trained = likelihoods(TWO_SEEDS).assign(standard_error=[0.01, 0.03, 0.02, 0.02])
    row = tab_ablation(trained, Reported("gidd")).set_index(["loss", "p_u"]).loc["dynamic", 0.0]
    found = (row.nats_per_token, row.seed_std, row.standard_error, row.num_seeds)
    assert found == pytest.approx((3.1, 0.2 / np.sqrt(2), 0.02, 2))


def test_the_truncation_is_that_of_the_run_s_noise_over_the_ordinary_tokens():
    table = tab_ppl(likelihoods(TWO_SEEDS), BASELINES, Reported("gidd")).set_index("model")
    for p_u in (0.0, 0.1):
        assert table.loc[f"GIDD+ (p_u={p_u:g})", "optimistic_by"] == pytest.approx(truncation_loss(p_u, 256), rel=1e-12)


def test_a_run_s_bound_and_its_error_are_those_of_its_evaluation():
    metrics = {"nats_per_token": (3.0, 0.02), "ppl": (20.0, 0.4), "validation_error": (0.05, np.nan)}
    rows = [{"metric": name, "value": value, "standard_error": error} for name, (value, error) in metrics.items()]
    rows += [{"metric": "touched", "value": 0.9, "num_corrupted": 2}]
    frame = pd.DataFrame(rows).assign(study="text", run="a")
    row = tables.likelihoods(lambda step: frame, pd.DataFrame({"study": ["text"], "run": ["a"], "seed": [0]})).iloc[0]
    assert (row.nats_per_token, row.standard_error, row.validation_error) == (3.0, 0.02, 0.05)


def test_recovery_is_the_mean_over_runs_of_the_headline():
    run = {"study": "text", "main": True, "usual": True}
    known = pd.DataFrame([{"run": name, "headline": name != "c"} | run for name in "abc"])
    rows = [
        {"study": "text", "run": name, "p_u": 0.2, "num_corrupted": 2, "metric": metric, "value": value + offset}
        for name, value in zip("abc", (0.1, 0.3, 0.9), strict=True)
        for metric, offset in (("touched", 0.05), ("recovered", 0.0), ("damaged", 0.01))
    ]
    row = tables.tab_recovery(lambda step: pd.DataFrame(rows), known).iloc[0]
    assert (row.touched, row.recovered, row.damaged, row.num_runs) == pytest.approx((0.25, 0.2, 0.21, 2))


def test_what_the_paper_reports_and_we_did_not_train_stays_with_our_side_empty():
    ppl = tab_ppl(likelihoods(TWO_SEEDS), BASELINES, Reported("gidd")).set_index("model")
    assert ppl.loc["GPT-2 (released)", "reported_ppl"] == 23.40 and np.isnan(ppl.loc["GPT-2 (released)", "ppl"])
    table = tab_ablation(likelihoods(TWO_SEEDS), Reported("gidd"))
    assert table.reported_ppl.notna().sum() == 12 and table.ppl.notna().sum() == 2
    assert table.set_index(["loss", "p_u"]).loc[("clamp", 0.2), "reported_ppl"] == 26.40


def test_perplexities_of_the_paper_stand_beside_text_and_its_ablation_beside_every_study():
    trained, reported = likelihoods(TWO_SEEDS | {("markov", 0.0, 0): 1.0}), Reported("gidd")
    ppl, ablation = tab_ppl(trained, BASELINES, reported), tab_ablation(trained, reported)
    assert ppl[ppl.study == "markov"].reported_ppl.isna().all()
    assert ppl[ppl.study == "text"].reported_ppl.notna().any()
    assert ablation.groupby("study").reported_ppl.count().to_dict() == {"markov": 12, "text": 12}


def test_the_ablation_says_what_lies_above_the_recipe_with_masks_alone():
    decay = "dynamic + weight decay"
    table = tab_ablation(likelihoods(TWO_SEEDS).assign(loss=decay), Reported("gidd")).set_index(["loss", "p_u"])
    assert table.nats_above[decay].to_dict() == pytest.approx({0.0: 0, 0.1: 0.6, 0.2: np.nan}, nan_ok=True)
    assert table.reported_nats_above["none", 0.2] == pytest.approx(np.log(28.22 / 23.05))


def test_learning_curves_end_at_the_numbers_of_the_ablation():
    runs = likelihoods(TWO_SEEDS).assign(run=lambda frame: frame.p_u.astype(str) + frame.seed.astype(str))
    steps = pd.DataFrame({"step": [300, 600], "val_nats_per_token": [4.0, 9.9], "phase": "eval", "study": "text"})
    curves = fig_training(lambda step: steps.merge(runs[["run"]], how="cross"), runs, BASELINES)
    assert len(curves) == 8 and not curves.duplicated(["study", "p_u", "loss", "step", "seed"]).any()
    ends = curves[curves.step == 600].groupby("p_u").nats_per_token.mean()
    table = tab_ablation(runs, Reported("gidd")).dropna(subset="nats_per_token")
    assert ends.to_dict() == pytest.approx(dict(zip(table.p_u, table.nats_per_token, strict=True)))
    assert (curves[curves.step == 300].nats_per_token == 4.0).all()


def samples() -> pd.DataFrame:
    """A run's held-out, sampled and corrected rows, whose measures are 1, 2 and 3 times those of held-out data."""
    measures = {"gen_ppl": 2.0, "mean_nll": 0.7, "unigram_entropy": 3.0, "distinct_2": 0.1, "valid": 0.2}
    measures["duplicate_share"] = 0.01
    stages = [("held out", np.nan, np.nan), ("sampled", 8, np.nan), ("corrected", 8, 0.1)]
    rows = [
        {"stage": stage, "num_steps": steps, "tau": tau} | {name: times * value for name, value in measures.items()}
        for times, (stage, steps, tau) in enumerate(stages, 1)
    ]
    run = {"study": "markov", "run": "a", "size": "m", "p_u": 0.1, "seed": 0}
    return pd.DataFrame(rows).assign(**run, initial_self_accuracy=0.6, final_self_accuracy=0.9)


def test_before_is_the_sample_and_after_is_the_correction():
    records = lambda step: samples()  # noqa: E731
    row = tab_selfcorr(records, clean(records), BASELINES).iloc[0]
    values = {"gen_ppl": 2.0, "gen_nll": 0.7, "unigram_entropy": 3.0, "distinct_2": 0.1, "valid": 0.2}
    for name, value in values.items():
        found = [row[f"clean_{name}"], row[f"{name}_before"], row[f"{name}_after"]]
        assert found == pytest.approx([value, 2 * value, 3 * value])
    assert (row.self_accuracy_before, row.self_accuracy_after, row.change_percent) == pytest.approx((0.6, 0.9, 50))
    assert row.entropy_rate_nats == 0.8


def test_samples_are_drawn_with_their_own_interval():
    frame = samples().assign(mean_nll_low=0.5, mean_nll_high=0.9, num_samples=4)
    known = pd.DataFrame({"study": ["markov"], "run": ["a"], "main": [True]})
    row = tables.fig_genppl_steps(lambda step: frame, known, clean(lambda step: frame), Reported("gidd")).iloc[0]
    assert (row.low, row.high, row.clean_gen_ppl) == pytest.approx((np.exp(0.5), np.exp(0.9), 2.0))


def test_texts_shown_are_of_the_first_seed_and_the_most_steps():
    keys = [(seed, steps) for seed in (0, 1) for steps in (8, 16)]
    frame = pd.DataFrame(keys, columns=["seed", "num_steps"]).assign(p_u=0.2, tau=0.1, sample=0, text="the")
    found = tables.tab_samples(lambda step: frame)
    assert found[["seed", "num_steps"]].to_numpy().tolist() == [[0, 16]]


def test_quality_is_drawn_against_the_diversity_of_the_same_samples():
    rows = [tab_selfcorr(lambda step: samples(), clean(lambda step: samples()), BASELINES)]
    table = pd.concat([*rows, *(r.assign(tau=0.5, unigram_entropy_after=8.0, gen_nll_after=1.5) for r in rows)])
    ax = fig_selfcorr(table).axes[4]
    drawn = {tuple(np.round(line.get_xdata(), 6)): tuple(np.round(line.get_ydata(), 6)) for line in ax.lines}
    assert drawn == {(9.0, 8.0): (2.1, 1.5), (6.0,): (1.4,), (3.0,): (0.7,)}  # corrected, before, held out


def test_the_judge_s_ratings_are_the_paper_s():
    table = tab_judge(Reported("gidd")).set_index(["model", "criterion"]).reported_change_percent
    assert len(table) == 10 and table["p_u=0.0", "style"] == -21.1 and table["p_u=0.2", "grammar"] == 16.6


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu", "paper"])
def test_each_study_has_one_row_of_the_headline_per_share_of_noise_and_seed(scale):
    table = runs(Settings("gidd", "tables", scale))
    headline = table[table.main & table.usual & table.headline]
    assert not headline.duplicated(["study", "p_u", "seed"]).any()
    assert set(headline.study) == {"markov", "text"}
    mdm = table[table.model == "MDM"]
    assert set(zip(mdm.objective, mdm.weighting, mdm.p_u, mdm.weight_decay, strict=True)) == {("gidd", "none", 0, 0)}
    assert "MDM" in set(table[table.study == "markov"].model) and "AR" in set(table[table.study == "text"].model)
