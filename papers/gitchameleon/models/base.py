"""What every model looks like to a protocol: messages in, completions out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

STOP, LENGTH, REFUSAL = "stop", "length", "refusal"  # why a completion ended


class ModelError(ValueError):
    """A model gave no completion: what was asked, what came back, what to do."""


@dataclass(frozen=True)
class Message:
    """One turn of a talk."""

    role: str  # system, user or assistant
    content: str


@dataclass(frozen=True)
class Usage:
    """Tokens of one request; None where the model does not tell."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Completion:
    """One answer. An empty text is an answer only if `finish_reason` says why it is empty."""

    text: str
    finish_reason: str = STOP
    usage: Usage = Usage()
    num_requests: int = 1  # how often it was asked for before it came


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn."""

    temperature: float = 0.0
    top_p: float = 0.95
    max_tokens: int = 4096

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"the temperature is not negative; got {self.temperature:g}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is in (0, 1]; got {self.top_p:g}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is at least 1; got {self.max_tokens}")


class Model(Protocol):
    """A language model. `name` goes into every row that it answers."""

    name: str

    def complete(
        self,
        messages: Sequence[Message],
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 0.95,
        max_tokens: int = 4096,
        seed: int | None = None,
        schema: dict | None = None,
    ) -> list[Completion]:
        """`n` completions of a talk.

        Args:
            schema: JSON schema of the answer, for models that can be held to one.
        Raises:
            ModelError: no completion can be had.
        """
        ...


def prompt_hash(messages: Sequence[Message]) -> str:
    """16 hex digits over roles and contents."""
    text = json.dumps([[m.role, m.content] for m in messages], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def request_key(model: str, messages: Sequence[Message], sampling: Sampling, seed: int | None, n: int = 1) -> str:
    """32 hex digits over all that a completion depends on."""
    content = [model, prompt_hash(messages), asdict(sampling), seed, n]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
