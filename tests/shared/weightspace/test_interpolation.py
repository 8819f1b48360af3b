"""Paths, barriers, and the evaluation of many models at once."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared.base.seeding import torch_generator
from shared.models.cnn import CNN
from shared.models.config import MLPConfig
from shared.models.image_config import CNNConfig
from shared.models.mlp import MLP
from shared.train.task import Task
from shared.weightspace.interpolation import barrier, evaluate_states, grid, lerp, path
from shared.weightspace.states import check_same_parameters, distance


def mlp_state(seed, widths=(6, 5, 3), dtype=torch.float32):
    model = MLP(MLPConfig(widths=widths), torch_generator(seed, "init")).to(dtype)
    return model.state_dict()


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_ends_of_a_path_are_the_models_bit_by_bit():
    a, b = mlp_state(0), mlp_state(1)
    a["layers.0.bias"][0] = -0.0
    first, *_, last = path(a, b, grid(5))
    assert equal(first, a) and equal(last, b)
    assert torch.signbit(first["layers.0.bias"][0])


def test_a_path_is_the_same_from_both_sides():
    a, b = mlp_state(0, dtype=torch.float64), mlp_state(1, dtype=torch.float64)
    for alpha in (0.25, 0.5, 1.5):
        one, other = lerp(a, b, alpha), lerp(b, a, 1 - alpha)
        assert all(torch.allclose(one[k], other[k], rtol=0, atol=1e-15) for k in one)


def test_averages_of_bfloat16_are_summed_in_float32():
    a, b = ({"w": torch.tensor([x], dtype=torch.bfloat16)} for x in (256.0, 2.0))
    merged = lerp(a, b, 0.75)["w"]
    assert merged.dtype == torch.bfloat16 and merged.item() == 65.5  # 64 + 1.5, which bfloat16 can hold


def test_integer_buffers_are_not_averaged():
    a, b = CNN(CNNConfig(num_classes=3)).state_dict(), CNN(CNNConfig(num_classes=3)).state_dict()
    b["norms.0.num_batches_tracked"] += 7
    assert lerp(a, b, 0.5)["norms.0.num_batches_tracked"].dtype == torch.int64
    assert lerp(a, b, 0.5)["norms.0.num_batches_tracked"].item() == 0


def test_other_architectures_are_refused_by_the_first_differing_parameter():
    with pytest.raises(ValueError, match=r"'layers.0.weight' has shapes \(5, 6\) and \(4, 6\)"):
        lerp(mlp_state(0), mlp_state(1, widths=(6, 4, 3)), 0.5)
    with pytest.raises(ValueError, match=r"one has 'layers.2.weight', the other does not"):
        check_same_parameters(mlp_state(0), mlp_state(0, widths=(6, 5, 3, 3)) | {"layers.1.weight": torch.ones(3, 5)})


def test_models_that_diverged_are_refused():
    broken = mlp_state(1)
    broken["layers.1.bias"][0] = float("nan")
    with pytest.raises(ValueError, match=r"'layers.1.bias' is not finite"):
        lerp(mlp_state(0), broken, 0.5)


def test_a_grid_holds_both_ends_exactly():
    assert {0.0, 1.0} <= set(grid(21, -0.5, 1.5))
    with pytest.raises(ValueError, match="lacks 1"):
        grid(4, 0.0, 0.9)
    with pytest.raises(ValueError, match="lacks 0 and 1"):
        barrier([0.25, 0.5], np.zeros(2))


def test_barrier_of_a_known_path():
    alphas = [-0.5, 0.0, 0.25, 0.5, 1.0, 1.5]
    losses = np.array([[9.0, 1.0, 3.0, 2.0, 2.0, 9.0], [9.0, 1.0, 1.0, 1.0, 1.0, 9.0]])
    assert barrier(alphas, losses) == pytest.approx([1.75, 0.0])  # 3 - (0.75 * 1 + 0.25 * 2)
    assert barrier(alphas, -losses, higher_is_better=True) == pytest.approx([1.75, 0.0])
    assert barrier(alphas, -losses) == pytest.approx([0.0, 0.0])


def test_barrier_of_a_convex_loss_is_zero():
    """A line between two softmax regressions: the loss is convex in the weights."""
    generator = torch_generator(0, "rows")
    x, y = torch.randn(200, 6, generator=generator, dtype=torch.float64), torch.randint(3, (200,), generator=generator)
    a, b = (torch.randn(3, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    alphas = grid(41)
    values = [float(F.cross_entropy(x @ ((1 - t) * a + t * b).T, y)) for t in alphas]
    assert barrier(alphas, np.array(values)) == 0


class Rows(Task):
    """Two held-out batches of unequal length."""

    def build(self, seed):
        raise NotImplementedError

    batch = loss = build

    def evaluation(self):
        x = torch.randn(10, 1, 8, 8, generator=torch_generator(0, "x"))
        y = torch.randint(3, (10,), generator=torch_generator(0, "y"))
        return [{"x": x[:7], "y": y[:7]}, {"x": x[7:], "y": y[7:]}]

    def metrics(self, model, batch):
        return {"loss": F.cross_entropy(model(batch["x"]), batch["y"])}


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_many_models_at_once_have_the_metrics_of_each_alone(norm):
    models = [CNN(CNNConfig(num_classes=3, in_channels=1, widths=(4, 4), norm=norm)) for _ in range(5)]
    for index, model in enumerate(models):
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(0.1 * index)
    alone = [Rows().evaluate(model.eval(), 0)["loss"] for model in models]
    states = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    together = evaluate_states(Rows(), states, models[0], stack=2)
    assert [row["loss"] for row in together] == pytest.approx(alone, rel=1e-5)


def test_distance_is_that_of_the_flat_vectors():
    a, b = mlp_state(0), mlp_state(1)
    flat = [torch.cat([v.reshape(-1) for v in s.values()]).double() for s in (a, b)]
    assert distance(a, b) == pytest.approx(float((flat[0] - flat[1]).norm()), rel=1e-6)
