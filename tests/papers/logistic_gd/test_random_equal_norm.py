"""Random data with a minimiser, digits on the sphere, and how shares are reported."""

import numpy as np
import pandas as pd
import pytest

from papers.logistic_gd.census import batch_counts, follow_batch
from papers.logistic_gd.config import Config, shards
from papers.logistic_gd.known import known
from papers.logistic_gd.logistic import gradient, is_separable
from papers.logistic_gd.orbits import CONVERGED, Fate
from papers.logistic_gd.random_data import draw, draw_with_minimiser, line_sets, starts_around, with_minimiser
from papers.logistic_gd.real_data import on_sphere, real_sets, two_classes
from papers.logistic_gd.settings import Census, Known, KnownShard, RealData, TwoWalls
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
    assert batch.num_drawn == 40 + batch.num_separable and batch.num_open == 0
    assert 0.05 < batch.num_separable / batch.num_drawn < 0.40
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


def test_a_large_margin_is_no_reason_to_leave_a_set_out():
    z = np.array([0.8243, -0.00358, 0.0991])[None, :, None]
    batch = with_minimiser(z, np.ones((1, 3)))
    assert batch.w_star[0, 0] == pytest.approx(39.6101, rel=1e-3) and batch.num_separable == batch.num_open == 0


def test_what_float64_cannot_decide_is_counted_by_itself():
    z = np.array([[1.0, -1.0], [1.0, 2.0], [1e-3, -1e-3]])[..., None]  # the second is separable
    batch = with_minimiser(z, np.array([[2.0, 1.0], [1.0, 1.0], [1.0, 1.0]]))
    assert (batch.num_drawn, batch.num_separable, batch.num_open, len(batch.z)) == (3, 1, 0, 2)
    flat = np.array([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1e-7], [0.0, -1e-7]]])  # a condition number of 1e14
    assert with_minimiser(flat, np.ones((1, 4))).num_open == 1


SIZES = {"digits": (1, 1797), "digit pairs": (45, 365), "wine": (3, 130), "breast cancer": (1, 569)}


@pytest.mark.parametrize("source", SIZES)
def test_real_rows_have_norm_one_and_noise_flips_its_share(source):
    chosen = RealData(source=source, dims=[5], label_noise=[0.0, 0.3], num_draws=2)
    (clean, ones), (noisy, counts) = (real_sets(chosen, 5, noise, 0) for noise in (0.0, 0.3))
    number, size = SIZES[source]
    assert clean.shape == (number, size, 5) and noisy.shape == (2 * number, size, 5)
    lengths = [len(x) for x, _ in two_classes(source)]
    assert ones.sum(1).tolist() == lengths and counts.sum() == 2 * sum(lengths)
    assert np.abs(np.linalg.norm(clean[ones > 0], axis=1) - 1).max() < 1e-12 and (clean[ones == 0] == 0).all()
    flipped = [(np.abs(clean[0] - other).max(1) > 1e-9)[ones[0] > 0].mean() for other in noisy[:2]]
    assert flipped == pytest.approx([0.3, 0.3], abs=0.12) and flipped[0] != flipped[1]  # wine has 130 rows


def test_rows_are_turned_and_scaled_onto_their_first_components():
    x = numpy_generator(0, "rows").standard_normal((50, 4)) * [3, 2, 1e-9, 1e-9] + 7
    rows, centred = on_sphere(x, 2), (x - x.mean(0))[:, :2]
    angles = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(rows @ rows.T), np.abs(angles @ angles.T), atol=1e-6)


def test_a_known_cycle_is_found_as_often_as_its_starts_are_caught():
    walls = TwoWalls(theta=14, k=5, heavy=3000, light=1, gammas=[1.8, 1.99], box=(-8, 8, 4, 14))
    census = Census(gammas=[1.99], num_starts=10, num_steps=200, max_rounds=10, chunk=4)
    below, above = known(KnownShard(census=census, known=Known(sets=[walls], num_repeats=20)))
    assert below["num_found"] == 0 and below["power"] == 0  # no cycle at 1.8
    assert above["power"] == pytest.approx(1 - (1 - above["share_caught"]) ** 10)
    # the first of ten starts is always zero; 0.7 +- four standard errors of twenty repeats
    assert above["num_found"] / 20 == pytest.approx(above["power"], abs=0.41) and above["share_caught"] > 0.03


def test_on_the_line_no_random_set_cycles():
    settings = Census(gammas=[1.99], num_starts=6, num_steps=500, max_rounds=6, chunk=7)
    batch = batch_of("skewed", 6, 1, num=20)
    starts = starts_around(numpy_generator(0, "line"), batch.w_star, 6)
    fate = follow_batch(settings, batch, starts, 1.99)
    assert (fate.outcome == CONVERGED).all() and fate.outcome.shape == (20, 6)


def test_counts_add_up():
    outcome = np.array([["w", "c", "c"], ["s", "u", "d"], ["w", "w", "w"]])
    row = batch_counts(Fate(outcome, np.where(outcome == "c", 2, 0), np.zeros((3, 3, 1))))
    assert row["num_runs"] == 9 and row["num_cycling"] == 2
    assert row["num_sets_cycling"] == row["num_sets_undecided"] == 1 and row["num_sets"] == 3
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
    config["frequency"]["real"].append(config["frequency"]["real"][0])
    with pytest.raises(ValueError, match="named once"):
        Config.model_validate(config)


def test_basin_letters_stay_text_in_csv(tmp_path):
    from shared.artifacts.csv_files import read_csv, to_csv

    file = tmp_path / "basins.csv"
    file.write_text(to_csv(pd.DataFrame({"outcomes": ["cccc", "wwww"]})), encoding="utf-8")
    assert read_csv(file).outcomes.tolist() == ["cccc", "wwww"]
