"""M models of one architecture as one function: stacked parameters, losses and gradients of all members.

Shapes: M members, P parameters of one model, S members that are computed together ("stack").

The parameters of all members are one (M, P) tensor; each named parameter is a view of it. The loss of one member is
mapped over members by torch.vmap, so a matrix product of a model becomes one batched product of the stack.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from shared.train.config import TrainingConfig
from shared.train.decay import is_decayed, lr_scale
from shared.train.ensemble.attention import mappable_attention
from shared.train.task import loss_and_metrics

Batch = Mapping[str, Tensor]


class _Objective(nn.Module):
    """Loss (or metrics) of one member as the forward of a module, so that functional_call reaches every parameter."""

    def __init__(self, model: nn.Module, function: Any):
        super().__init__()
        self.model, self.function = model, function

    def forward(self, *args: Any) -> Any:
        return self.function(self.model, *args)


class StackedModel:
    """Parameters of M members and the mapped loss.

    Args:
        template: a model of the architecture; its own values are not used, its unstacked buffers are.
        states: initial parameters (and buffers) of each member, as `model.state_dict()` with `keep_vars` off.
        device: of the parameters; they keep the dtype of the first.
        stack: members computed together; bounds memory, and on a CPU keeps a stack's tensors in the cache.
    """

    def __init__(
        self,
        template: nn.Module,
        states: Sequence[Mapping[str, Tensor]],
        *,
        device: torch.device,
        stack: int | None = None,
    ):
        self.template = template.to(device)
        self.named = {name: p for name, p in self.template.named_parameters() if p.requires_grad}
        if not self.named:
            raise ValueError("the model has no trainable parameter; set requires_grad on those that should learn")
        self.sizes = [p.numel() for p in self.named.values()]
        self.num_members, self.num_params = len(states), sum(self.sizes)
        dtype = next(iter(self.named.values())).dtype
        self.flat = torch.empty(self.num_members, self.num_params, device=device, dtype=dtype)
        for row, state in zip(self.flat, states, strict=True):
            row.copy_(torch.cat([state[name].reshape(-1).to(dtype=dtype, device=device) for name in self.named]))
        self.buffers = self._stacked_buffers(states, device)
        self.stacks = balanced(self.num_members, stack or self.num_members)
        self._leaves: dict[tuple[int, int], dict[str, Tensor]] = {}

    def _stacked_buffers(self, states: Sequence[Mapping[str, Tensor]], device: torch.device) -> dict[str, Tensor]:
        """Buffers that training changes (running statistics), one copy per member; tables stay shared."""
        changing = [
            f"{prefix}.{name}" if prefix else name
            for prefix, module in self.template.named_modules()
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats
            for name, _ in module.named_buffers(recurse=False)
        ]
        return {name: torch.stack([state[name].to(device) for state in states]) for name in changing}

    def decay_mask(self, config: TrainingConfig) -> Tensor | None:
        """(P,) of zeros and ones: which coordinates `weight_decay_on` lets decay; None if all do."""
        parts = [torch.full((p.numel(),), float(is_decayed(p, config.weight_decay_on))) for p in self.named.values()]
        mask = torch.cat(parts).to(self.flat)
        return None if bool(mask.all()) else mask

    def lr_scales(self) -> Tensor | None:
        """(P,): multiple of the learning rate of every coordinate; None if all are 1."""
        parts = [torch.full((p.numel(),), lr_scale(p), dtype=torch.float64) for p in self.named.values()]
        scales = torch.cat(parts).to(self.flat)
        return None if bool((scales == 1).all()) else scales

    def leaves(self, rows: range) -> dict[str, Tensor]:
        """Named parameters (S, ...) of some members: views of `flat` that gradients can be taken with respect to."""
        key = (rows.start, rows.stop)
        if key not in self._leaves:
            parts = self.flat[rows.start : rows.stop].detach().split(self.sizes, dim=1)
            named = zip(self.named.items(), parts, strict=True)
            self._leaves[key] = {name: part.view(len(rows), *p.shape).requires_grad_() for (name, p), part in named}
        return self._leaves[key]

    def gradients(
        self, function: Any, rows: range, batch: Batch, shared: bool, values: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Losses (S,), metrics (S,) each and gradients (S, P) of members `rows`.

        The loss is mapped, its sum differentiated outside: the backward pass then runs without vmap's layer.

        Args:
            function: (model, batch, values) -> what a task's `loss` returns for one member.
            batch: of each member, (S, ...) per entry; without the first axis if `shared`.
            values: (S,) per entry.
        """
        leaves, buffers = self.leaves(rows), self._rows_of_buffers(rows)
        call = _call(_Objective(self.template, lambda *args: loss_and_metrics(function(*args))))
        if len(rows) == 1:
            found = self._single_loss(call, leaves, buffers, batch, values, shared)
            losses, metrics = found[0][None], {name: value[None] for name, value in found[1].items()}
            grads = torch.autograd.grad(losses.sum(), list(leaves.values()))
        else:
            axes = (0, 0, None if shared else 0, 0)
            with mappable_attention(self.flat.device):
                losses, metrics = torch.vmap(call, in_dims=axes)(leaves, buffers, batch, values)
                grads = torch.autograd.grad(losses.sum(), list(leaves.values()))
        return losses.detach(), {name: value.detach() for name, value in metrics.items()}, _joined(grads)

    def _single_loss(self, call, leaves, buffers, batch, values, shared):
        """One member needs no mapping: the model runs as it would alone, fused attention included."""
        alone = [{k: v[0] for k, v in tree.items()} for tree in (leaves, buffers, values)]
        batch = batch if shared else {k: v[0] for k, v in batch.items()}
        return call(alone[0], alone[1], batch, alone[2])

    @torch.no_grad()
    def metrics(self, function: Any, batch: Batch, rows: range) -> dict[str, Tensor]:
        """`function(model, batch) -> {name: scalar}` in eval mode for members `rows` on one shared batch; (S,) each."""
        objective = _Objective(self.template, function)
        training = self.template.training
        self.template.eval()
        try:
            with mappable_attention(self.flat.device):
                leaves, buffers = self.leaves(rows), self._rows_of_buffers(rows)
                return torch.vmap(_call(objective), in_dims=(0, 0, None))(leaves, buffers, batch)
        finally:
            self.template.train(training)

    def member_state(self, index: int) -> dict[str, Tensor]:
        """Parameters and running statistics of one member under the template's names, copied."""
        parts = self.flat[index].split(self.sizes)
        state = {name: part.view(p.shape).clone() for (name, p), part in zip(self.named.items(), parts, strict=True)}
        return state | {name: buffer[index].clone() for name, buffer in self.buffers.items()}

    @contextlib.contextmanager
    def as_module(self, index: int) -> Iterator[nn.Module]:
        """The template in eval mode with the values of one member, without gradients."""
        training = self.template.training
        self.template.load_state_dict(self.member_state(index), strict=False)  # tables that all share stay
        self.template.eval()
        try:
            with torch.no_grad():
                yield self.template
        finally:
            self.template.train(training)

    def _rows_of_buffers(self, rows: range) -> dict[str, Tensor]:
        return {name: buffer[rows.start : rows.stop] for name, buffer in self.buffers.items()}


def _joined(grads: Sequence[Tensor]) -> Tensor:
    """Gradients of the named parameters as one (S, P)."""
    return torch.cat([grad.reshape(len(grad), -1) for grad in grads], dim=1)


def _call(objective: nn.Module) -> Any:
    def call(params: Batch, buffers: Batch, *args: Any) -> Any:
        state = {f"model.{name}": tensor for name, tensor in {**params, **buffers}.items()}
        return functional_call(objective, state, args)

    return call


def balanced(total: int, size: int) -> list[range]:
    """`total` members in consecutive stacks of nearly equal length, none above `size`."""
    if size < 1:
        raise ValueError(f"a stack holds at least one member; got {size}")
    count = -(-total // size)
    edges = [total * k // count for k in range(count + 1)]
    return [range(a, b) for a, b in itertools.pairwise(edges)]
