"""What models and jobs cost, from counts alone; imports without torch."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shared.train.run import Run

# Numbers kept per parameter: parameters, the stack's gradients, and the rule's buffers.
_BUFFERS = defaultdict(
    lambda: 2, {"sgd": 1, "sgd_ema": 1, "signsgd": 0, "signum": 1, "soft_signum": 1, "emasign": 1, "lion": 1, "ngn": 0}
)


@dataclass(frozen=True)
class ModelCost:
    """What one model costs.

    Args:
        num_params: trainable parameters.
        flops_per_token: of one update, forward and backward; about 6 per parameter outside the embedding, plus
            12 * layers * seq_len * d_model for attention (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
        activation_bytes_per_row: kept for the backward pass, per row of a batch.
    """

    num_params: int
    flops_per_token: float
    activation_bytes_per_row: float = 0.0


def member_bytes(run: Run, cost: ModelCost, bytes_per_number: int = 4) -> float:
    """Memory of one member of an ensemble whose members are all computed at once."""
    numbers = cost.num_params * (2 + _BUFFERS[run.optimizer])
    return numbers * bytes_per_number + cost.activation_bytes_per_row * run.batch_size


def job_bytes(runs: Sequence[Run], cost: ModelCost) -> float:
    """Memory of the runs as one ensemble."""
    return sum(member_bytes(run, cost) for run in runs)


def job_flops(runs: Sequence[Run], cost: ModelCost) -> float:
    """Arithmetic of all updates of the runs."""
    return cost.flops_per_token * sum(run.num_tokens for run in runs)
