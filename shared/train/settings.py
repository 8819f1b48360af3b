"""Does a checkpoint belong to these runs?"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.train.config import TrainingConfig
from shared.train.rules import columns_of
from shared.train.run import Run

_FREE_TO_CHANGE = {"checkpoint_every"}  # has no influence on what a run computes


def comparable_settings(config: TrainingConfig, runs: Sequence[Run], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that defines these runs, as flat JSON values under dotted keys.

    Raises:
        ValueError: a value in `settings` is not plain JSON.
    """
    training = config.model_dump(mode="json", exclude=_FREE_TO_CHANGE)
    described = [{name: str(value) for name, value in columns_of(run).items()} for run in runs]
    named = {"run": described[0]} if len(runs) == 1 else {f"run {i}": own for i, own in enumerate(described)}
    try:
        return json.loads(json.dumps(_flatten({"training": training, "settings": settings} | named)))
    except TypeError as error:
        raise ValueError(
            f"settings must be numbers, strings, booleans, lists or dicts ({error}); pass model_dump(mode='json')"
        ) from error


def refuse_other_settings(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse the checkpoint `path` of a run with other settings.

    Raises:
        ValueError: names each key that differs, with both values.
    """
    keys = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    if keys:
        listed = ", ".join(f"{key} (there {found.get(key)}, now {wanted.get(key)})" for key in keys)
        raise ValueError(
            f"{path} was written with other settings: {listed}; restore them, or delete {path.parent} to train anew"
        )


def warn_of_other_environment(path: Path, found: dict[str, Any], now: dict[str, Any]) -> None:
    """Warn when a run continues where rounding differs: another device, other numbers of processes or threads."""
    keys = [key for key in now if found.get(key) != now[key]]
    if keys:
        listed = ", ".join(f"{key} {found.get(key)} there and {now[key]} now" for key in keys)
        warnings.warn(f"{path} continues in another environment, so digits may differ: {listed}", stacklevel=2)


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
