"""Learned and activation matching: that they find what was hidden, lower what they should, and stay in their group."""

import itertools

import pytest
import torch

from shared.models.config import MLPConfig
from shared.models.mlp import MLP
from shared.weightspace.activation_matching import correlations, match_activations
from shared.weightspace.circuits import CircuitConfig, CircuitTransformer
from shared.weightspace.elements import check_elements, random_elements
from shared.weightspace.learned_matching import LearnedMatching, dirichlet, learn_matching, merged, mixing
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.symmetry import transform

TOY = CircuitConfig(
    num_inputs=7, num_outputs=7, num_positions=6, d_model=8, num_layers=1, num_heads=2, num_hidden=10,
    activation="gelu", causal=True, eps=1e-5,
)  # fmt: skip


def network(seed: int) -> CircuitTransformer:
    model, generator = CircuitTransformer(TOY).double(), torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        tensor.copy_(0.6 * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
    return model.eval()


def stacked(*states):
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def problem(model: CircuitTransformer, num_steps: int):
    """Imitating the model's own outputs; the same tokens for both of two problems."""
    generator = torch.Generator().manual_seed(3)
    batches = []
    for _ in range(num_steps):
        tokens = torch.randint(7, (4, 6), generator=generator)
        batches.append({"tokens": tokens.expand(2, -1, -1), "target": model(tokens).detach().expand(2, -1, -1, -1)})
    return batches


def squared(model, batch) -> torch.Tensor:
    return (model(batch["tokens"]) - batch["target"]).square().mean()


def test_a_small_rotation_is_undone_and_elements_stay_in_their_group():
    """B is A turned by some degrees: the loss of the models between them falls a hundredfold, and B comes to A."""
    a = network(0)
    symmetry = a.symmetry().squared()
    skew = torch.randn(8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    turn = torch.matrix_exp(0.1 * (skew - skew.T))
    b = transform(symmetry, a.state_dict(), {"residual": turn})
    models = [stacked(a.state_dict(), a.state_dict()), stacked(b, b)]
    seen = []
    found = learn_matching(
        a, symmetry, models, [1], squared, problem(a, 150), mixing("uniform", 0.4, 0.6),
        LearnedMatching(num_steps=150, lr=1e-2, permutation_lr=1e-2),
        watch=lambda step, elements, losses: seen.append((step, losses)),
    )  # fmt: skip
    assert found[0] == {} and [s for s, _ in seen] == list(range(151)) and seen[-1][1] is None
    assert float(seen[149][1].max()) < 1e-2 * float(seen[0][1].min())
    own = {name: element[0] for name, element in found[1].items()}
    check_elements(symmetry, own)
    assert (own["residual"] @ turn - torch.eye(8)).norm() < 0.4 * (turn - torch.eye(8)).norm()


def test_problems_that_are_stacked_do_not_touch_each_other():
    a, b, c = network(0), network(1), network(2)
    how = LearnedMatching(num_steps=3, lr=1e-2, permutation_lr=1e-2)
    both = learn_matching(
        a, a.symmetry().squared(),
        [stacked(a.state_dict(), a.state_dict()), stacked(b.state_dict(), c.state_dict())], [1],
        squared, problem(a, 3), mixing("fixed"), how,
    )  # fmt: skip
    alone = learn_matching(
        a, a.symmetry().squared(),
        [stacked(a.state_dict(), a.state_dict()), stacked(c.state_dict(), c.state_dict())], [1],
        squared, problem(a, 3), mixing("fixed"), how,
    )  # fmt: skip
    for name, element in both[1].items():
        assert torch.allclose(element[1], alone[1][name][0], atol=1e-10)


def test_permutations_do_not_move_where_the_learning_rate_cannot_close_the_gap_of_one():
    """A public release trains 370 steps at a peak of 3e-4: a latent can travel at most their product."""
    a, b = network(0), network(1)
    models = [stacked(a.state_dict(), a.state_dict()), stacked(b.state_dict(), b.state_dict())]
    units = a.symmetry().squared().restricted(("permutation",))
    moved = {}
    for lr in (3e-4, 0.3):
        found = learn_matching(
            a,
            units,
            models,
            [1],
            squared,
            problem(a, 30),
            mixing("fixed"),
            LearnedMatching(num_steps=30, lr=lr, permutation_lr=lr),
        )
        moved[lr] = sum(float((e - torch.eye(e.shape[-1])).abs().max() > 0.5) for e in found[1].values())
    assert moved[3e-4] == 0 and moved[0.3] > 0


def test_soft_permutations_are_doubly_stochastic_and_move_the_end_of_the_path():
    a, b = network(0), network(1)
    models = [stacked(a.state_dict(), a.state_dict()), stacked(b.state_dict(), b.state_dict())]
    how = LearnedMatching(num_steps=5, lr=1e-2, permutation_lr=1e-2, soft=True, rounds=50)
    found = learn_matching(a, a.symmetry().squared(), models, [1], squared, problem(a, 5), mixing("fixed"), how)[1]
    assert (found["hidden.0"].sum(-1) - 1).abs().max() < 1e-4
    assert (found["residual"][0].T @ found["residual"][0] - torch.eye(8)).abs().max() < 1e-10
    tokens = torch.arange(6)[None]
    moved = transform(a.symmetry().squared(), b.state_dict(), {n: e[0] for n, e in found.items()})
    assert (torch.func.functional_call(a, moved, (tokens,)) - b(tokens)).abs().max() > 1e-3


def test_merging_three_models_is_the_weighted_sum_of_what_was_moved():
    states = [network(seed).state_dict() for seed in range(3)]
    symmetry = network(0).symmetry()
    elements = [{}, *(random_elements(symmetry, torch.Generator().manual_seed(seed)) for seed in (1, 2))]
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    found = merged(symmetry, states, elements, weights)
    moved = [transform(symmetry, s, e) for s, e in zip(states, elements, strict=True)]
    expected = 0.2 * moved[0]["blocks.0.qk"] + 0.3 * moved[1]["blocks.0.qk"] + 0.5 * moved[2]["blocks.0.qk"]
    assert torch.allclose(found["blocks.0.qk"], expected, atol=1e-12)


def test_weights_of_models_lie_in_the_simplex_and_have_the_right_moments():
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([dirichlet(0.1, 3)(generator) for _ in range(4000)])
    assert draws.isfinite().all() and torch.allclose(draws.sum(1), torch.ones(4000), atol=1e-5)
    assert (draws.mean(0) - 1 / 3).abs().max() < 0.03
    assert abs(float(draws.var(0).mean()) - (1 / 3 * 2 / 3) / 1.3) < 0.02  # of Dirichlet(0.1, 0.1, 0.1)
    narrow = torch.stack([mixing("uniform", 0.4, 0.6)(generator)[0] for _ in range(200)])
    assert narrow.min() >= 0.4 and narrow.max() <= 0.6 and narrow.std() > 0.04
    normal = torch.stack([mixing("normal", 0.5, 0.1)(generator)[0] for _ in range(2000)])
    assert normal.min() >= 0 and normal.max() <= 1 and abs(float(normal.std()) - 0.1) < 0.01
    for name, low, high in (("uniform", 0.5, 1.2), ("anything", 0, 1)):
        with pytest.raises(ValueError):
            mixing(name, low, high)


def test_correlations_are_those_of_numpy_and_zero_for_dead_units():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(50, n, generator=generator, dtype=torch.float64) for n in (4, 3))
    b[:, 1] = 2.0
    found = correlations(a, b)
    expected = torch.corrcoef(torch.cat([a, b[:, [0, 2]]], 1).T)[:4, 4:]
    assert torch.allclose(found[:, [0, 2]], expected, atol=1e-12) and (found[:, 1] == 0).all()
    with pytest.raises(ValueError, match="same samples"):
        correlations(a, b[:10])


def test_activation_matching_finds_planted_permutations():
    model = MLP(MLPConfig(widths=(6, 12, 3), activation="gelu"), torch.Generator().manual_seed(0)).double()
    symmetry = symmetry_of(model)
    planted = random_elements(symmetry, torch.Generator().manual_seed(1))
    moved = transform(symmetry, model.state_dict(), planted)
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    units = [
        {"site": torch.nn.functional.gelu(x @ s["layers.0.weight"].T + s["layers.0.bias"])}
        for s in (model.state_dict(), moved)
    ]
    found = match_activations(*units, {"hidden.0": ["site"]})
    back = transform(symmetry, moved, found)
    assert all(torch.allclose(back[k], model.state_dict()[k]) for k in back)


def test_soft_heads_near_the_identity_nearly_keep_the_model_and_teach_both_circuits():
    """Doubly stochastic heads mix QK and OV alike; read as copies, every head would get the sum of all QKs."""
    model = network(0)
    symmetry, tokens = model.symmetry().squared(), torch.arange(6)[None]
    near = torch.full((2, 2), 1e-6, dtype=torch.float64) + torch.eye(2) * (1 - 2e-6)
    for group, same in ((symmetry, True), (model.symmetry(), False)):
        moved = transform(group, model.state_dict(), {"heads.0": near})
        change = torch.func.functional_call(model, moved, (tokens,)) - model(tokens)
        assert (float(change.detach().abs().max()) < 1e-4) == same
    near.requires_grad_()
    transform(symmetry, model.state_dict(), {"heads.0": near})["blocks.0.qk"].square().sum().backward()
    assert near.grad.abs().max() > 0


def test_copies_have_no_latent_form():
    a = network(0)
    models = [stacked(a.state_dict())] * 2
    how = LearnedMatching(num_steps=1, lr=1e-2, permutation_lr=1e-2)
    with pytest.raises(ValueError, match=r"'heads\.0' is semi-permutation"):
        learn_matching(a, a.symmetry(), models, [1], squared, problem(a, 1), mixing("fixed"), how)


def hidden_copies() -> tuple:
    """(network, its symmetry, three copies of it with hidden units in other orders)."""
    model = MLP(MLPConfig(widths=(3, 3, 2), activation="gelu"), torch.Generator().manual_seed(0)).double()
    symmetry = symmetry_of(model)
    orders = [torch.tensor(order) for order in ((0, 1, 2), (1, 0, 2), (2, 1, 0))]
    return model, symmetry, [transform(symmetry, model.state_dict(), {"hidden.0": o}) for o in orders]


def test_three_copies_that_learn_together_reach_the_best_of_all_orders():
    """Brute force over the 36 orders of two copies beside the first; mean of all three at equal weights."""
    model, symmetry, states = hidden_copies()
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    batch = {"x": x[None], "y": model(x).detach()[None]}
    thirds = torch.full((3,), 1 / 3, dtype=torch.float64)

    def loss(network, batch):
        return (network(batch["x"]) - batch["y"]).square().mean()

    def height(elements) -> float:
        mean = merged(symmetry, states, elements, thirds)
        return float((torch.func.functional_call(model, mean, (x,)) - model(x)).square().mean().detach())

    orders = [{"hidden.0": torch.tensor(order)} for order in itertools.permutations(range(3))]
    best = min(height([{}, one, two]) for one, two in itertools.product(orders, orders))
    how = LearnedMatching(num_steps=100, lr=0.1, permutation_lr=0.1)
    found = learn_matching(
        model, symmetry, [stacked(s) for s in states], [0, 1, 2], loss, [batch] * 100, dirichlet(1.0, 3), how
    )
    learned = height([{name: e[0] for name, e in own.items()} for own in found])
    assert height([{}, {}, {}]) > 1e-3 and best < 1e-20 and learned < 1e-20


def test_above_the_ends_a_model_by_itself_teaches_nothing():
    """At a corner of the simplex hard elements cannot change the loss; the straight-through gradient says otherwise."""
    model, symmetry, states = hidden_copies()
    batch = {"x": torch.randn(1, 16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)}
    corner, moved = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), {}
    for above in (False, True):
        how = LearnedMatching(num_steps=8, lr=0.5, permutation_lr=0.5, above_ends=above)
        found = learn_matching(
            model, symmetry, [stacked(state) for state in states], [0, 1, 2], lambda m, b: m(b["x"]).square().mean(),
            [batch] * 8, lambda _: corner, how,
        )  # fmt: skip
        moved[above] = float((found[0]["hidden.0"] - torch.eye(3)).abs().max())
    assert moved[False] == 1 and moved[True] == 0
