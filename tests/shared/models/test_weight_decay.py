"""What mixers declare as exempt from weight decay, or as learning at a rate of its own, reaches every optimiser."""

import copy

import pytest
import torch

from shared.models.config import LanguageModelConfig, MixerContext
from shared.models.language_model import LanguageModel
from shared.models.mixers import registry
from shared.models.mixers.base import Mixer
from shared.models.mixers.config import MixerConfig
from shared.models.mixers.registry import build_mixer, mixer_names
from shared.train.config import TrainingConfig
from shared.train.ensemble.stacked import StackedModel
from shared.train.loop.optimizer import build_optimizer
from shared.train.run import Run

D, HEADS = 16, 2
OPTIONS = {"mamba2": {"d_state": 8, "head_dim": 8}, "hyena": {"filter_order": 8}}
CONTEXT = MixerContext(d_model=D, num_heads=HEADS, max_seq_len=32)
DECAY_ALL = TrainingConfig(weight_decay_on="all")


def run(optimizer):
    return Run(name="r", optimizer=optimizer, settings={"lr": 0.1, "weight_decay": 0.1}, batch_size=1, num_steps=1)


def options(name):
    return {"name": name, **OPTIONS.get(name, {})}


def alone(name):
    return build_mixer(options(name), CONTEXT)


def inside_a_model(name):
    backbone = {"d_model": D, "num_layers": 2, "num_heads": HEADS, "max_seq_len": 32, "mixer": options(name)}
    return LanguageModel(LanguageModelConfig(vocab_size=4, backbone=backbone))


def declared(model):
    """Names of the parameters that the mixers of `model` declare, under the model's own names."""
    found = set()
    for prefix, part in model.named_modules():
        if isinstance(part, Mixer):
            found |= {f"{prefix}.{name}".lstrip(".") for name in part.no_weight_decay}
    return found


def undecayed(optimizer, model):
    """Names of the parameters in groups without decay."""
    names = {id(p): name for name, p in model.named_parameters()}
    groups = [group for group in optimizer.param_groups if group["weight_decay"] == 0]
    return {names[id(p)] for group in groups for p in group["params"]}


@pytest.mark.parametrize("build", [alone, inside_a_model])
@pytest.mark.parametrize("name", mixer_names())
def test_declared_parameters_lie_in_the_undecayed_group(name, build):
    model = build(name)
    for optimizer in ("adamw", "signum"):  # torch's fused kernel, and a rule of ours
        assert undecayed(build_optimizer(run(optimizer), model, DECAY_ALL), model) == declared(model)


@pytest.mark.parametrize("build", [alone, inside_a_model])
@pytest.mark.parametrize("name", mixer_names())
def test_declared_parameters_are_masked_in_stacks(name, build):
    model = build(name)
    stacked = StackedModel(model, [model.state_dict()] * 2, device=torch.device("cpu"))
    mask = stacked.decay_mask(DECAY_ALL)
    sizes = [p.numel() for p in model.parameters()]
    parts = (torch.ones(sum(sizes)) if mask is None else mask).split(sizes)
    kept = {name for (name, _), part in zip(model.named_parameters(), parts, strict=True) if (part == 0).all()}
    assert kept == declared(model)


@pytest.mark.parametrize(
    "change",
    [copy.deepcopy, torch.nn.Module.bfloat16, lambda model: model.to_empty(device="cpu")],
    ids=["deepcopy", "dtype", "to_empty"],
)
@pytest.mark.parametrize("name", ["mamba", "s4d"])
def test_exemptions_survive_copies_and_conversions(name, change):
    model = inside_a_model(name)
    changed = change(model)
    assert undecayed(build_optimizer(run("adamw"), changed, DECAY_ALL), changed) == declared(model) != set()


SLOW = {"name": "mamba", "d_state": 4, "dynamics_lr": 0.1}


def slowed(model):
    """Names of the parameters that learn at a tenth of the rate."""
    return {name for name, p in model.named_parameters() if getattr(p, "lr_scale", 1.0) == 0.1}


@pytest.mark.parametrize("optimizer", ["adamw", "signum"])
def test_parameters_with_a_rate_of_their_own_lie_in_groups_of_their_own(optimizer):
    model = build_mixer(SLOW, CONTEXT)
    assert slowed(copy.deepcopy(model)) == slowed(model) == {"A_log", "D", "dt_proj.weight", "dt_proj.bias"}
    names = {id(p): name for name, p in model.named_parameters()}
    groups = build_optimizer(run(optimizer), model, DECAY_ALL).param_groups
    found = {names[id(p)]: (g.get("lr_scale", 1.0), g["weight_decay"]) for g in groups for p in g["params"]}
    assert {name for name, (scale, _) in found.items() if scale == 0.1} == slowed(model)
    assert found["A_log"] == (0.1, 0) and found["dt_proj.weight"] == (0.1, 0.1) and found["in_proj.weight"] == (1, 0.1)
    stacked = StackedModel(model, [model.state_dict()] * 2, device=torch.device("cpu"))
    parts = stacked.lr_scales().split([p.numel() for p in model.parameters()])
    assert {name for (name, _), part in zip(names_of(model), parts, strict=True) if (part < 1).all()} == slowed(model)
    plain = alone("mamba")
    assert StackedModel(plain, [plain.state_dict()], device=torch.device("cpu")).lr_scales() is None


def names_of(model):
    return list(model.named_parameters())


def test_two_dimensional_rates_are_exempt_where_matrices_decay():
    model = inside_a_model("mamba")
    found = undecayed(build_optimizer(run("adamw"), model, TrainingConfig(weight_decay_on="matrices")), model)
    assert {name for name, p in model.named_parameters() if name.endswith("A_log") and p.ndim == 2} <= found


def test_a_declared_name_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setattr(MixerConfig, "registry", dict(MixerConfig.registry))
    monkeypatch.setattr(registry, "_MODULES", dict(registry._MODULES))

    class ForgetfulConfig(MixerConfig):
        name: str = "forgetful"

    @registry.register(ForgetfulConfig)
    class Forgetful(Mixer):
        no_weight_decay = ("A_log", "rates")

        def __init__(self, config, context):
            super().__init__()
            self.A_log = torch.nn.Parameter(torch.zeros(2, 2))

    with pytest.raises(ValueError, match=r"Forgetful declares 'rates' .* has no such parameter; it has A_log"):
        build_mixer("forgetful", CONTEXT)
