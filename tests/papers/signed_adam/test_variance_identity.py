"""Propositions 1 and 2, Theorem 4.1, bounds on a step, and Adam as a filter: closed forms, brute force, symmetries."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from papers.signed_adam.inference import WORKED, cases, closed_form, minimiser, objective
from papers.signed_adam.variance import (
    adam_filter,
    demo_signal,
    emasign_filter,
    identity_error,
    largest_step,
    moments,
    radius_limit,
    signum_filter,
    square_completion_gap,
    streams,
    worst_stream,
)
from shared.base.seeding import torch_generator
from shared.optim.adam import AdamSigma2
from shared.optim.registry import get_rule

BETAS = [0.5, 0.9, 0.95, 0.99]


def noise(length=200, seed=0):
    return torch.randn(length, generator=torch_generator(seed, "noise"), dtype=torch.float64)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("stream", streams(10))
def test_the_identity_holds_on_the_diagonal(beta, stream):
    assert identity_error(streams(1000)[stream], beta, beta) < 1e-12


@pytest.mark.parametrize("pair", [(0.9, 0.95), (0.95, 0.9), (0.8, 0.99)])
def test_the_identity_fails_off_the_diagonal(pair):
    assert identity_error(noise(), *pair) > 1e-3


def test_off_the_diagonal_the_average_is_that_of_the_denominator():
    """A single unit step at k = 1, from zero: v - m^2 = (1 - b2) - (1 - b1)^2, and b2 EMA_b2 of g^2 is b2 (1 - b2)."""
    for beta1, beta2 in ((0.9, 0.95), (0.95, 0.9), (0.8, 0.99)):
        error = abs((1 - beta2) - (1 - beta1) ** 2 - beta2 * (1 - beta2)) / (1 - beta2)
        assert identity_error(torch.ones(1, dtype=torch.float64), beta1, beta2) == pytest.approx(error, rel=1e-12)


# below 1e-154 a square is subnormal and has lost digits; nothing that trains is so small
GRADIENTS = st.floats(-1e3, 1e3).map(lambda g: g if abs(g) > 1e-100 else 0.0)


@settings(max_examples=20, deadline=None)
@given(st.lists(GRADIENTS, min_size=2, max_size=40), st.sampled_from(BETAS))
def test_the_identity_holds_for_any_stream(gradients, beta):
    assert identity_error(torch.tensor(gradients, dtype=torch.float64), beta, beta) < 1e-12


def test_the_corrected_averages_do_not_satisfy_it():
    """Bias correction divides m^2 by (1 - b^k)^2 and v by 1 - b^k: the difference is no longer sigma2."""
    m, v, _ = moments(noise(20), 0.9, 0.9)
    k = torch.arange(1, 21)
    corrected = v / (1 - 0.9**k) - (m / (1 - 0.9**k)) ** 2
    raw = (v - m * m) / (1 - 0.9**k)
    assert (corrected - raw).abs().max() > 1e-2


def test_the_remainder_of_proposition_2_is_the_square_of_the_difference():
    for beta1, beta2 in [(0.9, 0.95), (0.95, 0.9), (0.8, 0.99), (0.9, 0.9)]:
        assert square_completion_gap(beta1, beta2) == pytest.approx((beta1 - beta2) ** 2, abs=1e-15)


@pytest.mark.parametrize("beta", BETAS)
def test_the_filter_is_the_library_s_rule(beta):
    gradients, rule = noise(100), get_rule("adam_sigma2")
    p = torch.zeros(1, dtype=torch.float64)
    state, hyper = rule.init(p), rule.resolve({"lr": 1.0, "beta": beta, "eps": 0.0, "bias_correction": 0.0})
    steps = []
    for g in gradients:
        new, state = rule.step(p, g[None], state, hyper)
        steps.append((p - new).item())
        p = new
    assert torch.tensor(steps, dtype=torch.float64) == pytest.approx(adam_filter(gradients, beta), abs=1e-9)


def test_sigma2_form_takes_one_beta():
    with pytest.raises(ValueError, match=r"(?i)beta"):
        AdamSigma2([torch.zeros(1, requires_grad=True)], lr=0.1, beta=(0.9, 0.95))


@pytest.mark.parametrize("pair", [(0.9, 0.9), (0.9, 0.95), (0.975, 0.6), (0.95, 0.95**2)])
@pytest.mark.parametrize("num_steps", [1, 7, 50])
def test_the_longest_step_is_attained_and_never_exceeded(pair, num_steps):
    m, v, _ = moments(worst_stream(num_steps, *pair), *pair)
    bound = largest_step(num_steps, *pair)
    assert (m[-1] / v[-1].sqrt()).item() == pytest.approx(bound, rel=1e-9)
    for seed in range(20):
        m, v, _ = moments(noise(num_steps, seed), *pair)
        assert (m[-1].abs() / v[-1].sqrt()).item() <= bound * (1 + 1e-12)


def test_equal_betas_stay_below_one_and_far_ones_are_unbounded():
    assert largest_step(50, 0.9, 0.9) == pytest.approx(math.sqrt(1 - 0.9**50))
    assert radius_limit(0.9, 0.9) == pytest.approx(1.0) and radius_limit(0.975, 0.6) == math.inf
    assert radius_limit(0.9, 0.999) == pytest.approx(largest_step(10**5, 0.9, 0.999))


def test_the_worked_example_of_the_inference_problem():
    assert closed_form(WORKED) == pytest.approx((0.31, 0.5589))


def test_the_closed_form_is_the_minimum_of_the_right_problem_only():
    for case in cases(4):
        exact = closed_form(case)
        assert math.dist(exact, minimiser(case)) < 1e-6
        assert math.dist(exact, minimiser(case, swapped=True)) > 1e-3
        for step in (1e-3, -1e-3):
            assert objective(exact[0] + step, exact[1], case) > objective(*exact, case)
            assert objective(exact[0], exact[1] * (1 + step), case) > objective(*exact, case)


FILTERS = [adam_filter, signum_filter, emasign_filter]


@pytest.mark.parametrize("each", FILTERS)
def test_filters_are_causal_odd_scale_free_and_bounded(each):
    signal = demo_signal(300) + 0.1 * noise(300)
    out = each(signal, 0.9)
    assert torch.equal(each(signal[:150], 0.9), out[:150])
    assert torch.equal(each(-signal, 0.9), -out)
    assert torch.equal(each(4.0 * signal, 0.9), out)  # a power of two scales without rounding
    assert out.abs().max() <= 1.0


def test_the_response_to_a_decaying_sine_is_not_exactly_periodic():
    """Scale-free, but the envelope changes inside the window of the average."""
    out, period = adam_filter(demo_signal(1200), 0.9), round(2 * math.pi / 0.03)
    assert 1e-3 < (out[600 : 600 + period] - out[600 + period : 600 + 2 * period]).abs().max() < 0.2
