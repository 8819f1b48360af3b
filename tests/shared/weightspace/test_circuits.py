"""Circuit form: the same function, the same under every invertible change inside a head, and refusals."""

import pytest
import torch

from shared.models.config import BackboneConfig, LanguageModelConfig, gpt_config, llama_config
from shared.models.image_config import ViTConfig
from shared.models.initialisation import drawing_from
from shared.models.language_model import LanguageModel
from shared.models.vit import VisionTransformer
from shared.weightspace.canonical import to_circuits
from shared.weightspace.circuits import CircuitTransformer
from shared.weightspace.elements import (
    check_elements,
    compose,
    invert,
    random_elements,
    random_orthogonal,
    random_semi_permutation,
)
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.symmetry import transform
from shared.weightspace.weight_matching import match_weights
from shared.weightspace.widths import widened


def gpt(**settings) -> LanguageModel:
    common = {"d_model": 12, "num_layers": 2, "num_heads": 3, "max_seq_len": 8, "positional": "learned"}
    common |= {"norm": "layernorm", "norm_bias": True, "bias": True, "mlp_bias": True, "init_std": 0.3}
    return LanguageModel(LanguageModelConfig(vocab_size=11, backbone=BackboneConfig(**(common | settings))))


GROUPED = {"name": "attention", "num_heads": 4, "num_kv_heads": 2, "head_dim": 5, "value_head_dim": 3}
MODELS = {
    "gpt": gpt,
    "vit": lambda: VisionTransformer(
        ViTConfig(num_classes=3, image_size=8, patch_size=4, in_channels=2, d_model=12, num_layers=2, num_heads=3)
    ),
    "grouped queries": lambda: gpt(mixer=GROUPED),
    "no biases, no scales": lambda: gpt(bias=False, mlp_bias=False, norm_scale=False, norm_bias=False),
    "no positions": lambda: gpt(positional="none", mlp="relu"),
}


def perturbed(name: str, seed: int = 0) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with drawing_from(generator):
        model = MODELS[name]().double().eval()
    for tensor in model.state_dict().values():
        tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
    return model


def inputs(model: torch.nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    images = isinstance(model, VisionTransformer) or getattr(model.config, "patch_size", None)
    if images:
        return torch.randn(3, 2, 8, 8, generator=generator, dtype=torch.float64)
    return torch.randint(11, (2, 8), generator=generator)


def logits(model: torch.nn.Module, state=None) -> torch.Tensor:
    state = dict(model.state_dict() if state is None else state)
    return torch.func.functional_call(model, state, (inputs(model),)).detach()


@pytest.mark.parametrize("name", MODELS)
def test_the_circuit_form_has_the_same_logits(name):
    model = perturbed(name)
    assert (logits(to_circuits(model)) - logits(model)).abs().max() < 1e-11
    single = model.float()
    change = to_circuits(single)(inputs(single).float() if name == "vit" else inputs(single)) - single(
        inputs(single).float() if name == "vit" else inputs(single)
    )
    assert change.abs().max() < 2e-4


@pytest.mark.parametrize("name", MODELS)
def test_a_random_symmetry_of_the_circuits_leaves_the_logits_and_can_be_undone(name):
    circuits = to_circuits(perturbed(name))
    symmetry, state = circuits.symmetry(), circuits.state_dict()
    first, then = (random_elements(symmetry, torch.Generator().manual_seed(seed)) for seed in (2, 3))
    moved = transform(symmetry, state, first)
    assert (logits(circuits, moved) - logits(circuits)).abs().max() < 1e-11
    back = transform(symmetry, moved, invert(symmetry, first))
    assert max(float((back[k] - state[k]).abs().max()) for k in state) < 1e-11
    twice, once = transform(symmetry, moved, then), transform(symmetry, state, compose(symmetry, first, then))
    assert max(float((twice[k] - once[k]).abs().max()) for k in state) < 1e-11


def test_rotating_without_centring_first_changes_the_function():
    """LayerNorm commutes with permutations of the stream alone."""
    model = perturbed("gpt")
    symmetry = symmetry_of(model)
    rotation = random_orthogonal(12, 12, torch.Generator().manual_seed(4))
    moved = transform(symmetry, model.state_dict(), {"residual": rotation})
    assert (logits(model, moved) - logits(model)).abs().max() > 0.1


@pytest.mark.parametrize("name", ["gpt", "grouped queries"])
def test_changes_inside_heads_leave_the_circuits_and_move_the_factors(name):
    """Wq -> Wq G, Wk -> Wk G^-T, Wv -> Wv G, Wo -> G^-1 Wo."""
    model = perturbed(name)
    symmetry = symmetry_of(model)
    inside = {
        n: e for n, e in random_elements(symmetry, torch.Generator().manual_seed(5)).items() if n[:2] in ("qk", "ov")
    }
    moved = transform(symmetry, model.state_dict(), inside)
    one, other = to_circuits(model).state_dict(), to_circuits(model, moved).state_dict()
    assert max(float((one[k] - other[k]).abs().max()) for k in one) < 1e-10
    weight = "backbone.blocks.0.mixer.qkv_proj.weight"
    assert (moved[weight] - model.state_dict()[weight]).abs().max() > 0.1


def test_the_key_side_constant_is_a_gauge_and_the_query_side_constant_is_not():
    circuits = to_circuits(perturbed("gpt"))
    for index, same in (((..., -1), True), ((slice(None), -1, slice(None)), False)):
        state = {k: v.clone() for k, v in circuits.state_dict().items()}
        state["blocks.0.qk"][index] += torch.linspace(1, 2, state["blocks.0.qk"][index].numel()).reshape(
            state["blocks.0.qk"][index].shape
        )
        assert ((logits(circuits, state) - logits(circuits)).abs().max() < 1e-11) == same


def test_a_head_may_be_split_into_copies_whose_outputs_are_weighted():
    circuits = to_circuits(perturbed("gpt"))
    heads = {"heads.0": random_semi_permutation(5, 3, torch.Generator().manual_seed(6))}
    check_elements(circuits.symmetry(), heads)
    moved = transform(circuits.symmetry(), circuits.state_dict(), heads)
    assert moved["blocks.0.qk"].shape[0] == 5
    for k, parameter in circuits.named_parameters():
        parameter.data = moved[k]
    assert (logits(circuits) - logits(to_circuits(perturbed("gpt")))).abs().max() < 1e-11


@pytest.mark.parametrize("name", ["gpt", "vit"])
def test_weight_matching_recovers_a_planted_rotation_in_one_sweep(name):
    circuits = to_circuits(perturbed(name))
    symmetry, a = circuits.symmetry(), circuits.state_dict()
    b = transform(symmetry, a, random_elements(symmetry, torch.Generator().manual_seed(7)))
    found = match_weights(symmetry, a, b, averaged=["residual"], max_sweeps=1)
    back = transform(symmetry, b, found.elements)
    assert max(float((back[k] - a[k]).abs().max()) for k in a) < 1e-5
    mixed = {k: 0.5 * a[k] + 0.5 * back[k] for k in a}
    assert (logits(circuits, mixed) - logits(circuits)).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["gpt", "vit"])
def test_a_network_is_the_same_at_a_larger_width_with_its_eps_scaled(name):
    model = perturbed(name)
    circuits = to_circuits(model)
    circuits.config = circuits.config.__class__(**(circuits.config.__dict__ | {"eps": 1e-2}))
    wide = widened(circuits, 20, torch.Generator().manual_seed(8))
    assert wide.config.d_model == 20
    assert (logits(wide) - logits(circuits)).abs().max() < 1e-11
    wide.config = wide.config.__class__(**(wide.config.__dict__ | {"eps": 1e-2}))
    assert (logits(wide) - logits(circuits)).abs().max() > 1e-4
    with pytest.raises(ValueError, match="wider one first"):
        widened(circuits, 8, torch.Generator())


def refused(message: str, build) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_what_has_no_circuit_form_is_refused():
    refused("rope act inside heads", lambda: to_circuits(LanguageModel(llama_config(11, 12, 1, 3))))
    refused("tied to the embedding", lambda: to_circuits(LanguageModel(gpt_config(11, 12, 1, 3))))
    refused("plain MLP", lambda: to_circuits(gpt(mlp="swiglu")))
    refused("LayerNorm", lambda: to_circuits(gpt(norm="rmsnorm", norm_bias=False)))
    refused("mixes by retnet", lambda: to_circuits(gpt(mixer="retnet")))
    refused("got Linear", lambda: to_circuits(torch.nn.Linear(2, 2)))
    model = perturbed("gpt")
    model.state_dict()["backbone.norm.weight"][3] = 0
    refused(r"backbone\.norm has a scale of 0", lambda: to_circuits(model))
    model.state_dict()["head.weight"][0, 0] = float("nan")
    refused("'head.weight' is not finite", lambda: to_circuits(model))


def test_activations_move_as_their_spaces_do():
    circuits = to_circuits(perturbed("gpt"))
    symmetry = circuits.symmetry()
    elements = random_elements(symmetry, torch.Generator().manual_seed(9))
    moved = CircuitTransformer(circuits.config).double()
    moved.load_state_dict(transform(symmetry, circuits.state_dict(), elements))
    with torch.no_grad():
        before, after = circuits.activations(inputs(circuits)), moved.activations(inputs(circuits))
    assert torch.allclose(after["hidden.1"], before["hidden.1"][..., elements["hidden.1"]], atol=1e-10)
    assert torch.allclose(after["attention.0"], before["attention.0"][:, elements["heads.0"]], atol=1e-10)
    assert torch.allclose(after["residual.4"], before["residual.4"] @ elements["residual"].T, atol=1e-10)
