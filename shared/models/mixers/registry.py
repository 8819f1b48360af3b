"""Mixers by name: config class -> module class."""

import importlib
from collections.abc import Callable
from typing import Any

from shared.models.config import MixerContext
from shared.models.mixers.base import Mixer
from shared.models.mixers.config import MixerConfig, parse_mixer

_MODULES: dict[type[MixerConfig], type[Mixer]] = {}
_FAMILIES = (  # modules of this package that register the mixers whose settings mixers/config.py holds
    "attention",
    "linear_attention",
    "mlstm",
    "deltanet",
    "mamba",
    "lru",
    "s4d",
    "hyena",
    "rnn",
)


def register(config_class: type[MixerConfig]) -> Callable[[type[Mixer]], type[Mixer]]:
    """Class decorator: `config_class` builds the decorated module as `module(config, context)`."""

    def tie(module_class: type[Mixer]) -> type[Mixer]:
        _MODULES[config_class] = module_class
        return module_class

    return tie


def _import_families() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"shared.models.mixers.{family}")


def mixer_names() -> list[str]:
    """Names of all registered mixers, sorted."""
    _import_families()
    return sorted(config_class.model_fields["name"].default for config_class in _MODULES)


def build_mixer(mixer: MixerConfig | str | dict[str, Any], context: MixerContext) -> Mixer:
    """Build a mixer from its settings, its name, or {"name": ..., option: ...}.

    Raises:
        ValueError: unknown name or option (the nearest known one is named), or settings that do not fit `context`.
    """
    config = parse_mixer(mixer)
    _import_families()
    if type(config) not in _MODULES:
        raise ValueError(f"mixer {config.name!r} has settings but no module; import the module that registers it")
    return _MODULES[type(config)](config, context)
