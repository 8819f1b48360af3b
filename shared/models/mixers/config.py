"""Settings of every sequence mixer, one class each; imports without torch.

A mixer is named by the `name` field of its config class. Defining a subclass of `MixerConfig` makes the name known;
`registry.register` ties it to its module.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from shared.base.settings import StrictModel, of_its_kind


class MixerConfig(StrictModel):
    """Base class. Subclasses declare `name: Literal["..."] = "..."`, the mixer's name in the registry."""

    registry: ClassVar[dict[str, type["MixerConfig"]]] = {}
    name: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        name = cls.model_fields["name"].default
        if not isinstance(name, str):  # a common base of several mixers
            return
        known = MixerConfig.registry.setdefault(name, cls)
        if known.__qualname__ != cls.__qualname__:
            raise ValueError(f"mixer name {name!r} belongs to {known.__name__}; choose another for {cls.__name__}")


def parse_mixer(value: Any) -> MixerConfig:
    """Mixer settings from a name, from {"name": ..., option: ...} or from settings (returned as they are)."""
    return value if isinstance(value, MixerConfig) else of_its_kind(value, MixerConfig.registry, "mixer")


class AttentionConfig(MixerConfig):
    """Softmax attention with grouped key and value heads."""

    name: Literal["attention"] = "attention"
    num_heads: int | None = Field(None, ge=1)  # query heads; None: the backbone's
    num_kv_heads: int | None = Field(None, ge=1)  # key and value heads, a divisor of num_heads; None: num_heads
    head_dim: int | None = Field(None, ge=1)  # width of a query or key; None: d_model / num_heads
    value_head_dim: int | None = Field(None, ge=1)  # width of a value; None: head_dim
    scale: float | None = None  # factor on q.k; None: head_dim ** -0.5
    dropout: float = Field(0.0, ge=0, lt=1)  # on attention weights, in training
    kernel: Literal["sdpa", "matmul"] = "sdpa"  # "matmul" also runs under torch.vmap on the CPU
    conv: tuple[Literal["q", "k", "v"], ...] = ()  # which projections pass a depthwise convolution
    conv_width: int = Field(4, ge=1)  # taps
    conv_padding: Literal["causal", "centred"] = "causal"  # "centred" sees conv_width // 2 steps ahead
    conv_activation: Literal["none", "silu"] = "none"


class SigmoidAttentionConfig(AttentionConfig):
    """Attention whose weights are sigmoids, each key judged alone."""

    name: Literal["sigmoid_attention"] = "sigmoid_attention"
    bias: float | None = None  # added to every score; None: -log(max_seq_len)
    kernel: Literal["matmul"] = "matmul"


class MatrixStateConfig(MixerConfig):
    """What all mixers with a (key, value) matrix state per head have in common."""

    name: str
    num_heads: int | None = Field(None, ge=1)  # None: the backbone's
    key_head_dim: int | None = Field(None, ge=1)  # None: key_expand * d_model / num_heads
    key_expand: float = Field(1.0, gt=0)  # total key width / d_model
    value_expand: float = Field(1.0, gt=0)  # total value width / d_model
    conv_width: int = Field(0, ge=0)  # taps of the causal convolution with SiLU on queries, keys, values; 0: none


class LinearAttentionConfig(MatrixStateConfig):
    """Linear attention, normalised by the sum of its weights."""

    name: Literal["linear_attention"] = "linear_attention"
    feature_map: Literal["elu", "taylor"] = (
        "elu"  # on queries and keys; "taylor": second-order exp, for key_head_dim <= 16
    )


class BasedConfig(LinearAttentionConfig):
    """Linear attention with the Taylor feature map."""

    name: Literal["based"] = "based"
    feature_map: Literal["taylor"] = "taylor"
    key_head_dim: int = Field(8, ge=1)  # features: 1 + 8 + 64


class NormAttentionConfig(MatrixStateConfig):
    """Linear attention, normalised by a learned function of the query's token."""

    name: Literal["norm_attention"] = "norm_attention"


class RetNetConfig(MatrixStateConfig):
    """Retention: a fixed decay per head and a rotation."""

    name: Literal["retnet"] = "retnet"
    value_expand: float = Field(2.0, gt=0)
    rotation: bool = True  # rotary embedding of queries and keys


class GLAConfig(MatrixStateConfig):
    """Gated linear attention: a decay per key channel that depends on the token."""

    name: Literal["gla"] = "gla"
    key_expand: float = Field(0.5, gt=0)
    gate_rank: int = Field(16, ge=1)  # rank of the map from token to gates
    gate_temperature: float = Field(16.0, gt=0)  # gates are sigmoid ** (1 / this)


class MLSTMConfig(MatrixStateConfig):
    """mLSTM: exponential input gate and a forget gate per head, inside an up-projected gated block."""

    name: Literal["mlstm"] = "mlstm"
    expand: float = Field(2.0, gt=0)  # inner width / d_model; key and value widths are relative to the inner one
    conv_width: int = Field(4, ge=0)
    projection_block: int = Field(4, ge=1)  # q, k, v are block-diagonal maps with blocks of this width


class DeltaNetConfig(MatrixStateConfig):
    """Delta rule with normalised queries and keys."""

    name: Literal["deltanet"] = "deltanet"
    conv_width: int = Field(4, ge=0)
    negative_eigenvalues: bool = False  # writing strength in (0, 2) in place of (0, 1)


class GatedDeltaNetConfig(DeltaNetConfig):
    """Delta rule with a decay per head."""

    name: Literal["gated_deltanet"] = "gated_deltanet"
    value_expand: float = Field(2.0, gt=0)


class DeltaProductConfig(DeltaNetConfig):
    """Several steps of the delta rule per token: a product of generalised Householder matrices."""

    name: Literal["deltaproduct"] = "deltaproduct"
    num_householder: int = Field(2, ge=1)  # steps per token


class MambaConfig(MixerConfig):
    """Mamba: selective scan with a diagonal state per channel (S6)."""

    name: Literal["mamba"] = "mamba"
    expand: int = Field(2, ge=1)  # inner width / d_model
    d_state: int = Field(16, ge=1)  # states per channel
    dt_rank: int | None = Field(None, ge=1)  # rank of the step size's map; None: d_model / 16, rounded up
    conv_width: int = Field(4, ge=0)  # 0: no convolution, its SiLU stays
    gate: bool = True  # multiply the output by silu(z)
    rope: bool = False  # turn B and C by the position, as keys and queries; d_state even
    dynamics_lr: float = Field(1.0, gt=0)  # of A_log, D and dt_proj, as a multiple of the learning rate


class Mamba2Config(MixerConfig):
    """Mamba-2: one scalar decay per head (SSD)."""

    name: Literal["mamba2"] = "mamba2"
    expand: int = Field(2, ge=1)  # inner width / d_model
    d_state: int = Field(128, ge=1)  # key width of a head
    head_dim: int = Field(64, ge=1)  # value width of a head, a divisor of the inner width
    conv_width: int = Field(4, ge=0)


class RWKV4Config(MixerConfig):
    """RWKV-4 time mixing: per channel a mean of past values, weighted by exp(key) and a constant decay."""

    name: Literal["rwkv4"] = "rwkv4"


class LRUConfig(MixerConfig):
    """Linear recurrent unit: a constant complex diagonal recurrence."""

    name: Literal["lru"] = "lru"
    d_state: int | None = Field(None, ge=1)  # complex states; None: d_model
    r_min: float = Field(0.0, ge=0, lt=1)  # eigenvalues start in the ring of these radii
    r_max: float = Field(1.0, gt=0, le=1)
    max_phase: float = Field(6.28, gt=0)  # radians


class RGLRUConfig(MixerConfig):
    """Real-gated linear recurrent unit in its gated block (Griffin)."""

    name: Literal["rglru"] = "rglru"
    width: int | None = Field(None, ge=1)  # channels of the recurrence; None: d_model
    num_blocks: int | None = Field(
        None, ge=1
    )  # blocks of the gates' block-diagonal maps; None: the backbone's num_heads
    conv_width: int = Field(4, ge=0)


class S4DConfig(MixerConfig):
    """Diagonal state space model with constant coefficients, per channel."""

    name: Literal["s4d"] = "s4d"
    d_state: int = Field(64, ge=2, multiple_of=2)  # real states per channel: half as many complex pairs
    dt_min: float = Field(1e-3, gt=0)  # step sizes start log-uniform in [dt_min, dt_max]
    dt_max: float = Field(1e-1, gt=0)


class H3Config(S4DConfig):
    """H3: a shift SSM on the keys, a diagonal SSM on key times value, times the query."""

    name: Literal["h3"] = "h3"
    head_dim: int = Field(1, ge=1)  # keys and values meet in head_dim x head_dim products
    shift_width: int = Field(4, ge=1)  # states of the shift SSM, the taps of its filter


class HyenaConfig(MixerConfig):
    """Hyena of order 2: gates around a long convolution with an implicit filter."""

    name: Literal["hyena"] = "hyena"
    filter_order: int = Field(64, ge=1)  # width of the filter's network
    position_features: int = Field(3, ge=3)  # odd: t, then cosines and sines
    conv_width: int = Field(3, ge=1)


class BaseConvConfig(MixerConfig):
    """A short convolution gated by a linear map, plus its input."""

    name: Literal["base_conv"] = "base_conv"
    conv_width: int = Field(3, ge=1)


class LSTMConfig(MixerConfig):
    """Long short-term memory of width d_model."""

    name: Literal["lstm"] = "lstm"


class GRUConfig(MixerConfig):
    """Gated recurrent unit of width d_model."""

    name: Literal["gru"] = "gru"


class DynamicsConfig(MixerConfig):
    """Coefficient dynamics with each of its four objects chosen by hand, for ablations."""

    name: Literal["dynamics"] = "dynamics"
    num_heads: int | None = Field(None, ge=1)  # None: the backbone's
    key_head_dim: int | None = Field(None, ge=1)  # K; None: d_model / num_heads
    readout: Literal["identity", "exp", "softplus", "relu", "relu2", "sigmoid", "elu1"] = "exp"  # phi
    features: Literal["none", "elu1"] = "none"  # on queries and keys
    evolution: Literal["identity", "constant", "rotation", "scalar", "diagonal", "householder", "gated_householder"] = (
        "identity"  # A_t; scalar, diagonal and gated ones depend on the token
    )
    decay: float = Field(1.0, gt=0)  # a of a constant A = a I
    allow_unstable: bool = False  # a above 1
    scaling: float = -0.5  # b = K ** scaling
    normaliser: Literal["one", "sum", "abs_sum", "sum_exp", "floored", "root"] = (
        "abs_sum"  # eta; floored: max(|sum|, 1)
    )
    conv_width: int = Field(4, ge=0)  # taps of the causal convolution with SiLU on queries, keys, values; 0: none

    @model_validator(mode="after")
    def _stable(self) -> "DynamicsConfig":
        if self.decay > 1 and not self.allow_unstable:
            raise ValueError(f"decay {self.decay:g} grows without bound; set allow_unstable to have it all the same")
        if self.decay != 1 and self.evolution != "constant":
            raise ValueError(f"decay {self.decay:g} needs evolution 'constant'; got {self.evolution!r}")
        return self
