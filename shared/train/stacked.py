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
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from shared.train.config import TrainingConfig
from shared.train.optimizer import is_decayed

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
        dtype, device: of the parameters.
        stack: members computed together; bounds memory, and on a CPU keeps a stack's tensors in the cache.
        compiled: run losses and gradients through torch.compile.
    """

    def __init__(
        self,
        template: nn.Module,
        states: Sequence[Mapping[str, Tensor]],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        stack: int | None = None,
        compiled: bool = False,
    ):
        self.template = template.to(device=device, dtype=dtype)
        self.named = {name: p for name, p in self.template.named_parameters() if p.requires_grad}
        if not self.named:
            raise ValueError("the model has no trainable parameter; set requires_grad on those that should learn")
        self.sizes = [p.numel() for p in self.named.values()]
        self.num_members, self.num_params = len(states), sum(self.sizes)
        self.flat = torch.empty(self.num_members, self.num_params, device=device, dtype=dtype)
        for row, state in zip(self.flat, states, strict=True):
            row.copy_(torch.cat([state[name].reshape(-1).to(dtype=dtype, device=device) for name in self.named]))
        self.buffers = self._stacked_buffers(states, device)
        self.stacks = balanced(self.num_members, stack or self.num_members)
        self._leaves: dict[tuple[int, int], dict[str, Tensor]] = {}
        self._compiled = torch.compile(self._mapped_gradients, dynamic=False) if compiled else None

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

    def leaves(self, rows: range) -> dict[str, Tensor]:
        """Named parameters (S, ...) of some members: views of `flat` that gradients can be taken with respect to."""
        key = (rows.start, rows.stop)
        if key not in self._leaves:
            parts = self.flat[rows.start : rows.stop].detach().split(self.sizes, dim=1)
            named = zip(self.named.items(), parts, strict=True)
            self._leaves[key] = {name: part.view(len(rows), *p.shape).requires_grad_() for (name, p), part in named}
        return self._leaves[key]

    def gradients(self, function: Any, rows: range, batch: Batch, shared: bool, values: Batch) -> tuple[Tensor, Tensor]:
        """Losses (S,) and gradients (S, P) of members `rows`.

        Args:
            function: (model, batch, values) -> scalar loss of one member.
            batch: of each member, (S, ...) per entry; without the first axis if `shared`.
            values: (S,) per entry.
        """
        leaves, buffers = self.leaves(rows), self._rows_of_buffers(rows)
        objective = _Objective(self.template, function)
        if self._compiled is not None:
            with mappable_attention(self.flat.device):
                losses, grads = self._compiled(objective, leaves, buffers, batch, values, shared)
        else:
            losses, grads = self._eager_gradients(objective, leaves, buffers, batch, values, shared)
        return losses.detach(), grads

    def _eager_gradients(self, objective, leaves, buffers, batch, values, shared):
        """The loss is mapped, its sum differentiated outside: the backward pass then runs without vmap's layer."""
        if next(iter(leaves.values())).shape[0] == 1:
            losses = self._single_loss(objective, leaves, buffers, batch, values, shared)[None]
            return losses, _joined(torch.autograd.grad(losses.sum(), list(leaves.values())))
        with mappable_attention(self.flat.device):
            losses = torch.vmap(_call(objective), in_dims=(0, 0, None if shared else 0, 0))(
                leaves, buffers, batch, values
            )
            return losses, _joined(torch.autograd.grad(losses.sum(), list(leaves.values())))

    def _single_loss(self, objective, leaves, buffers, batch, values, shared):
        """One member needs no mapping: the model runs as it would alone, fused attention included."""
        alone = [{k: v[0] for k, v in tree.items()} for tree in (leaves, buffers, values)]
        batch = batch if shared else {k: v[0] for k, v in batch.items()}
        return _call(objective)(alone[0], alone[1], batch, alone[2])

    def _mapped_gradients(self, objective, leaves, buffers, batch, values, shared):
        axes = (0, 0, None if shared else 0, 0)
        grads, losses = torch.vmap(grad_and_value(_call(objective)), in_dims=axes)(leaves, buffers, batch, values)
        return losses, _joined(list(grads.values()))

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


@contextlib.contextmanager
def mappable_attention(device: torch.device) -> Iterator[None]:
    """On a CPU torch's fused attention has no batching rule: within this context plain products take its place."""
    fused = F.scaled_dot_product_attention
    if device.type == "cpu":
        F.scaled_dot_product_attention = plain_attention
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused


def plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`F.scaled_dot_product_attention` by two products and a softmax; same arguments, (..., T, N)."""
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, dim=-3), value.repeat_interleave(groups, dim=-3)
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    if attn_mask is not None:
        blocked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, float("-inf")) if blocked else scores + attn_mask
    return F.dropout(scores.softmax(-1), dropout_p) @ value
