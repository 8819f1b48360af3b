"""Settings of every sequence mixer, one class each; imports without torch.

A mixer is named by the `name` field of its config class. Defining a subclass of `MixerConfig` makes the name known;
`registry.register` ties it to its module.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from shared.models.strict import StrictModel, nearest_hint


class MixerConfig(StrictModel):
    """Base class. Subclasses declare `name: Literal["..."] = "..."`, the mixer's name in the registry."""

    registry: ClassVar[dict[str, type["MixerConfig"]]] = {}
    name: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        name = cls.model_fields["name"].default
        known = MixerConfig.registry.setdefault(name, cls)
        if known.__qualname__ != cls.__qualname__:
            raise ValueError(f"mixer name {name!r} belongs to {known.__name__}; choose another for {cls.__name__}")


def parse_mixer(value: Any) -> MixerConfig:
    """Mixer settings from a name, from {"name": ..., option: ...} or from settings (returned as they are)."""
    if isinstance(value, MixerConfig):
        return value
    options = {"name": value} if isinstance(value, str) else value
    if not isinstance(options, dict) or "name" not in options:
        raise ValueError(f"a mixer is a name or a mapping with the key 'name'; got {value!r}")
    if options["name"] not in MixerConfig.registry:
        raise ValueError(f"unknown mixer {options['name']!r}; {nearest_hint(options['name'], MixerConfig.registry)}")
    return MixerConfig.registry[options["name"]](**options)


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
