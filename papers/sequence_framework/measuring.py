"""What a trained model scores and what its coefficients look like.

Shapes: N examples, Q answers, B rows, T tokens.
"""

import numpy as np
import torch
from torch import Tensor, nn

from shared.data.synthetic.registry import UNSCORED
from shared.models.mixers.dynamics import Cast
from shared.train.recall.model import RecallModel
from shared.train.recall.task import answers


def macro_accuracy(right: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur of the share of right answers: what MAD calls accuracy."""
    scored = labels != UNSCORED
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels[scored])]))


def micro_accuracy(right: np.ndarray, labels: np.ndarray) -> float:
    """Share of right answers among all scored ones."""
    return float(right[labels != UNSCORED].mean())


def casts_of(model: RecallModel, tokens: Tensor) -> list[Cast]:
    """The cast of every mixer on the inputs that it sees, in the order of the blocks."""
    found: list[Cast] = []

    def record(mixer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(mixer.cast(inputs[0]))

    blocks = model.language_model.backbone.blocks
    handles = [block.mixer.register_forward_pre_hook(record) for block in blocks]
    try:
        with torch.no_grad():
            model.language_model.hidden(tokens)
    finally:
        for handle in handles:
            handle.remove()
    return found


def near_zero_share(alpha: Tensor, epsilon: float) -> float:
    """Share of coefficients with |alpha_ij| <= epsilon among j <= i alone; (..., T, T)."""
    past = torch.ones(alpha.shape[-2:], dtype=torch.bool, device=alpha.device).tril()
    return float((alpha.abs() <= epsilon)[..., past].double().mean())


def measured(model: RecallModel, batch: dict[str, Tensor], epsilon: float, num_rows: int = 64) -> dict[str, float]:
    """Accuracies on `batch`; near-zero share over the coefficients of all blocks on its first rows."""
    right, _ = answers(model, batch)
    right, labels = right.cpu().numpy(), batch["labels"].cpu().numpy()
    found = {"accuracy": micro_accuracy(right, labels), "macro_accuracy": macro_accuracy(right, labels)}
    shares = [near_zero_share(cast.parallel(), epsilon) for cast in casts_of(model, batch["tokens"][:num_rows])]
    return found | {"near_zero": float(np.mean(shares))}
