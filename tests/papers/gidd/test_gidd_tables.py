"""Tables on made-up runs: what is paired, what is averaged, what of the paper stands beside."""

import numpy as np
import pandas as pd
import pytest

from papers.gidd.tables import fig_scaling, runs, tab_ablation, tab_ppl
from shared.artifacts.config import Settings
from shared.artifacts.reported import Reported

BASELINES = pd.DataFrame(
    {
        "study": ["markov", "text"],
        "vocab_size": [33, 257],
        "floor_nats_per_token": [0.9, np.nan],
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


def test_what_the_paper_reports_and_we_did_not_train_stays_with_our_side_empty():
    ppl = tab_ppl(likelihoods(TWO_SEEDS), BASELINES, Reported("gidd")).set_index("model")
    assert ppl.loc["GPT-2 (released)", "reported_ppl"] == 23.40 and np.isnan(ppl.loc["GPT-2 (released)", "ppl"])
    table = tab_ablation(likelihoods(TWO_SEEDS), Reported("gidd"))
    assert table.reported_ppl.notna().sum() == 12 and table.ppl.notna().sum() == 2
    assert table.set_index(["loss", "p_u"]).loc[("clamp", 0.2), "reported_ppl"] == 26.40


def test_the_paper_s_numbers_stand_beside_text_alone():
    trained, reported = likelihoods(TWO_SEEDS | {("markov", 0.0, 0): 1.0}), Reported("gidd")
    for table in (tab_ppl(trained, BASELINES, reported), tab_ablation(trained, reported)):
        assert table[table.study == "markov"].reported_ppl.isna().all()
        assert table[table.study == "text"].reported_ppl.notna().any()


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu", "paper"])
def test_each_study_has_one_row_of_the_headline_per_share_of_noise_and_seed(scale):
    table = runs(Settings("gidd", "tables", scale))
    headline = table[table.main & table.usual & table.headline]
    assert not headline.duplicated(["study", "p_u", "seed"]).any()
    assert set(headline.study) == {"markov", "text"}
    assert {"MDM", "AR"} <= set(table[table.study == "text"].model.dropna())
