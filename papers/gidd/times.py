"""Times of a training or evaluation batch."""

import torch
from torch import Tensor

from papers.gidd.checks import check_positive_count, check_truncation


def low_discrepancy_times(
    u: float, batch_size: int, rows: Tensor | slice | None = None, *, eps: float = 1e-4
) -> Tensor:
    """One time per sequence, evenly spread over the batch: t_j = eps + (1 - 2 eps) ((j / batch_size + u) mod 1).

    A pure function of its arguments: data-parallel ranks share `u` and `batch_size` (the global batch) and pass the
    rows that are theirs.

    Args:
        u: the batch's single uniform draw, in [0, 1).
        batch_size: sequences in the global batch.
        rows: row indices j; all rows in order if omitted.
        eps: the times stay inside [eps, 1 - eps].
    Returns:
        Times, (number of rows,), float64.
    Source: von Rütte et al. 2025, arXiv 2503.04482, code; low-discrepancy sampling after Kingma et al. 2021.
    """
    check_positive_count(batch_size, "batch_size")
    check_truncation(eps)
    if not 0 <= u < 1:
        raise ValueError(f"u is one uniform draw per batch, in [0, 1); got {u}")
    j = torch.arange(batch_size, dtype=torch.float64)
    if rows is not None:
        j = j[rows]
    return eps + (1 - 2 * eps) * torch.remainder(j / batch_size + u, 1)
