"""Scores on hand-made rows: solved lengths, cosines, scaled accuracy, scans of an update."""

import math

import pandas as pd
import pytest

from papers.fixed_point_rnn.config import entries_of
from papers.fixed_point_rnn.figures import fig_3b
from papers.fixed_point_rnn.scores import (
    by_length,
    cost_of_accuracy,
    kind_of,
    longest,
    longest_by_model,
    perplexities,
    random_jacobians,
    rates_tried,
    relative_size,
    scaled_accuracy,
    truncated_gradients,
)
from papers.fixed_point_rnn.train import _scans
from shared.artifacts.config import load_config


def lengths(accuracies, seed=0, task="S3", model="FP"):
    key = {"study": "mixers", "task": task, "model": model, "l_max": 4, "seed": seed, "train_len": 4}
    own = {"token_acc": 1.0, "iterations": 10.0 + seed, "met": 1.0, "loss": 0.5}
    return pd.DataFrame([key | own | {"test_len": n, "seq_acc": a} for n, a in accuracies.items()])


def test_a_length_counts_as_solved_only_if_every_shorter_one_is():
    table = pd.concat([lengths({8: 0.95, 2: 1.0, 4: 0.9, 6: 0.89}), lengths({2: 0.5, 4: 1.0}, seed=1)])
    assert longest(table).set_index("seed").longest.to_dict() == {0: 4, 1: 0}
    (row,) = longest_by_model(table).itertuples()
    assert (row.longest, row.low, row.high, row.num_seeds) == (2.0, 0, 4, 2)


def test_the_heat_map_has_the_largest_l_max_of_a_model():
    parts = [lengths({4: 1.0, 8: a}, model=f"FP, l_max {n}").assign(l_max=n) for n, a in ((2, 0.5), (16, 1.0))]
    (ax, *_) = fig_3b(longest_by_model(pd.concat(parts))).axes
    assert [label.get_text() for label in ax.texts] == ["8"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["FP"]


def test_only_word_problems_have_a_solved_length():
    table = pd.concat([lengths({2: 1.0}, task="copy"), lengths({2: 1.0}, model="other")])
    assert longest(table).model.tolist() == ["other"]


def test_means_over_seeds_with_their_standard_error():
    table = pd.concat([lengths({4: a}, seed=s) for s, a in enumerate((0.1, 0.2, 0.6))])
    (row,) = by_length(table).itertuples()
    assert row.seq_acc == pytest.approx(0.3) and row.num_seeds == 3 and row.iterations == 11
    assert row.standard_error == pytest.approx(math.sqrt(0.07) / math.sqrt(3))  # sample variance 0.07


def test_sizes_are_relative_to_the_studys_reference():
    table = pd.DataFrame(
        [("dial", "FP, l_max 2", 100), ("dial", "FP, l_max 8", 100), ("dial", "LSTM", 90), ("text", "FP", 50)],
        columns=["study", "model", "num_params"],
    )
    found = relative_size(table, {"dial": "FP", "text": None})
    assert found[:3].tolist() == [1.0, 1.0, 0.9] and math.isnan(found[3])


def test_accuracy_is_set_beside_scans_and_seconds_at_twice_the_training_length():
    table = pd.concat([lengths({4: 1.0, 8: a}, seed=s) for s, a in enumerate((0.5, 0.7))])
    models = lengths({4: 1.0})[["study", "task", "model", "l_max"]].assign(scans=3.0, update_ms=20.0, num_steps=100)
    found = cost_of_accuracy(models, pd.concat([table, lengths({8: 1.0}, task="copy")]))
    assert found.seq_acc.tolist() == [0.5, 0.7] and found.scans.tolist() == [3.0, 3.0]
    assert found.seconds.tolist() == pytest.approx([2.0, 2.0]) and found.kind.tolist() == ["FP, reflections"] * 2


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu", "paper"])
def test_every_model_of_a_word_problem_has_a_kind(scale):
    studies = load_config("fixed_point_rnn", scale).present()
    kinds = {e.name: kind_of(e.name) for s in studies.values() if s.task.kind == "word" for e in entries_of(s)}
    expected = {"diagonal": "no mixer", "LSTM": "LSTM", "FP-RNN-K": "FP, Kronecker"}
    expected |= {"FP-RNN-H1, no hidden": "FP, Q of the input", "DeltaNet, negative": "delta rule", "Mamba": "Mamba"}
    assert all(kinds[name] == kind for name, kind in expected.items() if name in kinds)


def test_scaled_accuracy_is_zero_at_chance_and_one_at_the_top():
    assert scaled_accuracy(pd.Series([0.2, 0.6, 1.0]), 5).tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_perplexity_is_of_text_alone():
    table = pd.concat([lengths({4: 0.0}, task="text"), lengths({4: 0.0})])
    assert perplexities(table).perplexity.tolist() == [pytest.approx(math.exp(0.5))]


def test_cosines_are_judged_per_layer_and_only_where_the_iteration_converged():
    steps = {0: (0.9, 0.95, 0.99), 1: (-0.1, 0.5, 0.4), 2: (-1.0, -1.0, -1.0)}
    rows = [
        {"scale": 1, "argument": "sum", "draw": d, "num_backward": k, "cosine": c, "converged": d != 2}
        for d, values in steps.items()
        for k, c in zip((4, 2, 1), values[::-1], strict=True)  # not in order
    ]
    table = truncated_gradients(lambda step, part: pd.DataFrame(rows)).set_index("num_backward")
    assert table.share_positive.to_dict() == {1: 0.5, 2: 1.0, 4: 1.0}
    assert table.smallest.to_dict() == {1: -0.1, 2: 0.5, 4: 0.4}
    assert table.num_draws.tolist() == [2, 2, 2] and table.share_monotone.tolist() == [0.5] * 3


def test_jacobians_are_grouped_by_norm():
    rows = pd.DataFrame({"norm": [0.5, 0.5, 1.5], "draw": [0, 1, 0], "cosine": [0.2, 0.0, -0.3]})
    assert random_jacobians(lambda step, part: rows).share_positive.tolist() == [0.5, 0.0]


def test_a_layer_without_an_iteration_is_one_scan():
    curve = pd.DataFrame({"iterations_0": [3.0, 1.0], "iterations_1": [5.0, 3.0], "loss": 1.0})
    assert _scans(curve, 2) == 6.0
    assert _scans(curve[["loss"]], 2) == 2.0 and _scans(curve[:0], 3) == 3.0


def test_the_chosen_rate_has_the_smallest_mean_and_says_where_it_is_an_end():
    losses = {"a": {1.0: [2, 4], 2.0: [1, 3], 4.0: [5, 5]}, "b": {1.0: [1, 1], 2.0: [0, 9], 4.0: [0, 0]}}
    rows = [
        {"study": "text", "model": m, "l_max": 4, "lr": lr, "seed": s, "train_loss": loss, "diverged": False}
        for m, own in losses.items()
        for lr, values in own.items()
        for s, loss in enumerate(values)
    ]
    rows = pd.DataFrame(rows)
    rows.loc[rows.model.eq("b") & rows.lr.eq(4) & rows.seed.eq(1), "diverged"] = True  # counts as no loss at all
    table = rates_tried(lambda step, part: rows)
    assert table[table.chosen][["model", "lr", "loss", "edge"]].values.tolist() == [
        ["b", 1.0, 1.0, "low"],
        ["a", 2.0, 2.0, ""],
    ]
    assert table.num_diverged.sum() == 1 and (table.num_seeds == 2).all()
