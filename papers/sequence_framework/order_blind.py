"""What a task yields to a rule that knows everything but the order of the past: a scale for position and overwriting.

Shapes: N examples, L positions.
"""

import numpy as np

from shared.base.seeding import derive_seed
from shared.data.synthetic.config import SyntheticConfig
from shared.data.synthetic.registry import UNSCORED, examples


def order_blind_accuracy(data: SyntheticConfig, num_examples: int) -> float:
    """Mean over the answers of the first test examples; ties are broken by chance.

    Selective copying: the most frequent content token, at every place. Rebinding recall: the most frequent value of the
    key so far, which is all that a sum of its values tells.

    Raises:
        ValueError: another task.
    """
    found = examples(data, derive_seed(0, "recall set", "test"), range(num_examples))
    pairs = zip(found.tokens, found.targets, strict=True)
    if data.name == "selective_copy":
        shares = [share for _, due in pairs for share in _of_content(due[due != UNSCORED])]
    elif data.name == "rebinding_recall":
        shares = [share for tokens, due in pairs for share in _of_bindings(tokens, due)]
    else:
        raise ValueError(f"no rule without order for {data.name!r}; known are selective_copy, rebinding_recall")
    return float(np.mean(shares))


def _of_content(letters: np.ndarray) -> list[float]:
    """Chance of each answer when one of the most frequent letters is named at every place."""
    return [_chance(letters, letter) for letter in letters]


def _of_bindings(tokens: np.ndarray, due: np.ndarray) -> list[float]:
    """Chance of each answer when one of the key's most frequent values so far is named."""
    keys, values = tokens[0::2], tokens[1::2]
    return [_chance(values[:slot][keys[:slot] == keys[slot]], due[2 * slot])
            for slot in np.flatnonzero(due[0::2] != UNSCORED)]  # fmt: skip


def _chance(seen: np.ndarray, answer: int) -> float:
    """1 / number of most frequent values of `seen` if `answer` is one of them, else 0."""
    counts = np.bincount(seen)
    modes = np.flatnonzero(counts == counts.max())
    return float(answer in modes) / len(modes)
