"""What weights can express: constructions that solve MQAR, and those that cannot; parameters; probes by hand."""

import math

import numpy as np
import pytest
import torch

from papers.ar_scaling.constructed import accuracy, delta_net, one_layer, random_attention, two_layers
from papers.ar_scaling.counts import model_params
from papers.ar_scaling.probes import ProbedRecallTask, scores, sources
from papers.ar_scaling.studies import counted
from papers.ar_scaling.window import counted as counted_width
from papers.ar_scaling.window import grid_step, window, window_interval
from shared.artifacts.config import load_config
from shared.base.seeding import numpy_generator
from shared.data.synthetic.baselines import position_only_accuracy
from shared.data.synthetic.config import MQARConfig
from shared.models.config import MixerContext
from shared.models.mixers.registry import build_mixer
from shared.train.config import TrainingConfig
from shared.train.loop.optimizer import build_optimizer
from shared.train.recall.task import RecallTask
from shared.train.run import Run

SIZES = [(16, 4), (24, 3), (32, 8)]


def mqar(length: int, num_pairs: int) -> MQARConfig:
    return MQARConfig(vocab_size=48, seq_len=length, num_pairs=num_pairs)


@pytest.mark.parametrize(("length", "num_pairs"), SIZES)
def test_constructed_weights_solve_the_task(length, num_pairs):
    config = mqar(length, num_pairs)
    solvers = [
        one_layer(config, "k", "causal"),
        one_layer(config, "v", "centred"),
        two_layers(config),
        delta_net(config),
    ]
    assert [accuracy(solver, config, 100) for solver in solvers] == [1.0] * 4


@pytest.mark.parametrize(("conv", "padding"), [("v", "causal"), ("k", "centred")])
def test_the_other_shifts_do_not(conv, padding):
    config = mqar(24, 3)
    assert accuracy(one_layer(config, conv, padding), config, 100) < position_only_accuracy(config)


def test_random_single_layers_stay_below_the_baseline():
    config = mqar(24, 3)
    assert max(accuracy(random_attention(config, k), config, 100) for k in range(20)) < position_only_accuracy(config)


def test_deltanet_retrieves_better_with_wider_keys():
    config = mqar(32, 8)
    found = [np.mean([accuracy(delta_net(config, width, s), config, 100) for s in range(3)]) for width in (2, 8, 48)]
    assert found[0] < found[1] < found[2] and found[2] > 0.95


def test_a_convolution_that_passes_the_present_is_plain_attention():
    context = MixerContext(d_model=8, num_heads=1, positional="none")
    plain = build_mixer("attention", context).double()
    conv = build_mixer({"name": "attention", "conv": ["q", "k", "v"]}, context).double()
    conv.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for part in conv.convs.values():
            part.weight.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    x = torch.randn(2, 7, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(conv(x), plain(x))


@pytest.mark.parametrize("conv", [["q"], ["k"], ["v"]])
def test_a_causal_convolution_leaves_the_past_alone(conv):
    mixer = build_mixer({"name": "attention", "conv": conv}, MixerContext(d_model=4, num_heads=1, positional="none"))
    x = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 3] += 1
    torch.testing.assert_close(mixer(x)[:, :3], mixer(changed)[:, :3])
    assert not torch.allclose(mixer(x)[:, 3:], mixer(changed)[:, 3:])


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu"])
def test_parameters_follow_the_formulas_and_tied_weights_count_once(scale):
    entries = counted(load_config("ar_scaling", scale))
    for entry in entries:
        with torch.device("meta"):
            built = RecallTask(entry.recall, {}, 1).config
        task = RecallTask(entry.recall, {}, 1)
        if entry.recall.backbone.d_model > 128:
            continue  # the same formula, only slower
        model = task.build(0)
        assert built.tie_embeddings and model.language_model.head.weight is model.language_model.embedding.weight
        num = sum(p.numel() for p in model.parameters())
        assert num == model_params(entry.recall.backbone, entry.recall.data.num_symbols), entry.model


@pytest.mark.parametrize("model", ["attention", "mamba", "deltanet", "hyena", "attention_qkv_centred"])
def test_every_model_starts_at_the_loss_of_a_uniform_guess_and_decays_each_parameter_once(model):
    entry = next(e for e in counted(load_config("ar_scaling", "cpu")) if e.model == model and e.task == "main")
    task = RecallTask(entry.recall.model_copy(update={"embedding_std": 0.02}), {}, 8)  # the paper's
    built = task.build(0)
    loss, _ = task.measured(built, task.batch(0, range(8), 0))
    assert loss.item() == pytest.approx(math.log(entry.recall.data.num_symbols), abs=0.1)
    run = Run(name="a", optimizer="adamw", settings={"lr": 0.1, "weight_decay": 0.1}, batch_size=8, num_steps=1)
    groups = build_optimizer(run, built, TrainingConfig()).param_groups
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted({id(p) for p in built.parameters()})


def test_warm_up_starts_above_zero_peaks_at_a_tenth_and_the_cosine_ends_at_zero():
    entry = counted(load_config("ar_scaling", "cpu"))[0].recall
    run = Run(name="a", optimizer="adamw", settings={"lr": 1.0}, batch_size=8, num_steps=200)
    rates = [entry.training_for(run).lr_multiplier(run)(step) for step in range(200)]
    assert 0 < rates[0] < 0.1 and int(np.argmax(rates)) in (19, 20) and max(rates) == pytest.approx(1)
    assert rates[-1] < 1e-3


def test_probes_by_hand():
    """Two pairs 1 8 2 9, then queries 2 and 1 at positions 4 and 6; the values stand at 3 and 1."""
    tokens = torch.tensor([[1, 8, 2, 9, 2, 0, 1, 0]])
    positions = torch.tensor([[4, 6]])
    assert sources(tokens, positions).tolist() == [[3, 1]]
    weights = torch.zeros(1, 8, 8)
    weights[0, 4, 3], weights[0, 4, 1], weights[0, 6, 1], weights[0, 5, 4] = 0.5, 0.25, 0.75, 1.0
    found = scores(weights, {"positions": positions, "sources": sources(tokens, positions)})
    assert found["induction"].item() == pytest.approx((0.5 + 0.75) / 2)
    assert found["values"].item() == pytest.approx((0.75 + 0.75) / 2)
    assert found["previous"].item() == pytest.approx((0.5 + 1.0) / 7)


def test_probes_of_a_model_are_shares_and_leave_its_metrics_alone():
    config = load_config("ar_scaling", "cpu")
    entry = next(e for e in counted(config) if e.model == "attention" and e.recall.backbone.num_layers == 2)
    probed, plain = ProbedRecallTask(entry.recall, {}, 4), RecallTask(entry.recall, {}, 4)
    model = probed.build(0).eval()
    with torch.no_grad():
        found, expected = probed.evaluate(model, 0), plain.evaluate(model, 0)
    assert {name: found[name] for name in expected} == expected
    shares = [value for name, value in found.items() if name not in expected]
    assert len(shares) == 6 and all(0 <= share <= 1 for share in shares)


LRS = np.array([1e-4, 1e-3, 1e-2, 1e-1])


@pytest.mark.parametrize(
    ("accuracy", "width", "num"),
    [
        ([1, 1, 1, 1], 3.0, 4),  # flat
        ([0, 1, 0, 0], 0.0, 1),  # one peak
        ([1, 0, 1, 1], 1.0, 3),  # two peaks: the wider one
        ([1, 1, 0, 1], 1.0, 3),
        ([0.9, math.nan, 1, 0], 0.0, 2),  # a diverged run is no success
        ([0, 0, math.inf, 0], math.nan, 0),
    ],
)
def test_the_window_of_synthetic_curves(accuracy, width, num):
    found = window(LRS, np.array(accuracy, float), 0.9)
    assert found[0] == pytest.approx(width, nan_ok=True) and found[1] == num
    assert counted_width(found[0], LRS) == pytest.approx(-1.0 if math.isnan(width) else width)


def test_the_interval_holds_the_width_and_is_a_point_where_seeds_agree():
    same = np.array([[0, 1, 1, 0]] * 3, float)
    assert window_interval(LRS, same, 0.9, numpy_generator(0, "t")) == (1.0, 1.0, 1.0)
    mixed = np.array([[0, 1, 1, 0], [0, 1, 0.5, 0], [0, 1, 1, 0]])
    centre, low, high = window_interval(LRS, mixed, 0.9, numpy_generator(0, "t"))
    assert low == 0.0 <= centre <= high == 1.0


@pytest.mark.parametrize("lrs", [[], [1e-2, 1e-3], [0.0, 1e-3]])
def test_grids_that_are_none_are_refused(lrs):
    with pytest.raises(ValueError, match=r"window needs|positive and ascending"):
        window(np.array(lrs), np.zeros(len(lrs)), 0.9)


def test_the_step_of_a_grid_is_its_median_ratio():
    assert grid_step(np.array([1e-3, 1e-2, 2e-2, 2e-1])) == pytest.approx(1.0)
