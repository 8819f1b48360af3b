"""Captions from templates: words with slots, one for each attribute of an image. They can be read back."""

from dataclasses import dataclass

import numpy as np

PADDING = 0  # the token after a caption's end


@dataclass(frozen=True, eq=False)
class Grammar:
    """Templates over attributes.

    Args:
        attributes: name -> the word of each of its values, in order.
        templates: sentences; {name} is a slot, and each template has a slot for every attribute.
    Raises:
        ValueError: a template that lacks an attribute.
    """

    attributes: dict[str, tuple[str, ...]]
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        for template in self.templates:
            lacking = [name for name in self.attributes if f"{{{name}}}" not in template.split()]
            if lacking:
                raise ValueError(f"the template '{template}' says nothing of '{lacking[0]}'")

    @property
    def words(self) -> list[str]:
        """All words in one order; token i + 1 is word i."""
        fixed = {word for t in self.templates for word in t.split() if not word.startswith("{")}
        return sorted(fixed) + [word for words in self.attributes.values() for word in words if word not in fixed]

    @property
    def vocabulary(self) -> dict[str, int]:
        """Word -> token, from 1; 0 is padding. Attributes may share words."""
        return {word: i + 1 for i, word in enumerate(dict.fromkeys(self.words))}

    @property
    def length(self) -> int:
        """Tokens of the longest caption."""
        return max(len(t.split()) for t in self.templates)

    def captions(self, values: np.ndarray, templates: np.ndarray) -> np.ndarray:
        """Tokens (n, T), padded, of images with attribute `values` (n, A) under the named templates (n,)."""
        vocabulary, slots = self.vocabulary, list(self.attributes)
        tables = [np.array([vocabulary[w] for w in words]) for words in self.attributes.values()]
        tokens = np.full((len(values), self.length), PADDING, dtype=np.int64)
        for index, template in enumerate(self.templates):
            rows = np.flatnonzero(templates == index)
            for place, word in enumerate(template.split()):
                slot = slots.index(word[1:-1]) if word.startswith("{") else None
                tokens[rows, place] = vocabulary[word] if slot is None else tables[slot][values[rows, slot]]
        return tokens

    def prefaces(self, values: np.ndarray) -> np.ndarray:
        """The attributes' words alone, (n, A) tokens."""
        vocabulary = self.vocabulary
        tables = [np.array([vocabulary[w] for w in words]) for words in self.attributes.values()]
        return np.stack([table[values[:, i]] for i, table in enumerate(tables)], axis=1)

    def text(self, tokens: np.ndarray) -> str:
        """Tokens (T,) as words."""
        words = list(self.vocabulary)
        return " ".join(words[t - 1] for t in tokens if t != PADDING)

    def parse(self, text: str) -> tuple[list[int], int]:
        """A caption -> its attribute values and its template.

        Raises:
            ValueError: no template gives this caption.
        """
        for index, template in enumerate(self.templates):
            parts, words = template.split(), text.split()
            if len(parts) != len(words):
                continue
            found = {p[1:-1]: w for p, w in zip(parts, words, strict=True) if p.startswith("{")}
            fixed = all(p == w for p, w in zip(parts, words, strict=True) if not p.startswith("{"))
            if fixed and all(found[name] in known for name, known in self.attributes.items()):
                return [known.index(found[name]) for name, known in self.attributes.items()], index
        raise ValueError(f"'{text}' is no caption of this grammar")

    def meanings(self, values: np.ndarray) -> np.ndarray:
        """One number for each combination of attribute values, (n,); images of one number mean the same."""
        sizes = [len(words) for words in self.attributes.values()]
        return np.ravel_multi_index(values.T, sizes)
