"""The torch optimiser of a run that trains alone: the rule and hyperparameters that an ensemble would use."""

import torch
from torch import nn

from shared.optim import registry
from shared.train.config import TrainingConfig
from shared.train.decay import is_decayed, lr_scale
from shared.train.rules import hyperparameters, is_fused_adam, rule_of
from shared.train.run import Run

_DECAYS = ("weight_decay", "l2")  # hyperparameters that exempt parameters do without


def build_optimizer(run: Run, model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The run's rule over the trainable parameters of `model`, each in exactly one group.

    With `weight_decay_on: matrices` parameters of fewer than two dimensions (biases, gains) are not decayed, and
    with either choice a parameter whose attribute `no_weight_decay` is true is not. A group whose parameters have a
    multiple of the learning rate of their own has it as `lr_scale`; the loop sets `lr` before every update.

    Raises:
        ValueError: the model has nothing to train, or the rule does not take the run's settings.
    """
    rule, settings = rule_of(run), hyperparameters(run)
    decays = {name: settings[name] for name in _DECAYS if name in settings}
    groups = decay_groups(model, config, decays)
    if is_fused_adam(rule, settings):
        groups = [{name: value for name, value in group.items() if name != "l2"} for group in groups]
        betas = settings["beta1"], settings["beta2"]
        # fused: one kernel for all parameters, on CPU and CUDA; the default on a CPU is a Python loop over them
        return torch.optim.AdamW(groups, lr=settings["lr"], betas=betas, eps=settings["eps"], fused=True)
    return registry.build_optimizer(run.optimizer, groups, **settings)


def decay_groups(model: nn.Module, config: TrainingConfig, decays: dict[str, float]) -> list[dict]:
    """Parameter groups that put each trainable parameter under `decays` or zeros in their place, and its `lr_scale`.

    Raises:
        ValueError: the model has nothing to train.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError("the model has no trainable parameter; set requires_grad on those that should learn")
    groups: dict[tuple[tuple[float, ...], float], list[nn.Parameter]] = {}
    for parameter in trainable:
        decayed = is_decayed(parameter, config.weight_decay_on)
        own = tuple(decays.values() if decayed else [0.0] * len(decays))
        groups.setdefault((own, lr_scale(parameter)), []).append(parameter)
    return [
        {"params": members, **dict(zip(decays, own, strict=True)), **({} if scale == 1 else {"lr_scale": scale})}
        for (own, scale), members in groups.items()
    ]
