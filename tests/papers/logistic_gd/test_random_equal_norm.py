"""Random data with a minimiser, digits on the sphere, and how shares are reported."""

import numpy as np
import pandas as pd
import pytest

from papers.logistic_gd.census import batch_counts, follow_batch
from papers.logistic_gd.config import Config, shards
from papers.logistic_gd.logistic import gradient, is_separable
from papers.logistic_gd.orbits import CONVERGED, Fate
from papers.logistic_gd.random_data import digits_data, draw, draw_with_minimiser, line_sets, starts_around
from papers.logistic_gd.settings import Census
from shared.artifacts.config import load_config
from shared.artifacts.estimates import wilson_interval
from shared.base.seeding import numpy_generator


def batch_of(kind: str, n: int, d: int, num: int = 30):
    def make(index: int):
        return draw(kind, numpy_generator(0, "test", kind, index), num, n, d, 0.1, 1000)

    return draw_with_minimiser(make, num)


@pytest.mark.parametrize("kind", ["uniform", "teacher", "skewed"])
def test_random_sets_lie_on_the_sphere_and_have_a_minimiser(kind):
    batch = batch_of(kind, 18, 3)
    np.testing.assert_allclose(np.linalg.norm(batch.z, axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(batch.weights.sum(1), 1)
    grads = gradient(batch.w_star[:, None], batch.z, batch.weights)
    assert np.abs(grads).max() < 1e-13
    assert (batch.eigenvalues > 0).all()
    assert not any(is_separable(z) for z in batch.z)


def test_separable_draws_are_left_out_and_counted():
    batch = batch_of("uniform", 6, 2, num=40)
    # Cover: 6 directions in the plane lie in a half plane with probability 2 * 6 / 2^6
    share = batch.num_separable / batch.num_drawn
    assert 0.05 < share < 0.40
    with pytest.raises(ValueError, match="raise n over d"):
        draw_with_minimiser(lambda index: draw("uniform", numpy_generator(0, index), 4, 2, 3, 0.1, 1), 4, max_batches=2)


def test_skewed_counts_span_decades():
    _, occurrences = draw("skewed", numpy_generator(0, "counts"), 50, 20, 2, 0.1, 1000)
    assert occurrences.min() == 1 and 500 < occurrences.max() <= 1000
    assert (occurrences < 32).mean() == pytest.approx(0.5, abs=0.05)  # log-uniform


def test_starts_lie_in_the_ball_and_the_first_is_zero():
    w_star = np.array([[3.0, 4.0], [0.0, 1.0]])
    starts = starts_around(numpy_generator(0, "starts"), w_star, 200)
    assert (starts[:, 0] == 0).all()
    radius = np.linalg.norm(starts[:, 1:] - w_star[:, None], axis=-1).max(1)
    assert (radius <= [12, 4]).all() and (radius > [10, 3.3]).all()


def test_line_sets_are_not_separable_and_of_unequal_magnitude():
    batch = line_sets(0, 20)
    sizes = np.abs(batch.z[..., 0])
    assert sizes.max() == 1
    assert (np.where(batch.weights > 0, sizes, np.inf).min(1) < 0.9).mean() > 0.8
    assert np.abs(gradient(batch.w_star[:, None], batch.z, batch.weights)).max() < 1e-13


def test_digits_rows_have_norm_one_and_noise_flips_its_share():
    clean, noisy = digits_data(5, 0.0, 0), digits_data(5, 0.3, 0)
    assert np.abs(np.linalg.norm(clean.z, axis=1) - 1).max() < 1e-12
    flipped = (np.abs(clean.z - noisy.z).max(1) > 1e-9).mean()
    assert flipped == pytest.approx(0.3, abs=0.04)
    assert not is_separable(clean.z)


def test_on_the_line_no_random_set_cycles():
    settings = Census(gammas=[1.99], num_starts=6, num_steps=500, max_rounds=6, chunk=7)
    batch = batch_of("skewed", 6, 1, num=20)
    starts = starts_around(numpy_generator(0, "line"), batch.w_star, 6)
    fate = follow_batch(settings, batch, starts, 1.99)
    assert (fate.outcome == CONVERGED).all() and fate.outcome.shape == (20, 6)


def test_counts_add_up():
    outcome = np.array([["w", "c", "c"], ["s", "u", "d"], ["w", "w", "w"]])
    row = batch_counts(Fate(outcome, np.where(outcome == "c", 2, 0), np.zeros((3, 3, 1))))
    assert row["num_runs"] == 9 and row["num_cycling"] == 2 and row["num_sets_cycling"] == 1
    kinds = ("converged", "slow", "cycling", "undecided", "diverged")
    assert sum(row[f"num_{kind}"] for kind in kinds) == 9
    assert row["num_sets_cycling_from_zero"] == 0 and row["periods"] == "2"


def test_wilson_interval_against_known_values():
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_each_shard_reads_only_its_own_settings():
    config = load_config("logistic_gd", "cpu")
    changed = config.model_dump()
    changed["search"]["plane"]["num_trials"] = 1
    before, after = shards(config), shards(Config.model_validate(changed))
    different = [(step, name) for step in before for name in before[step] if before[step][name] != after[step][name]]
    assert different == [("search", "plane")]


def test_a_kind_is_named_once():
    config = load_config("logistic_gd", "smoke").model_dump()
    config["frequency"]["ensembles"].append(config["frequency"]["ensembles"][0])
    with pytest.raises(ValueError, match="named once"):
        Config.model_validate(config)


def test_basin_letters_stay_text_in_csv(tmp_path):
    from shared.artifacts.csv_files import read_csv, to_csv

    file = tmp_path / "basins.csv"
    file.write_text(to_csv(pd.DataFrame({"outcomes": ["cccc", "wwww"]})), encoding="utf-8")
    assert read_csv(file).outcomes.tolist() == ["cccc", "wwww"]
