"""Products with the Hessian against closed forms, differences of gradients and Taylor's remainder."""

import pytest
import torch
from torch.func import functional_call

from shared.base.seeding import torch_generator
from shared.models.config import llama_config
from shared.models.language_model import LanguageModel
from shared.train.curvature import directional_terms, gradient, hessian_vector_product, tree_inner


def quadratic(seed=0, d=7):
    a = torch.randn(d, d, generator=torch_generator(seed, "a"), dtype=torch.float64)
    hessian, x = a @ a.T, torch.randn(d, generator=torch_generator(seed, "x"), dtype=torch.float64)
    return hessian, {"x": x}, lambda p: 0.5 * p["x"] @ hessian @ p["x"]


def language_model():
    model = LanguageModel(llama_config(16, 8, 1, 2, max_seq_len=8), torch_generator(0, "init")).double()
    tokens = torch.randint(16, (4, 9), generator=torch_generator(0, "tokens"))

    def loss(params):
        return (
            functional_call(model, dict(params), (tokens[:, :-1],))
            .log_softmax(-1)
            .gather(-1, tokens[:, 1:, None])
            .mean()
            .neg()
        )

    params = dict(model.named_parameters())
    direction = {
        name: torch.randn(p.shape, generator=torch_generator(0, name), dtype=torch.float64)
        for name, p in params.items()
    }
    return loss, params, direction


def test_product_on_a_quadratic_is_the_matrix_product():
    hessian, params, loss = quadratic()
    v = torch.randn(7, generator=torch_generator(1, "v"), dtype=torch.float64)
    torch.testing.assert_close(hessian_vector_product(loss, params, {"x": v})["x"], hessian @ v)


def test_curvature_along_a_unit_vector_is_the_diagonal_entry():
    hessian, params, loss = quadratic()
    for i in range(7):
        unit = torch.eye(7, dtype=torch.float64)[i]
        terms = directional_terms(loss, params, {"x": unit})
        assert terms.curvature == pytest.approx(float(hessian[i, i]))
        assert terms.slope == pytest.approx(float((hessian @ params["x"])[i]))


def test_second_order_prediction_of_a_quadratic_has_no_remainder():
    _, params, loss = quadratic()
    u = {"x": torch.randn(7, generator=torch_generator(2, "u"), dtype=torch.float64)}
    terms = directional_terms(loss, params, u)
    actual = float(loss({"x": params["x"] + 0.7 * u["x"]}) - loss(params))
    assert terms.predicted_change(0.7) == pytest.approx(actual, rel=1e-12)


def test_product_of_a_language_model_is_the_difference_of_gradients():
    loss, params, direction = language_model()
    product, eps = hessian_vector_product(loss, params, direction), 1e-6
    ends = [gradient(loss, {k: p + s * eps * direction[k] for k, p in params.items()})[1] for s in (1, -1)]
    for name, value in product.items():  # off by eps^2 times third derivatives (7e-8)
        torch.testing.assert_close(value, (ends[0][name] - ends[1][name]) / (2 * eps), rtol=1e-5, atol=1e-7)


def test_taylor_remainder_of_a_language_model_is_cubic():
    loss, params, direction = language_model()
    terms = directional_terms(loss, params, direction)
    scales, remainders = (0.02, 0.01, 0.005, 0.0025), []
    with torch.no_grad():
        for c in scales:
            moved = float(loss({k: p + c * direction[k] for k, p in params.items()})) - terms.value
            remainders.append(abs(moved - terms.predicted_change(c)))
    slope = torch.tensor(remainders).log2().diff().mean() / -1
    assert 2.7 < float(slope) < 3.3


def test_a_linear_loss_has_no_curvature():
    c = torch.arange(3.0)
    terms = directional_terms(lambda p: (c * p["x"]).sum(), {"x": torch.ones(3)}, {"x": torch.ones(3)})
    assert (terms.value, terms.slope, terms.curvature) == (3.0, 3.0, 0.0)


def test_slope_is_the_inner_product_with_the_gradient():
    loss, params, direction = language_model()
    value, grads = gradient(loss, params)
    terms = directional_terms(loss, params, direction)
    assert terms.value == pytest.approx(float(value))
    assert terms.slope == pytest.approx(float(tree_inner(grads, direction)))


def test_other_names_are_refused():
    _, params, loss = quadratic()
    with pytest.raises(ValueError, match="same names; 'x'"):
        hessian_vector_product(loss, params, {"y": params["x"]})
