"""Settings of the data room: frozen, unknown keys refused, no torch."""

from typing import Literal

from pydantic import Field, model_validator

from shared.base.settings import StrictModel

SpecialToken = Literal["[MASK]", "[PAD]", "[BOS]", "[EOS]"]


class TokenizerConfig(StrictModel):
    """How text becomes ids.

    Ordinary tokens have the ids 0..N-1; the special ones follow in the order given, so that a loss over
    ordinary tokens is a slice.
    """

    kind: Literal["byte", "letters", "char", "word", "bpe", "hub"] = "bpe"
    # Ordinary tokens, without the special ones. byte: always 256. letters: always 27, the blank and a to z. char: the
    # most frequent characters and one replacement for all others. word: the ends of lines, the most frequent words
    # between blanks, and <unk> for all others. bpe: characters (or bytes), then merges. hub: all tokens of the
    # published tokenizer.
    num_ordinary: int = Field(default=512, ge=2)
    # bpe only: start from the 256 bytes (lossless for any text) instead of the `num_characters` most frequent ones
    byte_level: bool = False
    # bpe without byte_level: at most so many characters get an id of their own, the replacement included
    num_characters: int = Field(default=97, ge=2)
    # hub only: a published byte-level tokenizer, such as gpt2, and its revision there (None: the newest)
    name: str | None = None
    revision: str | None = None
    special_tokens: tuple[SpecialToken, ...] = ()
    # characters of text that training looks at: documents at equal distances through the whole corpus; word: all
    training_characters: int = Field(default=4_000_000, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> "TokenizerConfig":
        if len(set(self.special_tokens)) != len(self.special_tokens):
            raise ValueError(f"special_tokens names one token twice: {list(self.special_tokens)}")
        if self.kind == "byte" and self.num_ordinary != 256:
            raise ValueError(
                f"a byte tokenizer has 256 ordinary tokens, not {self.num_ordinary}; set num_ordinary: 256"
            )
        if self.kind == "letters" and self.num_ordinary != 27:
            raise ValueError(
                f"a tokenizer of letters has 27 ordinary tokens, not {self.num_ordinary}; set num_ordinary: 27"
            )
        if (self.kind == "hub") != (self.name is not None):
            raise ValueError("a tokenizer of kind hub is known by its 'name', and no other kind has one")
        base = 256 if self.byte_level else self.num_characters
        if self.kind == "bpe" and self.num_ordinary < base:
            raise ValueError(
                f"num_ordinary is {self.num_ordinary}, but BPE starts from {base} symbols; raise num_ordinary to at"
                f" least {base}" + ("" if self.byte_level else " or lower num_characters")
            )
        return self


class TextConfig(StrictModel):
    """A text corpus, its tokenizer, and how sequences are cut from it."""

    # "docstrings" (made from the installed packages, no network) or the name of a text source in the registry
    source: str = "docstrings"
    # documents read from a streamed source; None reads all that a bundled source has
    max_documents: int | None = Field(default=None, ge=2)
    # share of documents held out where the source has no validation split of its own
    validation_share: float = Field(default=0.05, gt=0, lt=1)
    tokenizer: TokenizerConfig = TokenizerConfig()
    # packed: documents end to end, a crop may span several. documents: one document a row, right-padded
    layout: Literal["packed", "documents"] = "packed"

    @model_validator(mode="after")
    def _padding_exists(self) -> "TextConfig":
        if self.layout == "documents" and "[PAD]" not in self.tokenizer.special_tokens:
            raise ValueError("layout documents pads on the right: add '[PAD]' to tokenizer.special_tokens")
        return self


class MarkovConfig(StrictModel):
    """A sparse random Markov source; the same numbers give the same chain."""

    num_states: int = Field(default=16, ge=2)  # V0, symbols
    num_successors: int = Field(default=3, ge=1)  # K, symbols that may follow a context
    order: int = Field(default=1, ge=1)  # symbols in a context
    seed: int = 0  # of the chain itself, not of the sequences drawn from it

    @model_validator(mode="after")
    def _feasible(self) -> "MarkovConfig":
        if self.num_successors > self.num_states:
            raise ValueError(
                f"num_successors is {self.num_successors}, but there are only {self.num_states} states; lower it"
            )
        if self.num_states**self.order > 4096:
            raise ValueError(
                f"{self.num_states} states at order {self.order} make {self.num_states**self.order} contexts; "
                "at most 4096 are handled exactly, lower num_states or order"
            )
        return self
