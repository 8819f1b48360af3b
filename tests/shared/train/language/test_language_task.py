"""The language-model task and its settings."""

import math

import pytest
import torch

from shared.data.config import TextConfig, TokenizerConfig
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.language.task import LanguageTask
from shared.train.run import Run

BACKBONE = {"d_model": 8, "num_layers": 1, "num_heads": 2, "mlp": "swiglu", "mlp_ratio": 2, "init_std": 0.02}
BYTES = TextConfig(tokenizer=TokenizerConfig(kind="byte", num_ordinary=256))


def settings(**changes) -> LanguageSettings:
    base = {"text": BYTES, "seq_len": 8, "backbone": BACKBONE, "validation_windows": 8, "validation_rows": 4}
    return LanguageSettings(**base | changes)


@pytest.mark.parametrize("overrides", [{}, {"d_model": 16}, {"num_layers": 3}])
def test_the_cost_counts_the_parameters_of_the_model(overrides):
    task = LanguageTask(settings(), overrides, 2)
    assert settings().model_cost(overrides).num_params == sum(p.numel() for p in task.build(0).parameters())


def test_the_first_loss_is_that_of_a_uniform_guess():
    task = LanguageTask(settings(), {}, 2)
    loss = task.loss(task.build(0), task.batch(0, range(2), 0), {})
    assert torch.isclose(loss, torch.tensor(math.log(256)), atol=0.05)  # logits are of the order of the init, 0.02


def test_unequal_validation_passes_are_refused():
    with pytest.raises(ValueError, match="not a multiple"):
        settings(validation_windows=6)


def test_a_sweep_that_counts_other_rows_is_refused():
    run = Run(name="a", optimizer="adam", settings={"lr": 0.1}, batch_size=2, num_steps=1, seq_len=16)
    with pytest.raises(ValueError, match="counts 16 tokens a row and the models 8"):
        LanguageShard(**settings().model_dump(), sweep="main", runs=[run])
