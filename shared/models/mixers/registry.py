"""Mixers by name: config class -> module class.

A mixer is a config class in `config.py` and a module class with `@register(<config class>)` in any module of this
package; nothing else lists it. A mixer of a paper is registered when its module is imported.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.models.config import MixerContext
from shared.models.mixers.base import Mixer
from shared.models.mixers.config import MixerConfig, parse_mixer

_MODULES: dict[type[MixerConfig], type[Mixer]] = {}


def register(config_class: type[MixerConfig]) -> Callable[[type[Mixer]], type[Mixer]]:
    """Class decorator: `config_class` builds the decorated module as `module(config, context)`."""

    def tie(module_class: type[Mixer]) -> type[Mixer]:
        _MODULES[config_class] = module_class
        return module_class

    return tie


@functools.cache
def _import_modules() -> None:
    """Import every module of this package, so that each registers its mixers."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")


def mixer_names() -> list[str]:
    """Names of all registered mixers, sorted."""
    _import_modules()
    return sorted(config_class.model_fields["name"].default for config_class in _MODULES)


def build_mixer(mixer: MixerConfig | str | dict[str, Any], context: MixerContext) -> Mixer:
    """Build a mixer from its settings, its name, or {"name": ..., option: ...}.

    Raises:
        ValueError: unknown name or option (the nearest known one is named), settings that do not fit `context`,
            or a module that declares a parameter in `no_weight_decay` which it does not have.
    """
    config = parse_mixer(mixer)
    _import_modules()
    if type(config) not in _MODULES:
        raise ValueError(f"mixer {config.name!r} has settings but no module; import the module that registers it")
    return _MODULES[type(config)](config, context).mark_parameters()
