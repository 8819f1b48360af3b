"""Settings of the backbone and of the models on it; imports without torch."""

import itertools
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, SerializeAsAny, Tag, field_validator, model_validator

from shared.base.settings import StrictModel
from shared.models.mixers.config import AttentionConfig, MixerConfig, parse_mixer


class MixerContext(StrictModel):
    """What a mixer needs to know of the model around it."""

    d_model: int = Field(ge=1)  # width of the residual stream
    num_heads: int = Field(4, ge=1)  # for mixers that have heads and whose own settings do not say
    causal: bool = True  # False: every position sees all others (attention kinds only)
    positional: Literal["rope", "alibi", "learned", "none"] = "rope"  # rope, alibi: in attention; learned: added to x
    rope_base: float = Field(10000.0, gt=1)  # the wavelengths run from 2 pi to 2 pi * rope_base
    max_seq_len: int = Field(2048, ge=1)  # rows of the learned position table; other tables grow beyond it
    bias: bool = False  # on the mixers' input and output projections
    init_std: float | None = Field(None, gt=0)  # normal init of linear maps with zero bias; None: torch's init


class BackboneConfig(MixerContext):
    """A stack of pre-norm residual blocks: x + mixer(norm(x)), then x + mlp(norm(x)), and a norm at the end."""

    num_layers: int = Field(ge=1)
    mixer: SerializeAsAny[MixerConfig] | tuple[SerializeAsAny[MixerConfig], ...] = AttentionConfig()  # several: cycled
    norm: Literal["layernorm", "rmsnorm"] = "rmsnorm"
    norm_scale: bool = True  # learned scale
    norm_bias: bool = False  # learned shift, layernorm only
    norm_eps: float = Field(1e-5, gt=0)
    mlp: Literal["gelu", "gelu_exact", "relu", "swiglu", "none"] = "gelu"  # "gelu" is its tanh form
    mlp_ratio: float = Field(4.0, gt=0)  # hidden width / d_model, rounded down
    mlp_hidden: int | None = Field(None, ge=1)  # hidden width itself; overrides mlp_ratio
    mlp_bias: bool = False
    cond_dim: int | None = Field(None, ge=1)  # width of the conditioning vector of adaLN-zero; None: no conditioning
    dropout: float = Field(0.0, ge=0, lt=1)  # on the output of every residual branch
    scale_residual_init: bool = False  # divide the maps into the residual stream by sqrt(number of branches) at init

    @field_validator("mixer", mode="before")
    @classmethod
    def _parse_mixer(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            if not value:
                raise ValueError("mixer must name at least one mixer; got an empty list")
            return tuple(parse_mixer(item) for item in value)
        return parse_mixer(value)

    @model_validator(mode="after")
    def _check(self) -> "BackboneConfig":
        if self.norm == "rmsnorm" and self.norm_bias:
            raise ValueError("norm_bias needs norm 'layernorm'; rmsnorm has no shift")
        return self

    def mixer_at(self, layer: int) -> MixerConfig:
        """Mixer settings of block `layer`."""
        return self.mixer[layer % len(self.mixer)] if isinstance(self.mixer, tuple) else self.mixer

    @property
    def mlp_width(self) -> int:
        """Hidden width of the MLP; 0 without one."""
        if self.mlp == "none":
            return 0
        return self.mlp_hidden or int(self.mlp_ratio * self.d_model)


class LSTMStackConfig(StrictModel):
    """Layers of LSTMs one on the other, without norms or residual connections; the last one has the width d_model."""

    kind: Literal["lstm"]
    d_model: int = Field(ge=1)  # width of the embeddings and of the output
    hidden: int = Field(ge=1)  # width of all layers but the last
    num_layers: int = Field(3, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)  # on the output of every layer
    fused: bool = True  # torch's recurrence; False: a loop over time, slower alone, which an ensemble can map

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs of the first layer, then outputs of each."""
        return (self.d_model, *[self.hidden] * (self.num_layers - 1), self.d_model)

    @property
    def matrix_size(self) -> int:
        """Weights that multiply something, for each token: 4 gates that read the input and the state."""
        return sum(4 * b * (a + b) for a, b in itertools.pairwise(self.widths))


def _kind_of_backbone(settings: Any) -> str:
    found = settings.get("kind") if isinstance(settings, dict) else getattr(settings, "kind", None)
    return "lstm" if found == "lstm" else "blocks"


LanguageBackbone = Annotated[
    Annotated[BackboneConfig, Tag("blocks")] | Annotated[LSTMStackConfig, Tag("lstm")], Discriminator(_kind_of_backbone)
]


class LanguageModelConfig(StrictModel):
    """Causal language model: token embedding, backbone, linear head."""

    vocab_size: int = Field(ge=1)
    backbone: LanguageBackbone
    tie_embeddings: bool = False  # the head's weight is the embedding table
    head_bias: bool = False
    embedding_dropout: float = Field(0.0, ge=0, lt=1)
    embedding_std: float = Field(0.02, gt=0)  # normal init of embedding, learned positions and head

    @model_validator(mode="after")
    def _check(self) -> "LanguageModelConfig":
        if isinstance(self.backbone, LSTMStackConfig):
            return self
        if not self.backbone.causal:
            raise ValueError("a language model needs a causal backbone; set causal to true")
        if self.backbone.cond_dim is not None:
            raise ValueError("a language model takes no conditioning; leave cond_dim unset")
        return self


class DiffusionTransformerConfig(StrictModel):
    """Bidirectional transformer over tokens, conditioned on a time in [0, 1]."""

    vocab_size: int = Field(ge=1)  # mask and padding tokens included
    backbone: BackboneConfig
    time_features: int = Field(256, ge=2, multiple_of=2)  # sinusoidal features of t
    time_max_period: float = Field(10000.0, gt=1)

    @model_validator(mode="after")
    def _check(self) -> "DiffusionTransformerConfig":
        if self.backbone.causal or self.backbone.cond_dim is None:
            raise ValueError(
                "a diffusion transformer needs a backbone with causal false and cond_dim set; "
                f"got causal {self.backbone.causal} and cond_dim {self.backbone.cond_dim}"
            )
        return self


class MLPConfig(StrictModel):
    """Plain multi-layer perceptron."""

    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=2)  # input, hidden ..., output
    activation: Literal["relu", "gelu", "tanh", "silu", "identity"] = "relu"
    bias: bool = True
    norm: Literal["none", "layernorm"] = "none"  # before each activation
    norm_affine: bool = False  # learned scale and shift in the norm


def gpt_config(
    vocab_size: int, d_model: int, num_layers: int, num_heads: int, max_seq_len: int = 1024, **overrides: Any
) -> LanguageModelConfig:
    """GPT-2 style: learned positions, LayerNorm, GELU, biases, tied head (Radford et al. 2019).

    `overrides` go to the backbone.
    """
    backbone = dict(
        d_model=d_model, num_layers=num_layers, num_heads=num_heads, max_seq_len=max_seq_len, positional="learned",
        norm="layernorm", norm_bias=True, mlp="gelu", bias=True, mlp_bias=True, init_std=0.02, scale_residual_init=True,
    )  # fmt: skip
    return LanguageModelConfig(vocab_size=vocab_size, backbone={**backbone, **overrides}, tie_embeddings=True)


def llama_config(
    vocab_size: int, d_model: int, num_layers: int, num_heads: int, max_seq_len: int = 2048, **overrides: Any
) -> LanguageModelConfig:
    """Llama style: RoPE, RMSNorm, SwiGLU of width 8/3 d_model, no biases, own head (Touvron et al. 2023).

    `overrides` go to the backbone.
    """
    backbone = dict(
        d_model=d_model, num_layers=num_layers, num_heads=num_heads, max_seq_len=max_seq_len, positional="rope",
        norm="rmsnorm", norm_eps=1e-6, mlp="swiglu", mlp_ratio=8 / 3, init_std=0.02, scale_residual_init=True,
    )  # fmt: skip
    return LanguageModelConfig(vocab_size=vocab_size, backbone={**backbone, **overrides})


DIFFUSION_TRANSFORMER_SIZES = {  # d_model, num_layers, num_heads
    "tiny": (512, 8, 8),
    "small": (768, 12, 12),
    "base": (1024, 24, 16),
    "1b": (2048, 24, 32),
}


def diffusion_transformer_config(
    vocab_size: int,
    d_model: int,
    num_layers: int,
    num_heads: int,
    cond_dim: int = 128,
    max_seq_len: int = 512,
    **overrides: Any,
) -> DiffusionTransformerConfig:
    """Pre-LayerNorm (scale only), rotary bias-free attention, tanh-GELU MLP of width 4 d_model with biases, adaLN-zero.

    `overrides` go to the backbone.
    """
    backbone = dict(
        d_model=d_model, num_layers=num_layers, num_heads=num_heads, cond_dim=cond_dim, max_seq_len=max_seq_len,
        causal=False, positional="rope", norm="layernorm", mlp="gelu", mlp_ratio=4.0, mlp_bias=True,
    )  # fmt: skip
    return DiffusionTransformerConfig(vocab_size=vocab_size, backbone={**backbone, **overrides})


class HypernetworkConfig(StrictModel):
    """A network that predicts the weights of small linear layers from a learned condition and the layer's index."""

    condition_dim: int = Field(32, ge=1)  # of the learned embedding of a condition and of a layer
    widths: tuple[int, ...] = Field((128, 256), min_length=1)  # of the trunk's layers
    combine: Literal["sum", "concat"] = "sum"  # of the condition's and the layer's embedding
    decoder: Literal["full", "low_rank", "chunked"] = "full"
    rank: int = Field(8, ge=1)  # low_rank: W = A B^T
    chunk: int = Field(16, ge=1)  # chunked: side of the square blocks that W is put together from
    scale: Literal["fan_in", "numel", "none"] = "fan_in"  # of the weights: 1/sqrt(3 inputs), 1/sqrt(entries), 1

    def outputs(self, num_out: int, num_in: int) -> int:
        """Numbers that the head of a layer predicts in one call (beside the bias, where it is chunked)."""
        if self.decoder == "full":
            return num_out * num_in + num_out
        return self.rank * (num_out + num_in) + num_out if self.decoder == "low_rank" else self.chunk**2

    def calls(self, num_out: int, num_in: int) -> int:
        """Times that trunk and head are evaluated for one layer."""
        return -(-num_out // self.chunk) * -(-num_in // self.chunk) if self.decoder == "chunked" else 1

    def multiply_adds(self, num_out: int, num_in: int) -> int:
        """Multiply-adds of predicting one layer of this (largest) shape."""
        first = self.condition_dim * (2 if self.combine == "concat" else 1)
        widths, calls = (first, *self.widths), self.calls(num_out, num_in)
        trunk = sum(a * b for a, b in itertools.pairwise(widths))
        product = calls * (trunk + widths[-1] * self.outputs(num_out, num_in))
        if self.decoder == "low_rank":
            product += num_out * num_in * self.rank
        return product + (trunk + widths[-1] * num_out if self.decoder == "chunked" else 0)
