import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.models.config import MixerContext
from shared.models.mixers.registry import build_mixer
from shared.models.rotary import Rotary, alibi_slopes


def build(d_model=16, mixer="attention", **context):
    torch.manual_seed(0)
    return build_mixer(mixer, MixerContext(d_model=d_model, **context)).double()


def sample(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, "x"), dtype=torch.float64)


@torch.no_grad()
def attention_by_hand(mixer, x, causal, slopes=None):
    """Softmax attention as sums over positions, straight from its definition; no positions or ALiBi."""
    heads, width = mixer.num_heads, mixer.head_dim
    q, k, v = (x @ mixer.qkv_proj.weight.T).split(heads * width, dim=-1)
    out = torch.zeros_like(q)
    for b in range(x.shape[0]):
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            for i in range(x.shape[1]):
                seen = range(i + 1) if causal else range(x.shape[1])
                score = [float(q[b, i, part] @ k[b, j, part]) / math.sqrt(width) for j in seen]
                if slopes:
                    score = [s - slopes[h] * abs(i - j) for s, j in zip(score, seen, strict=True)]
                weight = [math.exp(s) for s in score]
                for w, j in zip(weight, seen, strict=True):
                    out[b, i, part] += w / sum(weight) * v[b, j, part]
    return out @ mixer.out_proj.weight.T


@pytest.mark.parametrize("kernel", ["sdpa", "matmul"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positional", ["none", "alibi"])
def test_attention_equals_its_definition(kernel, causal, positional):
    mixer = build(mixer={"name": "attention", "kernel": kernel}, causal=causal, positional=positional, num_heads=2)
    x = sample(2, 7, 16)
    slopes = alibi_slopes(2) if positional == "alibi" else None
    torch.testing.assert_close(mixer(x), attention_by_hand(mixer, x, causal, slopes))


@pytest.mark.parametrize("positional", ["none", "rope", "alibi"])
def test_both_kernels_agree_in_value_and_gradient(positional):
    x = sample(2, 9, 16).requires_grad_()
    results = []
    for kernel in ("sdpa", "matmul"):
        mixer = build(mixer={"name": "attention", "kernel": kernel, "num_kv_heads": 2}, positional=positional)
        y = mixer(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()])))
    torch.testing.assert_close(*results)


def test_coefficients_times_values_give_the_output():
    mixer = build(mixer={"name": "attention", "num_kv_heads": 2, "value_head_dim": 3})
    x = sample(2, 9, 16)
    alpha = mixer.coefficients(x)
    torch.testing.assert_close(mixer._merge(alpha @ mixer.values(x)), mixer(x))
    torch.testing.assert_close(alpha.sum(-1), torch.ones_like(alpha[..., 0]))


def test_grouped_heads_equal_full_heads_with_repeated_weights():
    grouped = build(mixer={"name": "attention", "num_heads": 4, "num_kv_heads": 2})
    full = build(mixer={"name": "attention", "num_heads": 4})
    q, k, v = grouped.qkv_proj.weight.unflatten(0, (8, 4)).split([4, 2, 2])  # heads of width 4
    weight = torch.cat([q, k.repeat_interleave(2, 0), v.repeat_interleave(2, 0)]).flatten(0, 1)
    full.load_state_dict({"qkv_proj.weight": weight, "out_proj.weight": grouped.out_proj.weight})
    x = sample(2, 6, 16)
    torch.testing.assert_close(grouped(x), full(x))
    assert grouped.state_size(10) == full.state_size(10) // 2


def test_rotary_products_depend_on_the_distance_only():
    rotary = Rotary(head_dim=8, max_seq_len=32).double()
    q, k = sample(1, 1, 1, 8), sample(1, 1, 1, 8, seed=1)

    def product(i, j):
        return (rotary(q, offset=i) * rotary(k, offset=j)).sum().item()

    assert product(3, 1) == pytest.approx(product(20, 18), abs=1e-12)
    assert product(3, 1) != pytest.approx(product(3, 2), abs=1e-3)
    assert product(40, 5) == pytest.approx(product(65, 30), abs=1e-12)  # beyond the tables


def test_rotary_turns_each_plane_by_its_own_frequency():
    rotary = Rotary(head_dim=4, base=100.0).double()
    x = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)[None, None, None]  # planes (0, 2) and (1, 3)
    expected = [math.cos(5), math.cos(0.5), math.sin(5), math.sin(0.5)]  # frequencies 1 and 100^(-1/2)
    assert rotary(x, offset=5).flatten().tolist() == pytest.approx(expected, abs=1e-12)


def test_rotary_tables_survive_a_visit_to_bfloat16():
    rotary = Rotary(head_dim=8)
    before = rotary.cos.clone()
    assert torch.equal(rotary.bfloat16().float().cos, before)


def test_alibi_slopes_of_powers_of_two_and_between():
    assert alibi_slopes(4) == [2**-2, 2**-4, 2**-6, 2**-8]
    assert alibi_slopes(6) == [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]


def test_attention_refuses_heads_that_do_not_divide():
    with pytest.raises(ValueError, match="got 3 and 16"):
        build(num_heads=3)
    with pytest.raises(ValueError, match="got 3 and 4"):
        build(mixer={"name": "attention", "num_heads": 4, "num_kv_heads": 3})


def test_bidirectional_attention_refuses_to_step():
    mixer = build(causal=False)
    with pytest.raises(ValueError, match="bidirectional"):
        mixer.step(sample(2, 16), mixer.initial_cache(2))
