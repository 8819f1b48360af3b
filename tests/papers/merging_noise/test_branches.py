"""Tasks, features, gradient noise, and what is measured of branches."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from papers.merging_noise import cross, methods, trajectory
from papers.merging_noise.align import align
from papers.merging_noise.features import linear_cka, penultimate
from papers.merging_noise.gradients import covariance_trace, diagonal_fisher, example_gradients
from papers.merging_noise.merging import Merger, groups
from papers.merging_noise.settings import Alignment, ForkPlan, Images, Methods, Trajectory
from papers.merging_noise.task import MergeTask
from shared.base.seeding import torch_generator
from shared.train.ensemble.fork import train_forked
from shared.train.ensemble.training import train_ensemble
from shared.train.run import Run
from shared.weightspace.interpolation import evaluate_states, grid, path
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.states import distance
from shared.weightspace.symmetry import transform
from shared.weightspace.task_vectors import average
from shared.weightspace.weight_matching import match_weights

MODEL = {"widths": [12, 12], "norm": "layernorm", "bias": False}


def images(**changes):
    settings = {"model": MODEL, "num_train": 300, "label_noise": 0.2, "warmup_fraction": 0, "validation_rows": 1497}
    return Images(**settings | changes)


def runs(lrs=(0.3,), seeds=(0,), num_steps=30, **settings):
    how = {"optimizer": "sgd", "batch_size": 8, "num_steps": num_steps}
    return [Run(name=f"{lr} {s}", settings={"lr": lr} | settings, seed=s, **how) for lr in lrs for s in seeds]


def forked(plan, trunks=None, settings=None, **how):
    settings, trunks = settings or images(), trunks or runs()
    task = MergeTask(settings, {}, 8)
    config = settings.training_for(trunks[0])
    forks = train_forked(task, trunks, config, steps=plan.forks, number=plan.branches, progress=False, **how)
    merger = Merger(task, trunks, plan, {"study": "test"}, device="cpu", stack=8)
    return task, [(fork, list(merger.rows(fork))) for fork in forks]


def rows_of(found, part):
    return [row for _, rows in found for name, row in rows if name == part]


def test_one_data_order_in_both_branches_gains_exactly_nothing():
    _, found = forked(ForkPlan(forks=(10,), same_order=True, cka=True), same_order=True)
    (row,) = rows_of(found, "pairs")
    assert row["acc_gain"] == 0 and row["distance"] == 0
    assert row["loss_gain"] == pytest.approx(0, abs=1e-9) and row["cka"] == pytest.approx(1)


def test_a_fork_at_the_end_gains_nothing_and_an_early_one_moves_apart():
    _, found = forked(ForkPlan(forks=(0, 30)))
    early, late = rows_of(found, "pairs")
    assert (early["fork"], late["fork"]) == (0, 30)
    assert late["distance"] == 0 < early["distance"]
    assert late["loss_gain"] == pytest.approx(0, abs=1e-9)


def test_gains_are_those_of_models_evaluated_one_by_one():
    plan = ForkPlan(forks=(10,), branches=3, path_points=9, arithmetic_points=13, layers=True)
    task, found = forked(plan)
    ((fork, _),) = found
    alone = lambda state: task.evaluate(_module(task, state), 0)  # noqa: E731
    ends = [alone(state) for state in fork.result.states]
    for number, row in zip((2, 3), rows_of(found, "pairs"), strict=True):
        merged = alone(average(fork.result.states[:number]))
        mean = np.mean([end["val_loss"] for end in ends[:number]])
        assert row["num_merged"] == number
        assert row["loss_gain"] == pytest.approx(mean - merged["val_loss"], abs=1e-5)
        assert row["accuracy_merged"] == pytest.approx(100 * merged["val_accuracy"], abs=1e-4)
    losses = {row["alpha"]: row["loss"] for row in rows_of(found, "path")}
    assert [losses[0.0], losses[1.0]] == pytest.approx([end["val_loss"] for end in ends[:2]], abs=1e-5)
    half = next(r for r in rows_of(found, "arithmetic") if r["method"] == "task arithmetic" and r["scale"] == 0.5)
    assert half["loss"] == pytest.approx(losses[0.5], abs=1e-4)
    assert {row["layer"] for row in rows_of(found, "layers")} == {f"1.layers.{k}.weight" for k in range(3)}


def _module(task, state):
    model = task.build(0).eval()
    model.load_state_dict(state)
    return model


def test_the_learning_rate_after_the_fork_is_told_apart():
    plan = ForkPlan(forks=(10,), lr_after=(0.3, 0.01))
    _, found = forked(plan, changes=[{"lr": lr} for lr in plan.lr_after])
    rows = rows_of(found, "pairs")
    assert [(row["lr"], row["lr_after"]) for row in rows] == [(0.3, 0.3), (0.3, 0.01)]
    assert rows[1]["noise"] == pytest.approx(0.01 / 8)
    assert rows[1]["distance"] < rows[0]["distance"]
    assert [len(g) for g in groups(found[0][0])] == [2, 2]


def test_branches_that_diverged_are_told_and_not_merged():
    _, found = forked(ForkPlan(forks=(10,)), runs(lrs=(1e30,)), images(model={"widths": [12], "bias": False}))
    (row,) = rows_of(found, "pairs")
    assert row["diverged"] and "acc_gain" not in row


def test_batchnorm_is_merged_with_its_statistics_averaged_and_reset():
    settings = images(kind="cnn", model={"widths": [4], "norm": "batch"})
    _, found = forked(ForkPlan(forks=(5,)), runs(num_steps=10), settings)
    averaged, reset = rows_of(found, "pairs")
    assert (averaged["statistics"], reset["statistics"]) == ("averaged", "reset")
    assert averaged["loss_merged"] != reset["loss_merged"]


def test_stacked_branches_equal_runs_of_their_own():
    task, trunks = MergeTask(images(), {}, 8), runs(lrs=(0.1, 1.0), seeds=(0, 1))
    config = images().training_for(trunks[0])
    together = train_ensemble(task, trunks, config, progress=False).states
    for run, state in zip(trunks, together, strict=True):
        (alone,) = train_ensemble(task, [run], config, progress=False).states
        assert distance(alone, state) < 1e-4 * float(torch.cat([v.reshape(-1) for v in state.values()]).norm())


def test_hidden_layers_of_the_normalised_network_are_scale_invariant():
    model = MergeTask(images(), {}, 8).build(0).double()
    x, y = torch.randn(40, 1, 8, 8, dtype=torch.float64), torch.arange(40) % 10
    hidden = [p for name, p in model.named_parameters() if "layers.2" not in name]

    def loss_and_gradients():
        loss = F.cross_entropy(model(x), y)
        return loss.item(), torch.autograd.grad(loss, hidden)

    for layer in model.modules():
        if isinstance(layer, torch.nn.LayerNorm):
            layer.eps = 0.0  # what breaks the invariance otherwise, by eps / variance
    loss, before = loss_and_gradients()
    for p, g in zip(hidden, before, strict=True):
        assert (p * g).sum().item() == pytest.approx(0, abs=1e-10 * (p.norm() * g.norm()).item() + 1e-12)
    for scale in (0.1, 10.0):
        with torch.no_grad():
            for p in hidden:
                p.mul_(scale)
        scaled_loss, after = loss_and_gradients()
        assert scaled_loss == pytest.approx(loss, rel=1e-9)
        for g, h in zip(before, after, strict=True):
            assert torch.allclose(h * scale, g, rtol=1e-6, atol=1e-12)
        with torch.no_grad():
            for p in hidden:
                p.div_(scale)


def test_merging_softmax_regressions_never_loses():
    """The loss is convex in the weights, so no pair's average can be worse than its parents' mean."""
    settings = images(model={"widths": [], "bias": True})
    _, found = forked(ForkPlan(forks=(0,)), runs(lrs=(0.03, 0.3, 3.0), seeds=(0, 1)), settings)
    assert all(row["loss_gain"] >= -1e-6 for row in rows_of(found, "pairs"))


def test_cka_of_equal_rotated_scaled_and_independent_features():
    draw = torch_generator(0, "features")
    x = torch.randn(3000, 6, generator=draw)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=draw))[0]
    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(x, 3 * x @ turn + 5) == pytest.approx(1, abs=1e-6)
    assert linear_cka(x, torch.randn(3000, 6, generator=draw)) < 0.01
    with pytest.raises(ValueError, match="same inputs"):
        linear_cka(x, x[:5])


def test_penultimate_features_times_the_head_are_the_logits():
    model = MergeTask(images(), {}, 8).build(0)
    x = torch.randn(7, 1, 8, 8)
    assert torch.allclose(model[1].layers[-1](penultimate(model, x)), model(x), atol=1e-6)


def test_trace_of_the_covariance_is_that_of_a_loop_and_of_minibatch_variance():
    task = MergeTask(images(), {}, 64)
    model = task.build(0).double()
    batch = {k: v.double() if v.is_floating_point() else v for k, v in task.batch(0, range(64), 0).items()}
    grads = example_gradients(task, model, batch)
    rows = []
    for x, y in zip(batch["images"], batch["labels"], strict=True):
        loss = F.cross_entropy(model(x[None]), y[None])
        rows.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(model.parameters()))]))
    looped = torch.stack(rows)
    assert torch.allclose(grads, looped, atol=1e-10)
    trace = covariance_trace(grads)
    assert trace == pytest.approx(float(looped.var(0, correction=0).sum()), rel=1e-9)
    draws = torch.randint(64, (20000, 8), generator=torch_generator(0, "minibatches"))
    means = grads[draws.reshape(-1)].view(20000, 8, -1).mean(1)
    assert float(means.var(0).sum()) == pytest.approx(trace / 8, rel=0.05)


def test_splits_noise_and_classes_are_as_described():
    clean, noisy = MergeTask(images(label_noise=0.0), {}, 8).data, MergeTask(images(), {}, 8).data
    assert (len(noisy.train_labels), len(noisy.test_labels)) == (300, 1497)
    changed = (clean.train_labels != noisy.train_labels).float().mean()
    assert 0.1 < changed < 0.26  # a fifth drawn anew, a tenth of those as it was
    assert torch.equal(clean.test_labels, noisy.test_labels)
    some = MergeTask(images(classes=(5, 6), quarter_turns=1, label_noise=0.0), {}, 8).data
    assert set(some.train_labels.tolist()) == {5, 6}
    kept = torch.isin(clean.test_labels, torch.tensor([5, 6]))
    assert torch.equal(some.test_images, torch.rot90(clean.test_images[kept], 1, (-2, -1)))
    with pytest.raises(ValueError, match="leaves none"):
        MergeTask(images(num_train=5000), {}, 8).data  # noqa: B018


@pytest.mark.parametrize(("kind", "scale"), [("gaussian", 0.3), ("shift", 1), ("crop_flip", 2)])
def test_augmentation_is_a_function_of_seed_step_and_row(kind, scale):
    task = MergeTask(images(augmentation=kind, augmentation_scale=scale), {}, 8)
    whole, part = task.batch(3, range(8), 5), task.batch(3, range(2, 5), 5)
    assert torch.equal(whole["images"][2:5], part["images"])
    plain = MergeTask(images(), {}, 8).batch(3, range(8), 5)
    assert torch.equal(plain["labels"], whole["labels"])
    assert not torch.equal(plain["images"], whole["images"])
    assert not torch.equal(whole["images"], task.batch(3, range(8), 6)["images"])


def test_shifts_move_an_image_by_at_most_a_pixel():
    task = MergeTask(images(augmentation="shift", augmentation_scale=1), {}, 64)
    moved, plain = task.batch(0, range(64), 0)["images"], MergeTask(images(), {}, 64).batch(0, range(64), 0)["images"]
    edge = float(plain.min())
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    for x, y in zip(plain[:, 0], moved[:, 0], strict=True):
        padded = F.pad(x, (1, 1, 1, 1), value=edge)
        assert any(torch.equal(padded[1 + i : 9 + i, 1 + j : 9 + j], y) for i, j in shifts)


def test_a_frozen_head_is_the_same_for_every_seed_and_stays():
    task = MergeTask(images(freeze_head=True), {}, 8)
    heads = [task.build(seed)[1].layers[-1].weight for seed in (0, 3)]
    assert torch.equal(*heads) and not heads[0].requires_grad
    trained = train_ensemble(task, runs(seeds=(3,)), images().training_for(runs()[0]), progress=False).states[0]
    assert not any("layers.2" in name for name in trained)


def test_a_planted_permutation_is_found_and_leaves_no_barrier():
    task = MergeTask(images(model={"widths": [16], "bias": True}), {}, 8)
    model = task.build(0)
    a = {k: v.clone() for k, v in model.state_dict().items()}
    order = torch.randperm(16, generator=torch_generator(0, "order"))
    b = {"1.layers.0.weight": a["1.layers.0.weight"][order], "1.layers.0.bias": a["1.layers.0.bias"][order]}
    b |= {"1.layers.1.weight": a["1.layers.1.weight"][:, order], "1.layers.1.bias": a["1.layers.1.bias"]}
    symmetry = symmetry_of(model).as_permutations()
    back = transform(symmetry, b, match_weights(symmetry, a, b).elements)
    assert all(torch.equal(a[k], back[k]) for k in a)
    losses = [row["val_loss"] for row in evaluate_states(task, path(a, back, grid(5)), model)]
    assert max(losses) - min(losses) < 1e-6


def test_plans_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="4 k \\+ 1"):
        ForkPlan(forks=(10,), path_points=10)
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        ForkPlan(forks=(10,), branches=1)


def test_augmentation_enters_the_first_trace_and_not_the_plain_one():
    settings = images(augmentation="gaussian", augmentation_scale=3.0)
    _, found = forked(ForkPlan(forks=(10,), trace_examples=64), settings=settings)
    _, without = forked(ForkPlan(forks=(10,), trace_examples=64))
    ((row,), (plain,)) = rows_of(found, "pairs"), rows_of(without, "pairs")
    assert row["trace"] > 1.1 * row["trace_plain"] and plain["trace"] == plain["trace_plain"]


def test_merges_of_two_tasks_are_judged_against_each_tasks_own_model(monkeypatch):
    """A model's accuracy on task k is its k-th weight: accuracies and shares are then sums by hand."""

    def evaluate(task, states, template, **how):
        return [{"val_accuracy": float(state["w"][task])} for state in states]

    monkeypatch.setattr(cross, "evaluate_states", evaluate)
    lrs, base = (0.1, 0.4), {"w": torch.zeros(2)}
    tuned = [{(lr, 0): {"w": torch.tensor([lr, lr / 10])} for lr in lrs}]
    tuned += [{(lr, 0): {"w": torch.tensor([lr / 10, 2 * lr])} for lr in lrs}]
    settings = SimpleNamespace(lrs=lrs, scales=(0.5,), keep=0.5, stack=None)
    for row in cross.merged_rows(settings, (0, 1), tuned, base, (None, None), 0, "cpu"):
        a, b = row["lr_1"], row["lr_2"]
        first, second = (a, 2 * b) if row["method"] == "TIES" else (a + b / 10, 2 * b + a / 10)
        assert row["accuracy"] == pytest.approx(50 * 0.5 * (first + second))
        assert row["normalised"] == pytest.approx(50 * 0.5 * (first / a + second / (2 * b)))
        assert [row["single_1"], row["single_2"]] == pytest.approx([100 * a, 100 * 2 * b])


def test_alignment_compares_models_of_different_seeds():
    settings = Alignment(images=images(), lrs=(0.1, 0.3), batch_size=8, num_steps=20, pairs=2, path_points=5)
    found = align(settings, device="cpu", threads=1)
    assert [(row["lr"], row["pair"]) for row in found["barriers"]] == [(0.1, 0), (0.1, 1), (0.3, 0), (0.3, 1)]
    lines = {(r["lr"], r["pair"], r["aligned"], r["alpha"]): r["loss"] for r in found["lines"]}
    for lr, pair in itertools.product((0.1, 0.3), (0, 1)):
        plain = [lines[lr, pair, False, alpha] for alpha in (0.0, 0.5, 1.0)]
        assert plain[0] != plain[2] and len({lines[lr, k, False, 0.0] for k in (0, 1)}) == 2
        for end in (0.0, 1.0):  # matching permutes units: the ends stay the functions they were
            assert lines[lr, pair, True, end] == pytest.approx(lines[lr, pair, False, end], abs=1e-5)


def test_the_halves_of_the_test_images_share_none():
    task = MergeTask(images(), {}, 8)
    first, second = (methods.half(task, part).data for part in (0, 1))
    assert torch.equal(first.test_images, task.data.test_images[0::2])
    assert torch.equal(second.test_labels, task.data.test_labels[1::2])
    assert len(first.test_labels) + len(second.test_labels) == len(task.data.test_labels)


def test_what_a_method_leaves_free_is_chosen_on_one_half_and_judged_on_the_other():
    """Models are numbers; one half wants 1, the other 3: every choice is nearest to 1 and judged by 3."""

    def near(goal):
        return lambda states: [{"val_loss": abs(float(s["w"]) - goal), "val_accuracy": 0.5} for s in states]

    ends = [{"w": torch.tensor([x])} for x in (0.8, 1.1, 4.0)]
    options = {"scaled": {scale: {"w": torch.tensor([scale])} for scale in (0.5, 1.0, 3.0)}}
    found = {row["method"]: row for row in methods.method_rows(ends, options, near(1), near(3))}
    assert found["scaled"]["chosen"] == 1.0 and found["scaled"]["loss"] == pytest.approx(2.0)
    assert found["greedy soup of 3"]["chosen"] == 2  # 0.95 is nearer to 1 than 1.1 is; 4 would spoil it
    mean = np.mean([2.2, 1.9, 1.0])
    assert found["scaled"]["loss_gain"] == pytest.approx(mean - 2.0)


def test_candidates_at_scale_one_are_the_average_and_dare_keeps_its_share():
    plan = Methods(drops=(0.5,))
    start = {"w": torch.zeros(4000)}
    states = [{"w": 1 + torch.rand(4000, generator=torch_generator(k, "w"))} for k in range(3)]
    fishers = [{"w": torch.ones(4000)}] * 3
    found = methods.candidates(states, start, fishers, plan, 0)
    assert torch.allclose(found["task arithmetic"][1.0]["w"], found["average of 3"][3.0]["w"])
    assert torch.allclose(found["Fisher merging of 3"][3.0]["w"], average(states)["w"], atol=1e-6)
    dropped = found["DARE, drop 0.5"][1.0]["w"]
    assert (dropped == 0).float().mean().item() == pytest.approx(1 / 8, abs=0.03)  # in all three, drawn apart
    assert dropped.mean().item() == pytest.approx(average(states)["w"].mean().item(), rel=0.05)


def test_fisher_information_is_the_mean_square_of_gradients_at_labels_that_the_model_draws():
    """A softmax regression's own: (p_k - y_k)^2 x_j^2, whose mean over labels is p_k (1 - p_k) x_j^2."""
    task = MergeTask(images(model={"widths": [], "bias": False}), {}, 8)
    model, batch = task.build(0), task.batch(0, range(8), 0)
    copies = {name: value.repeat_interleave(400, 0) for name, value in batch.items()}
    found = diagonal_fisher(task, model, copies, torch_generator(0, "labels"))["1.layers.0.weight"]
    p, x = model(batch["images"]).softmax(-1), batch["images"].flatten(1)
    exact = ((p * (1 - p)).T @ x.square() / 8).detach()
    assert (found - exact).norm() < 0.1 * exact.norm()  # 3,200 draws leave 0.06


def test_weight_averaging_is_over_the_runs_own_past(tmp_path):
    settings = Trajectory(
        images=images(), lrs=(0.1, 0.3), batch_size=8, num_steps=12, first=6, every=3, seeds=1, num_gpus=0
    )
    rows = list(trajectory.trajectory(settings, device="cpu", threads=1, checkpoints=tmp_path / "digits"))
    assert [row["num_averaged"] for row in rows] == [1, 3, 1, 3]
    task = MergeTask(images(schedule="constant"), {}, 8)
    past = []
    for steps in (6, 9, 12):  # without annealing a shorter run is the beginning of a longer one
        own = runs(lrs=(0.1,), num_steps=steps)
        past += train_ensemble(task, own, task.settings.training_for(own[0]), progress=False).states
    judged, model = methods.half(task, 1), task.build(0)
    expected = evaluate_states(judged, [past[-1], average(past)], model)
    assert [row["loss"] for row in rows[:2]] == pytest.approx([row["val_loss"] for row in expected], abs=1e-4)
    again = list(trajectory.trajectory(settings, device="cpu", threads=1, checkpoints=tmp_path / "digits"))
    assert again == rows
