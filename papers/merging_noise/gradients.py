"""The noise itself: covariance of per-example gradients; and their squares, the Fisher information.

Shapes: N examples, P parameters.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from shared.train.task import Batch, Task


def example_gradients(task: Task, model: nn.Module, batch: Batch) -> Tensor:
    """Gradient of each row's own loss, (N, P). The model must treat rows apart (no BatchNorm in training mode)."""
    params = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, row: Batch) -> Tensor:
            found = task.loss(self.model, {name: value[None] for name, value in row.items()}, {})
            return found[0] if isinstance(found, tuple) else found

    objective = Loss()

    def loss(own: dict[str, Tensor], row: Batch) -> Tensor:
        return functional_call(objective, {f"model.{name}": value for name, value in own.items()}, (row,))

    grads = vmap(grad(loss), in_dims=(None, 0))(params, batch)
    return torch.cat([g.reshape(len(g), -1) for g in grads.values()], dim=1)


def covariance_trace(grads: Tensor) -> float:
    """tr Sigma = mean over examples of |g_i - mean g|^2."""
    return float((grads - grads.mean(0)).double().square().sum(1).mean())


def diagonal_fisher(task: Task, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
    """Mean squared gradient of each parameter, labels drawn from the model's own distribution.

    Source: Matena and Raffel 2022 (arXiv 2111.09832), eq. 3, one draw per image.
    """
    with torch.no_grad():
        chances = model(batch["images"]).softmax(-1).cpu()
    drawn = torch.multinomial(chances, 1, generator=generator)[:, 0].to(batch["labels"].device)
    squares = example_gradients(task, model, {**batch, "labels": drawn}).square().mean(0)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    parts = squares.split([p.numel() for p in named.values()])
    return {name: part.view(p.shape).cpu() for (name, p), part in zip(named.items(), parts, strict=True)}
