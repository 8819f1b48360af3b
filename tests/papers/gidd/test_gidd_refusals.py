"""What a user can get wrong is refused in a sentence that names it."""

import pytest
import torch

from papers.gidd.likelihood import validation_elbo
from papers.gidd.loss import elbo_terms, reference_terms
from papers.gidd.members import CustomProcess, HybridProcess, MaskProcess, UniformProcess
from papers.gidd.oracle import TableModel
from papers.gidd.recovery import corrupt
from papers.gidd.sampling import ancestral_sample, time_grid
from papers.gidd.self_correction import self_correct
from papers.gidd.times import low_discrepancy_times
from papers.gidd.weighting import training_weight
from shared.base.seeding import torch_generator

PROCESS = HybridProcess(5, p_u=0.2)
TOKENS = torch.tensor([[0, 1, 2, 3]])
T = torch.tensor([0.4], dtype=torch.float64)
LOGITS = torch.zeros(1, 4, 5)


def net(z, t):
    return torch.zeros(*z.shape, 5)


@pytest.mark.parametrize("p_u", [-0.1, 1.0, 1.5, float("nan")])
def test_p_u_outside_the_unit_interval(p_u):
    with pytest.raises(ValueError, match=f"p_u is a probability below 1.*{p_u}"):
        HybridProcess(5, p_u=p_u)


@pytest.mark.parametrize("gamma", [0.0, -1.0])
def test_gamma_not_positive(gamma):
    with pytest.raises(ValueError, match="gamma must be positive"):
        HybridProcess(5, p_u=0.2, gamma=gamma)


def test_gamma_above_two_makes_the_flow_negative():
    with pytest.raises(ValueError, match=r"negative.*entry 0.*t = 0\.75"):
        HybridProcess(5, p_u=0.2, gamma=3.0)


@pytest.mark.parametrize("t", [0.0, 1.0, -0.1, 1.2])
def test_times_outside_the_open_interval(t):
    with pytest.raises(ValueError, match=r"strictly inside \(0, 1\)"):
        elbo_terms(LOGITS, TOKENS, TOKENS, torch.tensor([t]), PROCESS)
    with pytest.raises(ValueError, match=r"t0 must lie strictly inside"):
        self_correct(net, TOKENS, PROCESS, torch_generator(0), t0=t)


@pytest.mark.parametrize("mask_id", [5, -1])
def test_mask_id_outside_the_vocabulary(mask_id):
    with pytest.raises(ValueError, match=f"mask_id must be one of the 5 ids.*{mask_id}"):
        MaskProcess(5, mask_id)


def test_data_that_contains_the_mask():
    masked = torch.tensor([[0, 4, 2, 3]])
    with pytest.raises(ValueError, match="x contains the mask id 4"):
        elbo_terms(LOGITS, masked, TOKENS, T, PROCESS)
    with pytest.raises(ValueError, match="tokens contains the mask id 4"):
        self_correct(net, masked, PROCESS, torch_generator(0))
    with pytest.raises(ValueError, match="x contains the mask id 4"):
        PROCESS.sample(masked, T, torch_generator(0))


@pytest.mark.parametrize("bad", [5, -1])
def test_ids_out_of_range(bad):
    wrong = torch.tensor([[0, 1, 2, bad]])
    with pytest.raises(ValueError, match=r"z holds ids .* vocabulary has ids 0\.\.4"):
        elbo_terms(LOGITS, TOKENS, wrong, T, PROCESS)
    with pytest.raises(ValueError, match="x holds ids"):
        elbo_terms(LOGITS, wrong, TOKENS, T, PROCESS)


@pytest.mark.parametrize("num_steps", [0, -3, 2.5])
def test_fewer_than_one_step(num_steps):
    with pytest.raises(ValueError, match="num_steps must be a whole number of at least 1"):
        ancestral_sample(net, PROCESS, 2, 4, num_steps, torch_generator(0))


@pytest.mark.parametrize("tau", [0.0, -1.0])
def test_temperature_not_positive(tau):
    with pytest.raises(ValueError, match="tau must be positive"):
        self_correct(net, TOKENS, PROCESS, torch_generator(0), tau=tau)


def test_predicted_mass_on_the_mask():
    x_hat = torch.full((1, 4, 5), 0.2)
    with pytest.raises(ValueError, match=r"mass 0\.2 on the mask id 4"):
        reference_terms(x_hat, TOKENS, TOKENS, T, PROCESS)
    with pytest.raises(ValueError, match="on the mask id 4"):
        TableModel(x_hat[0, 0], PROCESS)


def test_user_supplied_noise_with_negative_flow_names_time_and_entry():
    # entry 1 loses its mass faster than the chain can forget it
    def pi(t):
        share = torch.sigmoid(40 * (t - 0.5))
        return torch.stack([share, 1 - share, torch.zeros_like(t)], dim=-1)

    with pytest.raises(ValueError, match=r"omega_t is negative at t = 0\.\d+ for entry 1"):
        CustomProcess(lambda t: 1 - t, pi, 3)


def test_user_supplied_noise_that_is_no_distribution():
    flat = torch.full((4,), 0.3, dtype=torch.float64)
    with pytest.raises(ValueError, match="a sum other than 1"):
        CustomProcess(lambda t: 1 - t, lambda t: flat.expand(*t.shape, 4), 4)
    with pytest.raises(ValueError, match="a negative entry"):
        negative = torch.tensor([-0.1, 0.5, 0.5, 0.1], dtype=torch.float64)
        CustomProcess(lambda t: 1 - t, lambda t: negative.expand(*t.shape, 4), 4)
    with pytest.raises(ValueError, match=r"pi must return \(\.\.\., 5\)"):
        CustomProcess(lambda t: 1 - t, lambda t: flat.expand(*t.shape, 4), 5)


def test_user_supplied_alpha_with_wrong_ends_or_direction():
    uniform = torch.full((4,), 0.25, dtype=torch.float64)
    with pytest.raises(ValueError, match="1 at t = 0 and 0 at t = 1"):
        CustomProcess(lambda t: 1 - 0.9 * t, lambda t: uniform.expand(*t.shape, 4), 4)
    with pytest.raises(ValueError, match="alpha must decrease"):
        CustomProcess(
            lambda t: 1 - t + 0.5 * torch.sin(6.283185307179586 * t), lambda t: uniform.expand(*t.shape, 4), 4
        )


@pytest.mark.parametrize("shape", [(0, 4), (1, 0)])
def test_empty_sequences(shape):
    empty = torch.zeros(shape, dtype=torch.int64)
    times = torch.full((shape[0],), 0.5)
    with pytest.raises(ValueError, match="holds no tokens"):
        elbo_terms(torch.zeros(*shape, 5), empty, empty, times, PROCESS)
    with pytest.raises(ValueError, match="holds no tokens"):
        self_correct(net, empty, PROCESS, torch_generator(0))
    with pytest.raises(ValueError, match="seq_len must be"):
        ancestral_sample(net, PROCESS, 2, 0, 4, torch_generator(0))


def test_dynamic_weights_where_they_are_not_defined():
    for process in (UniformProcess(5), HybridProcess(5, p_u=0.2, gamma=2.0)):
        with pytest.raises(ValueError, match="use 'dynamic_exact'"):
            training_weight("dynamic", process, T, TOKENS, TOKENS)


def test_unknown_weighting_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown weighting 'clip'; choose one of none, clamp"):
        training_weight("clip", PROCESS, T, TOKENS, TOKENS)


def test_too_few_logits():
    with pytest.raises(ValueError, match="4 logits per token for a vocabulary of 5"):
        elbo_terms(torch.zeros(1, 4, 4), TOKENS, TOKENS, T, PROCESS)


def test_fused_loss_for_a_process_with_many_levels():
    pi = torch.tensor([0.5, 0.2, 0.2, 0.1, 0.0], dtype=torch.float64)
    process = CustomProcess(lambda t: 1 - t, lambda t: pi.expand(*t.shape, 5), 5)
    with pytest.raises(ValueError, match="pass fused=False"):
        elbo_terms(LOGITS, TOKENS, TOKENS, T, process, fused=True)


def test_more_corruptions_than_positions():
    with pytest.raises(ValueError, match="cannot corrupt 5 tokens of sequences of length 4"):
        corrupt(TOKENS, 5, PROCESS, torch_generator(0))


def test_validation_with_nothing_but_padding():
    with pytest.raises(ValueError, match="every position is padding"):
        validation_elbo(net, TOKENS, PROCESS, torch_generator(0), is_token=torch.zeros_like(TOKENS))


def test_eps_and_offset_outside_their_ranges():
    with pytest.raises(ValueError, match=r"eps cuts both ends"):
        time_grid(4, eps=0.5)
    with pytest.raises(ValueError, match="u is one uniform draw"):
        low_discrepancy_times(1.0, 4)
