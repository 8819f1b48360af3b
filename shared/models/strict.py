"""Base of the torch-free configuration classes: frozen, unknown keys refused with the nearest known one."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """Second half of a sentence about an unknown name: the nearest known one, else all of them."""
    known = sorted(known)
    close = get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


class StrictModel(BaseModel):
    """Frozen settings; `ValueError` (pydantic's `ValidationError`) on an unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown {cls.__name__} key {key!r}; {nearest_hint(key, cls.model_fields)}")
        return data
