"""The hypernetwork: sizes, slices, initial variance, what conditions share and what not."""

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.models.config import HypernetworkConfig
from shared.models.hypernetwork import Hypernetwork

SHAPES = [[(8, 6), (5, 8)], [(8, 4), (3, 8)], [(8, 6), (4, 8)]]
SMALL = {"condition_dim": 6, "widths": (12, 16), "chunk": 3, "rank": 2}
DECODERS = ("full", "low_rank", "chunked")


def network(shapes=SHAPES, **settings) -> Hypernetwork:
    return Hypernetwork(HypernetworkConfig(**{**SMALL, **settings}), shapes, torch_generator(0, "network")).double()


@pytest.mark.parametrize("decoder", DECODERS)
def test_layers_have_the_largest_shape_and_zeros_outside_their_own(decoder):
    layers = network(decoder=decoder)(torch.tensor([1, 2]))
    assert [tuple(w.shape) for w, _ in layers] == [(2, 8, 6), (2, 5, 8)]
    for row, condition in enumerate((1, 2)):
        for (weight, bias), (out, into) in zip(layers, SHAPES[condition], strict=True):
            assert (weight[row, :out, :into] != 0).all()
            assert weight[row, out:].abs().sum() + weight[row, :, into:].abs().sum() + bias[row, out:].abs().sum() == 0


def test_the_first_entries_of_the_head_are_the_layer_row_by_row():
    net = network(scale="none")
    z = net._features(net.conditions.weight[1:2], 1)
    flat = net.heads[1](z)[0]
    weight, bias = net(torch.tensor([1]))[1]
    assert torch.equal(weight[0, :3, :8], flat[:24].view(3, 8))
    assert torch.equal(bias[0, :3], flat[24:27])


def test_rows_of_the_head_that_a_condition_does_not_use_have_no_gradient():
    net = network()
    sum(part.square().sum() for layer in net(torch.tensor([1])) for part in layer).backward()
    for head, (out, into) in zip(net.heads, SHAPES[1], strict=True):
        used = out * into + out
        assert (head.weight.grad[:used].abs().sum(1) > 0).all()
        assert head.weight.grad[used:].abs().sum() + head.bias.grad[used:].abs().sum() == 0


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_condition_does_not_depend_on_the_embedding_of_another(decoder):
    net = network(decoder=decoder)
    before = [part.clone() for layer in net(torch.tensor([0, 2])) for part in layer]
    with torch.no_grad():
        net.conditions.weight[2] += 1.0
    after = [part for layer in net(torch.tensor([0, 2])) for part in layer]
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[0], new[0]) and not torch.equal(old[1], new[1])


@pytest.mark.parametrize("decoder", ["full", "low_rank", "chunked"])
def test_initial_layers_spread_their_input_as_torch_linear_does(decoder):
    settings = {"condition_dim": 32, "widths": (128, 256), "decoder": decoder, "chunk": 16, "rank": 8}
    net = Hypernetwork(HypernetworkConfig(**settings), [[(64, 48)]] * 20, torch_generator(1, "init"))
    x = torch.randn(1, 256, 48, generator=torch_generator(2, "x"))
    ((weight, bias),) = net(torch.arange(20))
    ours = (x @ weight.mT + bias[:, None]).var()
    torchs = torch.stack([torch.nn.Linear(48, 64)(x[0]) for _ in range(20)]).var()
    assert 0.5 < ours / torchs < 2


def test_numel_scaling_is_the_root_of_the_slices_entries():
    plain, scaled = network(scale="none"), network(scale="numel")
    for (w, b), (own_w, own_b), (out, into) in zip(
        plain(torch.tensor([1])), scaled(torch.tensor([1])), SHAPES[1], strict=True
    ):
        torch.testing.assert_close(own_w, w * (out * into) ** -0.5)
        torch.testing.assert_close(own_b, b * out**-0.5)


def test_low_rank_weights_have_that_rank():
    weight, _ = network(decoder="low_rank", rank=2)(torch.tensor([0]))[0]
    assert torch.linalg.matrix_rank(weight[0, :8, :6]) == 2


def test_layer_embeddings_enter_by_sum_or_side_by_side():
    for combine in ("sum", "concat"):
        net = network(combine=combine)
        before = [w.clone() for w, _ in net(torch.tensor([0]))]
        with torch.no_grad():
            net.layers.weight[1] += 1.0
        after = [w for w, _ in net(torch.tensor([0]))]
        assert torch.equal(before[0], after[0]) and not torch.equal(before[1], after[1])


def test_new_conditions_are_generated_from_their_codes():
    net = network()
    ours = net.generate(net.conditions.weight[:2], net.shapes[:2])
    for (w, b), (own_w, own_b) in zip(net(torch.tensor([0, 1])), ours, strict=True):
        assert torch.equal(w, own_w) and torch.equal(b, own_b)


def test_refusals():
    with pytest.raises(ValueError, match="needs conditions"):
        network(shapes=[])
    with pytest.raises(ValueError, match="same number of layers"):
        network(shapes=[[(2, 2)], [(2, 2), (2, 2)]])
    with pytest.raises(ValueError, match=r"conditions are 0\.\.2"):
        network()(torch.tensor([3]))
    with pytest.raises(ValueError, match="larger than"):
        network().generate(torch.zeros(1, 6, dtype=torch.float64), torch.tensor([[[9, 6], [5, 8]]]))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("combine", ["sum", "concat"])
def test_counted_multiply_adds_are_torchs(decoder, combine):
    from torch.utils.flop_counter import FlopCounterMode

    config = HypernetworkConfig(**SMALL, decoder=decoder, combine=combine)
    net = Hypernetwork(config, [[(8, 6), (5, 8)]], torch_generator(0, "network"))
    with FlopCounterMode(display=False) as counter:
        net(torch.tensor([0]))
    assert counter.get_total_flops() == 2 * sum(config.multiply_adds(*size) for size in net.largest)
