"""The method: contrastive loss, stacked connectors, joint training, the deck of pairs."""

import math

import pytest
import torch

from papers.hyma.connectors import apply_connectors, chosen, initial_connectors
from papers.hyma.contrastive import fast_info_nce, info_nce, unit
from papers.hyma.deck import PairDeck, SampleOrder
from papers.hyma.settings import Grid, Hyma
from papers.hyma.shapes import connector_shapes
from papers.hyma.training import extend, generated, groups, hyma_loss, train_grid, train_halving, train_hyma
from shared.base.seeding import torch_generator
from shared.models.config import HypernetworkConfig
from shared.models.hypernetwork import Hypernetwork

GRID = Grid(batch_size=16, lr=1e-2, warmup=2)
HYMA = Hyma(
    batch_size=16, pairs_per_step=2, lr=3e-3, warmup=2, clip_norm=1.0, network={"condition_dim": 8, "widths": [16, 16]}
)
IMAGE_DIMS, TEXT_DIMS = (6, 4), (5, 7, 3)


class Toy:
    """Random unit embeddings of 2 x 3 encoders, 64 samples; texts are linear in a common code."""

    def __init__(self, depth: int = 1, dtype=torch.float64) -> None:
        g = torch_generator(0, "toy")
        code = torch.randn(64, 4, generator=g, dtype=dtype)
        self.pairs = [(i, t) for i in range(2) for t in range(3)]
        self.images = self._encoders(code, IMAGE_DIMS, g)
        self.texts = self._encoders(code, TEXT_DIMS, g)
        self.shapes = [connector_shapes(depth, TEXT_DIMS[t], IMAGE_DIMS[i], 5) for i, t in self.pairs]

    @staticmethod
    def _encoders(code, dims, g):
        width, found = max(dims), []
        for dim in dims:
            values = unit(code @ torch.randn(4, dim, generator=g, dtype=code.dtype))
            found.append(torch.nn.functional.pad(values, (0, width - dim)))
        return torch.stack(found)

    def order(self, batch_size, generator):
        return SampleOrder(64, batch_size, generator).draw

    def losses(self, pairs, layers, rows):
        image, text = zip(*(self.pairs[p] for p in pairs), strict=True)
        layers = [(w.to(self.texts.dtype), b.to(self.texts.dtype)) for w, b in layers]
        x = self.texts[list(text)][:, rows][..., : layers[0][0].shape[2]]
        mapped = unit(apply_connectors(layers, x))
        return fast_info_nce(self.images[list(image)][:, rows][..., : mapped.shape[-1]], mapped, 10.0)


def test_orthonormal_embeddings_have_the_closed_form_loss():
    y = torch.eye(12, dtype=torch.float64)[None]
    for scale in (1.0, 10.0, 30.0):
        expected = math.log1p(11 * math.exp(-scale))
        assert info_nce(y, y, scale).item() == pytest.approx(expected, abs=1e-12)
        assert fast_info_nce(y, y, scale).item() == pytest.approx(expected, abs=1e-12)


def test_equal_rows_cost_log_b_and_the_modalities_can_be_swapped():
    same = torch.full((2, 9, 4), 0.5, dtype=torch.float64)
    torch.testing.assert_close(info_nce(same, same, 20.0), torch.full((2,), math.log(9), dtype=torch.float64))
    y, z = unit(torch.randn(2, 3, 9, 4, dtype=torch.float64, generator=torch_generator(0, "yz")))
    torch.testing.assert_close(info_nce(y, z, 7.0), info_nce(z, y, 7.0))


def test_many_pairs_at_once_are_a_loop_over_pairs():
    y, z = unit(torch.randn(2, 4, 9, 5, dtype=torch.float64, generator=torch_generator(1, "yz")))
    for k in range(4):
        logits, target = 7.0 * y[k] @ z[k].T, torch.arange(9)
        rows, columns = (torch.nn.functional.cross_entropy(x, target) for x in (logits, logits.T))
        torch.testing.assert_close(info_nce(y, z, 7.0)[k], (rows + columns) / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_the_fast_loss_has_value_and_gradient_of_the_plain_one(dtype, atol):
    y, z = unit(torch.randn(2, 3, 32, 6, dtype=dtype, generator=torch_generator(2, "yz")))
    weights, found = torch.tensor([1.0, 2.0, -1.0], dtype=dtype), []
    for loss in (info_nce, fast_info_nce):
        leaf = z.clone().requires_grad_()
        value = loss(y, leaf, 20.0)
        (value * weights).sum().backward()
        found.append((value.detach(), leaf.grad))
    torch.testing.assert_close(found[1][0], found[0][0], atol=atol, rtol=1e-5)
    torch.testing.assert_close(found[1][1], found[0][1], atol=atol, rtol=1e-4)


def test_the_gradient_of_the_joint_loss_is_the_mean_of_the_pairs_gradients():
    toy = Toy()
    net = Hypernetwork(HYMA.network, toy.shapes, torch_generator(0, "net")).double()
    rows, pairs = torch.arange(16), range(6)
    hyma_loss(toy, net, pairs, [0, 3, 5], rows).backward()
    joint = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    for k in (0, 3, 5):
        (hyma_loss(toy, net, pairs, [k], rows) / 3).backward()
    for one, many in zip(joint, [p.grad for p in net.parameters()], strict=True):
        torch.testing.assert_close(one, many, atol=1e-12, rtol=1e-9)


def test_a_network_of_which_only_the_head_bias_learns_is_direct_training():
    """One pair, heads' weights frozen at zero, no scaling, plain gradient descent: the bias is the connector."""
    toy, pair = Toy(), 1
    shapes = toy.shapes[pair]
    config = HypernetworkConfig(condition_dim=4, widths=(8,), scale="none")
    net = Hypernetwork(config, [shapes], torch_generator(0, "net")).double()
    direct = [tuple(p.double().requires_grad_() for p in la) for la in initial_connectors([shapes], [5], "grid")]
    with torch.no_grad():
        for head, (weight, bias) in zip(net.heads, direct, strict=True):
            head.weight.zero_()
            head.bias.copy_(torch.cat([weight.flatten(), bias.flatten()]))
    net.requires_grad_(False)
    biases = [head.bias.requires_grad_() for head in net.heads]
    sequences = []
    for parameters, layers in (
        (biases, lambda: net(torch.tensor([0]))),
        ([p for la in direct for p in la], lambda: direct),
    ):
        descent, losses = torch.optim.SGD(parameters, lr=0.1), []
        for step in range(5):
            loss = toy.losses([pair], layers(), torch.arange(8 * step, 8 * step + 8)).mean()
            descent.zero_grad()
            loss.backward()
            descent.step()
            losses.append(loss.item())
        sequences.append(losses)
    assert sequences[0] == pytest.approx(sequences[1], abs=1e-6)
    assert len(set(sequences[0])) == 5


def test_a_padded_stack_trains_as_its_members_alone():
    toy = Toy()
    *_, (_, stack) = train_grid(toy, range(6), GRID, 12, seed=3)
    for pair in range(6):
        *_, (_, alone) = train_grid(toy, [pair], GRID, 12, seed=3)
        for (w, b), (own_w, own_b), (out, into) in zip(stack, alone, toy.shapes[pair], strict=True):
            torch.testing.assert_close(w[pair, :out, :into], own_w[0], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(b[pair, :out], own_b[0], atol=1e-5, rtol=1e-4)
            assert w[pair, out:].abs().sum() + w[pair, :, into:].abs().sum() + b[pair, out:].abs().sum() == 0


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_connectors_are_torchs_own_networks(depth):
    shapes = connector_shapes(depth, 5, 4, 6)
    layers = initial_connectors([shapes], [0], "x")
    x = torch.randn(7, 5, generator=torch_generator(0, "x"))
    y = x
    for index, (weight, bias) in enumerate(layers):
        y = torch.nn.functional.linear(torch.relu(y) if index else y, weight[0], bias[0])
    torch.testing.assert_close(apply_connectors(layers, x[None])[0], y)
    assert len(layers) == depth + 1


@pytest.mark.parametrize(("pairs", "drawn", "steps"), [(24, 6, 50), (9, 4, 31), (5, 3, 17), (4, 4, 3)])
def test_every_pair_is_drawn_equally_often(pairs, drawn, steps):
    deck, counts = PairDeck(pairs, torch_generator(0, "deck")), torch.zeros(pairs)
    for _ in range(steps):
        found = deck.draw(drawn)
        assert len(set(found)) == drawn
        counts[found] += 1
    low = steps * drawn // pairs
    assert set(counts.tolist()) <= {low, low + 1} and counts.sum() == steps * drawn


def test_a_seed_gives_one_sequence_and_every_pair_sees_every_batch():
    decks = [PairDeck(6, torch_generator(1, "deck")) for _ in range(2)]
    assert [decks[0].draw(2) for _ in range(9)] == [decks[1].draw(2) for _ in range(9)]
    deck, order, met = PairDeck(4, torch_generator(0, "p")), SampleOrder(8, 2, torch_generator(0, "d")), set()
    for _ in range(400):  # 4 pairs in twos, 8 samples in twos: counts that share a factor
        rows = order.draw().tolist()
        met |= {(pair, row) for pair in deck.draw(2) for row in rows}
    assert met == {(p, r) for p in range(4) for r in range(8)}


def test_an_epoch_shows_every_sample_once_and_drops_the_rest():
    order = SampleOrder(10, 3, torch_generator(0, "order"))
    first = torch.cat([order.draw() for _ in range(3)]).tolist()
    assert len(set(first)) == 9 and max(first) < 10


def test_epochs_have_their_own_order():
    order = SampleOrder(32, 8, torch_generator(0, "order"))
    epochs = [torch.cat([order.draw() for _ in range(4)]).tolist() for _ in range(3)]
    assert len(set(map(tuple, epochs))) == 3 and all(sorted(epoch) == list(range(32)) for epoch in epochs)


def test_joint_training_lowers_every_pairs_loss():
    toy, rows = Toy(dtype=torch.float32), torch.arange(64)
    found = list(train_hyma(toy, range(6), HYMA, 150, seed=0, at=[1]))
    losses = [toy.losses(range(6), layers, rows) for _, layers, _ in found]
    assert (losses[-1] < losses[0]).all()


def test_training_repeats_bit_for_bit():
    toy = Toy(dtype=torch.float32)
    runs = [list(train_hyma(toy, range(6), HYMA, 6, seed=4))[-1][1] for _ in range(2)]
    assert all(torch.equal(a, b) for one, two in zip(*runs, strict=True) for a, b in zip(one, two, strict=True))


def test_halving_keeps_the_better_half_and_trains_it_further():
    toy = Toy(dtype=torch.float32)
    score = {0: 1.0, 1: 6.0, 2: 2.0, 3: 5.0, 4: 3.0, 5: 4.0}
    calls = []

    def judge(pairs, layers):
        calls.append(list(pairs))
        return [score[p] for p in pairs]

    lengths = {6: 3, 3: 4, 2: 2}
    found, ran = train_halving(toy, range(6), GRID, 16, 3, lambda left: lengths[len(left)], 0, judge)
    assert ran == [([0, 1, 2, 3, 4, 5], 3), ([1, 3, 5], 4), ([1, 3], 2)]
    assert calls == [[0, 1, 2, 3, 4, 5], [1, 3, 5], [1, 3]]
    assert {p: r for p, (r, _) in found.items()} == {0: 0, 2: 0, 4: 0, 5: 1, 1: 2, 3: 2}


def test_halving_without_dropping_is_grid_search():
    """One round is the same training as a grid of that batch and length, up to the data's order."""
    toy = Toy(dtype=torch.float32)
    found, _ = train_halving(toy, [2], GRID, 16, 2, lambda left: 5, 0, lambda pairs, layers: [0.0] * len(pairs))
    whole, _ = train_halving(toy, [2], GRID, 16, 1, lambda left: 10, 0, lambda pairs, layers: [0.0] * len(pairs))
    for (w, b), (own_w, own_b) in zip(found[2][1], whole[2][1], strict=True):
        assert torch.equal(w, own_w) and torch.equal(b, own_b)


def test_groups_are_all_pairs_or_those_of_equal_widths():
    shapes = [[(4, 5)], [(6, 5)], [(4, 5)]]
    assert groups(shapes, False) == [[0, 1, 2]]
    assert groups(shapes, True) == [[0, 2], [1]]


def test_extending_leaves_the_network_as_it_was_and_improves_the_new_pairs():
    toy = Toy(dtype=torch.float32)
    known, new = [0, 1, 2, 3], [4, 5]
    *_, (_, _, net) = train_hyma(toy, known, HYMA, 60, seed=0)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    start = extend(toy, net, known, new, HYMA, 0, seed=0)
    layers = extend(toy, net, known, new, HYMA, 80, seed=0)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    rows = torch.arange(64)
    assert (toy.losses(new, layers, rows) < toy.losses(new, start, rows)).all()


def test_extending_by_pairs_that_the_network_knows_finds_their_connectors_again():
    toy, pairs, rows = Toy(dtype=torch.float32), [0, 1, 2, 3], torch.arange(64)
    *_, (_, trained, net) = train_hyma(toy, pairs, HYMA, 150, seed=0)
    start = toy.losses(pairs, extend(toy, net, pairs, pairs, HYMA, 0, seed=0), rows).mean()
    found = toy.losses(pairs, extend(toy, net, pairs, pairs, HYMA, 200, seed=0), rows).mean()
    goal = toy.losses(pairs, trained, rows).mean()
    assert found - goal < 0.2 * (start - goal)


def test_refusals():
    with pytest.raises(ValueError, match="0, 1 or 2 hidden"):
        connector_shapes(3, 4, 4, 4)
    with pytest.raises(ValueError, match="no pair"):
        initial_connectors([], [], "x")
    with pytest.raises(ValueError, match="deck of pairs is empty"):
        PairDeck(0, torch_generator(0))
    with pytest.raises(ValueError, match="1 to 4 of the pairs; asked for 5"):
        PairDeck(4, torch_generator(0)).draw(5)
    with pytest.raises(ValueError, match="a batch of 9"):
        SampleOrder(8, 9, torch_generator(0))
    layers = initial_connectors([connector_shapes(0, 5, 4, 6)], [0], "x")
    with pytest.raises(ValueError, match="layer 0 has weights"):
        apply_connectors(layers, torch.zeros(1, 2, 6))
    assert (
        chosen(layers, [0])[0][0].shape == (1, 4, 5)
        and len(generated(Hypernetwork(HYMA.network, [[(4, 5)]], torch_generator(0)))) == 1
    )
