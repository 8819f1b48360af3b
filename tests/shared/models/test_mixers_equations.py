"""What single mixers compute: their equations, limits and initial values."""

import math

import pytest
import torch
import torch.nn.functional as F

from shared.base.seeding import torch_generator
from shared.models.config import MixerContext
from shared.models.mixers.coefficients import delta_rule_coefficients, linear_attention_coefficients
from shared.models.mixers.linear_attention import taylor_features
from shared.models.mixers.mlstm import stabilised_gates
from shared.models.mixers.registry import build_mixer

D, LENGTH = 16, 9
WITH_COEFFICIENTS = [
    "attention", "sigmoid_attention", "linear_attention", "based", "norm_attention", "retnet", "gla", "mlstm",
    "deltanet", "gated_deltanet",
]  # fmt: skip


def build(name, context=None, **options):
    torch.manual_seed(0)
    context = {"d_model": D, "num_heads": 2, "max_seq_len": 32} | (context or {})
    return build_mixer({"name": name, **options}, MixerContext(**context)).double()


def sample(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, "x"), dtype=torch.float64)


def randomise(mixer, scale=0.5):
    """Parameters of order one, so that gates and normalisers leave their initial regime."""
    with torch.no_grad():
        for index, p in enumerate(mixer.parameters()):
            p.add_(scale * torch.randn(p.shape, generator=torch_generator(index, "p"), dtype=p.dtype))
    return mixer


@pytest.mark.parametrize("name", WITH_COEFFICIENTS)
def test_coefficients_times_values_give_the_heads(name):
    mixer, x = randomise(build(name)), sample(2, LENGTH, D)
    alpha = mixer.coefficients(x)
    assert alpha.triu(1).abs().max() == 0
    torch.testing.assert_close((alpha @ mixer.values(x)).transpose(1, 2), mixer.heads(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["linear_attention", "norm_attention"])
def test_without_evolution_the_past_is_a_set(name):
    mixer, x = randomise(build(name)), sample(1, LENGTH, D)
    shuffled = x[:, [3, 1, 6, 0, 2, 7, 5, 4, 8]]
    torch.testing.assert_close(mixer(shuffled)[:, -1], mixer(x)[:, -1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["retnet", "gla", "mlstm", "deltanet", "gated_deltanet", "mamba", "mamba2"])
def test_with_evolution_the_past_is_a_sequence(name):
    options = {"head_dim": 8, "conv_width": 0} if name == "mamba2" else {"conv_width": 0}
    mixer, x = randomise(build(name, **options)), sample(1, LENGTH, D)
    shuffled = x[:, [3, 1, 6, 0, 2, 7, 5, 4, 8]]
    assert (mixer(shuffled)[:, -1] - mixer(x)[:, -1]).abs().max() > 1e-3


def test_rows_of_normalised_attention_sum_to_one():
    for name, tolerance in (("attention", 1e-12), ("linear_attention", 1e-4)):  # the latter adds 1e-6 to its sum
        rows = build(name).coefficients(sample(2, LENGTH, D)).sum(-1)
        torch.testing.assert_close(rows, torch.ones_like(rows), rtol=0, atol=tolerance)


def test_taylor_features_expand_the_exponential():
    q, k = sample(5, 3), sample(5, 3, seed=1)
    s = (q * k).sum(-1) / 3**0.5
    torch.testing.assert_close((taylor_features(q) * taylor_features(k)).sum(-1), 1 + s + s**2 / 2)


def test_sigmoid_attention_weights_follow_their_equation():
    mixer, x = build("sigmoid_attention", context={"positional": "none"}), sample(1, LENGTH, D)
    q, k, _ = (x @ mixer.qkv_proj.weight.T).unflatten(-1, (3, 2, 8)).unbind(2)
    scores = torch.einsum("bihn,bjhn->bhij", q, k) / 8**0.5 - math.log(32)
    torch.testing.assert_close(mixer.coefficients(x), torch.sigmoid(scores).tril())


def test_retnet_decays_follow_their_equation():
    mixer, x = build("retnet", rotation=False), sample(1, LENGTH, D)
    q, k, _ = mixer.qkv_proj(x).split([D, D, 2 * D], dim=-1)
    products = torch.einsum("bihn,bjhn->bhij", q.unflatten(-1, (2, 8)), k.unflatten(-1, (2, 8))) / 8**0.5
    steps = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)
    decay = torch.tensor([1 - 2**-5, 1 - 2**-6], dtype=torch.float64)[:, None, None] ** steps
    torch.testing.assert_close(mixer.coefficients(x), (products * decay).tril(), rtol=1e-6, atol=1e-9)  # float32 table


def test_equal_vector_decays_are_a_scalar_decay():
    q, k, gates = sample(2, LENGTH, 3, 4), sample(2, LENGTH, 3, 4, seed=1), F.logsigmoid(sample(2, LENGTH, 3, seed=2))
    vector = linear_attention_coefficients(q, k, gates.unsqueeze(-1).expand(-1, -1, -1, 4))
    torch.testing.assert_close(vector, linear_attention_coefficients(q, k, gates), rtol=0, atol=1e-12)


def test_delta_coefficients_forget_an_overwritten_key():
    keys = F.normalize(sample(1, LENGTH, 1, 4), dim=-1)
    keys[:, 6] = keys[:, 2]
    alpha = delta_rule_coefficients(sample(1, LENGTH, 1, 4, seed=1), keys, torch.ones(1, LENGTH, 1).double(), None)
    assert alpha[0, 0, 5, 2].abs() > 1e-3
    # between the two, other keys turned the first one's trace: only what lies along the key is erased
    keys[:, 3:6] = F.normalize(
        keys[:, 3:6] - (keys[:, 3:6] * keys[:, 2:3]).sum(-1, keepdim=True) * keys[:, 2:3], dim=-1
    )
    alpha = delta_rule_coefficients(sample(1, LENGTH, 1, 4, seed=1), keys, torch.ones(1, LENGTH, 1).double(), None)
    assert alpha[0, 0, 6:, 2].abs().max() < 1e-12


def test_delta_coefficients_on_orthonormal_keys_are_linear_attention():
    keys = torch.eye(LENGTH, dtype=torch.float64)[None, :, None]
    q, ones = sample(1, LENGTH, 1, LENGTH), torch.ones(1, LENGTH, 1, dtype=torch.float64)
    expected = linear_attention_coefficients(q, keys, torch.zeros_like(ones))
    torch.testing.assert_close(delta_rule_coefficients(q, keys, ones, None), expected, rtol=0, atol=1e-12)
    assert delta_rule_coefficients(q, keys, 0 * ones, None).abs().max() == 0


def test_stabilised_gates_are_the_gates_up_to_the_running_maximum():
    log_input, log_forget = 5 * sample(1, LENGTH, 2), F.logsigmoid(sample(1, LENGTH, 2, seed=1))
    relative_input, relative_forget, m = stabilised_gates(log_input, log_forget, None)
    running, expected = torch.zeros(1, 2, dtype=torch.float64), []
    for t in range(LENGTH):
        running = torch.maximum(log_forget[:, t] + running, log_input[:, t])
        expected.append(running)
    expected = torch.stack(expected, dim=1)
    before = F.pad(expected[:, :-1], (0, 0, 1, 0))
    torch.testing.assert_close(m, expected)
    torch.testing.assert_close(relative_input, log_input - expected)
    torch.testing.assert_close(relative_forget, log_forget + before - expected)


def mlstm_by_hand(mixer, x):
    """Coefficients from the gates as they are, without any stabilisation."""
    inner, convolved, _, _ = mixer._streams(x, None)
    q, k, v = mixer.q_proj(convolved), mixer.k_proj(convolved), mixer.v_proj(inner)
    log_input, forget = mixer.gate_proj(torch.cat([q, k, v], dim=-1)).chunk(2, dim=-1)
    q, k = (part.unflatten(-1, (2, -1)) for part in (q, k))
    weighted = k * (log_input.exp() / k.shape[-1] ** 0.5).unsqueeze(-1)
    alpha = linear_attention_coefficients(q, weighted, F.logsigmoid(forget))
    return alpha / alpha.sum(-1, keepdim=True).abs().clamp(min=1)


def test_mlstm_follows_its_unstabilised_equation():
    mixer, x = randomise(build("mlstm")), sample(2, LENGTH, D)
    torch.testing.assert_close(mixer.coefficients(x), mlstm_by_hand(mixer, x))


@pytest.mark.parametrize(("shift", "scale_free"), [(40.0, True), (-2.0, False)])
def test_mlstm_ignores_a_common_input_gate_where_the_row_sum_divides(shift, scale_free):
    mixer, x = randomise(build("mlstm")), sample(1, LENGTH, D)
    with torch.no_grad():
        mixer.gate_proj.bias[:2] += shift
    before = mixer.coefficients(x)
    with torch.no_grad():
        mixer.gate_proj.bias[:2] += shift
    assert torch.allclose(mixer.coefficients(x), before, rtol=1e-6, atol=1e-12) == scale_free


def test_mlstm_stays_finite_at_huge_gates():
    mixer = build("mlstm")
    with torch.no_grad():
        mixer.gate_proj.bias[:2] = 1e4
    assert mixer.float()(sample(1, LENGTH, D).float()).isfinite().all()


def test_mamba_scan_follows_its_coefficients():
    mixer, x = randomise(build("mamba", d_state=4, gate=False)), sample(2, LENGTH, D)
    u = mixer.values(x)  # (B, E, T, 1)
    scanned = (mixer.coefficients(x) @ u)[..., 0].mT + mixer.D * u[..., 0].mT
    torch.testing.assert_close(mixer.out_proj(scanned), mixer(x))


def test_mamba2_follows_its_coefficients():
    mixer, x = randomise(build("mamba2", d_state=4, head_dim=8)), sample(2, LENGTH, D)
    u = mixer.values(x)
    y = (mixer.coefficients(x) @ u + mixer.D[:, None, None] * u).transpose(1, 2).flatten(2)
    y = y * F.silu(mixer.in_proj(x)[..., :32])
    torch.testing.assert_close(mixer.out_proj(F.rms_norm(y, (32,), mixer.norm_weight, 1e-5)), mixer(x))


def test_mamba_without_convolution_sees_the_past_through_its_state_only():
    mixer = build("mamba", conv_width=0)
    assert not any("conv" in name for name, _ in mixer.named_parameters())
    with torch.no_grad():
        mixer.A_log.fill_(20.0)  # the state forgets at once
    x = sample(1, LENGTH, D)
    torch.testing.assert_close(mixer(x)[:, -1:], mixer(x[:, -1:]), rtol=0, atol=1e-9)


def test_lru_impulse_response_is_geometric():
    mixer = build("lru", d_state=3)
    x = torch.zeros(1, LENGTH, D, dtype=torch.float64)
    x[0, 0, 5] = 1.0
    modulus, phase = torch.exp(-mixer.nu_log.exp()), mixer.theta_log.exp()
    powers = torch.polar(modulus[None] ** torch.arange(LENGTH)[:, None], phase * torch.arange(LENGTH)[:, None])
    b, c = torch.complex(*mixer.B), torch.complex(*mixer.C)
    y = (powers * mixer.gamma_log.exp() * b[:, 5] @ c.T).real
    y[0, 5] += mixer.D[5]
    torch.testing.assert_close(mixer.output(y), mixer(x)[0])


def test_rglru_follows_its_equation():
    mixer, x = randomise(build("rglru", conv_width=0)), sample(2, LENGTH, D)
    u, gate = mixer.in_proj(x).chunk(2, dim=-1)

    def block_map(layer, u):
        blocks = [u[:, 8 * g : 8 * g + 8] @ layer.weight[g] for g in range(2)]
        return torch.sigmoid(torch.cat(blocks, dim=-1) + layer.bias)

    h, states = torch.zeros(2, D, dtype=torch.float64), []
    for u_t in u.unbind(1):
        a = torch.sigmoid(mixer.decay) ** (8 * block_map(mixer.recurrence_gate, u_t))
        h = a * h + (1 - a**2).sqrt() * block_map(mixer.input_gate, u_t) * u_t
        states.append(h)
    expected = mixer.out_proj(torch.stack(states, dim=1) * F.gelu(gate, approximate="tanh"))
    torch.testing.assert_close(mixer(x), expected)


def test_s4d_holds_its_input_between_samples():
    ssm = build("s4d", d_state=8).ssm
    state = torch.zeros(1, D, 4, dtype=torch.complex128)
    _, state = ssm(torch.ones(1, LENGTH, D, dtype=torch.float64), state)
    a = torch.complex(-ssm.A_real_log.exp(), ssm.A_imag)
    time = LENGTH * ssm.log_dt.exp().unsqueeze(-1)
    torch.testing.assert_close(state[0], (torch.exp(time * a) - 1) / a)  # h' = A h + 1 from 0, exactly


def test_h3_is_a_gated_product_where_the_ssm_only_skips():
    mixer, x = build("h3", d_state=4), sample(2, LENGTH, D)
    with torch.no_grad():
        mixer.ssm.C.zero_()
    q, k, v = mixer.qkv_proj(x).chunk(3, dim=-1)
    shifted = F.conv1d(F.pad(k.mT, (3, 0)), mixer.shift.weight.unsqueeze(1), groups=D).mT
    torch.testing.assert_close(mixer(x), mixer.out_proj(q * mixer.ssm.skip * shifted * v))


def test_hyena_with_a_zero_filter_is_a_gated_product():
    mixer, x = build("hyena", filter_order=8), sample(2, LENGTH, D)
    with torch.no_grad():
        mixer.filter.last.weight.zero_()
    first, second, v = mixer.conv(mixer.in_proj(x), None)[0].chunk(3, dim=-1)
    torch.testing.assert_close(mixer(x), mixer.out_proj(second * mixer.skip * first * v))


def test_hyena_filter_does_not_depend_on_how_much_of_it_is_asked_for():
    filters = build("hyena", filter_order=8).filter
    torch.testing.assert_close(filters(20)[:7], filters(7))


def test_hyena_refuses_more_tokens_than_its_filter_has():
    with pytest.raises(ValueError, match="max_seq_len 32; got 33 tokens"):
        build("hyena")(sample(1, 33, D))


def test_base_conv_follows_its_equation():
    mixer, x = build("base_conv"), sample(2, LENGTH, D)
    convolved = F.conv1d(F.pad(x.mT, (2, 0)), mixer.conv.weight.unsqueeze(1), mixer.conv.bias, groups=D).mT
    torch.testing.assert_close(mixer(x), convolved * mixer.projection(x) + x)


@pytest.mark.parametrize("parts", [("q",), ("k",), ("v",), ("q", "k", "v")])
@pytest.mark.parametrize("padding", ["causal", "centred"])
def test_attention_with_an_identity_convolution_is_plain(parts, padding):
    plain = build("attention")
    mixer, x = build("attention", conv=parts, conv_width=3, conv_padding=padding), sample(2, LENGTH, D)
    mixer.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for conv in mixer.convs.values():
            conv.weight.zero_()
            conv.weight[:, 1 if padding == "centred" else 2] = 1.0
    torch.testing.assert_close(mixer(x), plain(x))


def test_a_centred_convolution_sees_one_step_ahead_and_cannot_decode():
    mixer, x = build("attention", conv=("v",), conv_width=3, conv_padding="centred"), sample(1, LENGTH, D)
    changed = x.clone()
    changed[:, 6:] += 1
    difference = (mixer(changed) - mixer(x)).abs().amax(-1)[0]
    assert (difference[:5] == 0).all() and difference[5] > 1e-6
    with pytest.raises(ValueError, match="no step form"):
        mixer.step(x[:, 0], mixer.initial_cache(1))


def test_rwkv4_follows_its_equation():
    """Sums over the past written out, one channel at a time, with tokens mixed with the one before."""
    mixer, x = randomise(build("rwkv4")), sample(1, LENGTH, D)
    before = torch.cat([torch.zeros(1, 1, D).double(), x[:, :-1]], dim=1)
    r, k, v = (lin(m * x + (1 - m) * before) for lin, m in zip(mixer.rkv_proj, mixer.mix, strict=True))
    w, wkv = mixer.decay.exp(), torch.zeros(1, LENGTH, D, dtype=torch.float64)
    for t in range(LENGTH):
        weights = [torch.exp(k[:, j] - (t - 1 - j) * w) for j in range(t)] + [torch.exp(mixer.bonus + k[:, t])]
        wkv[:, t] = sum(p * v[:, j] for j, p in enumerate(weights)) / sum(weights)
    torch.testing.assert_close(mixer(x), mixer.out_proj(r.sigmoid() * wkv), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_rwkv4_is_a_mean_of_values_at_huge_keys(size):
    mixer, x = build("rwkv4"), sample(1, LENGTH, D)
    plain = mixer(x)
    mixer.rkv_proj[1] = torch.nn.Linear(D, D).double()
    torch.nn.init.constant_(mixer.rkv_proj[1].weight, size / D)
    assert mixer(x).isfinite().all() and not torch.allclose(mixer(x), plain)
    torch.nn.init.zeros_(mixer.rkv_proj[1].weight)
    torch.nn.init.constant_(mixer.rkv_proj[1].bias, size)  # a common factor of all weights
    shifted = mixer(x)
    torch.nn.init.zeros_(mixer.rkv_proj[1].bias)
    torch.testing.assert_close(shifted, mixer(x), rtol=0, atol=1e-9)


def test_rotary_mamba_turns_b_and_c_by_their_position():
    plain, turning = (randomise(build("mamba", d_state=4, conv_width=0, rope=rope), 0.1) for rope in (False, True))
    x = sample(1, LENGTH, D)
    torch.testing.assert_close(turning(x)[:, 0], plain(x)[:, 0], rtol=0, atol=1e-12)  # position 0 turns by nothing
    assert ((turning(x) - plain(x))[:, 1:].abs().amax(-1) > 1e-6).all()
    torch.nn.init.zeros_(turning.A_log)  # equal decays, and one token throughout: weights depend on the distance alone
    still = x[:, :1].expand(-1, LENGTH, -1)
    alpha = turning.coefficients(still)
    torch.testing.assert_close(alpha[..., 1:, 1:], alpha[..., :-1, :-1], rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="odd head width 3"):
        build("mamba", d_state=3, rope=True)


def test_published_initial_values():
    mamba, mamba2, lru = build("mamba"), build("mamba2", head_dim=1), build("lru", r_min=0.8, r_max=0.9)
    torch.testing.assert_close(mamba.A_log.exp()[3], torch.arange(1, 17).double())
    assert (mamba.D == 1).all()
    for bias in (mamba.dt_proj.bias, mamba2.dt_bias):
        steps = F.softplus(bias)
        assert steps.min() >= 1e-3 * 0.999 and steps.max() <= 1e-1 * 1.001  # float32 inverse of the softplus
        assert steps.log().std() > 1.0  # log-uniform: log(100) / sqrt(12) = 1.33
    assert mamba2.A_log.exp().min() >= 1 and mamba2.A_log.exp().max() <= 16
    modulus = torch.exp(-lru.nu_log.exp())
    assert modulus.min() >= 0.8 and modulus.max() <= 0.9
    torch.testing.assert_close(lru.gamma_log.exp(), (1 - modulus**2).sqrt(), rtol=1e-5, atol=0)  # made in float32
    power = torch.sigmoid(build("rglru").decay) ** 8
    assert power.min() >= 0.9 - 1e-6 and power.max() <= 0.999 + 1e-6
    rwkv = build("rwkv4")
    assert rwkv.decay[[0, -1]].tolist() == pytest.approx([-5, 3]) and (rwkv.decay.diff() > 0).all()
    assert rwkv.bonus.exp().log()[:3].tolist() == pytest.approx([math.log(0.3) + s for s in (0.0, 0.5, -0.5)])
    gates = build("mlstm").gate_proj
    assert (gates.weight == 0).all() and gates.bias[2:].tolist() == [3.0, 6.0]
    ssm = build("s4d", d_state=8).ssm
    torch.testing.assert_close(ssm.A_imag[2], math.pi * torch.arange(4).double(), rtol=1e-6, atol=0)  # float32
    torch.testing.assert_close(ssm.A_real_log.exp(), torch.full((D, 4), 0.5).double(), rtol=1e-6, atol=0)  # float32


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 heads and width 16"):
        build("deltanet", num_heads=3)
    with pytest.raises(ValueError, match="got 64 and 32"):
        build("mamba2")
    with pytest.raises(ValueError, match="got 5 and 16"):
        build("h3", head_dim=5)
    with pytest.raises(ValueError, match="3 blocks and width 16"):
        build("rglru", num_blocks=3)
    with pytest.raises(ValueError, match=r"got 0\.9 and 0\.5"):
        build("lru", r_min=0.9, r_max=0.5)
