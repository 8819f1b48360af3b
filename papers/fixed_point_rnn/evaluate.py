"""What a trained model does on test sequences of each length.

Shapes: B sequences, T positions.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from papers.fixed_point_rnn.network import SequenceModel
from papers.fixed_point_rnn.settings import EvaluationSettings
from papers.fixed_point_rnn.solver import relative_residual
from papers.fixed_point_rnn.tasks import Source, row_loss
from shared.models.language_model import IGNORED_TARGET


@torch.no_grad()
def measure(model: SequenceModel, source: Source, length: int, settings: EvaluationSettings) -> dict[str, float]:
    """Accuracies, loss and iterations on `num_words` test sequences of a length.

    Returns:
        seq_acc: share with every asked position right; last_acc: with the last one right; token_acc: share of asked
        positions; loss in nats per asked position; iterations: of the slowest sequence, evaluations of the map;
        residual: the largest at the stop; met: share of sequences that met the tolerance.
    """
    batch = source.test(length, settings.num_words)
    parts: list[tuple[Tensor, ...]] = []
    most = 1.0
    for tokens, targets in zip(
        batch["tokens"].split(settings.rows), batch["targets"].split(settings.rows), strict=True
    ):
        out = model(tokens.to(model.embedding.weight.device))
        asked = targets != IGNORED_TARGET
        right = (out.logits.argmax(-1).cpu() == targets) & asked
        last = asked.shape[1] - 1 - asked.flip(1).int().argmax(1)
        residual = torch.stack([s.best for s in out.solutions]).amax(0) if out.solutions else torch.zeros(len(tokens))
        residual, loss = residual.cpu(), row_loss(out.logits, targets.to(out.logits.device)).cpu()
        shares = (right.sum(1) / asked.sum(1), right[torch.arange(len(last)), last].float())
        parts.append(((right.sum(1) == asked.sum(1)).float(), *shares, loss, residual))
        most = max(most, float(out.iterations))
    seq, token, last, loss, residual = (torch.cat(column).double() for column in zip(*parts, strict=True))
    tol = model.settings.solver.tol
    return {
        "seq_acc": float(seq.mean()),
        "token_acc": float(token.mean()),
        "last_acc": float(last.mean()),
        "loss": float(loss.mean()),
        "iterations": most,
        "residual": float(residual.max()),
        "met": float((residual < tol).double().mean()),
    }


def by_length(model: SequenceModel, source: Source, settings: EvaluationSettings) -> Iterator[dict]:
    """A row per test length, each solved to the tolerance on its own."""
    for length in settings.lengths:
        yield {"test_len": length, **measure(model, source, length, settings)}


def by_cap(model: SequenceModel, source: Source, settings: EvaluationSettings) -> Iterator[dict]:
    """A row per cap on the iterations, at one length."""
    own = model.settings.solver.model_copy(update={"quantile": 1.0})
    for cap in settings.caps if model.implicit_layers else ():
        model.evaluate_with(own.model_copy(update={"l_max": cap}))
        yield {"cap": cap, "test_len": settings.cap_length, **measure(model, source, settings.cap_length, settings)}
    model.evaluate_with(own.model_copy(update={"l_max": settings.cap}))


@torch.no_grad()
def parallel_and_sequential(model: SequenceModel, source: Source, settings: EvaluationSettings) -> Iterator[dict]:
    """Normalised difference of the two solutions of the first layer, |a - b|_inf / |b|_inf at its largest over time.

    The parallel one stops where all sequences meet the tolerance, the other one at every token.
    """
    block, solver = model.blocks[0], model.blocks[0].layer.evaluation_solver
    for length in settings.lengths:
        parts = []
        for tokens in source.test(length, settings.num_words)["tokens"].split(settings.rows):
            u = block.norm(model.embedding(tokens.to(model.embedding.weight.device)))
            prepared, start = block.layer.prepare(u), block.layer.start(u)
            parallel = block.layer.fixed_point(prepared, start).y
            sequential = block.layer.solve_sequentially(prepared, start, solver)
            parts.append(relative_residual(parallel, sequential).double().cpu())
        found = torch.cat(parts)
        yield {
            "test_len": length,
            "median": float(found.median()),
            "low": float(found.quantile(0.25)),
            "high": float(found.quantile(0.75)),
            "largest": float(found.max()),
        }
