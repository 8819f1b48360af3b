"""Symmetries of what stands on the backbone: the residual stream, heads, the inside of heads, hidden units.

The residual stream is rotated only between RMSNorms without a scale; a LayerNorm, and any scale, leaves permutations of
it (circuits.py rewrites a LayerNorm network so that it can be rotated).
"""

from shared.models.config import BackboneConfig, DiffusionTransformerConfig, LanguageModelConfig
from shared.models.image_config import ViTConfig
from shared.models.mixers.config import AttentionConfig
from shared.weightspace.symmetry import Axis, Space, Symmetry

STREAM = "residual"


class _Builder:
    """Collects spaces and axes of a backbone held as `backbone.`."""

    def __init__(self, config: BackboneConfig) -> None:
        self.config = config
        rotates = config.norm == "rmsnorm" and not config.norm_scale and config.cond_dim is None
        self.spaces = {STREAM: Space(config.d_model, "orthogonal" if rotates else "permutation")}
        self.axes: list[Axis] = []
        if config.positional == "learned":
            self.add("backbone.positions", 1, STREAM)
        for layer in range(config.num_layers):
            self._block(layer)
        self._norm("backbone.norm")
        self._modulation("backbone.modulation", 2)

    def add(self, parameter: str, dim: int, space: str, **how: object) -> None:
        self.axes.append(Axis(parameter, dim, space, **how))

    def symmetry(self) -> Symmetry:
        return Symmetry(self.spaces, self.axes)

    def _norm(self, prefix: str) -> None:
        """Scales and shifts move with the coordinates that they belong to."""
        if self.config.norm_scale:
            self.add(f"{prefix}.weight", 0, STREAM)
        if self.config.norm == "layernorm" and self.config.norm_bias and self.config.norm_scale:
            self.add(f"{prefix}.bias", 0, STREAM)

    def _modulation(self, prefix: str, number: int) -> None:
        if self.config.cond_dim is None:
            return
        for part in ("weight", "bias"):
            self.add(f"{prefix}.{part}", 0, STREAM, shape=(number, self.config.d_model), factor=1)
        self.add(f"{prefix}.weight", 1, "condition", reads=True)

    def _block(self, layer: int) -> None:
        config, prefix = self.config, f"backbone.blocks.{layer}"
        self._norm(f"{prefix}.mixer_norm")
        self._attention(layer)
        if config.mlp != "none":
            self._norm(f"{prefix}.mlp_norm")
            self._feed_forward(layer)
        self._modulation(f"{prefix}.modulation", 3 if config.mlp == "none" else 6)

    def _feed_forward(self, layer: int) -> None:
        config, prefix, hidden = self.config, f"backbone.blocks.{layer}.mlp", f"hidden.{layer}"
        width = config.mlp_width
        self.spaces[hidden] = Space(width, "semi-permutation" if config.mlp == "relu" else "permutation")
        gated = {"shape": (2, width), "factor": 1} if config.mlp == "swiglu" else {}
        self.add(f"{prefix}.in_proj.weight", 0, hidden, **gated)
        self.add(f"{prefix}.in_proj.weight", 1, STREAM, reads=True)
        self.add(f"{prefix}.out_proj.weight", 0, STREAM)
        self.add(f"{prefix}.out_proj.weight", 1, hidden, reads=True)
        if config.mlp_bias:
            self.add(f"{prefix}.in_proj.bias", 0, hidden, **gated)
            self.add(f"{prefix}.out_proj.bias", 0, STREAM)

    def _attention(self, layer: int) -> None:
        """Key and value heads move as wholes, the queries of a group among themselves; inside, QK and OV are free."""
        config, prefix = self.config, f"backbone.blocks.{layer}.mixer"
        mixer = config.mixer_at(layer)
        if not isinstance(mixer, AttentionConfig) or mixer.conv:
            what = f"{mixer.name} with convolutions" if isinstance(mixer, AttentionConfig) else mixer.name
            raise ValueError(f"block {layer} mixes by {what}, whose symmetries are not written down; use attention")
        heads = mixer.num_heads or config.num_heads
        groups = mixer.num_kv_heads or heads
        shared, dk = heads // groups, mixer.head_dim or config.d_model // heads
        dv = mixer.value_head_dim or dk
        names = {"heads": f"heads.{layer}", "queries": f"queries.{layer}", "qk": f"qk.{layer}", "ov": f"ov.{layer}"}
        per = None if config.positional == "alibi" else names["heads"]  # each head there has a slope of its own
        own = {}
        if per is not None:
            own["heads"] = Space(groups, "permutation")
            if shared > 1:
                own["queries"] = Space(shared, "permutation", groups, per)
        if config.positional != "rope":  # a rotation by positions does not commute with what is inside a head
            own["qk"] = Space(dk, "invertible", groups, per)
        own["ov"] = Space(dv, "invertible", groups, per)
        self.spaces |= {names[kind]: space for kind, space in own.items()}
        parts = [  # start, factors, circuit, whether it reads
            (0, (groups, shared, dk), "qk", False),
            (heads * dk, (groups, dk), "qk", True),
            (heads * dk + groups * dk, (groups, dv), "ov", False),
        ]
        for parameter in ("weight", "bias") if config.bias else ("weight",):
            for part in parts:
                self._heads(f"{prefix}.qkv_proj.{parameter}", 0, names, own, *part)
        self._heads(f"{prefix}.out_proj.weight", 1, names, own, 0, (groups, shared, dv), "ov", True)
        self.add(f"{prefix}.qkv_proj.weight", 1, STREAM, reads=True)
        self.add(f"{prefix}.out_proj.weight", 0, STREAM)
        if config.bias:
            self.add(f"{prefix}.out_proj.bias", 0, STREAM)

    def _heads(self, parameter, dim, names, own, start, shape, circuit, reads) -> None:
        place = {"start": start, "shape": shape, "reads": reads}
        if circuit in own:
            self.add(parameter, dim, names[circuit], factor=len(shape) - 1, copy=0, **place)
        if "queries" in own and len(shape) == 3:
            self.add(parameter, dim, names["queries"], factor=1, copy=0, **place)
        if "heads" in own:
            self.add(parameter, dim, names["heads"], **place)


def language_symmetry(config: LanguageModelConfig) -> Symmetry:
    """Of a `LanguageModel`; a tied head is one more name of the embedding, and each name is moved once."""
    built = _Builder(config.backbone)
    built.add("embedding.weight", 1, STREAM)
    built.add("head.weight", 1, STREAM, reads=True)
    return built.symmetry()


def vit_symmetry(config: ViTConfig) -> Symmetry:
    """Of a `VisionTransformer`."""
    built = _Builder(config.backbone)
    built.add("patches.weight", 0, STREAM)
    built.add("patches.bias", 0, STREAM)
    built.add("head.weight", 1, STREAM, reads=True)
    return built.symmetry()


def diffusion_symmetry(config: DiffusionTransformerConfig) -> Symmetry:
    """Of a `DiffusionTransformer`: the stream, and the units of the map from time to conditioning."""
    built = _Builder(config.backbone)
    width = config.backbone.cond_dim
    built.spaces |= {"condition": Space(width, "permutation"), "time": Space(width, "permutation")}
    for part, space in (("in_proj", "time"), ("out_proj", "condition")):
        built.add(f"time_embedding.{part}.weight", 0, space)
        built.add(f"time_embedding.{part}.bias", 0, space)
    built.add("time_embedding.out_proj.weight", 1, "time", reads=True)
    built.add("embedding.weight", 1, STREAM)
    built.add("head.weight", 1, STREAM, reads=True)
    return built.symmetry()
