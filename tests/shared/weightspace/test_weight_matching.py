"""Weight matching: planted symmetries, the algorithm it reduces to, brute force, and what is refused."""

import itertools

import pytest
import torch

from shared.models.cnn import CNN
from shared.models.config import MLPConfig, gpt_config
from shared.models.image_config import CNNConfig, ResNetConfig, ViTConfig
from shared.models.language_model import LanguageModel
from shared.models.mlp import MLP
from shared.models.resnet import ResNet
from shared.models.vit import VisionTransformer
from shared.weightspace.elements import invert, random_elements
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.symmetry import transform
from shared.weightspace.weight_matching import match_many, match_weights

MODELS = {
    "mlp": lambda g: MLP(MLPConfig(widths=(6, 20, 20, 20, 3)), g),
    "cnn": lambda g: CNN(CNNConfig(num_classes=3, in_channels=2, widths=(8, 16), norm="group", num_groups=4), g),
    "resnet": lambda g: ResNet(
        ResNetConfig(num_classes=3, in_channels=2, widths=(8, 16), blocks=(2, 2), norm="batch"), g
    ),
    "vit": lambda g: VisionTransformer(
        ViTConfig(num_classes=3, image_size=8, patch_size=4, in_channels=2, d_model=16, num_layers=2, num_heads=4), g
    ),
    "gpt": lambda g: LanguageModel(gpt_config(31, 16, 2, 4, max_seq_len=8), g),
}


def state(name: str, seed: int = 0) -> tuple:
    model = MODELS[name](torch.Generator().manual_seed(seed)).double()
    return model, {k: v.clone() for k, v in model.state_dict().items()}


def planted(name: str):
    """(symmetry, A, elements, B) with B = the elements applied to A."""
    model, a = state(name)
    symmetry = symmetry_of(model).as_permutations()
    elements = random_elements(symmetry, torch.Generator().manual_seed(1))
    return symmetry, a, elements, transform(symmetry, a, elements)


@pytest.mark.parametrize("name", MODELS)
def test_planted_permutations_are_found(name):
    """Public reports on git re-basin: descents that miss planted permutations of residual networks."""
    symmetry, a, elements, b = planted(name)
    found = match_weights(symmetry, a, b)
    back = transform(symmetry, b, found.elements)
    assert max((back[k] - a[k]).abs().max().item() for k in symmetry.parameters) < 1e-12
    assert len(found.objective) <= 2 and found.settled
    if name != "cnn":  # groups and their channels wait for each other
        assert found.objective[0] == pytest.approx(found.objective[-1], rel=1e-12)
    truth = invert(symmetry, elements)
    assert all(torch.equal(found.elements[k], truth[k]) for k in truth)


@pytest.mark.parametrize("name", ["mlp", "resnet", "gpt"])
def test_the_result_does_not_depend_on_the_order_of_layers(name):
    """A public report: the same networks, their layers listed in another order, gave another matching."""
    model, a = state(name, 0)
    _, b = state(name, 1)
    symmetry = symmetry_of(model).as_permutations()
    first = match_weights(symmetry, a, b)
    reversed_state = lambda s: dict(reversed(list(s.items())))  # noqa: E731
    second = match_weights(symmetry, reversed_state(a), reversed_state(b))
    assert all(torch.equal(first.elements[k], second.elements[k]) for k in first.elements)


@pytest.mark.parametrize("name", MODELS)
def test_the_objective_never_falls_from_a_plain_start(name):
    model, a = state(name, 0)
    _, b = state(name, 1)
    found = match_weights(symmetry_of(model).as_permutations(), a, b, anchored=False)
    rises = torch.tensor(found.objective).diff()
    assert (rises >= -1e-9).all() and found.settled


def test_one_hidden_layer_is_one_assignment_and_the_best_of_all_permutations():
    model = MLP(MLPConfig(widths=(4, 5, 3)), torch.Generator().manual_seed(0)).double()
    other = MLP(MLPConfig(widths=(4, 5, 3)), torch.Generator().manual_seed(1)).double()
    a, b, symmetry = model.state_dict(), other.state_dict(), symmetry_of(model)
    found = match_weights(symmetry, a, b)
    assert len(found.objective) == 1 and found.settled

    def objective(index) -> float:
        moved = transform(symmetry, b, {"hidden.0": torch.tensor(index)})
        return float(sum((a[k] * moved[k]).sum() for k in symmetry.parameters))

    best = max(itertools.permutations(range(5)), key=objective)
    assert found.elements["hidden.0"].tolist() == list(best)
    assert found.objective[-1] == pytest.approx(objective(best))


def test_restarts_never_lower_the_objective():
    model, a = state("mlp", 0)
    _, b = state("mlp", 1)
    symmetry = symmetry_of(model)
    once = match_weights(symmetry, a, b).objective[-1]
    assert match_weights(symmetry, a, b, restarts=8).objective[-1] >= once


def test_matching_many_brings_permuted_copies_together():
    symmetry, a, _, b = planted("mlp")
    c = transform(symmetry, a, random_elements(symmetry, torch.Generator().manual_seed(5)))
    elements, reference = match_many(symmetry, [a, b, c], rounds=2)
    for state_, own in zip([a, b, c], elements, strict=True):
        moved = transform(symmetry, state_, own)
        assert all(torch.allclose(moved[k], reference[k], atol=1e-12) for k in symmetry.parameters)


def test_other_architectures_are_refused_by_the_first_parameter():
    model, a = state("mlp")
    b = MLP(MLPConfig(widths=(6, 20, 21, 20, 3))).double().state_dict()
    with pytest.raises(ValueError, match=r"'layers\.1\.weight' has shapes"):
        match_weights(symmetry_of(model), a, b)
    with pytest.raises(ValueError, match=r"one has 'layers\.3\.bias'"):
        match_weights(symmetry_of(model), a, {k: v for k, v in a.items() if k != "layers.3.bias"})


def test_weights_that_are_not_finite_are_refused():
    model, a = state("mlp")
    b = {k: v.clone() for k, v in a.items()}
    b["layers.0.weight"][0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        match_weights(symmetry_of(model), a, b)
