"""A random element of every declared group leaves every architecture's function as it was, in float64."""

import pytest
import torch
from torch import nn

from shared.models.cnn import CNN
from shared.models.config import (
    BackboneConfig,
    LanguageModelConfig,
    MLPConfig,
    diffusion_transformer_config,
    gpt_config,
    llama_config,
)
from shared.models.diffusion_transformer import DiffusionTransformer
from shared.models.image_config import CNNConfig, ResNetConfig, ViTConfig
from shared.models.initialisation import drawing_from
from shared.models.language_model import LanguageModel
from shared.models.mlp import MLP
from shared.models.resnet import ResNet
from shared.models.vit import VisionTransformer
from shared.weightspace.elements import (
    check_elements,
    compose,
    identity,
    invert,
    random_elements,
    random_semi_permutation,
)
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.symmetry import Axis, Space, Symmetry, as_matrix, transform

IMAGES, TOKENS = (3, 2, 8, 8), (2, 6)


def backbone(**settings) -> LanguageModelConfig:
    common = {"d_model": 12, "num_layers": 2, "num_heads": 3, "max_seq_len": 8, "bias": True, "mlp_bias": True}
    return LanguageModelConfig(vocab_size=11, backbone=BackboneConfig(**(common | settings)), head_bias=True)


GROUPED = {"name": "attention", "num_heads": 4, "num_kv_heads": 2, "head_dim": 4, "value_head_dim": 5}
MODELS = {
    "mlp relu": lambda: MLP(MLPConfig(widths=(6, 7, 8, 3))),
    "mlp gelu": lambda: MLP(MLPConfig(widths=(6, 7, 3), activation="gelu", bias=False)),
    "mlp identity": lambda: MLP(MLPConfig(widths=(6, 7, 3), activation="identity")),
    "mlp layernorm": lambda: MLP(MLPConfig(widths=(6, 7, 8, 3), norm="layernorm", norm_affine=True)),
    "mlp behind flatten": lambda: nn.Sequential(nn.Flatten(), MLP(MLPConfig(widths=(128, 7, 3)))),
    "cnn batch": lambda: CNN(CNNConfig(num_classes=3, in_channels=2, widths=(4, 6))),
    "cnn group": lambda: CNN(CNNConfig(num_classes=3, in_channels=2, widths=(4, 6), norm="group", num_groups=2)),
    "cnn none": lambda: CNN(CNNConfig(num_classes=3, in_channels=2, widths=(4, 6), norm="none")),
    "resnet group": lambda: ResNet(
        ResNetConfig(num_classes=3, in_channels=2, widths=(4, 4, 6), blocks=(2, 1, 2), num_groups=2)
    ),
    "resnet batch": lambda: ResNet(
        ResNetConfig(num_classes=3, in_channels=2, widths=(4, 6), blocks=(1, 2), norm="batch")
    ),
    "vit": lambda: VisionTransformer(
        ViTConfig(
            num_classes=3, image_size=8, patch_size=4, in_channels=2, d_model=12, num_layers=2, num_heads=3, mlp_ratio=2
        )
    ),
    "gpt, tied": lambda: LanguageModel(gpt_config(11, 12, 2, 3, max_seq_len=8)),
    "llama": lambda: LanguageModel(llama_config(11, 12, 2, 3, max_seq_len=8)),
    "grouped queries, rope": lambda: LanguageModel(backbone(mixer=GROUPED)),
    "grouped queries, learned positions": lambda: LanguageModel(backbone(mixer=GROUPED, positional="learned")),
    "alibi": lambda: LanguageModel(backbone(positional="alibi", mixer=GROUPED)),
    "sigmoid attention, relu": lambda: LanguageModel(
        backbone(mixer="sigmoid_attention", positional="none", mlp="relu")
    ),
    "rmsnorm without scale": lambda: LanguageModel(backbone(norm_scale=False, positional="learned")),
    "no mlp": lambda: LanguageModel(backbone(mlp="none")),
    "diffusion": lambda: DiffusionTransformer(diffusion_transformer_config(11, 12, 2, 3, cond_dim=6, max_seq_len=8)),
}


def perturbed(name: str) -> nn.Module:
    """A model in float64 none of whose scales, shifts, biases or statistics is trivial."""
    generator = torch.Generator().manual_seed(0)
    with drawing_from(generator):
        model = MODELS[name]().double().eval()
    for key, tensor in model.state_dict().items():
        if tensor.dtype.is_floating_point:
            noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.copy_(noise.abs() + 0.5 if "running_var" in key else tensor + 0.3 * noise)
    return model


def outputs(model: nn.Module, state=None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    if isinstance(model, LanguageModel | DiffusionTransformer):
        given = (torch.randint(11, TOKENS, generator=generator),)
        given += (
            (torch.rand(2, generator=generator, dtype=torch.float64),)
            if isinstance(model, DiffusionTransformer)
            else ()
        )
    else:
        shape = IMAGES if not isinstance(model, MLP) else (3, 6)
        given = (torch.randn(shape, generator=generator, dtype=torch.float64),)
    return torch.func.functional_call(model, dict(state or model.state_dict()), given, tie_weights=False).detach()


@pytest.mark.parametrize("name", MODELS)
def test_a_random_symmetry_leaves_the_function_and_moves_the_parameters(name):
    model = perturbed(name)
    symmetry, before = symmetry_of(model), outputs(model)
    symmetry.check(model.state_dict())
    elements = random_elements(symmetry, torch.Generator().manual_seed(2))
    check_elements(symmetry, elements)
    moved = transform(symmetry, model.state_dict(), elements)
    assert (outputs(model, moved) - before).abs().max() < 1e-10 * (1 + before.abs().max())
    changed = [k for k in symmetry.parameters if not torch.equal(moved[k], model.state_dict()[k])]
    assert len(changed) > 0.8 * len(symmetry.parameters)


@pytest.mark.parametrize("name", MODELS)
def test_an_element_and_its_inverse_give_every_tensor_back(name):
    model = perturbed(name)
    symmetry = symmetry_of(model)
    elements = random_elements(symmetry, torch.Generator().manual_seed(3))
    moved = transform(symmetry, model.state_dict(), elements)
    back = transform(symmetry, moved, invert(symmetry, elements))
    for key, tensor in model.state_dict().items():
        assert torch.allclose(back[key], tensor, rtol=0, atol=1e-11), key


@pytest.mark.parametrize("name", MODELS)
def test_two_elements_one_after_the_other_are_their_composition(name):
    model = perturbed(name)
    symmetry = symmetry_of(model)
    first, then = (random_elements(symmetry, torch.Generator().manual_seed(seed)) for seed in (4, 5))
    twice = transform(symmetry, transform(symmetry, model.state_dict(), first), then)
    once = transform(symmetry, model.state_dict(), compose(symmetry, first, then))
    for key, tensor in once.items():
        assert torch.allclose(twice[key], tensor, rtol=0, atol=1e-10), key


@pytest.mark.parametrize("name", ["gpt, tied", "cnn group", "grouped queries, rope", "resnet group"])
def test_a_permutation_as_matrix_does_what_its_index_does(name):
    model = perturbed(name)
    symmetry = symmetry_of(model)
    indices = random_elements(symmetry.as_permutations(), torch.Generator().manual_seed(6))
    matrices = {space: as_matrix(index, torch.float64) for space, index in indices.items()}
    symmetry = symmetry.as_permutations()
    by_index = transform(symmetry, model.state_dict(), indices)
    by_matrix = transform(symmetry, model.state_dict(), matrices)
    assert all(torch.allclose(by_index[key], by_matrix[key], rtol=0, atol=1e-12) for key in by_index)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_that_is_left_out_carries_no_hidden_axis(name):
    """A specification that forgets a norm's scale or a statistic would leave it in place: here none does."""
    model = perturbed(name)
    free = {"head.bias", "1.layers.1.bias", "layers.1.bias", "layers.2.bias"}
    fixed = {k for k, v in model.state_dict().items() if v.ndim and k not in symmetry_of(model).parameters}
    assert fixed <= free


def test_a_norm_scale_that_a_permutation_forgets_changes_the_function():
    """A public report on a port of git re-basin: residual streams permuted, the norms' scales left behind."""
    model = perturbed("gpt, tied")
    whole = symmetry_of(model)
    lame = Symmetry(whole.spaces, [axis for axis in whole.axes if "norm" not in axis.parameter])
    elements = random_elements(whole, torch.Generator().manual_seed(7))
    assert (outputs(model, transform(lame, model.state_dict(), elements)) - outputs(model)).abs().max() > 1e-2


def test_a_tied_embedding_is_permuted_once_and_stays_tied():
    model = perturbed("gpt, tied")
    symmetry, before = symmetry_of(model), outputs(model)
    elements = random_elements(symmetry, torch.Generator().manual_seed(8))
    moved = transform(symmetry, model.state_dict(), elements)
    assert torch.equal(moved["embedding.weight"], moved["head.weight"])
    model.load_state_dict(moved)
    assert model.head.weight is model.embedding.weight
    assert (outputs(model) - before).abs().max() < 1e-10


def test_a_relu_layer_may_be_widened_by_a_semi_permutation():
    model = perturbed("mlp relu")
    wider = MLP(MLPConfig(widths=(6, 10, 8, 3))).double()
    element = {"hidden.0": random_semi_permutation(10, 7, torch.Generator().manual_seed(9))}
    check_elements(symmetry_of(model), element)
    moved = transform(symmetry_of(model), model.state_dict(), element)
    assert (outputs(wider, moved) - outputs(model)).abs().max() < 1e-10


def test_a_gelu_layer_may_not_and_says_so():
    model = perturbed("mlp gelu")
    element = {"hidden.0": random_semi_permutation(7, 7, torch.Generator().manual_seed(9)) * 0.5}
    with pytest.raises(ValueError, match="permutation"):
        check_elements(symmetry_of(model), element)
    wide = random_semi_permutation(10, 7, torch.Generator().manual_seed(9))
    with pytest.raises(ValueError, match="not a finite matrix of 7"):
        check_elements(symmetry_of(model), {"hidden.0": wide})
    as_relu = Symmetry({"hidden.0": Space(7, "semi-permutation")}, symmetry_of(model).axes)
    wider = MLP(MLPConfig(widths=(6, 10, 3), activation="gelu", bias=False)).double()
    moved = transform(as_relu, model.state_dict(), {"hidden.0": wide})
    assert (outputs(wider, moved) - outputs(model)).abs().max() > 1e-3


def test_an_axis_that_is_named_twice_is_refused():
    """A public report on git re-basin: one convolution stood twice in the specification, another was missing."""
    axes = [Axis("conv2.weight", 0, "inside"), Axis("conv2.weight", 0, "inside", reads=True)]
    with pytest.raises(ValueError, match=r"axis 0 of conv2\.weight is named twice"):
        Symmetry({"inside": Space(4, "permutation")}, axes)


def test_a_specification_of_another_architecture_is_refused_by_the_first_parameter():
    small, large = perturbed("mlp relu"), MLP(MLPConfig(widths=(6, 5, 8, 3)))
    with pytest.raises(ValueError, match=r"layers\.0\.weight has the shape \(5, 6\)"):
        symmetry_of(small).check(large.state_dict())
    with pytest.raises(ValueError, match="lack"):
        symmetry_of(small).check({"layers.0.weight": torch.zeros(7, 6)})


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (torch.tensor([0, 0, 1, 2, 3, 4, 5]), "no permutation of 7"),
        (torch.eye(7) * 2, "off the group"),
        (torch.full((7, 7), float("nan")), "not a finite matrix"),
    ],
)
def test_what_is_no_element_is_refused(element, message):
    with pytest.raises(ValueError, match=message):
        check_elements(symmetry_of(perturbed("mlp gelu")), {"hidden.0": element})


def test_unknown_spaces_and_models_are_refused():
    model = perturbed("mlp gelu")
    with pytest.raises(ValueError, match=r"no space is called 'hidden\.1'"):
        transform(symmetry_of(model), model.state_dict(), {"hidden.1": torch.arange(7)})
    with pytest.raises(ValueError, match="no symmetry written down"):
        symmetry_of(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="mixes by mamba"):
        symmetry_of(LanguageModel(backbone(mixer="mamba")))


def test_the_identity_moves_nothing():
    model = perturbed("grouped queries, rope")
    symmetry = symmetry_of(model)
    moved = transform(symmetry, model.state_dict(), identity(symmetry))
    assert all(torch.equal(moved[key], tensor) for key, tensor in model.state_dict().items())
