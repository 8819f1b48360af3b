"""Synthetic tasks by name: settings -> generator, and the one way to their examples.

A task is a config class and a generator with `@generates(<config class>)` in any module of this package; nothing else
lists it. Shapes: N examples, L positions.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shared.data.counter import row_uniforms
from shared.data.synthetic.config import SyntheticConfig

UNSCORED = -100  # targets with this value are not scored; torch's ignore_index
_CHUNK = 2048  # examples made at once: bounds the memory of draws over large vocabularies


class Draws(NamedTuple):
    """Random numbers of some examples: those of example i are the same whichever others are asked for."""

    seed: int
    rows: range

    @property
    def num(self) -> int:
        return len(self.rows)

    def uniforms(self, purpose: str, *shape: int) -> np.ndarray:
        """In [0, 1), (N, *shape); each purpose has its own."""
        found = row_uniforms(self.seed, f"synthetic {purpose}", 0, self.rows, int(np.prod(shape)))
        return found.reshape(self.num, *shape)

    def integers(self, purpose: str, high: int, *shape: int) -> np.ndarray:
        """In 0 .. high - 1, (N, *shape)."""
        return (self.uniforms(purpose, *shape) * high).astype(np.int64)

    def distinct(self, purpose: str, high: int, num: int) -> np.ndarray:
        """`num` different numbers of 0 .. high - 1 in random order, (N, num); every ordered choice equally likely."""
        u, taken = self.uniforms(purpose, num), np.empty((self.num, 0), np.int64)
        found = np.empty((self.num, num), np.int64)
        for i in range(num):
            rank = (u[:, i] * (high - i)).astype(np.int64)  # among those that are left
            for j in range(i):
                rank += rank >= taken[:, j]  # ascending, so each step over a taken number is final
            found[:, i] = rank
            taken = np.sort(np.column_stack([taken, rank]), axis=1)
        return found


Generator = Callable[[Any, Draws], tuple[np.ndarray, np.ndarray]]
_GENERATORS: dict[type[SyntheticConfig], Generator] = {}


class Examples(NamedTuple):
    """tokens (N, L) and targets (N, L), int64; the target at a position is what is due there, UNSCORED if nothing."""

    tokens: np.ndarray
    targets: np.ndarray


def generates(config_class: type[SyntheticConfig]) -> Callable[[Generator], Generator]:
    """Decorator: the function makes (tokens, targets) of `config_class` from its settings and draws."""

    def tie(generator: Generator) -> Generator:
        _GENERATORS[config_class] = generator
        return generator

    return tie


@functools.cache
def _import_modules() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")


def task_names() -> list[str]:
    """Names of all tasks, sorted."""
    _import_modules()
    return sorted(config_class.model_fields["name"].default for config_class in _GENERATORS)


def examples(config: SyntheticConfig, seed: int, rows: range) -> Examples:
    """Examples `rows` of the stream that (settings, seed) name: a pure function, whatever was asked for before.

    Args:
        rows: ascending indices, step 1. Training and held-out sets differ in their seed.
    """
    _import_modules()
    if type(config) not in _GENERATORS:
        raise ValueError(f"synthetic task {config.name!r} has settings but no generator; import the module that has it")
    make, length = _GENERATORS[type(config)], config.num_positions
    parts = [make(config, Draws(seed, rows[i : i + _CHUNK])) for i in range(0, len(rows), _CHUNK)]
    parts = parts or [(np.empty((0, length), np.int64),) * 2]
    tokens, targets = (np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True))
    assert tokens.shape == targets.shape == (len(rows), length), (config.name, tokens.shape, targets.shape)
    return Examples(tokens, targets)
