import pytest
import torch
import torch.nn.functional as F

from shared.base.seeding import torch_generator
from shared.models.backbone import Backbone, FeedForward
from shared.models.config import BackboneConfig
from shared.models.mixers.config import MixerConfig
from shared.models.mixers.registry import build_mixer


def config(**overrides):
    return BackboneConfig(**({"d_model": 16, "num_layers": 2, "num_heads": 2, "max_seq_len": 32} | overrides))


def build(**overrides):
    torch.manual_seed(0)
    return Backbone(config(**overrides)).double()


def sample(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, "x"), dtype=torch.float64)


def randomise(module):
    """Nonzero modulations, as after training."""
    with torch.no_grad():
        for index, p in enumerate(module.parameters()):
            p.copy_(0.3 * torch.randn(p.shape, generator=torch_generator(index, "p"), dtype=p.dtype))
    return module


@pytest.mark.parametrize("causal", [True, False])
def test_future_reaches_the_past_only_without_causality(causal):
    backbone, x = build(causal=causal), sample(2, 8, 16)
    changed = x.clone()
    changed[:, 5:] += 1
    past, past_changed = backbone(x)[:, :5], backbone(changed)[:, :5]
    assert torch.equal(past, past_changed) == causal


def test_conditioned_blocks_are_the_identity_at_init():
    backbone, x = build(cond_dim=6, norm="layernorm"), sample(2, 5, 16)
    torch.testing.assert_close(backbone(x, sample(2, 6)), F.layer_norm(x, (16,)), rtol=0, atol=1e-12)


def test_conditioned_block_follows_its_equation():
    backbone = randomise(build(cond_dim=6, num_layers=1))
    block, x, cond = backbone.blocks[0], sample(2, 5, 16), sample(2, 6)
    linear = block.modulation
    parts = F.linear(cond, linear.weight, linear.bias)[:, None].split(16, dim=-1)
    h = x + parts[2] * block.mixer(block.mixer_norm(x) * (1 + parts[1]) + parts[0])
    h = h + parts[5] * block.mlp(block.mlp_norm(h) * (1 + parts[4]) + parts[3])
    torch.testing.assert_close(block(x, cond), h)


def test_a_condition_per_token_equals_one_per_sequence_when_constant():
    backbone, x, cond = randomise(build(cond_dim=6)), sample(2, 5, 16), sample(2, 6)
    torch.testing.assert_close(backbone(x, cond), backbone(x, cond[:, None].expand(-1, 5, -1)))


@pytest.mark.parametrize("positional", ["rope", "alibi", "learned", "none"])
@pytest.mark.parametrize("kernel", ["sdpa", "matmul"])
def test_steps_and_prefill_equal_the_parallel_form(positional, kernel):
    mixer = {"name": "attention", "kernel": kernel, "num_kv_heads": 1}
    backbone, x = build(positional=positional, mixer=mixer), sample(2, 9, 16)
    whole = backbone(x)
    head, cache = backbone.prefill(x[:, :4], backbone.initial_cache(2))
    middle, cache = backbone.prefill(x[:, 4:7], cache)
    tail = []
    for x_t in x[:, 7:].unbind(1):
        y_t, cache = backbone.step(x_t, cache)
        tail.append(y_t)
    torch.testing.assert_close(torch.cat([head, middle, torch.stack(tail, 1)], dim=1), whole)


def test_a_cache_can_be_continued_twice():
    backbone, x = build(), sample(2, 9, 16)
    _, cache = backbone.prefill(x[:, :8], backbone.initial_cache(2))
    first, _ = backbone.step(x[:, 8], cache)
    backbone.step(-x[:, 8], cache)
    again, _ = backbone.step(x[:, 8], cache)
    assert torch.equal(first, again)


@pytest.mark.parametrize("mlp", ["gelu", "gelu_exact", "relu", "swiglu"])
def test_feed_forward_follows_its_equation(mlp):
    layer, x = FeedForward(config(mlp=mlp)).double(), sample(3, 16)
    hidden = x @ layer.in_proj.weight.T
    expected = {
        "gelu": lambda: 0.5 * hidden * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (hidden + 0.044715 * hidden**3))),
        "gelu_exact": lambda: 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5)),
        "relu": lambda: hidden.clamp(min=0),
        "swiglu": lambda: hidden[:, :64] * torch.sigmoid(hidden[:, :64]) * hidden[:, 64:],
    }[mlp]()
    torch.testing.assert_close(layer(x), expected @ layer.out_proj.weight.T)


def test_parameter_count_in_closed_form():
    d, hidden = 16, 48
    backbone = build(mlp="swiglu", mlp_hidden=hidden, num_layers=3)
    assert backbone.num_params == 3 * (4 * d * d + 3 * d * hidden + 2 * d) + d


def test_residual_maps_start_smaller_by_the_root_of_their_number():
    plain, scaled = build(init_std=0.02), build(init_std=0.02, scale_residual_init=True)
    for name, p in plain.named_parameters():
        factor = 4**-0.5 if "out_proj" in name else 1.0  # two layers of two branches
        torch.testing.assert_close(dict(scaled.named_parameters())[name], factor * p)


def test_mixers_can_alternate_between_layers():
    backbone = build(mixer=["attention", {"name": "attention", "num_kv_heads": 1}], num_layers=3)
    assert [block.mixer.num_kv_heads for block in backbone.blocks] == [2, 1, 2]


def test_a_block_without_mlp_has_one_branch():
    backbone = build(mlp="none", cond_dim=4)
    assert backbone.blocks[0].modulation.out_features == 3 * 16
    assert backbone(sample(1, 3, 16), sample(1, 4)).shape == (1, 3, 16)


def test_dropout_acts_in_training_only():
    backbone, x = build(dropout=0.5), sample(2, 5, 16)
    assert not torch.equal(backbone(x), backbone(x))
    backbone.eval()
    assert torch.equal(backbone(x), backbone(x))


def test_unknown_names_are_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match="unknown mixer 'atention'; did you mean 'attention'"):
        config(mixer="atention")
    with pytest.raises(ValueError, match="unknown AttentionConfig key 'num_kv_head'; did you mean 'num_kv_heads'"):
        config(mixer={"name": "attention", "num_kv_head": 1})
    with pytest.raises(ValueError, match="unknown BackboneConfig key 'mlp_ration'; did you mean 'mlp_ratio'"):
        config(mlp_ration=4)
    with pytest.raises(ValueError, match="rmsnorm has no shift"):
        config(norm_bias=True)


def test_settings_survive_a_round_trip_through_plain_data():
    settings = config(mixer=[{"name": "attention", "num_kv_heads": 1}, "attention"])
    assert BackboneConfig(**settings.model_dump(mode="json")) == settings


def test_a_mixer_without_a_module_is_refused():
    class LonelyConfig(MixerConfig):
        name: str = "lonely"

    try:
        with pytest.raises(ValueError, match="settings but no module"):
            build_mixer("lonely", config())
    finally:
        del MixerConfig.registry["lonely"]


def test_wrong_shapes_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"\(batch, time, 16\); got \(2, 5, 15\)"):
        build()(sample(2, 5, 15))
    with pytest.raises(ValueError, match=r"cond_dim 4; got x \(2, 5, 16\) with cond \(2, 3\)"):
        build(cond_dim=4)(sample(2, 5, 16), sample(2, 3))
    with pytest.raises(ValueError, match="max_seq_len 32; got 33 tokens"):
        build(positional="learned")(sample(1, 33, 16))
