"""Transformers in circuit form: RMSNorms without scale, and the products inside heads in place of their factors.

    QK = Wq Wk^T / sqrt(dk)  (D+1, D+1)        OV = Wv Wo  (D+1, D)

with biases as last rows of the factors: every invertible change inside a head is gone, and the stream may be rotated.
`canonical` rewrites trained networks in this form.

Row vectors, y = x W + b. Shapes: B rows, T positions, D width, H heads, F hidden units, V inputs or classes.
Source: Theus et al. 2025 (arXiv 2506.22712), section 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.models.backbone import activate
from shared.models.mixers.attention import future_mask
from shared.weightspace.symmetry import Axis, Group, Space, Symmetry

STREAM = "residual"


@dataclass(frozen=True)
class CircuitConfig:
    """Sizes of a network in circuit form. patch_size is None for a language model."""

    num_inputs: int  # symbols, or pixels of a patch
    num_outputs: int
    num_positions: int
    d_model: int
    num_layers: int
    num_heads: int
    num_hidden: int
    activation: str
    causal: bool
    eps: float
    patch_size: int | None = None


class CircuitTransformer(nn.Module):
    """Tokens (B, T) -> logits (B, T, V), or images (B, C, S, S) -> logits (B, V)."""

    def __init__(self, config: CircuitConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.d_model, config.num_hidden
        shapes = {"embedding": (config.num_inputs, width), "positions": (config.num_positions, width)}
        if config.patch_size is not None:
            shapes["patch_bias"] = (width,)
        self.blocks = nn.ModuleList()
        for _ in range(config.num_layers):
            own = {
                "shift1": (width,), "qk": (config.num_heads, width + 1, width + 1),
                "ov": (config.num_heads, width + 1, width), "out_bias": (width,), "shift2": (width,),
                "w1": (width, hidden), "b1": (hidden,), "w2": (hidden, width), "b2": (width,),
            }  # fmt: skip
            self.blocks.append(nn.ParameterDict({name: _empty(shape) for name, shape in own.items()}))
        shapes |= {"shift": (width,), "head": (width, config.num_outputs), "head_bias": (config.num_outputs,)}
        for name, shape in shapes.items():
            self.register_parameter(name, _empty(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        return self._run(inputs, None)

    def activations(self, inputs: Tensor) -> dict[str, Tensor]:
        """What flows at every space, for matching by activations.

        Returns:
            residual.<site> (B, T, D): what each norm gives out; attention.<layer> (B, H, T, T): weights;
            hidden.<layer> (B, T, F): after the nonlinearity.
        """
        seen: dict[str, Tensor] = {}
        self._run(inputs, seen)
        return seen

    def _run(self, inputs: Tensor, seen: dict[str, Tensor] | None) -> Tensor:
        x = self._embed(inputs)
        for layer, block in enumerate(self.blocks):
            u = self._normed(x, block["shift1"], f"residual.{2 * layer}", seen)
            x = x + self._attend(block, u, layer, seen) + block["out_bias"]
            u = self._normed(x, block["shift2"], f"residual.{2 * layer + 1}", seen)
            hidden = activate(self.config.activation, u @ block["w1"] + block["b1"])
            if seen is not None:
                seen[f"hidden.{layer}"] = hidden
            x = x + hidden @ block["w2"] + block["b2"]
        x = self._normed(x, self.shift, f"residual.{2 * len(self.blocks)}", seen)
        x = x if self.config.patch_size is None else x.mean(1)
        return x @ self.head + self.head_bias

    def _embed(self, inputs: Tensor) -> Tensor:
        if self.config.patch_size is None:
            return nn.functional.embedding(inputs, self.embedding) + self.positions[: inputs.shape[1]]
        p = self.config.patch_size
        cut = inputs.unflatten(-1, (-1, p)).unflatten(-3, (-1, p)).permute(0, 2, 4, 1, 3, 5)
        return cut.flatten(3).flatten(1, 2) @ self.embedding + self.patch_bias + self.positions

    def _normed(self, x: Tensor, shift: Tensor, site: str, seen: dict[str, Tensor] | None) -> Tensor:
        u = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.config.eps) + shift
        if seen is not None:
            seen[site] = u
        return u

    def _attend(self, block: nn.ParameterDict, u: Tensor, layer: int, seen: dict[str, Tensor] | None) -> Tensor:
        """Sum of the heads, (B, T, D)."""
        augmented = torch.cat([u, torch.ones_like(u[..., :1])], dim=-1)  # (B, T, D+1)
        queries = augmented @ block["qk"].movedim(0, 1).flatten(1)  # (B, T, H (D+1))
        queries = queries.unflatten(-1, (-1, augmented.shape[-1])).movedim(2, 1)
        augmented = augmented[:, None]
        scores = queries @ augmented.transpose(-2, -1)  # (B, H, T, T)
        if self.config.causal:
            scores = scores.masked_fill(future_mask(u.shape[1], u.shape[1], u.device), float("-inf"))
        weights = scores.softmax(-1)
        if seen is not None:
            seen[f"attention.{layer}"] = weights
        return (weights @ augmented).movedim(1, 2).flatten(2) @ block["ov"].flatten(0, 1)

    def symmetry(self) -> Symmetry:
        """Rotations of the stream, the same in all layers; heads; hidden units."""
        return circuit_symmetry(self.config)


def _empty(shape: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def circuit_symmetry(config: CircuitConfig) -> Symmetry:
    """The symmetry of a `CircuitTransformer`.

    Heads are summed, so a head may be split: its OV by weights that sum to 1, its QK copied (a semi-permutation).
    """
    spaces, axes = {STREAM: Space(config.d_model, "orthogonal")}, []
    hidden: Group = "semi-permutation" if config.activation == "relu" else "permutation"
    for layer in range(config.num_layers):
        prefix, heads, units = f"blocks.{layer}", f"heads.{layer}", f"hidden.{layer}"
        spaces |= {heads: Space(config.num_heads, "semi-permutation"), units: Space(config.num_hidden, hidden)}
        axes += [
            *(Axis(f"{prefix}.{name}", 0, STREAM) for name in ("shift1", "shift2", "out_bias", "b2")),
            Axis(f"{prefix}.qk", 1, STREAM, reads=True), Axis(f"{prefix}.qk", 2, STREAM, reads=True),
            Axis(f"{prefix}.ov", 1, STREAM, reads=True), Axis(f"{prefix}.ov", 2, STREAM),
            Axis(f"{prefix}.qk", 0, heads, reads=True), Axis(f"{prefix}.ov", 0, heads),
            Axis(f"{prefix}.w1", 0, STREAM, reads=True), Axis(f"{prefix}.w1", 1, units),
            Axis(f"{prefix}.b1", 0, units),
            Axis(f"{prefix}.w2", 0, units, reads=True), Axis(f"{prefix}.w2", 1, STREAM),
        ]  # fmt: skip
    axes += [Axis("embedding", 1, STREAM), Axis("positions", 1, STREAM), Axis("shift", 0, STREAM)]
    axes += [Axis("head", 0, STREAM, reads=True)]
    if config.patch_size is not None:
        axes.append(Axis("patch_bias", 0, STREAM))
    return Symmetry(spaces, axes)
