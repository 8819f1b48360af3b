"""Random numbers addressed by (seed, purpose, step, row): no stream, hence no history to restore."""

import numpy as np

from shared.base.seeding import derive_seed

_WORDS = 4  # 64-bit words that Philox4x64 makes per counter value


def row_words(seed: int, purpose: str, step: int, rows: range, num: int) -> np.ndarray:
    """`num` random 64-bit words for each row of one step, (len(rows), num), uint64.

    Row r gets the same words whichever other rows are asked for: Philox is a function of (key, counter), the
    key comes from (seed, purpose, step) and each row owns its own counter values.
    Source: Salmon et al. 2011 (Philox4x64-10), NumPy's implementation.
    """
    if len(rows) == 0:
        return np.empty((0, num), np.uint64)
    first, last = min(rows[0], rows[-1]), max(rows[0], rows[-1])
    if first < 0:
        raise ValueError(f"rows must not be negative; got {rows}")
    blocks = -(-num // _WORDS)  # counter values a row owns
    philox = np.random.Philox(key=derive_seed(seed, purpose, step), counter=first * blocks)
    words = philox.random_raw((last - first + 1) * blocks * _WORDS).reshape(last - first + 1, -1)
    return words[np.asarray(rows) - first, :num]


def row_uniforms(seed: int, purpose: str, step: int, rows: range, num: int) -> np.ndarray:
    """As `row_words`, uniform in [0, 1) with 53 bits, (len(rows), num), float64."""
    return (row_words(seed, purpose, step, rows, num) >> np.uint64(11)) * 2.0**-53


def check_rows(rows: range, batch_size: int) -> None:
    """Refuse rows outside of the global batch."""
    if len(rows) and not (min(rows[0], rows[-1]) >= 0 and max(rows[0], rows[-1]) < batch_size):
        raise ValueError(f"rows must lie within the global batch of {batch_size}; got {rows}")
