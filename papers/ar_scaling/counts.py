"""Parameters of the models by formula, a second derivation beside counting tensors. No torch here."""

import math

from shared.models.config import BackboneConfig
from shared.models.mixers.config import (
    AttentionConfig,
    DeltaNetConfig,
    HyenaConfig,
    Mamba2Config,
    MambaConfig,
    RWKV4Config,
)


def mixer_params(mixer, d: int, bias: bool) -> int:
    """Parameters of one mixer of width d.

    Raises:
        ValueError: a mixer without a formula here.
    """
    if isinstance(mixer, AttentionConfig):  # one head of width d
        return 4 * d * d + 4 * d * bias + len(mixer.conv) * mixer.conv_width * d
    if isinstance(mixer, MambaConfig):
        inner, rank = mixer.expand * d, mixer.dt_rank or math.ceil(d / 16)
        num_in = inner * (2 if mixer.gate else 1)
        conv = inner * (mixer.conv_width + 1) if mixer.conv_width else 0
        scan = inner * (rank + 2 * mixer.d_state) + inner * (rank + 1) + inner * (mixer.d_state + 1)
        return d * num_in + inner * d + (num_in + d) * bias + conv + scan
    if isinstance(mixer, Mamba2Config):
        inner = mixer.expand * d
        heads, mixed = inner // mixer.head_dim, inner + 2 * mixer.d_state
        num_in = inner + mixed + heads
        return d * num_in + inner * d + (num_in + d) * bias + mixed * (mixer.conv_width + 1) + 3 * heads + inner
    if isinstance(mixer, DeltaNetConfig):  # one head of width d
        return 4 * d * d + d + d + 4 * d * bias + 3 * d * mixer.conv_width
    if isinstance(mixer, RWKV4Config):
        return 4 * d * d + 4 * d * bias + 5 * d  # decay, bonus, mixes of three streams
    if isinstance(mixer, HyenaConfig):
        order = mixer.filter_order
        filters = order + order * (mixer.position_features + 1) + 2 * order * (order + 1) + order * d
        return 3 * d * (d + 1) + 3 * d * (mixer.conv_width + 1) + filters + d + d * (d + 1)
    raise ValueError(f"no formula for the parameters of mixer '{mixer.name}'")


def model_params(backbone: BackboneConfig, vocab_size: int) -> int:
    """Parameters of a model with tied embeddings, LayerNorms with biases, MLPs with biases."""
    d, layers = backbone.d_model, backbone.num_layers
    positions = backbone.max_seq_len * d if backbone.positional == "learned" else 0
    mlp = 0 if backbone.mlp == "none" else 2 * d * backbone.mlp_width + backbone.mlp_width + d
    norms = 2 * d * (1 if backbone.mlp == "none" else 2)
    blocks = sum(mixer_params(backbone.mixer_at(i), d, backbone.bias) + norms + mlp for i in range(layers))
    return vocab_size * d + positions + blocks + 2 * d
