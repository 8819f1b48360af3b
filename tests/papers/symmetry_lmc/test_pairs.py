"""Pairs of small vision transformers: barriers that are known beforehand, and what the paths run between."""

import numpy as np
import pytest
import torch

from papers.symmetry_lmc.align import angle_rows, moved_rows
from papers.symmetry_lmc.merge import simplex
from papers.symmetry_lmc.names import CIRCUITS, LM, VANILLA, WM
from papers.symmetry_lmc.pairs import Pairs, Watch, learn
from papers.symmetry_lmc.parents import task_of
from papers.symmetry_lmc.settings import Learning, MergeShard, Parents, Sampler, Variant
from shared.weightspace.elements import random_elements
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.symmetry import transform

PARENTS = Parents(
    images={"kind": "vit", "model": {"patch_size": 4, "d_model": 8, "num_layers": 1, "num_heads": 2, "mlp_ratio": 2.0}},
    init_std=0.5, noise=0.1, optimizers=({"optimizer": "adamw", "settings": {"lr": 1e-3}},), batch_size=16, num_steps=1,
    num_models=2,
)  # fmt: skip
LEARNING = Learning(num_steps=30, lr=2e-2, permutation_lr=2e-2, batch_size=16, rounds=5, spread=0.1)


@pytest.fixture(scope="module")
def task():
    return task_of(PARENTS)


def state(task, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: v + 0.2 * torch.randn(v.shape, generator=generator) for k, v in task.build(seed).state_dict().items()}


def losses(rows) -> np.ndarray:
    rows = list(rows)
    assert [row["lam"] for row in rows] == sorted(row["lam"] for row in rows)
    return np.array([row["loss"] for row in rows])


def test_a_hidden_symmetry_is_found_and_leaves_no_barrier(task):
    """B is A under every symmetry of the raw network: heads and their inside, hidden units, the stream permuted."""
    a = state(task, 0)
    symmetry = symmetry_of(task.build(0))
    b = transform(symmetry, a, random_elements(symmetry, torch.Generator().manual_seed(1), torch.float32))
    pairs = Pairs(task, [a], [b], 5)
    raw, plain = (list(rows) for rows in (pairs.paths(VANILLA, [b], [a]), pairs.paths(CIRCUITS, pairs.b)))
    matched = pairs.paths(WM, pairs.moved([own[-1] for own in pairs.match(True, 3)]))
    found = losses(matched)
    assert np.ptp(found) < 1e-4
    assert np.ptp(losses(raw)) > 0.05 and np.ptp(losses(plain)) > 0.05  # neither path is flat by itself


def test_changes_inside_heads_move_the_vanilla_path_and_not_that_of_the_circuits(task):
    a, b = state(task, 0), state(task, 1)
    symmetry = symmetry_of(task.build(0))
    inside = random_elements(symmetry, torch.Generator().manual_seed(2), torch.float32)
    inside = {name: element for name, element in inside.items() if name[:2] in ("qk", "ov")}
    changed = transform(symmetry, b, inside)
    before, after = Pairs(task, [a], [b], 5), Pairs(task, [a], [changed], 5)
    assert np.allclose(losses(before.paths(CIRCUITS, before.b)), losses(after.paths(CIRCUITS, after.b)), atol=1e-5)
    assert not np.allclose(
        losses(before.paths(VANILLA, [b], [a])), losses(after.paths(VANILLA, [changed], [a])), atol=1e-3
    )


def test_lam_one_is_model_a_and_swapping_the_models_mirrors_the_path(task):
    a, b = state(task, 0), state(task, 1)
    there, back = Pairs(task, [a], [b], 5), Pairs(task, [b], [a], 5)
    forth = losses(there.paths(CIRCUITS, there.b))
    assert np.allclose(forth, losses(back.paths(CIRCUITS, back.b))[::-1], atol=1e-6)
    ends = [row["val_loss"] for row in there.losses([b, a], there.architecture)]
    assert forth[[0, -1]] == pytest.approx(ends, abs=1e-5)


def test_identical_models_have_no_barrier_and_barriers_are_never_negative(task):
    a, b = state(task, 0), state(task, 1)
    pairs = Pairs(task, [a, a], [a, b], 5)
    heights = pairs.barriers(pairs.b)
    assert heights[0] < 1e-6 and heights[1] >= 0


def test_learned_matching_keeps_b_and_its_watch_says_when(task):
    a, b = state(task, 0), state(task, 1)
    pairs = Pairs(task, [a, a], [b, a], 3, 3)
    watch = Watch(pairs, pairs.symmetry, pairs.b, (0, 15, 30), LM)
    variant = Variant(sampler=Sampler(name="uniform", low=0.4, high=0.6))
    elements = learn(pairs, task, variant, LEARNING, pairs.b, watch)
    moved = pairs.moved(elements)
    assert max(pairs.logit_error(moved, task.batch(0, range(16), 0)["images"])) < 1e-3
    assert [(row["step"], row["pair"]) for row in watch.rows] == [(s, p) for s in (0, 15, 30) for p in (0, 1)]
    assert watch.rows[-2]["barrier"] == pytest.approx(pairs.barriers(moved)[0], abs=1e-6)
    assert watch.rows[4]["test_loss"] < watch.rows[0]["test_loss"]  # of pair 0


def test_corners_of_the_simplex_lie_on_the_plane(task):
    settings = MergeShard(
        study="vit", parents=PARENTS, num_triples=1, num_points=5, rounds=1, num_sweeps=1, concentration=0.1,
        learning=LEARNING, num_gpus=0,
    )  # fmt: skip
    states = [state(task, seed) for seed in range(3)]
    rows = list(simplex(settings, task, task.build(0).eval(), VANILLA, 0, states, "cpu"))
    assert len(rows) == 15 and all(abs(row["lam1"] + row["lam2"] + row["lam3"] - 1) < 1e-12 for row in rows)
    corners = [row for row in rows if max(row["lam1"], row["lam2"], row["lam3"]) == 1]
    assert len(corners) == 3 and max(abs(row["deviation"]) for row in corners) < 1e-9
    for k, row in enumerate(sorted(corners, key=lambda row: (row["lam2"], row["lam3"]))):
        position = (0, 2, 1)[k]
        expected = Pairs(task, [states[position]], [states[position]], 3).losses(
            [states[position]], task.build(0).eval()
        )
        assert row["loss"] == pytest.approx(expected[0]["val_loss"], abs=1e-6)


def test_eigen_angles_of_a_plane_rotation_are_its_angle():
    c, s = np.cos(0.7), np.sin(0.7)
    turn = torch.eye(3, dtype=torch.float64)
    turn[:2, :2] = torch.tensor([[c, -s], [s, c]])
    angles = sorted(row["angle"] for row in angle_rows({"O_WM": [turn]}))
    assert angles == pytest.approx([-0.7, 0.0, 0.7], abs=1e-12)


def test_a_swap_of_two_units_counts_two_of_them():
    swapped = torch.eye(4)[[1, 0, 2, 3]]
    rows = list(moved_rows(LM, [{"hidden.0": swapped, "heads.0": torch.eye(2), "residual": torch.eye(3)}]))
    assert rows == [{"method": LM, "pair": 0, "heads_moved": 0.0, "hidden_moved": 0.5}]


def test_heads_that_are_mixed_a_little_stay_heads(task):
    """Read as copies, doubly stochastic heads would each get the sum of all QKs: the B end would be another model."""
    a = state(task, 0)
    pairs = Pairs(task, [a], [a], 3)
    near = torch.eye(2) * (1 - 2e-6) + 1e-6
    assert pairs.logit_error(pairs.moved([{"heads.0": near}]), task.batch(0, range(16), 0)["images"])[0] < 1e-3
