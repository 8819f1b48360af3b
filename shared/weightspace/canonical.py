"""Trained LayerNorm transformers rewritten in circuit form, exactly.

A LayerNorm reads only what is orthogonal to the all-ones direction. With M = I - 11^T / D every write into the stream
is centred (W M), scales g are folded into what reads (diag(g) W), shifts b become b / g, and RMSNorm takes LayerNorm's
place with the same eps: the variance of z is the mean square of z M.

The last column of QK adds the same to all scores of a query; softmax ignores it, and it is set to 0.

Source: Ashkboos et al. 2024 (arXiv 2401.15024), LayerNorm to RMSNorm; Theus et al. 2025 (arXiv 2506.22712), section 3.
"""

import torch
from torch import Tensor, nn

from shared.models.config import BackboneConfig
from shared.models.language_model import LanguageModel
from shared.models.mixers.config import AttentionConfig
from shared.models.vit import VisionTransformer
from shared.weightspace.circuits import CircuitConfig, CircuitTransformer
from shared.weightspace.states import State, check_finite


def circuit_config(model: nn.Module) -> CircuitConfig:
    """Sizes of a `VisionTransformer` or `LanguageModel` in circuit form.

    Raises:
        ValueError: another model, or a part that cannot be rewritten: says which.
    """
    if not isinstance(model, VisionTransformer | LanguageModel):
        raise ValueError(f"circuits are of a VisionTransformer or a LanguageModel; got {type(model).__name__}")
    images = isinstance(model, VisionTransformer)
    backbone = model.config.backbone
    _refuse(backbone)
    if not images and model.config.tie_embeddings:
        raise ValueError("the head is tied to the embedding; untie it (a copy of its own) before scales are folded in")
    patch = model.config.patch_size if images else None
    return CircuitConfig(
        num_inputs=model.patches.in_features if images else model.config.vocab_size,
        num_outputs=model.head.out_features,
        num_positions=backbone.max_seq_len,
        d_model=backbone.d_model,
        num_layers=backbone.num_layers,
        num_heads=backbone.mixer_at(0).num_heads or backbone.num_heads,
        num_hidden=backbone.mlp_width,
        activation=backbone.mlp,
        causal=backbone.causal,
        eps=backbone.norm_eps,
        patch_size=patch,
    )


def _refuse(config: BackboneConfig) -> None:
    """Backbones that have no circuit form."""
    if config.positional not in ("learned", "none"):
        raise ValueError(f"positions by {config.positional} act inside heads, whose products are then no circuits")
    if config.norm != "layernorm" or config.cond_dim is not None:
        raise ValueError("circuits are of blocks with unconditioned LayerNorm")
    if config.mlp in ("none", "swiglu"):
        raise ValueError(f"circuits are of blocks with a plain MLP; got mlp '{config.mlp}'")
    for layer in range(config.num_layers):
        mixer = config.mixer_at(layer)
        if type(mixer) is not AttentionConfig or mixer.conv:
            raise ValueError(f"block {layer} mixes by {mixer.name}; circuits are of plain softmax attention")


@torch.no_grad()
def to_circuits(model: nn.Module, state: State | None = None) -> CircuitTransformer:
    """The canonical form of a network: the same function to rounding.

    Args:
        model: of the architecture. state: its parameters; the model's own if omitted.
    Raises:
        ValueError: no circuit form, a scale of 0, or weights that are not finite.
    """
    config = circuit_config(model)
    state = model.state_dict() if state is None else state
    check_finite(state)
    canonical = CircuitTransformer(config).to(next(iter(state.values())).dtype)
    images = config.patch_size is not None
    found = {"embedding": _centred(state["patches.weight"].T if images else state["embedding.weight"])}
    found["positions"] = _centred(state["backbone.positions"]) if "backbone.positions" in state else 0
    if images:
        found["patch_bias"] = _centred(state["patches.bias"])
    for layer in range(config.num_layers):
        found |= _block(config, model, state, layer)
    found["shift"], scale = _shift(state, "backbone.norm")
    found["head"] = scale[:, None] * state["head.weight"].T
    found["head_bias"] = state.get("head.bias", 0)
    for name, parameter in canonical.named_parameters():
        parameter.copy_(torch.as_tensor(found[name]))
    return canonical


def _block(config: CircuitConfig, model: nn.Module, state: State, layer: int) -> dict[str, Tensor]:
    prefix, own = f"backbone.blocks.{layer}", f"blocks.{layer}"
    shift, scale = _shift(state, f"{prefix}.mixer_norm")
    mixer = model.backbone.blocks[layer].mixer
    rows = _augmented(state, f"{prefix}.mixer.qkv_proj", scale)  # (D+1, rows of q, k, v)
    q, k, v = rows.split(
        [mixer.num_heads * mixer.head_dim, mixer.num_kv_heads * mixer.head_dim, mixer.split_sizes[1]], dim=1
    )
    q = q.unflatten(1, (mixer.num_heads, -1)).movedim(1, 0)  # (H, D+1, dk)
    shared = mixer.num_heads // mixer.num_kv_heads
    k, v = (x.unflatten(1, (mixer.num_kv_heads, -1)).movedim(1, 0).repeat_interleave(shared, dim=0) for x in (k, v))
    out = _centred(state[f"{prefix}.mixer.out_proj.weight"].T).unflatten(0, (mixer.num_heads, -1))  # (H, dv, D)
    qk = q @ k.transpose(-2, -1) * mixer.scale
    qk[..., -1] = 0  # the gauge
    found = {"shift1": shift, "qk": qk, "ov": v @ out, "out_bias": _bias(state, f"{prefix}.mixer.out_proj")}
    shift, scale = _shift(state, f"{prefix}.mlp_norm")
    w1 = _augmented(state, f"{prefix}.mlp.in_proj", scale)
    found |= {"shift2": shift, "w1": w1[:-1], "b1": w1[-1]}
    found |= {"w2": _centred(state[f"{prefix}.mlp.out_proj.weight"].T), "b2": _bias(state, f"{prefix}.mlp.out_proj")}
    return {f"{own}.{name}": value for name, value in found.items()}


def _centred(x: Tensor) -> Tensor:
    """x M: the mean over the stream taken out."""
    return x - x.mean(-1, keepdim=True)


def _bias(state: State, prefix: str) -> Tensor | int:
    return _centred(state[f"{prefix}.bias"]) if f"{prefix}.bias" in state else 0


def _augmented(state: State, prefix: str, scale: Tensor) -> Tensor:
    """diag(scale) W with the bias as last row, (D+1, outputs)."""
    weight = scale[:, None] * state[f"{prefix}.weight"].T
    bias = state.get(f"{prefix}.bias", torch.zeros_like(weight[0]))
    return torch.cat([weight, bias[None]])


def _shift(state: State, prefix: str) -> tuple[Tensor | int, Tensor]:
    """(shift over scale, scale) of a LayerNorm."""
    scale = state.get(f"{prefix}.weight", None)
    if scale is None:
        return 0, state["head.weight"].new_ones(state["head.weight"].shape[1])
    if bool((scale == 0).any()):
        raise ValueError(f"{prefix} has a scale of 0, behind which a shift cannot be written; no circuit form")
    return state.get(f"{prefix}.bias", torch.zeros_like(scale)) / scale, scale
