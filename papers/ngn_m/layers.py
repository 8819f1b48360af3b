"""One training whose steps are taken apart: effective step and update size, layer by layer.

The effective step of a parameter is gamma / D_j, the factor in front of a coordinate's (averaged) gradient, with
D = eps + sqrt(v / (1 - beta2^k)); gamma is Adam's lr, MoMo-Adam's tau or NGN-MDv1's gamma (Figures I.6, I.7). The
update size is the root mean square of a layer's last displacement (Figures I.11 to I.13).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from shared.optim.base import RuleOptimizer
from shared.optim.registry import build_optimizer
from shared.train.task import Task, loss_and_metrics


def effective_steps(optimizer: RuleOptimizer, parameter: Tensor) -> Tensor:
    """gamma / D_j of every coordinate after an update, shaped as the parameter."""
    state, group = optimizer.state[parameter], optimizer.param_groups[0]
    corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
    gamma = group["lr"] if optimizer.effective_lr is None else optimizer.effective_lr
    return gamma / (group["eps"] + corrected.sqrt())


def watch_layers(
    task: Task,
    optimizer: str,
    lr: float,
    layers: Sequence[str],
    *,
    batch_size: int,
    num_steps: int,
    every: int,
    seed: int,
    clip_norm: float | None = None,
    device: str = "cpu",
    **settings: float,
) -> Iterator[dict]:
    """Train at a constant learning rate; a row per layer at every `every`-th update, until the loss is not finite.

    Args:
        layers: names of parameters.
    Raises:
        ValueError: a name that the model does not have.
    """
    model = task.build(seed).to(device)
    named = dict(model.named_parameters())
    missing = [name for name in layers if name not in named]
    if missing:
        raise ValueError(f"the model has no parameter '{missing[0]}'; its parameters are {', '.join(named)}")
    built = build_optimizer(optimizer, model.parameters(), lr=lr, **settings)
    for step in range(num_steps):
        loss = _backward(task, model, step, batch_size, seed, clip_norm, device)
        if not torch.isfinite(loss):
            return
        before = {name: named[name].detach().clone() for name in layers}
        built.step(loss=loss)
        built.zero_grad()
        if (step + 1) % every == 0:
            for name in layers:
                moved = (named[name].detach() - before[name]).square().mean().sqrt()
                yield {
                    "layer": name,
                    "step": step + 1,
                    "effective_step": float(effective_steps(built, named[name]).mean()),
                    "update_rms": float(moved),
                    "loss": float(loss),
                }


def _backward(task: Task, model: nn.Module, step: int, batch_size: int, seed: int, clip_norm, device) -> Tensor:
    """Gradients of one batch, clipped; the unclipped loss."""
    batch = {name: tensor.to(device) for name, tensor in task.batch(step, range(batch_size), seed).items()}
    loss, _ = loss_and_metrics(task.loss(model, batch, {}))
    loss.backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    return loss.detach()
