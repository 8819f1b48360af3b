"""Attention statistics along training: where the first layer's queries look.

Shapes: B rows, T positions, Q scored positions of a row.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from shared.models.mixers.attention import Attention
from shared.train.recall.task import RecallTask


class ProbedRecallTask(RecallTask):
    """Recall with, for models of attention alone, three shares of the weights of every layer, as held-out metrics.

    previous_<i>: mean weight on the position before, over all positions but the first; induction_<i>: mean weight of
    a query on the position behind its key's first occurrence, where its value stands; values_<i>: its mean weight
    on all positions of values in the context. The number of pairs is read off the scored positions.
    """

    def metrics(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        found = super().metrics(model, batch)
        blocks = model.language_model.backbone.blocks
        if not all(isinstance(block.mixer, Attention) for block in blocks):
            return found
        for layer, weights in enumerate(attention_weights_of(model, batch["tokens"])):
            found |= {f"{name}_{layer}": value for name, value in scores(weights, batch).items()}
        return found

    def evaluation(self) -> Iterable[dict[str, Tensor]]:
        """Batches with `sources`, (B, Q): the position behind the first occurrence of each query's key."""
        for batch in super().evaluation():
            yield batch | {"sources": sources(batch["tokens"], batch["positions"])}


def sources(tokens: Tensor, positions: Tensor) -> Tensor:
    """Where the value of each query stands, (B, Q): one behind the first occurrence of the token at `positions`."""
    asked = tokens.gather(1, positions)
    same = tokens.unsqueeze(1) == asked.unsqueeze(2)  # (B, Q, T)
    return same.int().argmax(-1) + 1


def attention_weights_of(model: nn.Module, tokens: Tensor) -> Iterable[Tensor]:
    """Weights of every layer, (B, T, T), means over heads."""
    language_model = model.language_model
    x = language_model._embed(tokens)
    backbone = language_model.backbone
    if backbone.positions is not None:
        x = x + backbone.positions[: x.shape[1]]
    for block in backbone.blocks:
        yield block.mixer.coefficients(block.mixer_norm(x)).mean(1)
        x = block(x)


def scores(weights: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The three shares of one layer's weights (B, T, T), 0-d; see `ProbedRecallTask`."""
    rows = weights.gather(1, batch["positions"].unsqueeze(-1).expand(-1, -1, weights.shape[-1]))  # (B, Q, T)
    num_pairs = batch["positions"].shape[1]
    context = torch.arange(weights.shape[-1], device=weights.device)
    is_value = ((context < 2 * num_pairs) & (context % 2 == 1)).to(weights.dtype)
    return {
        "previous": weights.diagonal(-1, 1, 2).mean(),
        "induction": rows.gather(2, batch["sources"].unsqueeze(-1)).mean(),
        "values": (rows * is_value).sum(-1).mean(),
    }
