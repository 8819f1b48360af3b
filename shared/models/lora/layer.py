"""A linear map with low-rank adapters by name, one for all rows of a batch or another for each group of rows.

Shapes: N groups, B rows (a multiple of N), I inputs, O outputs, r rank.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Route = tuple[str | None, ...]  # adapter of each equal, contiguous group of rows; None is the base alone


class LoraLinear(nn.Module):
    """y = x W0^T + b + strength * scale * (x A^T) B^T with the A and B of the adapter that is in use.

    A is drawn Kaiming-uniform (sqrt 5) and B starts at zero, so a new adapter changes nothing. Adapters of a base in
    half precision are in float32, or updates would be lost in rounding. While an adapter is merged, W0 holds
    W0 + scale * B A; unmerging puts the very bits of W0 back.

    Args:
        base: the map; its parameters are frozen.
    Source: Hu et al. 2021 (LoRA, arXiv 2106.09685), eq. 3.
    """

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_a, self.lora_b = nn.ParameterDict(), nn.ParameterDict()
        self.scales: dict[str, float] = {}
        self.strengths: dict[str, float] = {}
        self.route: Route = (None,)
        self._kept: tuple[Tensor, Tensor] | None = None
        self.merged: str | None = None
        self._original: Tensor | None = None

    def add(self, name: str, rank: int, scale: float, generator: torch.Generator | None) -> None:
        """A new adapter; see `shared.models.lora.adapters.add_adapter`."""
        out_features, in_features = self.base.weight.shape
        if not 1 <= rank <= min(out_features, in_features):
            raise ValueError(
                f"rank {rank} does not fit a map of {in_features} to {out_features}; it lies in"
                f" 1..{min(out_features, in_features)}"
            )
        like = {"dtype": torch.promote_types(self.base.weight.dtype, torch.float32)}
        bound = 1 / math.sqrt(in_features)  # Kaiming-uniform with a = sqrt(5)
        a = torch.empty(rank, in_features, **like).uniform_(-bound, bound, generator=generator)
        self.lora_a[name] = nn.Parameter(a.to(self.base.weight.device))
        self.lora_b[name] = nn.Parameter(torch.zeros(out_features, rank, **like, device=self.base.weight.device))
        self.scales[name], self.strengths[name] = scale, 1.0

    def delta(self, name: str) -> Tensor:
        """What the adapter adds to W0, (O, I)."""
        return self.strengths[name] * self.scales[name] * (self.lora_b[name] @ self.lora_a[name])

    def merge(self, name: str) -> None:
        """Write the adapter into W0."""
        if self.merged is not None:
            raise ValueError(f"adapter '{self.merged}' is merged already; unmerge it first")
        self._original = self.base.weight.data.clone()
        with torch.no_grad():
            self.base.weight.add_(self.delta(name))
        self.merged = name

    def unmerge(self) -> None:
        """Put W0 back, to the bit."""
        if self.merged is None:
            raise ValueError("no adapter is merged")
        self.base.weight.data.copy_(self._original)
        self.merged = self._original = None

    def use(self, route: Route) -> None:
        """Use these adapters from now on. Where no gradient is asked for, those of a group are put together once."""
        self.route, self._kept = route, None
        if len(route) > 1 and any(route) and not torch.is_grad_enabled():
            self._kept = self._together()

    def forward(self, x: Tensor) -> Tensor:
        """x (B, ..., I) -> (B, ..., O)."""
        y = self.base(x)
        if all(name is None for name in self.route):
            return y
        if self.merged is not None:
            raise ValueError(f"adapter '{self.merged}' is merged; use no adapter then, or unmerge it")
        if len(self.route) == 1:
            name = self.route[0]
            a, b = self.lora_a[name], self.lora_b[name]
            return y + (self._factor(name) * F.linear(F.linear(x.to(a.dtype), a), b)).to(y.dtype)
        return y + self._routed(x).to(y.dtype)

    def _factor(self, name: str) -> float:
        return self.strengths[name] * self.scales[name]

    def _routed(self, x: Tensor) -> Tensor:
        """Updates of all groups by two batched products; a group without adapter gets zeros."""
        groups = len(self.route)
        if x.shape[0] % groups:
            raise ValueError(f"{x.shape[0]} rows cannot be shared by {groups} adapters equally")
        a, b = self._together() if self._kept is None else self._kept
        used = [i for i, name in enumerate(self.route) if name is not None]
        rows = x.reshape(groups, -1, x.shape[-1]).to(a.dtype)  # (N, B/N * ..., I)
        rows = rows if len(used) == groups else rows[used]
        update = (rows @ a) @ b
        if len(used) < groups:
            index = torch.tensor(used, device=x.device)
            update = update.new_zeros(groups, *update.shape[1:]).index_copy(0, index, update)
        return update.reshape(*x.shape[:-1], -1)

    def _together(self) -> tuple[Tensor, Tensor]:
        """A^T (N', I, r) and B^T times its factor (N', r, O) of the groups that have an adapter."""
        names = [name for name in self.route if name is not None]
        a = torch.stack([self.lora_a[name] for name in names])
        b = torch.stack([self._factor(name) * self.lora_b[name] for name in names])
        return a.mT, b.mT
