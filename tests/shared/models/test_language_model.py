import math

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from shared.base.seeding import torch_generator
from shared.models.config import LanguageModelConfig, gpt_config, llama_config
from shared.models.language_model import LanguageModel, draw_token, generate, token_nll

VOCAB = 13
PRESETS = {"gpt": gpt_config, "llama": llama_config}


def build(preset="llama", seed=0, kernel="sdpa", **overrides):
    overrides = {"mixer": {"name": "attention", "kernel": kernel}, "max_seq_len": 32, "init_std": 0.3} | overrides
    config = PRESETS[preset](VOCAB, d_model=16, num_layers=2, num_heads=2, **overrides)
    return LanguageModel(config, torch_generator(seed, "init"))


def sample_tokens(*shape, seed=0):
    return torch.randint(VOCAB, shape, generator=torch_generator(seed, "tokens"))


@pytest.mark.parametrize("preset", PRESETS)
def test_steps_equal_the_parallel_form(preset):
    model, tokens = build(preset).double(), sample_tokens(3, 8)
    logits, cache = model.prefill(tokens[:, :3], model.initial_cache(3))
    steps = [logits]
    for token in tokens[:, 3:].unbind(1):
        logits_t, cache = model.step(token, cache)
        steps.append(logits_t[:, None])
    torch.testing.assert_close(torch.cat(steps, dim=1), model(tokens))


@pytest.mark.parametrize("preset", PRESETS)
def test_greedy_generation_takes_the_argmax_of_the_parallel_form(preset):
    model, prompt = build(preset).double(), sample_tokens(3, 4)
    generated = generate(model, prompt, 6, temperature=0)
    assert torch.equal(generated[:, :4], prompt)
    assert torch.equal(generated[:, 4:], model(generated).argmax(-1)[:, 3:-1])


def test_sampled_frequencies_follow_the_temperature():
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(20_000, 3)
    tokens = draw_token(logits, 0.5, None, None, torch_generator(0, "draw"))
    frequency = torch.bincount(tokens, minlength=3) / 20_000
    # three binomial standard deviations at most 3 * 0.5 / sqrt(20000)
    torch.testing.assert_close(frequency, (logits[0] / 0.5).softmax(-1), rtol=0, atol=0.011)


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [(2, None, {0, 1}), (None, 0.5, {0}), (None, 0.51, {0, 1}), (3, 0.9, {0, 1, 2}), (None, 1.0, {0, 1, 2, 3})],
)
def test_truncated_sampling_keeps_the_right_tokens(top_k, top_p, kept):
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(2000, 4)
    assert set(draw_token(logits, 1.0, top_k, top_p, torch_generator(0, "draw")).tolist()) == kept


def test_generation_is_a_function_of_the_generator():
    model, prompt = build(), sample_tokens(3, 4)
    first, second = (generate(model, prompt, 8, generator=torch_generator(1, "draw")) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, generate(model, prompt, 8, generator=torch_generator(2, "draw")))


def test_a_stopped_sequence_repeats_the_stop_token():
    generated = generate(build(), sample_tokens(16, 2), 24, generator=torch_generator(0, "draw"), stop_token=0)[:, 2:]
    stopped = (generated == 0).cumsum(-1) > 0
    assert stopped.any() and not stopped.all()
    assert (generated[stopped] == 0).all()


def test_token_nll_is_the_negative_log_probability():
    model, tokens = build().double(), sample_tokens(3, 8)
    expected = -model(tokens).log_softmax(-1)[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]
    torch.testing.assert_close(model.token_nll(tokens), expected)
    torch.testing.assert_close(model.log_likelihood(tokens), -expected.sum(-1))


def test_ignored_targets_have_no_loss():
    logits, targets = torch.zeros(1, 3, VOCAB), torch.tensor([[2, -100, 4]])
    assert token_nll(logits, targets).tolist()[0] == pytest.approx([math.log(VOCAB), 0.0, math.log(VOCAB)])


def test_chain_rule_sums_to_one_over_all_continuations():
    model = build().double()
    pairs = torch.cartesian_prod(torch.arange(VOCAB), torch.arange(VOCAB))
    tokens = torch.cat([torch.full((len(pairs), 1), 3), pairs], dim=1)
    assert model.log_likelihood(tokens).exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def test_initial_loss_is_that_of_the_uniform_model():
    tokens = sample_tokens(8, 32)
    for preset in PRESETS:
        loss = build(preset, init_std=0.02).token_nll(tokens).mean().item()
        assert loss == pytest.approx(math.log(VOCAB), abs=0.1)


def test_tied_head_counts_once():
    tied, config = build("gpt"), build("gpt").config
    untied = LanguageModel(config.model_copy(update={"tie_embeddings": False}))
    assert tied.head.weight is tied.embedding.weight
    assert untied.num_params - tied.num_params == VOCAB * 16


def test_gpt_parameter_count_is_the_published_one():
    with torch.device("meta"):
        model = LanguageModel(gpt_config(50257, d_model=768, num_layers=12, num_heads=12))
    assert model.num_params == 124_439_808  # GPT-2 small


def test_llama_parameter_count_in_closed_form():
    with torch.device("meta"):
        model = LanguageModel(llama_config(50280, d_model=768, num_layers=12, num_heads=12))
    assert model.num_params == 2 * 50280 * 768 + 12 * (4 * 768**2 + 3 * 768 * 2048 + 2 * 768) + 768


@pytest.mark.filterwarnings("error:There is a performance drop")  # an operation without a batching rule
def test_stacked_members_equal_a_loop():
    members = [build(seed=seed, kernel="matmul") for seed in range(3)]
    params, buffers = stack_module_state(members)
    tokens = sample_tokens(2, 8)

    def logits(params, buffers):
        return functional_call(members[0], (params, buffers), (tokens,))

    stacked = vmap(logits)(params, buffers)
    for index, model in enumerate(members):
        torch.testing.assert_close(stacked[index], model(tokens), rtol=1e-4, atol=1e-5)  # float32 sums


def test_compiled_model_equals_the_eager_one():
    model, tokens = build(), sample_tokens(2, 8)
    compiled = torch.compile(model, backend="aot_eager")
    torch.testing.assert_close(compiled(tokens), model(tokens), rtol=1e-4, atol=1e-5)  # float32 sums


def test_bad_requests_are_refused():
    model = build()
    with pytest.raises(ValueError, match="needs a generator"):
        generate(model, sample_tokens(1, 2), 3)
    with pytest.raises(ValueError, match=r"at least one token; got \(2, 0\)"):
        generate(model, sample_tokens(2, 0), 3, temperature=0)
    with pytest.raises(ValueError, match=r"top_p <= 1; got 1\.0, None, 1\.5"):
        generate(model, sample_tokens(1, 2), 3, top_p=1.5, generator=torch_generator(0, "draw"))
    with pytest.raises(ValueError, match=r"got \(2, 3, 13\) and \(2, 4\)"):
        token_nll(torch.zeros(2, 3, VOCAB), sample_tokens(2, 4))
    with pytest.raises(ValueError, match="causal backbone"):
        LanguageModelConfig(vocab_size=4, backbone={"d_model": 8, "num_layers": 1, "causal": False})
