"""The noise itself: covariance of per-example gradients.

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
