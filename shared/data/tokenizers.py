"""Text to ids and back: bytes, characters, words, or byte-pair encoding trained on a given text.

Ordinary tokens have the ids 0..N-1; special tokens follow, so that a model's distribution over ordinary tokens
is a slice of its logits. Text that happens to contain "[MASK]" is encoded as the six characters it is.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from shared.base.cache import build_once, cache_dir, short_key
from shared.data.config import TokenizerConfig
from shared.data.sources import mirror_dir

REPLACEMENT = "\ufffd"  # stands for every character outside a tokenizer's inventory
UNKNOWN, LINE_END = "<unk>", "<eos>"  # of word tokenizers
# a word with the blank before it, a single digit, a run of other signs, a run of white space
_PIECES = r" ?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+|\s+"


class Codec(Protocol):
    """What one kind of tokenizer does with ordinary tokens."""

    token_bytes: list[bytes]  # of each ordinary token, UTF-8

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]: ...


class Tokenizer:
    """Ordinary tokens of a codec, then special tokens.

    Args:
        codec: turns text into ordinary ids.
        special_tokens: appended in this order.
    """

    def __init__(self, codec: Codec, special_tokens: Sequence[str] = ()):
        self._codec = codec
        self.special_tokens = tuple(special_tokens)

    @property
    def num_ordinary(self) -> int:
        """Ids below this one are text."""
        return len(self._codec.token_bytes)

    @property
    def vocab_size(self) -> int:
        """Ordinary and special tokens."""
        return self.num_ordinary + len(self.special_tokens)

    def special_id(self, token: str) -> int | None:
        """Id of a special token, or None if this tokenizer lacks it."""
        return self.num_ordinary + self.special_tokens.index(token) if token in self.special_tokens else None

    @property
    def mask_id(self) -> int | None:
        return self.special_id("[MASK]")

    @property
    def pad_id(self) -> int | None:
        return self.special_id("[PAD]")

    @property
    def bos_id(self) -> int | None:
        return self.special_id("[BOS]")

    @property
    def eos_id(self) -> int | None:
        return self.special_id("[EOS]")

    @cached_property
    def token_strings(self) -> list[str]:
        """Readable form of each id; a byte that is no character of its own appears as the replacement."""
        return [piece.decode("utf-8", "replace") for piece in self._codec.token_bytes] + list(self.special_tokens)

    def encode(self, text: str) -> np.ndarray:
        """Ids of `text`, int64, no special tokens added."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of many texts, int64; much quicker than one by one for BPE."""
        return self._codec.encode_batch(texts)

    def decode(self, ids: Sequence[int] | np.ndarray, keep_special: bool = False) -> str:
        """Text of `ids`; special tokens are left out, or written by name.

        Raises:
            ValueError: an id is outside of the vocabulary.
        """
        pieces = []
        for i in np.asarray(ids, dtype=np.int64).ravel().tolist():
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"token id {i} is outside of the vocabulary 0..{self.vocab_size - 1}")
            if i < self.num_ordinary:
                pieces.append(self._codec.token_bytes[i])
            elif keep_special:
                pieces.append(self.special_tokens[i - self.num_ordinary].encode())
        return b"".join(pieces).decode("utf-8", "replace")


class ByteCodec:
    """UTF-8 bytes; needs no training and loses nothing."""

    def __init__(self) -> None:
        self.token_bytes = [bytes([value]) for value in range(256)]

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.frombuffer(text.encode(), np.uint8).astype(np.int64) for text in texts]


class LettersCodec:
    """a to z and the blank; all else, digits and line ends too, is a blank, and of several blanks one is kept.

    Lossy: capitals become small. A text ends in one blank and begins with none, so texts end to end stay apart.
    Source: the reduction of text8 (Mahoney 2011), which spells digits out.
    """

    def __init__(self) -> None:
        self.token_bytes = [b" ", *(bytes([code]) for code in range(ord("a"), ord("z") + 1))]

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        reduced = [re.sub("[^a-z]+", " ", text.lower()).strip(" ") for text in texts]
        codes = [np.frombuffer((text + " ").encode() if text else b"", np.uint8).astype(np.int64) for text in reduced]
        return [np.where(code == ord(" "), 0, code - ord("a") + 1) for code in codes]


class CharCodec:
    """A fixed inventory of characters; all others become the replacement.

    Args:
        characters: the inventory, REPLACEMENT among it.
    """

    def __init__(self, characters: Sequence[str]):
        self.token_bytes = [character.encode() for character in characters]
        codes = np.array([ord(character) for character in characters])
        self._table = np.full(0x110000, list(characters).index(REPLACEMENT), np.int32)
        self._table[codes] = np.arange(len(codes))

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        # a lone surrogate is a character of its own to Python, hence surrogatepass
        return [
            self._table[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)].astype(np.int64)
            for text in texts
        ]


class WordCodec:
    """Words between blanks, and the ends of lines; all others become `UNKNOWN`. Decoded words end in one blank each.

    Source: Mikolov et al. 2010 (Penn Treebank), Merity et al. 2016 (arXiv 1609.07843); their files hold <unk> itself.

    Args:
        words: the inventory, UNKNOWN and LINE_END among it.
    """

    def __init__(self, words: Sequence[str]):
        self.token_bytes = [b"\n" if word == LINE_END else f"{word} ".encode() for word in words]
        self._ids = {word: i for i, word in enumerate(words)}

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        unknown, get = self._ids[UNKNOWN], self._ids.get
        return [np.fromiter((get(word, unknown) for word in _words(text)), np.int64) for text in texts]


class BPECodec:
    """Byte-pair encoding by the `tokenizers` library.

    Args:
        model: the library's JSON.
        characters: inventory to which text is reduced first, or None for byte level.
    """

    def __init__(self, model: str, characters: Sequence[str] | None):
        import tokenizers

        self._model = tokenizers.Tokenizer.from_str(model)
        self._inventory = None if characters is None else frozenset(characters)
        vocabulary = sorted(self._model.get_vocab().items(), key=lambda item: item[1])
        unprintable = _byte_of_character() if characters is None else None
        self.token_bytes = [
            token.encode() if unprintable is None else bytes(unprintable[c] for c in token) for token, _ in vocabulary
        ]

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        # merges never cross a piece and pieces recur: encoding each distinct one once is four times quicker
        split = re.compile(_PIECES).findall
        cut = [split(text if self._inventory is None else _reduce(text, self._inventory)) for text in texts]
        distinct = list(dict.fromkeys(itertools.chain.from_iterable(cut)))
        ids_of = {p: e.ids for p, e in zip(distinct, self._model.encode_batch_fast(distinct), strict=True)}
        return [np.fromiter(itertools.chain.from_iterable(map(ids_of.__getitem__, pieces)), np.int64) for pieces in cut]


class HubCodec:
    """A published byte-level tokenizer, such as GPT-2's, with its own rules of splitting text.

    Args:
        model: the library's JSON.
    """

    def __init__(self, model: str):
        import tokenizers

        self._model = tokenizers.Tokenizer.from_str(model)
        of_character = _byte_of_character()
        vocabulary = sorted(self._model.get_vocab().items(), key=lambda item: item[1])
        self.token_bytes = [bytes(of_character[c] for c in token) for token, _ in vocabulary]

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        encodings = self._model.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.asarray(encoding.ids, np.int64) for encoding in encodings]


def _published_model(config: TokenizerConfig) -> str:
    """JSON of a hub tokenizer: from `<mirror>/tokenizers/<name>/tokenizer.json` if there is one, else from the hub."""
    import tokenizers

    mirror = mirror_dir()
    file = mirror / "tokenizers" / config.name / "tokenizer.json" if mirror else None
    if file is not None and file.is_file():
        model = tokenizers.Tokenizer.from_file(str(file))
    else:
        try:
            model = tokenizers.Tokenizer.from_pretrained(config.name, revision=config.revision or "main")
        except Exception as error:  # the library raises its own kinds for every fault of the network
            raise ValueError(
                f"cannot fetch the tokenizer '{config.name}' from the hub ({str(error).splitlines()[0]}); without a"
                f" network, put its tokenizer.json into tokenizers/{config.name}/ of the folder ARTIFACTS_MIRROR names"
            ) from None
    if model.get_vocab_size() != config.num_ordinary:
        raise ValueError(
            f"tokenizer '{config.name}' has {model.get_vocab_size()} tokens, the settings say {config.num_ordinary};"
            f" set num_ordinary: {model.get_vocab_size()}"
        )
    return model.to_str()


def train_tokenizer(config: TokenizerConfig, documents: Sequence[str]) -> dict:
    """Everything that `load_tokenizer` needs, as JSON-ready values; the same input gives the same result.

    Raises:
        ValueError: the text has too few characters or pairs for the vocabulary that was asked for.
    """
    state: dict = {"config": config.model_dump(mode="json")}
    if config.kind == "hub":  # trained by its publisher
        return state | {"model": _published_model(config)}
    if config.kind == "word":
        return state | {"words": _frequent_words(documents, config.num_ordinary)}
    stride = max(1, -(-sum(map(len, documents)) // config.training_characters))
    documents = documents[::stride]
    if config.kind == "char":
        characters = _frequent_characters(documents, config.num_ordinary)
        if len(characters) < config.num_ordinary:
            raise ValueError(
                f"the text has {len(characters) - 1} different characters; with one replacement that makes"
                f" {len(characters)} tokens, {config.num_ordinary} were asked for; lower num_ordinary"
            )
        state["characters"] = characters
    elif config.kind == "bpe":
        characters = None if config.byte_level else _frequent_characters(documents, config.num_characters)
        state |= {"characters": characters, "model": _train_bpe(documents, config.num_ordinary, characters)}
    return state


def load_tokenizer(state: dict) -> Tokenizer:
    """Tokenizer from what `train_tokenizer` returned."""
    config = TokenizerConfig.model_validate(state["config"])
    if config.kind == "byte":
        codec: Codec = ByteCodec()
    elif config.kind == "letters":
        codec = LettersCodec()
    elif config.kind == "char":
        codec = CharCodec(state["characters"])
    elif config.kind == "word":
        codec = WordCodec(state["words"])
    elif config.kind == "hub":
        codec = HubCodec(state["model"])
    else:
        codec = BPECodec(state["model"], state["characters"])
    return Tokenizer(codec, config.special_tokens)


def cached_tokenizer(config: TokenizerConfig, documents: Callable[[], Sequence[str]], identity: str) -> Tokenizer:
    """Tokenizer trained on a text, or the one trained before.

    Args:
        documents: returns the text; called only if training is needed.
        identity: stands for the text in the name of the cache entry; the caller answers for it.
    """
    import tokenizers

    key = short_key(identity, config.model_dump_json(), tokenizers.__version__)

    def build(path: Path) -> None:
        path.write_text(json.dumps(train_tokenizer(config, documents())) + "\n", encoding="utf-8")

    path = build_once(cache_dir() / "tokenizers" / f"{config.kind}-{config.num_ordinary}-{key}.json", build)
    return load_tokenizer(json.loads(path.read_text(encoding="utf-8")))


def _train_bpe(documents: Sequence[str], num_tokens: int, characters: Sequence[str] | None) -> str:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    model = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_PIECES), "isolated")
    if characters is None:
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        model.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    else:
        model.pre_tokenizer = split
        alphabet = sorted(characters)
        inventory = frozenset(characters)
        documents = [_reduce(document, inventory) for document in documents]
    trainer = trainers.BpeTrainer(
        vocab_size=num_tokens, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False
    )
    model.train_from_iterator(documents, trainer)
    if model.get_vocab_size() != num_tokens:
        raise ValueError(
            f"the text supports {model.get_vocab_size()} BPE tokens, {num_tokens} were asked for; lower num_ordinary"
            " or train on more text"
        )
    return model.to_str()


def _frequent_characters(documents: Sequence[str], num: int) -> list[str]:
    """The replacement and the (at most) `num` - 1 most frequent characters; ties go to the lower code point."""
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(document)
    counts.pop(REPLACEMENT, None)
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    return [REPLACEMENT, *sorted(ranked[: num - 1])]


def _words(text: str) -> list[str]:
    return text.replace("\n", f" {LINE_END} ").split()


def _frequent_words(documents: Sequence[str], num: int) -> list[str]:
    """UNKNOWN, LINE_END and the `num` - 2 most frequent other words; ties go to the first in order.

    Raises:
        ValueError: the text has fewer.
    """
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(_words(document))
    for own in (UNKNOWN, LINE_END):
        counts.pop(own, None)
    if len(counts) + 2 < num:
        raise ValueError(
            f"the text has {len(counts)} different words; with {UNKNOWN} and {LINE_END} that makes {len(counts) + 2}"
            f" tokens, {num} were asked for; lower num_ordinary"
        )
    return [UNKNOWN, LINE_END, *sorted(sorted(counts, key=lambda word: (-counts[word], word))[: num - 2])]


def _reduce(text: str, inventory: frozenset[str]) -> str:
    """`text` with the replacement for every character outside of `inventory`."""
    foreign = set(text) - inventory
    return text.translate({ord(character): REPLACEMENT for character in foreign}) if foreign else text


def _byte_of_character() -> dict[str, int]:
    """Inverse of the library's byte-level alphabet: printable stand-in -> byte.

    Bytes that are printable Latin-1 stand for themselves, the others are numbered from code point 256 on.
    Source: Radford et al. 2019 (GPT-2), byte-level BPE.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {chr(value): value for value in printable}
    others = [value for value in range(256) if value not in set(printable)]
    return table | {chr(256 + i): value for i, value in enumerate(others)}
