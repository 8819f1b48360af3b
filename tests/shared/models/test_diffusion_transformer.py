import math

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from shared.base.seeding import torch_generator
from shared.models.config import DIFFUSION_TRANSFORMER_SIZES, diffusion_transformer_config
from shared.models.diffusion_transformer import DiffusionTransformer, sinusoidal_features
from shared.models.language_model import token_nll

VOCAB = 11


def build(seed=0, kernel="sdpa", **overrides):
    overrides = {"cond_dim": 8, "mixer": {"name": "attention", "kernel": kernel}} | overrides
    config = diffusion_transformer_config(VOCAB, d_model=16, num_layers=2, num_heads=2, **overrides)
    return DiffusionTransformer(config, torch_generator(seed, "init"))


def batch(seed=0):
    generator = torch_generator(seed, "batch")
    return torch.randint(VOCAB, (4, 6), generator=generator), torch.rand(4, generator=generator)


def perturb(model):
    with torch.no_grad():
        for index, p in enumerate(model.parameters()):
            p.add_(0.1 * torch.randn(p.shape, generator=torch_generator(index, "p")))
    return model


def test_initial_prediction_is_uniform_whatever_the_input():
    model = build()
    logits = model(*batch())
    assert torch.equal(logits, torch.zeros(4, 6, VOCAB))
    assert token_nll(logits, batch()[0]).mean().item() == pytest.approx(math.log(VOCAB), abs=1e-6)


def test_after_a_perturbation_every_token_and_the_time_reach_every_position():
    model, (tokens, t) = perturb(build()), batch()
    before = model(tokens, t)
    for position in range(6):
        changed = tokens.clone()
        changed[:, position] = (changed[:, position] + 1) % VOCAB
        assert ((model(changed, t) - before).abs().amax(-1) > 1e-6).all()
    assert ((model(tokens, 1 - t) - before).abs().amax(-1) > 1e-6).all()


# embedding and head with bias: 50257 GPT-2 tokens and one mask; in blocks: without them, time embedding and final norm
@pytest.mark.parametrize(
    ("size", "total", "in_blocks"),
    [("tiny", 80.1e6, 28.4e6), ("small", 169.6e6, 92.1e6), ("base", 424.5e6, 321.2e6)],
)
def test_sizes_have_the_published_parameter_counts(size, total, in_blocks):
    d_model, num_layers, num_heads = DIFFUSION_TRANSFORMER_SIZES[size]
    with torch.device("meta"):
        model = DiffusionTransformer(diffusion_transformer_config(50258, d_model, num_layers, num_heads))
    assert model.num_params == pytest.approx(total, abs=0.05e6)
    assert sum(p.numel() for p in model.backbone.blocks.parameters()) == pytest.approx(in_blocks, abs=0.05e6)


def test_largest_size_builds_without_memory():
    d_model, num_layers, num_heads = DIFFUSION_TRANSFORMER_SIZES["1b"]
    with torch.device("meta"):
        model = DiffusionTransformer(diffusion_transformer_config(50258, d_model, num_layers, num_heads))
    assert 1.4e9 < model.num_params < 1.5e9


def test_time_features_are_cosines_then_sines():
    t = torch.tensor([0.0, 0.5], dtype=torch.float64)
    features = sinusoidal_features(t, 4, max_period=100.0)  # frequencies 1 and 1/10
    expected = [[1, 1, 0, 0], [math.cos(0.5), math.cos(0.05), math.sin(0.5), math.sin(0.05)]]
    torch.testing.assert_close(features, torch.tensor(expected, dtype=torch.float64))


def test_the_generator_alone_decides_the_parameters():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = build(seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    second, other = build(seed=3), build(seed=4)
    for (name, p), q in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q), name
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


def test_embedding_starts_uniform_within_one_over_root_width():
    weight = build().embedding.weight
    assert weight.abs().max() <= 16**-0.5
    assert weight.std().item() == pytest.approx((3 * 16) ** -0.5, rel=0.15)  # 176 draws


@pytest.mark.filterwarnings("error:There is a performance drop")  # an operation without a batching rule
@pytest.mark.parametrize("tokens_differ", [True, False])
def test_stacked_members_equal_a_loop_in_value_and_gradient(tokens_differ):
    members = [perturb(build(seed, kernel="matmul")) for seed in range(3)]
    params, buffers = stack_module_state(members)
    batches = [batch(seed if tokens_differ else 0) for seed in range(3)]
    tokens, t = (torch.stack(parts) for parts in zip(*batches, strict=True))

    def loss(params, buffers, tokens, t):
        return token_nll(functional_call(members[0], (params, buffers), (tokens, t)), tokens).mean()

    if tokens_differ:
        stacked = vmap(grad(loss))(params, buffers, tokens, t)
    else:
        stacked = vmap(grad(loss), in_dims=(0, 0, None, None))(params, buffers, *batch())
    for index, model in enumerate(members):
        token_nll(model(*batches[index]), batches[index][0]).mean().backward()
        for name, p in model.named_parameters():
            torch.testing.assert_close(stacked[name][index], p.grad, rtol=1e-4, atol=1e-6)  # float32 sums


def test_bfloat16_stays_near_float32():
    model = perturb(build())
    reference = model(*batch())
    torch.testing.assert_close(model.bfloat16()(*batch()).float(), reference, rtol=0, atol=0.1 * reference.std().item())


def test_conditioning_and_bidirectionality_are_required():
    with pytest.raises(ValueError, match="got causal True"):
        build(causal=True)


def test_wrong_time_shape_is_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"got \(4, 6\) and \(3,\)"):
        build()(batch()[0], torch.rand(3))
