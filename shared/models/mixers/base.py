"""The contract of a sequence mixer.

Shapes: B batch, T time, D model width.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shared.models.mixers.dynamics import Cast

Cache = Any  # a mixer's own tuple of tensors (or None); read only by the mixer that made it


def count_parameters(module: nn.Module) -> int:
    """Number of scalars in distinct parameters; a tied tensor counts once."""
    return sum(p.numel() for p in module.parameters())


class Mixer(nn.Module):
    """Map (B, T, D) -> (B, T, D), in parallel over time (`forward`) or token by token (`step`).

    For a causal mixer, stepping through x from `initial_cache` gives `forward(x)` to rounding, and so does `prefill`
    over the pieces of x. Caches are values: no method changes the cache that it is given. A mixer that ends in a linear
    map into the residual stream calls it `out_proj`; the backbone may scale its initial weight.
    """

    no_weight_decay: tuple[str, ...] = ()  # own parameters that weight decay should leave alone
    lr_scales: Mapping[str, float] = {}  # own parameters that learn at a multiple of the run's rate

    def mark_parameters(self) -> "Mixer":
        """Set the attributes `no_weight_decay` and `lr_scale`, which optimisers ask for, on the declared parameters.

        `build_mixer` calls it, and so do copies and conversions, which make parameters anew. Returns the mixer itself.

        Raises:
            ValueError: a declared name is no parameter of this mixer.
        """
        own = dict(self.named_parameters())
        for declared in ("no_weight_decay", "lr_scales"):
            if missing := [name for name in getattr(self, declared) if name not in own]:
                raise ValueError(
                    f"{type(self).__name__} declares '{missing[0]}' in {declared} but has no such parameter;"
                    f" it has {', '.join(own)}"
                )
        for name in self.no_weight_decay:
            own[name].no_weight_decay = True
        for name, scale in self.lr_scales.items():
            own[name].lr_scale = scale
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # of copy.deepcopy and pickle
        self.mark_parameters()

    def _apply(self, *args: Any, **kwargs: Any) -> "Mixer":
        return super()._apply(*args, **kwargs).mark_parameters()  # of .to(), .bfloat16(), .to_empty() ...

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def initial_cache(self, batch_size: int, device: Any = None, dtype: torch.dtype | None = None) -> Cache:
        """Cache before the first token; device and dtype default to those of the parameters."""
        raise NotImplementedError

    def step(self, x_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """One token: x_t (B, D) -> (y_t (B, D), cache after it)."""
        raise NotImplementedError

    def prefill(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Several tokens after those in `cache`: x (B, T, D) -> (y (B, T, D), cache after them)."""
        outputs = []
        for x_t in x.unbind(1):
            y_t, cache = self.step(x_t, cache)
            outputs.append(y_t)
        return torch.stack(outputs, dim=1), cache

    def state_size(self, seq_len: int = 1) -> int:
        """Numbers that decoding keeps per sequence after `seq_len` tokens."""
        raise NotImplementedError

    def cast(self, x: Tensor) -> Cast:
        """The mixer on x (B, T, D) as coefficient dynamics: finish(cast(x).heads(), x) is forward(x) to rounding."""
        raise NotImplementedError

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        """Head outputs (B, T, H, V) of the cast and the mixer's input -> (B, T, D)."""
        raise NotImplementedError

    def coefficients(self, x: Tensor) -> Tensor:
        """alpha (B, H, T, T): the heads' outputs are sum_{j<=i} alpha_ij v_j, v = `values(x)`, plus a direct path."""
        return self.cast(x).parallel()

    def values(self, x: Tensor) -> Tensor:
        """What the coefficients combine, (B, H, T, V)."""
        return self.cast(x).v.transpose(1, 2)

    @property
    def num_params(self) -> int:
        return count_parameters(self)

    def _device_dtype(self, device: Any, dtype: torch.dtype | None) -> dict[str, Any]:
        parameter = next(self.parameters())
        return {"device": device or parameter.device, "dtype": dtype or parameter.dtype}
