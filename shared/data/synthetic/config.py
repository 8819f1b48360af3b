"""Settings of the synthetic token tasks, one class each; imports without torch.

A task is named by the `name` field of its class. Defining a subclass of `SyntheticConfig` makes the name known;
`registry.generates` ties it to its generator.
"""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from shared.base.settings import StrictModel, of_its_kind


class SyntheticConfig(StrictModel):
    """Base class. Subclasses declare `name: Literal["..."] = "..."` and the two properties."""

    registry: ClassVar[dict[str, type["SyntheticConfig"]]] = {}
    name: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        name = cls.model_fields["name"].default
        known = SyntheticConfig.registry.setdefault(name, cls)
        if known.__qualname__ != cls.__qualname__:
            raise ValueError(f"task name {name!r} belongs to {known.__name__}; choose another for {cls.__name__}")

    @property
    def num_symbols(self) -> int:
        """Token ids are 0 .. num_symbols - 1, in inputs and in targets."""
        raise NotImplementedError

    @property
    def num_positions(self) -> int:
        """Length of every example."""
        raise NotImplementedError

    @property
    def max_targets(self) -> int:
        """The most positions of an example that are scored."""
        return self.num_positions

    @property
    def decodes_last(self) -> bool:
        """Whether all targets are to be decoded from the model's state at the last position."""
        return False


def parse_synthetic(value: Any) -> SyntheticConfig:
    """Settings of a task from its name, from {"name": ..., option: ...} or from settings (returned as they are)."""
    known = SyntheticConfig.registry
    return value if isinstance(value, SyntheticConfig) else of_its_kind(value, known, "synthetic task")


class SequenceConfig(SyntheticConfig):
    """What tasks over one vocabulary and one length have in common."""

    name: str = "sequence"
    vocab_size: int = Field(16, ge=4)
    seq_len: int = Field(128, ge=4)

    @property
    def num_symbols(self) -> int:
        return self.vocab_size

    @property
    def num_positions(self) -> int:
        return self.seq_len


class MQARConfig(SequenceConfig):
    """Multi-query associative recall: K pairs, then each key once more; the lower half of the ids are keys."""

    name: Literal["mqar"] = "mqar"
    vocab_size: int = Field(8192, ge=4)
    seq_len: int = Field(64, ge=4)
    num_pairs: int = Field(4, ge=1)
    power_a: float = Field(0.01, gt=0)  # a query's slot g = 0, 1, ... has weight (g + 1) ** (power_a - 1)
    filler: Literal["zero", "random"] = "zero"  # what stands between the queries: token 0, or any token

    @model_validator(mode="after")
    def _feasible(self) -> Self:
        if self.seq_len % 2 or self.vocab_size % 2:
            raise ValueError(f"seq_len and vocab_size must be even; got {self.seq_len} and {self.vocab_size}")
        if 4 * self.num_pairs > self.seq_len:
            raise ValueError(
                f"{self.num_pairs} pairs and their queries need seq_len of at least {4 * self.num_pairs};"
                f" got {self.seq_len}"
            )
        if self.vocab_size <= self.seq_len:
            raise ValueError(f"vocab_size must exceed seq_len; got {self.vocab_size} and {self.seq_len}")
        assert self.num_pairs < self.vocab_size // 2  # enough keys follow from the two above
        return self

    @property
    def num_slots(self) -> int:
        """S: pairs of positions behind the context that may hold a query."""
        return self.seq_len // 2 - self.num_pairs

    @property
    def max_targets(self) -> int:
        return self.num_pairs


class InContextRecallConfig(SequenceConfig):
    """Pairs of random keys, each with one value for the whole sequence; the last key was seen before (MAD)."""

    name: Literal["in_context_recall"] = "in_context_recall"
    targets: Literal["scored", "all"] = "scored"  # scored: values of keys seen before; all: every next token

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.seq_len % 2 or self.vocab_size % 2:
            raise ValueError(f"seq_len and vocab_size must be even; got {self.seq_len} and {self.vocab_size}")
        return self

    @property
    def num_ordinary(self) -> int:
        """Ids that are keys or values."""
        return self.vocab_size

    @property
    def num_noise(self) -> tuple[int, float]:
        """Ids of noise, and the share of pairs that are noise."""
        return 0, 0.0

    @property
    def max_targets(self) -> int:
        return self.seq_len - 1 if self.targets == "all" else self.seq_len // 2 - 1


class NoisyRecallConfig(InContextRecallConfig):
    """In-context recall with pairs of noise tokens in between (MAD); the last ids are noise."""

    name: Literal["noisy_recall"] = "noisy_recall"
    vocab_size: int = Field(32, ge=4)
    noise_vocab_size: int = Field(16, ge=1)
    noise_fraction: float = Field(0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _keys_left(self) -> Self:
        left = self.vocab_size - self.noise_vocab_size
        if left < 4 or left % 2:
            raise ValueError(f"vocab_size less noise_vocab_size must be even and at least 4; got {left}")
        return self

    @property
    def num_ordinary(self) -> int:
        return self.vocab_size - self.noise_vocab_size

    @property
    def num_noise(self) -> tuple[int, float]:
        return self.noise_vocab_size, self.noise_fraction


class FuzzyRecallConfig(SequenceConfig):
    """Recall of values that are words of 1 to 3 distinct tokens under keys that are such words (MAD)."""

    name: Literal["fuzzy_recall"] = "fuzzy_recall"
    vocab_size: int = Field(16, ge=8, le=64)  # the last id pads on the left
    seq_len: int = Field(128, ge=18)
    targets: Literal["scored", "all"] = "scored"


class SelectiveCopyConfig(SequenceConfig):
    """Content tokens among blanks, then a copy token and blanks, at which the content is due in order (MAD)."""

    name: Literal["selective_copy"] = "selective_copy"
    seq_len: int = Field(256, ge=4)
    num_content: int = Field(16, ge=1)

    @model_validator(mode="after")
    def _room(self) -> Self:
        if 2 * self.num_content + 1 >= self.seq_len:
            raise ValueError(f"num_content {self.num_content} needs seq_len above {2 * self.num_content + 1}")
        return self

    @property
    def max_targets(self) -> int:
        return self.num_content


class MemorisationConfig(SequenceConfig):
    """A fixed map from keys to values; the value is due at the insert token behind each key (MAD)."""

    name: Literal["memorisation"] = "memorisation"
    vocab_size: int = Field(256, ge=4)
    seq_len: int = Field(32, ge=2)
    map_seed: int = 12345

    @property
    def max_targets(self) -> int:
        return self.seq_len // 2


class CompressionConfig(SequenceConfig):
    """Random tokens and a last one; all of them are due from the state at the last (MAD)."""

    name: Literal["compression"] = "compression"
    seq_len: int = Field(32, ge=2)

    @property
    def decodes_last(self) -> bool:
        return True


class CopyConfig(SyntheticConfig):
    """BOS, n random letters, SEP, and the letters again, teacher-forced; right-padded (Jelassi et al. 2024).

    Letters have the ids 0 .. num_letters - 1; BOS, SEP, PAD and END follow.
    """

    name: Literal["copy"] = "copy"
    num_letters: int = Field(26, ge=2)
    min_length: int = Field(5, ge=1)
    max_length: int = Field(50, ge=1)
    end_token: bool = False  # END is due behind the last letter

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} exceeds max_length {self.max_length}")
        return self

    @property
    def num_symbols(self) -> int:
        return self.num_letters + 4

    @property
    def num_positions(self) -> int:
        return 2 * self.max_length + 1 + self.end_token

    @property
    def max_targets(self) -> int:
        return self.max_length + self.end_token


class RebindingRecallConfig(SequenceConfig):
    """Keys are bound to values, bound anew, and asked for: due is the latest value."""

    name: Literal["rebinding_recall"] = "rebinding_recall"
    seq_len: int = Field(64, ge=4)
    query_probability: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.seq_len % 2 or self.vocab_size % 2:
            raise ValueError(f"seq_len and vocab_size must be even; got {self.seq_len} and {self.vocab_size}")
        return self

    @property
    def max_targets(self) -> int:
        return self.seq_len // 2 - 1
