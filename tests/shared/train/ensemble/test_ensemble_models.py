"""Which models an ensemble takes: every mixer that can be mapped, MLP, convolutions with their norms."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared.base.seeding import torch_generator
from shared.models.config import BackboneConfig, LanguageModelConfig, MLPConfig
from shared.models.image_config import ResNetConfig, VGGConfig
from shared.models.language_model import LanguageModel
from shared.models.mixers.config import MixerConfig
from shared.models.mlp import MLP
from shared.models.resnet import ResNet
from shared.models.vgg import VGG
from shared.train.config import TrainingConfig
from shared.train.ensemble.stacked import StackedModel
from shared.train.ensemble.training import train_ensemble
from shared.train.run import Run
from shared.train.task import Task

NUM_STEPS = 3
RUNS = [
    Run(
        name=f"{i}",
        optimizer="adamw",
        settings={"lr": lr, "weight_decay": 0.1, "eps": 1e-8},
        batch_size=4,
        num_steps=NUM_STEPS,
        seed=i,
        clip_norm=1.0,
    )
    for i, lr in enumerate((1e-2, 3e-3, 1e-3))
]


class Tokens(Task):
    """Next-token prediction on random tokens."""

    def __init__(self, mixer, **backbone):
        self.config = LanguageModelConfig(
            vocab_size=11,
            backbone=BackboneConfig(d_model=8, num_layers=2, num_heads=2, mixer=mixer, mlp_ratio=2, **backbone),
        )

    def build(self, seed):
        return LanguageModel(self.config, torch_generator(seed, "init")).double()

    def batch(self, step, rows, seed):
        return {"tokens": torch.randint(0, 11, (len(rows), 9), generator=torch_generator(seed, "tokens", step))}

    def loss(self, model, batch, values):
        tokens = batch["tokens"]
        return F.cross_entropy(model(tokens[:, :-1]).flatten(0, -2), tokens[:, 1:].flatten())


class Images(Task):
    """Classification of random images by the given model."""

    def __init__(self, make, shape=(1, 6, 6)):
        self.make, self.shape = make, shape

    def build(self, seed):
        model, generator = self.make().double(), torch_generator(seed, "init")
        for p in model.parameters():
            nn.init.normal_(p, 0.3, 0.2, generator=generator)
        return model

    def batch(self, step, rows, seed):
        generator = torch_generator(seed, "images", step)
        x = torch.randn(len(rows), *self.shape, generator=generator, dtype=torch.float64)
        return {"x": x, "y": torch.randint(0, 3, (len(rows),), generator=generator)}

    def loss(self, model, batch, values):
        return F.cross_entropy(model(batch["x"]), batch["y"])


def alone(task, run):
    """The same run by plain torch; returns its state_dict."""
    model = task.build(run.seed)
    exempt = [p.ndim < 2 or getattr(p, "no_weight_decay", False) for p in model.parameters()]
    groups = [
        {"params": [p for p, kept in zip(model.parameters(), exempt, strict=True) if not kept], "weight_decay": 0.1},
        {"params": [p for p, kept in zip(model.parameters(), exempt, strict=True) if kept], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=run.settings["lr"])
    for step in range(NUM_STEPS):
        optimizer.zero_grad()
        task.loss(model, task.batch(step, range(4), run.stream_seed), {}).backward()
        norm = nn.utils.get_total_norm([p.grad for p in model.parameters()])
        for p in model.parameters():
            p.grad *= torch.clamp(run.clip_norm / norm, max=1.0)
        optimizer.step()
    return model.state_dict()


def assert_equal_to_separate_runs(task, rtol=1e-9, **options):
    training = TrainingConfig()
    result = train_ensemble(task, RUNS, training, progress=False, **options)
    for run, state in zip(RUNS, result.states, strict=True):
        expected = alone(task, run)
        for name, value in state.items():
            torch.testing.assert_close(value, expected[name].to(value.dtype), rtol=rtol, atol=1e-11)
    return result


def test_stacks_of_lstms_as_a_loop():
    task = Tokens("attention")
    backbone = {"kind": "lstm", "d_model": 4, "hidden": 6, "num_layers": 2, "fused": False}
    task.config = LanguageModelConfig(vocab_size=11, backbone=backbone)
    assert_equal_to_separate_runs(task)


UNMAPPABLE = ("lstm", "gru")  # torch's fused recurrences have no batching rule


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("mixer", sorted(MixerConfig.registry))
def test_language_models_with_every_mixer(mixer):
    task = Tokens({"name": mixer, "head_dim": 8} if mixer == "mamba2" else mixer)
    if mixer in UNMAPPABLE:
        with pytest.raises(ValueError, match="cannot be mapped over members"):
            train_ensemble(task, RUNS, TrainingConfig(), progress=False)
    else:
        assert_equal_to_separate_runs(task)


@pytest.mark.parametrize("norm", ["rmsnorm", "layernorm"])
@pytest.mark.parametrize("positional", ["rope", "alibi", "learned"])
def test_backbone_options(norm, positional):
    assert_equal_to_separate_runs(Tokens("attention", norm=norm, positional=positional, mlp="swiglu", max_seq_len=8))


def test_tied_embeddings_stay_tied():
    task = Tokens("attention")
    task.config = task.config.model_copy(update={"tie_embeddings": True})
    result = assert_equal_to_separate_runs(task)
    assert "head.weight" not in result.states[0]


def test_one_stack_of_one_member_runs_unmapped():
    assert_equal_to_separate_runs(Tokens("attention"), stack=1)


def test_mlp():
    assert_equal_to_separate_runs(Images(lambda: MLP(MLPConfig(widths=(5, 8, 3), norm="layernorm")), (5,)))


def convolutional(norm):
    return lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), norm(), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.Flatten(), nn.Linear(16, 3)
    )


def test_convolutions_with_group_norm():
    assert_equal_to_separate_runs(Images(convolutional(lambda: nn.GroupNorm(2, 4))))


def test_vgg():
    config = VGGConfig(num_classes=3, in_channels=1, stages=((3, 4), (4,)), hidden=(5,))
    assert_equal_to_separate_runs(Images(lambda: VGG(config)))


@pytest.mark.parametrize("stem", ["small", "large"])
def test_option_a_with_batch_norm(stem):
    config = ResNetConfig(
        num_classes=3, in_channels=1, widths=(2, 4), blocks=(1, 1), norm="batch", shortcut="zeros", stem=stem
    )
    assert_equal_to_separate_runs(Images(lambda: ResNet(config), (1, 8, 8)))


@pytest.mark.parametrize("stack", [1, 2, None])
def test_batch_norm_keeps_statistics_of_each_member(stack):
    result = assert_equal_to_separate_runs(Images(convolutional(lambda: nn.BatchNorm2d(4))), stack=stack)
    means = torch.stack([state["1.running_mean"] for state in result.states])
    assert not torch.equal(means[0], means[1]) and result.states[0]["1.num_batches_tracked"] == NUM_STEPS


def test_the_training_block_says_which_parameters_decay():
    model = nn.Linear(3, 2)
    stacked = StackedModel(model, [model.state_dict()], device=torch.device("cpu"))
    assert stacked.decay_mask(TrainingConfig(weight_decay_on="all")) is None
    mask = stacked.decay_mask(TrainingConfig(weight_decay_on="matrices"))
    assert mask.tolist() == [1.0] * 6 + [0.0] * 2
