"""What every registered mixer keeps; one small setting each."""

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from shared.base.seeding import torch_generator
from shared.models.config import LanguageModelConfig, MixerContext
from shared.models.language_model import LanguageModel, token_nll
from shared.models.mixers.config import MixerConfig
from shared.models.mixers.registry import build_mixer, mixer_names

D, HEADS, LENGTH = 16, 2, 13
OPTIONS = {  # where the default is too large for a test, or would leave a code path out
    "attention": {"kernel": "matmul", "conv": ["k", "v"]},
    "sigmoid_attention": {"num_kv_heads": 1},
    "linear_attention": {"conv_width": 4},
    "based": {"key_head_dim": 3},
    "norm_attention": {"conv_width": 4},
    "mamba2": {"d_state": 8, "head_dim": 8},
    "mamba": {"d_state": 5},
    "s4d": {"d_state": 8, "dt_min": 0.1, "dt_max": 1.0},  # memories of a few tokens
    "h3": {"d_state": 6, "head_dim": 2},
    "hyena": {"filter_order": 8},
    "dynamics": {"evolution": "gated_householder", "normaliser": "one", "readout": "identity"},
}
CONTEXT = MixerContext(d_model=D, num_heads=HEADS, max_seq_len=32)
NAMES = mixer_names()
FFT = {"hyena", "s4d", "h3"}  # a transform of the whole sequence: causal up to its rounding


def options(name):
    return {"name": name, **OPTIONS.get(name, {})}


def build(name, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return build_mixer(options(name), CONTEXT).to(dtype)


def sample(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, "x"), dtype=torch.float64)


def numbers_in(cache):
    """Real numbers kept in a cache; counters are not state."""
    if isinstance(cache, torch.Tensor):
        return cache.numel() * (2 if cache.is_complex() else 1)
    if isinstance(cache, dict):
        return sum(numbers_in(part) for part in cache.values())
    return sum(numbers_in(part) for part in cache) if isinstance(cache, tuple) else 0


def test_every_setting_has_a_module_and_every_module_a_test():
    assert set(NAMES) == set(MixerConfig.registry)
    assert set(OPTIONS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_past_outputs_ignore_the_future(name):
    mixer, x = build(name), sample(2, LENGTH, D)
    changed = x.clone()
    changed[:, 7:] = 3 * sample(2, LENGTH - 7, D, seed=1)
    before, after = mixer(x), mixer(changed)
    assert before.shape == x.shape
    if name in FFT:
        torch.testing.assert_close(after[:, :7], before[:, :7], rtol=0, atol=1e-13)
    else:
        assert torch.equal(after[:, :7], before[:, :7])
    assert ((after - before)[:, -1].abs() > 1e-6).any()


@pytest.mark.parametrize("name", NAMES)
def test_earlier_tokens_reach_the_last_output(name):
    mixer, x = build(name), sample(1, 3, D).requires_grad_()
    (gradient,) = torch.autograd.grad(mixer(x)[0, -1].square().sum(), x)
    assert (gradient[0, 1].abs() > 1e-9).all()


@pytest.mark.parametrize("name", NAMES)
def test_steps_equal_the_parallel_form(name):
    mixer, x = build(name), sample(2, LENGTH, D)
    cache, outputs = mixer.initial_cache(2), []
    for x_t in x.unbind(1):
        y_t, cache = mixer.step(x_t, cache)
        outputs.append(y_t)
    torch.testing.assert_close(torch.stack(outputs, dim=1), mixer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_pieces_with_a_carried_cache_equal_the_whole(name):
    mixer, x = build(name), sample(2, LENGTH, D)
    cache, outputs = mixer.initial_cache(2), []
    for piece in x.split((2, 5, 1, 5), dim=1):
        y, cache = mixer.prefill(piece, cache)
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs, dim=1), mixer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_prefill_leaves_its_cache_alone(name):
    mixer, x = build(name), sample(2, LENGTH, D)
    _, cache = mixer.prefill(x[:, :6], mixer.initial_cache(2))
    first, _ = mixer.prefill(x[:, 6:], cache)
    again, _ = mixer.prefill(x[:, 6:], cache)
    assert torch.equal(first, again)


@pytest.mark.parametrize("name", NAMES)
def test_state_size_counts_the_numbers_in_the_cache(name):
    mixer = build(name)
    for num_tokens in (1, 6):
        _, cache = mixer.prefill(sample(1, num_tokens, D), mixer.initial_cache(1))
        assert numbers_in(cache) == mixer.state_size(num_tokens)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name):
    mixer = build(name)
    mixer(sample(2, LENGTH, D)).square().sum().backward()
    for parameter_name, p in mixer.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and (p.grad != 0).any(), parameter_name


PARAMETER_COUNTS = {  # D = 16, two heads; written from the layers' equations
    "attention": 4 * D * D + 2 * 4 * D,
    "sigmoid_attention": 2 * D * D + 2 * D * (D // 2),
    "linear_attention": 4 * D * D + 3 * D * 4,
    "based": 2 * D * D + 2 * D * 6,
    "norm_attention": 4 * D * D + 3 * D * 4 + D * 2 + 2,
    "retnet": 2 * D * D + 3 * D * 2 * D,
    "gla": 3 * D * D + 2 * D * (D // 2) + (16 * D + 16 * (D // 2) + D // 2) + D // 2,
    "deltanet": 4 * D * D + 3 * D * 4 + 2 * D + D // 2,
    "gated_deltanet": 2 * D * D + 3 * D * 2 * D + 4 * D * 4 + 2 * 2 * D + 2 * 2 + D,
    # one query, two keys and two values, with their convolutions; out, two strengths per head, norm
    "deltaproduct": 6 * D * D + 5 * D * 4 + 2 * 2 * D + D // 2,
    # up and down, convolution, q k v in blocks of 4, gates, norm and skip; inner width 32
    "mlstm": 3 * D * 32 + 32 * 5 + 3 * 32 * 4 + (3 * 32 + 1) * 4 + 2 * 32,
    # in and out, convolution, x to (dt, B, C), dt, A, D; inner width 32, rank 1
    "mamba": 3 * D * 32 + 32 * 5 + 32 * (1 + 10) + 2 * 32 + 32 * 5 + 32,
    # in, out, convolution over (x, B, C), (A, D, dt) of 4 heads, norm
    "mamba2": D * (2 * 32 + 16 + 4) + 32 * D + 5 * (32 + 16) + 3 * 4 + 32,
    # r, k, v and out; decay, bonus and a mix of each
    "rwkv4": 4 * D * D + 5 * D,
    "lru": 3 * D + 2 * 2 * D * D + D + (2 * D * D + 2 * D),
    "rglru": (2 * D * D + 2 * D) + 5 * D + 2 * (D * D // 2 + D) + D + (D * D + D),
    "s4d": D * (1 + 2 * 4 + 2 * 4 + 1) + (2 * D * D + 2 * D),
    "h3": 4 * D * D + 4 * D + 8 * (1 + 2 * 3 + 2 * 3 + 1),
    "hyena": (3 * D * D + 3 * D) + 4 * 3 * D + (4 * 8 + 2 * 9 * 8 + 8 * D + 8) + D + (D * D + D),
    "base_conv": D * D + D + 4 * D,
    "dynamics": 4 * D * D + 3 * D * 4 + 4 * D + 4,
    "lstm": 4 * (2 * D * D + 2 * D),
    "gru": 3 * (2 * D * D + 2 * D),
}


@pytest.mark.parametrize("name", NAMES)
def test_parameter_count_in_closed_form(name):
    assert build(name).num_params == PARAMETER_COUNTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_stays_near_float64(name):
    mixer, x = build(name), sample(2, LENGTH, D)
    reference = mixer(x)
    mixer = mixer.bfloat16()
    cache, outputs = mixer.initial_cache(2), []
    for x_t in x.bfloat16().unbind(1):
        y_t, cache = mixer.step(x_t, cache)
        outputs.append(y_t)
    for y in (mixer(x.bfloat16()), torch.stack(outputs, dim=1)):
        assert y.dtype == torch.bfloat16
        # 8 bits of mantissa through at most about ten maps
        assert (y.double() - reference).norm() < 0.06 * reference.norm()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("error:There is a performance drop")  # an operation without a batching rule
def test_stacked_members_equal_a_loop_in_value_and_gradient(name):
    members, x = [build(name, seed) for seed in range(2)], sample(2, LENGTH, D)
    params, buffers = stack_module_state(members)

    def loss(params, buffers):
        return functional_call(members[0], (params, buffers), (x,)).square().sum()

    stacked = vmap(grad(loss))(params, buffers)
    for index, member in enumerate(members):
        member(x).square().sum().backward()
        for parameter_name, p in member.named_parameters():
            torch.testing.assert_close(stacked[parameter_name][index], p.grad, msg=parameter_name)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_learns_to_repeat_the_previous_token(name):
    backbone = {"d_model": D, "num_layers": 1, "num_heads": HEADS, "max_seq_len": 32, "mixer": options(name)}
    model = LanguageModel(LanguageModelConfig(vocab_size=4, backbone=backbone), torch_generator(0, "init"))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for step in range(40):
        tokens = torch.randint(4, (16, 8), generator=torch_generator(0, "tokens", step))
        loss = token_nll(model(tokens)[:, 1:], tokens[:, :-1]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3  # from log 4 = 1.39


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"attention", "sigmoid_attention"}))
def test_recurrent_mixers_refuse_to_be_bidirectional(name):
    with pytest.raises(ValueError, match="set causal to true or use attention"):
        build_mixer(options(name), CONTEXT.model_copy(update={"causal": False}))
