"""Layers of LSTMs: the recurrence by hand, the loop beside torch's, sizes, decoding, a language model on them."""

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.models.config import LanguageModelConfig, LSTMStackConfig
from shared.models.language_model import LanguageModel, generate
from shared.models.lstm_stack import LSTMStack, unrolled
from shared.train.language.config import LanguageSettings

SMALL = {"kind": "lstm", "d_model": 3, "hidden": 5, "num_layers": 3}


def stack(**changes) -> LSTMStack:
    torch.manual_seed(0)
    return LSTMStack(LSTMStackConfig(**SMALL | changes)).double()


def test_one_token_by_hand():
    lstm = torch.nn.LSTM(1, 1, batch_first=True).double()
    for name, value in (("weight_ih_l0", [0.1, 0.2, 0.3, 0.4]), ("weight_hh_l0", [0.5, 0.6, 0.7, 0.8])):
        getattr(lstm, name).data = torch.tensor(value, dtype=torch.float64)[:, None]
    lstm.bias_ih_l0.data.fill_(0.05), lstm.bias_hh_l0.data.fill_(-0.02)
    h, c = torch.tensor([[[0.4]]]).double(), torch.tensor([[[-0.3]]]).double()
    write, keep, candidate, show = (torch.tensor(2.0 * a + 0.4 * b + 0.03) for a, b in
                                    ((0.1, 0.5), (0.2, 0.6), (0.3, 0.7), (0.4, 0.8)))  # fmt: skip
    after = keep.sigmoid() * -0.3 + write.sigmoid() * candidate.tanh()
    outputs, (_, cell) = unrolled(lstm, torch.tensor([[[2.0]]]).double(), (h, c))
    assert cell.item() == pytest.approx(after.item(), rel=1e-6)
    assert outputs.item() == pytest.approx((show.sigmoid() * after.tanh()).item(), rel=1e-6)


def test_the_loop_equals_torchs_recurrence_in_value_and_gradient():
    fused, looped = stack(), stack(fused=False)
    x = torch.randn(2, 7, 3, generator=torch_generator(1)).double()
    torch.testing.assert_close(fused(x), looped(x))
    for model in (fused, looped):
        model(x).square().mean().backward()
    for (name, p), q in zip(fused.named_parameters(), looped.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=name)


@pytest.mark.parametrize("fused", [True, False])
def test_decoding_equals_the_whole_sequence(fused):
    model, x = stack(fused=fused), torch.randn(2, 7, 3, generator=torch_generator(1)).double()
    first, cache = model.prefill(x[:, :4], model.initial_cache(2, dtype=torch.float64))
    steps = [first]
    for x_t in x[:, 4:].unbind(1):
        y, cache = model.step(x_t, cache)
        steps.append(y[:, None])
    torch.testing.assert_close(torch.cat(steps, 1), model(x))
    assert sum(part.numel() for layer in cache for part in layer) == 2 * model.state_size()


@pytest.mark.parametrize(("vocab_size", "millions"), [(10_000, 24), (33_278, 33)])
def test_three_layers_have_the_published_sizes(vocab_size, millions):
    """Merity et al. 2018 (arXiv 1708.02182), section 5: 24 and 33 million on Penn Treebank and WikiText-2."""
    backbone = {"kind": "lstm", "d_model": 400, "hidden": 1150, "num_layers": 3}
    config = LanguageModelConfig(vocab_size=vocab_size, backbone=backbone, tie_embeddings=True, head_bias=True)
    with torch.device("meta"):
        model = LanguageModel(config)
    # torch keeps two biases a gate
    assert int((model.num_params - 4 * (1150 + 1150 + 400)) / 1e6) == millions


def test_the_cost_counts_the_parameters_of_the_model():
    settings = LanguageSettings(
        text={"tokenizer": {"kind": "byte", "num_ordinary": 256}}, seq_len=8, backbone=SMALL, validation_windows=4,
        validation_rows=4,
    )  # fmt: skip
    model = LanguageModel(settings.model_config_for({}))
    assert settings.model_cost({}).num_params == model.num_params
    assert settings.model_config_for({"hidden": 9}).backbone.hidden == 9


def test_a_language_model_on_the_stack_is_causal_and_generates():
    model = LanguageModel(LanguageModelConfig(vocab_size=11, backbone=SMALL), torch_generator(0)).eval()
    tokens = torch.arange(10).view(2, 5)
    changed = tokens.clone()
    changed[:, 3] = 10
    assert model(tokens)[:, :3].equal(model(changed)[:, :3]) and not model(tokens)[:, 3].equal(model(changed)[:, 3])
    assert generate(model, tokens, 3, temperature=0).shape == (2, 8)


def test_dropout_acts_on_the_output_of_every_layer_in_training():
    model, x = stack(dropout=0.5), torch.ones(1, 400, 3).double()
    dropped = (model(x) == 0).double().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.05)
    model.eval()
    assert model(x).equal(stack()(x))


def test_unknown_settings_name_the_nearest_of_the_right_kind():
    with pytest.raises(ValueError, match="unknown LSTMStackConfig key 'hiden'; did you mean 'hidden'"):
        LanguageModelConfig(vocab_size=4, backbone=SMALL | {"hiden": 3})
    with pytest.raises(ValueError, match="unknown BackboneConfig key 'num_layer'; did you mean 'num_layers'"):
        LanguageModelConfig(vocab_size=4, backbone={"d_model": 4, "num_layer": 3})
