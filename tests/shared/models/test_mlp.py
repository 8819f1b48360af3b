import pytest
import torch
import torch.nn.functional as F

from shared.base.seeding import torch_generator
from shared.models.config import MLPConfig
from shared.models.mlp import MLP


def sample(*shape):
    return torch.randn(*shape, generator=torch_generator(0, "x"))


def test_layers_compose():
    model, x = MLP(MLPConfig(widths=(6, 5, 4, 3)), torch_generator(0, "init")), sample(7, 6)
    expected = x
    for layer in model.layers[:-1]:
        expected = F.relu(expected @ layer.weight.T + layer.bias)
    torch.testing.assert_close(model(x), expected @ model.layers[-1].weight.T + model.layers[-1].bias)
    assert model.num_params == 6 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3


def test_parameter_free_norm_makes_hidden_weights_scale_invariant():
    model = MLP(MLPConfig(widths=(6, 5, 5, 3), norm="layernorm", bias=False), torch_generator(0, "init"))
    x = sample(7, 6)
    before = model(x)
    with torch.no_grad():
        model.layers[0].weight.mul_(100.0)
    torch.testing.assert_close(model(x), before, rtol=1e-3, atol=1e-4)  # the norm's eps is felt at the smaller scale


def test_identity_activation_is_a_linear_map():
    model, x = MLP(MLPConfig(widths=(6, 5, 3), activation="identity", bias=False)), sample(7, 6)
    torch.testing.assert_close(model(x), x @ (model.layers[1].weight @ model.layers[0].weight).T)


def test_wrong_width_is_refused():
    with pytest.raises(ValueError, match=r"takes width 6; got x \(7, 5\)"):
        MLP(MLPConfig(widths=(6, 3)))(sample(7, 5))
