"""Captioning through a frozen language model: masks, ignored labels, perplexity, gradients."""

import numpy as np
import pytest
import torch

from papers.hyma.captioning import CaptionProblem, caption_flops
from papers.hyma.connectors import initial_connectors
from papers.hyma.grammar import PADDING
from papers.hyma.language import CaptionModel, caption_nll, train_language_model
from papers.hyma.scenes import SCENES
from papers.hyma.settings import LanguageModelPlan, Pretraining
from papers.hyma.shapes import connector_shapes
from papers.hyma.training import train_grid
from shared.base.seeding import numpy_generator, torch_generator
from shared.models.initialisation import drawing_from


def model(width: int = 16) -> CaptionModel:
    with drawing_from(torch_generator(0, "model")):
        return CaptionModel(width, 2, 25, 20).double().eval().requires_grad_(False)


def captions(count: int = 6) -> torch.Tensor:
    rng = numpy_generator(0, "captions")
    values = np.stack([rng.integers(len(w), size=count) for w in SCENES.attributes.values()], axis=1)
    return torch.from_numpy(SCENES.captions(values, np.arange(count) % 3))


def test_masked_image_slots_leave_the_text_only_loss():
    lm, text = model(), captions()
    zeros = torch.zeros(len(text), 4, 16, dtype=torch.float64)
    masked, counted = caption_nll(lm, zeros, text, seen=torch.zeros(len(text), 4, dtype=torch.int64))
    alone, own = caption_nll(lm, None, text)
    assert counted.sum() == own.sum()
    torch.testing.assert_close(masked[:, 4:], alone, atol=1e-12, rtol=1e-10)
    seen, _ = caption_nll(lm, zeros, text, seen=torch.ones(len(text), 4, dtype=torch.int64))
    assert (seen[:, 4:] - alone).abs().max() > 1e-3  # slots that are seen do enter


def test_labels_of_image_slots_and_padding_are_ignored():
    lm, text = model(), captions()
    nll, counted = caption_nll(lm, torch.randn(6, 4, 16, dtype=torch.float64), text)
    assert counted.sum() == (text != PADDING).sum() and not counted[:, :3].any()
    assert nll[~counted].abs().sum() == 0


def test_the_model_is_causal():
    lm, x = model(), torch.randn(1, 8, 16, dtype=torch.float64)
    other = x.clone()
    other[:, 5:] *= -2  # a constant would be normalised away
    torch.testing.assert_close(lm(x)[:, :5], lm(other)[:, :5])
    assert not torch.allclose(lm(x)[:, 5], lm(other)[:, 5])


def problem(num: int = 24) -> CaptionProblem:
    g, text = torch_generator(0, "images"), captions(num)
    images = {
        n: {s: torch.randn(num, d, generator=g, dtype=torch.float64) for s in ("train", "test")}
        for n, d in (("a", 5), ("b", 7))
    }
    models = {"x": model(16), "y": model(32)}
    return CaptionProblem(images, models, {n: {"train": text, "test": text} for n in models}, 4, 1, 6)


def test_pairs_at_once_are_pairs_alone():
    task, rows = problem(), torch.arange(5)
    layers = [(w.double(), b.double()) for w, b in initial_connectors(task.shapes, range(4), "x")]
    together = task.losses(range(4), layers, rows)
    for pair, (image, name) in enumerate(task.pairs):
        lm, shapes = task.models[name], task.shapes[pair]
        x = task.images[image]["train"][rows]
        for index, ((w, b), (out, into)) in enumerate(zip(layers, shapes, strict=True)):
            x = torch.nn.functional.linear(torch.relu(x) if index else x, w[pair, :out, :into], b[pair, :out])
        nll, counted = caption_nll(lm, x.view(5, 4, lm.width), task.captions[name]["train"][rows])
        assert together[pair].item() == pytest.approx((nll.sum() / counted.sum()).item(), abs=1e-10)


def test_perplexity_weighs_tokens_and_not_batches():
    task = problem()
    layers = [(w.double(), b.double()) for w, b in initial_connectors(task.shapes, range(4), "x")]
    whole = task.perplexities(range(4), layers, "train", batch_size=24)
    assert task.perplexities(range(4), layers, "train", batch_size=7) == pytest.approx(whole, rel=1e-10)
    loss = task.losses(range(4), layers, torch.arange(24))
    assert whole == pytest.approx(torch.exp(loss).tolist(), rel=1e-10)
    halves = [torch.exp(task.losses(range(4), layers, rows)) for rows in torch.arange(24).split(12)]
    assert whole[0] != pytest.approx(torch.stack(halves).mean(0)[0].item(), rel=1e-9)


def test_training_leaves_the_language_models_bit_for_bit():
    task = problem()
    before = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in task.models.items()}
    from papers.hyma.settings import Grid

    for part in (task.images["a"], task.images["b"]):
        part["train"] = part["train"].float()
    task.models = {n: m.float() for n, m in task.models.items()}
    before = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in task.models.items()}
    (_, first), *_, (_, last) = train_grid(task, range(4), Grid(batch_size=12, lr=1e-2, warmup=0), 20, 0, at=[1])
    rows = torch.arange(24)
    assert (task.losses(range(4), last, rows) < task.losses(range(4), first, rows)).all()
    assert all(torch.equal(v, task.models[n].state_dict()[k]) for n, kept in before.items() for k, v in kept.items())


def test_a_trained_language_model_uses_its_preface():
    text = captions(60)
    values = np.array([SCENES.parse(SCENES.text(row))[0] for row in text.numpy()])
    prefaces = torch.from_numpy(SCENES.prefaces(values))
    plan = LanguageModelPlan(name="t", width=32, num_layers=2, num_steps=300)
    training = Pretraining(num_steps=1, batch_size=1, lr=1e-3, language_batch_size=60, language_lr=5e-3)
    lm = train_language_model(plan, prefaces, text, 25, training, 0)
    losses = []
    for given in (prefaces, prefaces.roll(1, 0)):
        nll, counted = caption_nll(lm, lm.embedding(given), text)
        losses.append((nll.sum() / counted.sum()).item())
    assert losses[0] < 0.5 * losses[1]


def test_the_cost_formula_is_torchs_count():
    from torch.utils.flop_counter import FlopCounterMode

    lm, text, width, length = model(32).float(), captions(8), 32, 4 + 11 - 1
    shapes = connector_shapes(1, 10, 4 * width, 12)
    layers = [tuple(p.requires_grad_() for p in la) for la in initial_connectors([shapes], [0], "x")]
    images = {"a": {"train": torch.randn(8, 10)}}
    task = CaptionProblem(images, {"m": lm}, {"m": {"train": text}}, 4, 1, 12)
    with FlopCounterMode(display=False) as counter:
        task.losses([0], layers, torch.arange(8)).sum().backward()
    assert caption_flops(8, shapes, length, width, 2, 25) == pytest.approx(counter.get_total_flops(), rel=1e-12)
