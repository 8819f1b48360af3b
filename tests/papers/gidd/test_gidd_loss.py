"""The fused loss against the plain form, the weightings, and the reduction to masked diffusion."""

import math

import pytest
import torch

from papers.gidd import fused
from papers.gidd.loss import autoregressive_loss, elbo_terms, mdlm_loss, reference_terms, training_loss
from papers.gidd.members import CustomProcess, HybridProcess, MaskProcess, UniformProcess
from papers.gidd.oracle import uniform_model_terms
from papers.gidd.weighting import WEIGHTINGS, elbo_weight, training_weight
from shared.base.seeding import torch_generator

PROCESSES = {
    "mask": MaskProcess(9),
    "uniform": UniformProcess(9),
    "hybrid": HybridProcess(9, p_u=0.2),
    "floored": HybridProcess(9, p_u=0.0),
    "mask first": HybridProcess(9, 0, p_u=0.1, gamma=2.0),
}


def batch(process, shape=(12, 20), dtype=torch.float64, columns=None):
    """Random logits (confident, so that rounding shows), data, noise and times."""
    generator = torch_generator(0, "batch")
    logits = 4 * torch.randn(*shape, columns or process.vocab_size, generator=generator, dtype=torch.float64)
    x = torch.randint(process.num_ordinary, shape, generator=generator)
    x = x + (x >= process.mask_id)
    t = 1e-4 + (1 - 2e-4) * torch.rand(shape[0], generator=generator, dtype=torch.float64)
    t[:2] = torch.tensor([1e-4, 1 - 1e-4])
    return logits.to(dtype), x, process.sample(x, t, generator), t


@pytest.mark.parametrize("name", PROCESSES)
def test_fused_matches_plain_in_value_and_gradient(name, monkeypatch):
    monkeypatch.setattr(fused, "CHUNK_ELEMENTS", 70)  # several pieces, the last one short
    process = PROCESSES[name]
    logits, x, z, t = batch(process)
    logits.requires_grad_()
    values, grads = [], []
    for is_fused in (True, False):
        terms = elbo_terms(logits, x, z, t, process, fused=is_fused)
        loss = terms.elbo.sum() + 0.3 * terms.kl.sum()  # the two terms separately too
        values.append(terms)
        grads.append(torch.autograd.grad(loss, logits)[0])
    # weights reach 1e4, hence the relative part
    torch.testing.assert_close(values[0].elbo, values[1].elbo, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(values[0].kl, values[1].kl, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", ["uniform", "hybrid", "mask first"])
def test_fused_gradient_passes_gradcheck(name):
    process = PROCESSES[name]
    logits, x, z, t = batch(process, shape=(3, 2))
    t = t.clamp(0.1, 0.9)
    logits = (logits / 4).requires_grad_()

    def terms(values):
        result = elbo_terms(values, x, z, t, process, fused=True)
        return result.kl, result.is_

    assert torch.autograd.gradcheck(terms, (logits,))


@pytest.mark.parametrize("name", PROCESSES)
def test_float32_is_close_to_float64(name):
    process = PROCESSES[name]
    logits, x, z, t = batch(process, shape=(64, 20), dtype=torch.float32)
    results = []
    for dtype in (torch.float32, torch.float64):
        values = logits.to(dtype).requires_grad_()
        elbo = elbo_terms(values, x, z, t, process).elbo
        results.append((elbo.detach().double(), torch.autograd.grad(elbo.mean(), values)[0].double()))
    (value, grad), (exact, exact_grad) = results
    # IS of a confident wrong prediction is a ratio of probabilities, exp of a logit gap with relative error 1e-6
    assert (value - exact).abs().sum() / exact.abs().sum() < 1e-5
    assert (grad - exact_grad).norm() / exact_grad.norm() < 1e-5


def test_bfloat16_logits_are_computed_in_float32():
    process = PROCESSES["hybrid"]
    logits, x, z, t = batch(process, dtype=torch.bfloat16)
    logits.requires_grad_()
    low = elbo_terms(logits, x, z, t, process).elbo
    high = elbo_terms(logits.detach().float(), x, z, t, process).elbo
    assert low.dtype == torch.float32
    torch.testing.assert_close(low.detach(), high, rtol=1e-6, atol=1e-6)
    assert torch.autograd.grad(low.mean(), logits)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("is_fused", [True, False])
def test_padded_logits_change_nothing_and_get_no_gradient(name, is_fused):
    process = PROCESSES[name]
    padded, x, z, t = batch(process, columns=128)
    padded.requires_grad_()
    plain = padded.detach()[..., :9].clone().requires_grad_()
    grads = []
    for logits in (padded, plain):
        elbo = elbo_terms(logits, x, z, t, process, fused=is_fused).elbo
        grads.append((elbo.detach(), torch.autograd.grad(elbo.sum(), logits)[0]))
    assert torch.equal(grads[0][0], grads[1][0])
    torch.testing.assert_close(grads[0][1][..., :9], grads[1][1], rtol=1e-14, atol=1e-14)
    assert (grads[0][1][..., 9:] == 0).all()


def test_mask_logit_is_ignored():
    process = PROCESSES["hybrid"]
    logits, x, z, t = batch(process)
    louder = logits.clone()
    louder[..., process.mask_id] = 50.0
    assert torch.equal(elbo_terms(logits, x, z, t, process).elbo, elbo_terms(louder, x, z, t, process).elbo)


def test_no_table_with_a_one_hot_is_made():
    # peak memory of forward and backward: logits, their gradient, and pieces of CHUNK_ELEMENTS; a table more is 4 MB
    process = HybridProcess(8192, p_u=0.1)
    logits, x, z, t = batch(process, shape=(2, 64), dtype=torch.float32)
    logits.requires_grad_()
    sizes = []

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.data_ptr() not in (logits.data_ptr(), 0):
                sizes.append((out.untyped_storage().nbytes(), str(func)))
            return out

    original, fused.CHUNK_ELEMENTS = fused.CHUNK_ELEMENTS, 8 * 8192
    try:
        with Largest():
            elbo_terms(logits, x, z, t, process).elbo.mean().backward()
    finally:
        fused.CHUNK_ELEMENTS = original
    table = logits.numel() * 4
    big = {name for size, name in sizes if size >= table and "empty_like" not in name and "view" not in name}
    # the gradient's own buffer is made by empty_like; what else is as large may only be a view of it
    assert not any(word in name for name in big for word in ("one_hot", "exp", "log", "softmax", "mul", "add", "clone"))


def test_mask_only_bound_is_weighted_cross_entropy():
    process = MaskProcess(9)
    logits, x, z, t = batch(process)
    elbo = elbo_terms(logits, x, z, t, process).elbo
    masked = z == process.mask_id
    log_x_hat = logits[..., :8].log_softmax(-1).gather(-1, x[..., None])[..., 0]
    expected = torch.where(masked, -log_x_hat / t[:, None], 0.0)
    torch.testing.assert_close(elbo, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(elbo, mdlm_loss(logits, x, z, t, process), rtol=1e-12, atol=1e-12)
    assert masked.any() and not masked.all()


def test_without_uniform_noise_clamped_weights_are_dynamic_ones_up_to_a_factor():
    # why a clamped run at p_u = 0 would train what a dynamic one does: AdamW does not see the factor
    process = MaskProcess(9)
    logits, x, z, t = batch(process)
    logits.requires_grad_()
    losses = {w: training_loss(logits, x, z, t, process, w)[0] for w in ("clamp", "dynamic", "dynamic_exact")}
    grads = {w: torch.autograd.grad(loss.sum(), logits)[0] for w, loss in losses.items()}
    for weighting in ("dynamic", "dynamic_exact"):
        torch.testing.assert_close(grads[weighting], 2 * grads["clamp"], rtol=1e-11, atol=1e-12)
    assert grads["clamp"].abs().max() > 0


def test_log_linear_masking_gives_the_mdlm_loss():
    process = MaskProcess(9, eps=1e-4)
    logits, x, z, t = batch(process)
    torch.testing.assert_close(
        elbo_terms(logits, x, z, t, process).elbo, mdlm_loss(logits, x, z, t, process), rtol=1e-11, atol=1e-12
    )


def test_impossible_predictions_do_not_poison_the_gradient_of_masked_diffusion():
    # at z = x the IS term is exp(800) for nu = 0; its weight is zero and must win
    process = MaskProcess(9)
    logits, x, z, t = batch(process, dtype=torch.float32)
    logits = (200 * logits).requires_grad_()
    elbo = elbo_terms(logits, x, z, t, process).elbo
    (grad,) = torch.autograd.grad(elbo.sum(), logits)
    assert elbo.isfinite().all() and grad.isfinite().all()
    assert (grad[z == x] == 0).all()


@pytest.mark.parametrize("name", PROCESSES)
def test_constant_logits_give_the_uniform_models_closed_form(name):
    # what a zero-initialised output layer gives
    process = PROCESSES[name]
    _, x, z, t = batch(process)
    elbo = elbo_terms(torch.zeros(*x.shape, 9, dtype=torch.float64), x, z, t, process).elbo
    closed = uniform_model_terms(process, t)
    seen = set()
    for kind, where in {
        "mask": z == process.mask_id,
        "data": z == x,
        "other": (z != x) & (z != process.mask_id),
    }.items():
        if where.any():
            seen.add(kind)
            expected = closed[kind][1][:, None].expand_as(elbo)[where]
            # near t = 1 weights of 1e4 multiply differences of nearly equal logarithms
            torch.testing.assert_close(elbo[where], expected, rtol=1e-9, atol=1e-10)
    assert len(seen) == {"mask": 2, "uniform": 2, "floored": 2}.get(name, 3)


def test_bound_is_zero_only_at_the_data():
    process = PROCESSES["hybrid"]
    _, x, z, t = batch(process)
    perfect = torch.nn.functional.one_hot(x, 9).double()
    torch.testing.assert_close(
        reference_terms(perfect, x, z, t, process).elbo, torch.zeros(x.shape, dtype=torch.float64), atol=1e-9, rtol=0
    )
    terms = elbo_terms(torch.zeros(*x.shape, 9, dtype=torch.float64), x, z, t, process)
    assert (terms.kl > 0).all() and (terms.is_ >= 0).all() and (terms.elbo > 0).all()


def test_general_process_with_two_levels_equals_the_closed_member():
    hybrid = HybridProcess(9, p_u=0.2)
    custom = CustomProcess(
        hybrid.alpha, lambda t: hybrid.beta_pi(t) / (1 - hybrid.alpha(t)).unsqueeze(-1), 9, num_checked=9
    )
    logits, x, z, t = batch(hybrid)
    ours, general = (elbo_terms(logits, x, z, t, process).elbo for process in (hybrid, custom))
    torch.testing.assert_close(ours, general, rtol=1e-8, atol=1e-8)


def test_weightings_at_gamma_one():
    process = HybridProcess(1001, p_u=0.2)
    t = torch.tensor([0.001, 0.2, 0.5, 0.9], dtype=torch.float64)
    x, wrong, mask = (torch.full((4, 1), k) for k in (2, 0, 1000))
    for z in (x, wrong, mask):
        w = elbo_weight(process, t, z, x)
        assert torch.equal(training_weight("none", process, t, z, x), w)
        assert torch.equal(training_weight("clamp", process, t, z, x, w_max=3.0), w.clamp_max(3.0))
        common = (2 * t * (1 - t))[:, None]
        exact = training_weight("dynamic_exact", process, t, z, x)
        torch.testing.assert_close(exact, w * common, rtol=1e-12, atol=0)
        torch.testing.assert_close(training_weight("dynamic", process, t, z, x), exact, rtol=2e-3, atol=0)  # O(c_t / N)
    assert (training_weight("dynamic", process, t, mask, x) == 2).all()
    assert (training_weight("dynamic", process, t, wrong, x) == 1).all()
    assert (training_weight("clamp", process, t, mask, x) == 1).all()


def test_true_weights_are_not_clipped():
    process = HybridProcess(9, p_u=0.2)
    t = torch.tensor([1e-4], dtype=torch.float64)
    mask = torch.tensor([[8]])
    assert training_weight("none", process, t, mask, torch.tensor([[0]])).item() == pytest.approx(1e4, rel=1e-3)


def test_dynamic_weight_of_data_tokens_is_capped_like_the_masks():
    process = HybridProcess(3, p_u=0.9)
    t, x = torch.tensor([1 - 1e-6], dtype=torch.float64), torch.tensor([[0]])
    assert training_weight("dynamic", process, t, x, x, w_max=1.5).item() == 3.0


def test_weight_of_the_released_code_ignores_time():
    process = HybridProcess(101, p_u=0.2)
    t = torch.tensor([0.3], dtype=torch.float64)
    x = torch.tensor([[0]])
    expected = process.uniform_scale / 101 * math.exp(0.5 / (1 + math.exp(0.3)))
    assert training_weight("dynamic_v110", process, t, x, x).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_training_loss_reports_the_true_bound_beside_what_it_trains(weighting):
    process = HybridProcess(9, p_u=0.2)
    logits, x, z, t = batch(process)
    logits.requires_grad_()
    loss, elbo = training_loss(logits, x, z, t, process, weighting)
    torch.testing.assert_close(elbo, elbo_terms(logits, x, z, t, process).elbo.detach())
    assert not elbo.requires_grad and loss.requires_grad
    assert torch.allclose(loss.detach(), elbo) == (weighting == "none")


def test_autoregressive_loss_predicts_the_next_token():
    x = torch.tensor([[1, 2, 0]])
    logits = torch.full((1, 3, 4), -20.0)
    logits[0, 0, 2] = logits[0, 1, 0] = 20.0
    assert autoregressive_loss(logits, x).tolist() == [[0.0, 0.0]]
    assert autoregressive_loss(torch.zeros(1, 3, 4), x).tolist() == [pytest.approx([math.log(4)] * 2)]
    with pytest.raises(ValueError, match="2 or more tokens"):
        autoregressive_loss(logits[:, :1], x[:, :1])
