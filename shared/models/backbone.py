"""Residual stack with a pluggable sequence mixer, with or without adaLN-zero conditioning.

Shapes: B batch, T time, D model width, C conditioning width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import BackboneConfig
from shared.models.fused import rms_norm
from shared.models.initialisation import normal_linear_
from shared.models.mixers.base import Cache, count_parameters
from shared.models.mixers.registry import build_mixer


class RMSNorm(nn.RMSNorm):
    """torch's RMSNorm with the faster backward of `fused.rms_norm` (Zhang & Sennrich 2019, arXiv 1910.07467)."""

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


def build_norm(config: BackboneConfig) -> nn.Module:
    """LayerNorm or RMSNorm over the last dimension, as `config` says."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, config.norm_eps, config.norm_scale)
    return nn.LayerNorm(config.d_model, config.norm_eps, config.norm_scale, config.norm_bias)


def activate(name: str, hidden: Tensor) -> Tensor:
    """The MLP nonlinearity `name`; "swiglu" halves the last dimension: silu(first half) * second half."""
    if name == "swiglu":
        gate, value = hidden.chunk(2, dim=-1)
        return F.silu(gate) * value
    if name == "relu":
        return F.relu(hidden)
    return F.gelu(hidden, approximate="tanh" if name == "gelu" else "none")


class FeedForward(nn.Module):
    """Position-wise MLP; the swiglu form is W_out(silu(W_gate x) * W_in x) (Shazeer 2020, arXiv 2002.05202, eq. 6)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.activation = config.mlp
        num_in = config.mlp_width * (2 if config.mlp == "swiglu" else 1)
        self.in_proj = nn.Linear(config.d_model, num_in, bias=config.mlp_bias)
        self.out_proj = nn.Linear(config.mlp_width, config.d_model, bias=config.mlp_bias)
        normal_linear_(self.in_proj, config.init_std)
        normal_linear_(self.out_proj, config.init_std)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_proj(activate(self.activation, self.in_proj(x)))


class Modulation(nn.Linear):
    """Conditioning vector -> `num` vectors of width D, all zero at init (adaLN-zero; Peebles & Xie 2022, section 3)."""

    def __init__(self, config: BackboneConfig, num: int) -> None:
        super().__init__(config.cond_dim, num * config.d_model)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        self.num = num

    def forward(self, cond: Tensor) -> tuple[Tensor, ...]:
        """cond (B, C) or (B, T, C) -> `num` tensors that broadcast against (B, T, D)."""
        out = super().forward(cond)
        return (out if out.ndim == 3 else out.unsqueeze(1)).chunk(self.num, dim=-1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x * (1 + scale) + shift."""
    return torch.addcmul(shift, x, 1 + scale)


class Block(nn.Module):
    """x + gate * mixer(norm(x)), then x + gate * mlp(norm(x)); without conditioning the gates are 1."""

    def __init__(self, config: BackboneConfig, layer: int) -> None:
        super().__init__()
        self.mixer_norm = build_norm(config)
        self.mixer = build_mixer(config.mixer_at(layer), config)
        self.mlp_norm = self.mlp = None
        if config.mlp != "none":
            self.mlp_norm, self.mlp = build_norm(config), FeedForward(config)
        branches = 1 if self.mlp is None else 2
        self.modulation = None if config.cond_dim is None else Modulation(config, 3 * branches)
        self.dropout = config.dropout

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        return self._run(x, cond, None)[0]

    def extend(self, x: Tensor, cache: Cache, cond: Tensor | None = None) -> tuple[Tensor, Cache]:
        """The block on (B, T, D) or on one token (B, D) after those in `cache`."""
        return self._run(x, cond, cache)

    def _run(self, x: Tensor, cond: Tensor | None, cache: Cache | None) -> tuple[Tensor, Cache | None]:
        parts = None if self.modulation is None else self.modulation(cond)
        h = self.mixer_norm(x) if parts is None else modulate(self.mixer_norm(x), parts[0], parts[1])
        if cache is None:
            h = self.mixer(h)
        else:
            h, cache = self.mixer.step(h, cache) if x.ndim == 2 else self.mixer.prefill(h, cache)
        x = self._add(x, h, None if parts is None else parts[2])
        if self.mlp is not None:
            h = self.mlp_norm(x) if parts is None else modulate(self.mlp_norm(x), parts[3], parts[4])
            x = self._add(x, self.mlp(h), None if parts is None else parts[5])
        return x, cache

    def _add(self, x: Tensor, branch: Tensor, gate: Tensor | None) -> Tensor:
        if self.dropout and self.training:
            branch = F.dropout(branch, self.dropout)
        return x + branch if gate is None else torch.addcmul(x, gate, branch)


class Backbone(nn.Module):
    """Blocks and a final norm: (B, T, D) -> (B, T, D)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.positions = None
        if config.positional == "learned":
            self.positions = nn.Parameter(torch.empty(config.max_seq_len, config.d_model))
            nn.init.normal_(self.positions, std=0.02)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.norm = build_norm(config)
        self.modulation = None if config.cond_dim is None else Modulation(config, 2)
        if config.scale_residual_init:
            self._scale_residual_init()

    def _scale_residual_init(self) -> None:
        """Divide the maps into the residual stream by the root of their number (Radford et al. 2019, section 2.3)."""
        branches = [branch for block in self.blocks for branch in (block.mixer, block.mlp)]
        maps = [branch.out_proj for branch in branches if hasattr(branch, "out_proj")]
        with torch.no_grad():
            for linear in maps:
                linear.weight.div_(len(maps) ** 0.5)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """x (B, T, D); cond (B, C) or (B, T, C) when the backbone is conditioned, else None.

        Raises:
            ValueError: `x` or `cond` has not the configured width, or the sequence outgrows the learned positions.
        """
        self._check(x, cond)
        x = self._add_positions(x, 0)
        for block in self.blocks:
            x = block(x, cond)
        return self._finish(x, cond)

    def initial_cache(self, batch_size: int, device=None, dtype=None) -> tuple[int, tuple[Cache, ...]]:
        """Cache before the first token: the number of tokens seen, and one cache per block."""
        return 0, tuple(block.mixer.initial_cache(batch_size, device, dtype) for block in self.blocks)

    def prefill(self, x: Tensor, cache: tuple[int, tuple[Cache, ...]], cond: Tensor | None = None):
        """x (B, T, D), tokens that follow those in `cache`: (y (B, T, D), cache after them)."""
        self._check(x, cond)
        seen, caches = cache
        x, after = self._add_positions(x, seen), []
        for block, block_cache in zip(self.blocks, caches, strict=True):
            x, block_cache = block.extend(x, block_cache, cond)
            after.append(block_cache)
        return self._finish(x, cond), (seen + x.shape[1], tuple(after))

    def step(self, x_t: Tensor, cache: tuple[int, tuple[Cache, ...]]):
        """One token without conditioning: x_t (B, D) -> (y_t (B, D), cache after it)."""
        seen, caches = cache
        x_t, after = self._add_positions(x_t[:, None], seen)[:, 0], []
        for block, block_cache in zip(self.blocks, caches, strict=True):
            x_t, block_cache = block.extend(x_t, block_cache)
            after.append(block_cache)
        return self.norm(x_t), (seen + 1, tuple(after))

    def state_size(self, seq_len: int = 1) -> int:
        """Numbers that decoding keeps per sequence after `seq_len` tokens."""
        return sum(block.mixer.state_size(seq_len) for block in self.blocks)

    @property
    def num_params(self) -> int:
        return count_parameters(self)

    def _check(self, x: Tensor, cond: Tensor | None) -> None:
        d_model, cond_dim = self.config.d_model, self.config.cond_dim
        if x.ndim != 3 or x.shape[-1] != d_model:
            raise ValueError(f"the backbone takes x of shape (batch, time, {d_model}); got {tuple(x.shape)}")
        if (cond is None) != (cond_dim is None) or (cond is not None and cond.shape[-1] != cond_dim):
            given = None if cond is None else tuple(cond.shape)
            raise ValueError(f"the backbone has cond_dim {cond_dim}; got x {tuple(x.shape)} with cond {given}")

    def _add_positions(self, x: Tensor, seen: int) -> Tensor:
        if self.positions is None:
            return x
        end = seen + x.shape[1]
        if end > self.config.max_seq_len:
            raise ValueError(f"learned positions end at max_seq_len {self.config.max_seq_len}; got {end} tokens")
        return x + self.positions[seen:end]

    def _finish(self, x: Tensor, cond: Tensor | None) -> Tensor:
        x = self.norm(x)
        return x if self.modulation is None else modulate(x, *self.modulation(cond))
