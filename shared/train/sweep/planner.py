"""Pack the runs of a sweep into shards, and say what they cost; imports without torch.

A shard is one ensemble: runs of one shape, few enough for the memory. All that the planner knows of a model is
`ModelCost`; so a sweep of models that nobody has built yet can be planned.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shared.train.sweep.config import Run, SweepConfig, expand

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


@dataclass(frozen=True)
class Shard:
    """Runs that are trained together as one ensemble."""

    index: int
    runs: tuple[Run, ...]
    memory_bytes: float
    flops: float

    @property
    def num_tokens(self) -> int:
        return sum(run.num_tokens for run in self.runs)


@dataclass(frozen=True)
class Plan:
    """All shards of a sweep."""

    shards: tuple[Shard, ...]

    @property
    def num_runs(self) -> int:
        return sum(len(shard.runs) for shard in self.shards)

    @property
    def num_tokens(self) -> int:
        return sum(shard.num_tokens for shard in self.shards)

    @property
    def flops(self) -> float:
        return sum(shard.flops for shard in self.shards)

    def hours(self, flops_per_second: float) -> float:
        """Device hours at a sustained rate."""
        return self.flops / flops_per_second / 3600


def member_bytes(run: Run, cost: ModelCost, bytes_per_number: int = 4) -> float:
    """Memory of one member of an ensemble whose members are all computed at once."""
    numbers = cost.num_params * (2 + _BUFFERS[run.optimizer])
    return numbers * bytes_per_number + cost.activation_bytes_per_row * run.batch_size


def plan_sweep(
    sweep: SweepConfig,
    cost: ModelCost,
    *,
    memory_bytes: float = 4e9,
    max_members: int | None = None,
    min_shards: int = 1,
) -> Plan:
    """Pack the runs of `sweep` into shards.

    Runs of one shape stay in the order of the sweep, sorted by optimiser, and are cut into shards of nearly equal
    length. Shards that take longest come first, which keeps the tail short when several workers share them.

    Args:
        cost: of the model, the same for all runs (a sweep over model sizes is planned size by size).
        memory_bytes: bound on one shard.
        max_members: bound on the members of a shard.
        min_shards: at least so many shards per shape, so that as many workers have something to do.
    Raises:
        ValueError: one run alone does not fit.
    """
    groups: dict[tuple, list[Run]] = defaultdict(list)
    for run in expand(sweep):
        groups[run.shape].append(run)
    cut: list[tuple[Run, ...]] = []
    for runs in groups.values():
        runs.sort(key=lambda run: run.optimizer)
        cut += _cut(runs, cost, memory_bytes, max_members, min_shards)
    cut.sort(key=lambda runs: -_flops(runs, cost))  # stable: equal ones keep their order
    shards = [
        Shard(i, runs, sum(member_bytes(run, cost) for run in runs), _flops(runs, cost)) for i, runs in enumerate(cut)
    ]
    return Plan(tuple(shards))


def _cut(
    runs: Sequence[Run], cost: ModelCost, memory: float, max_members: int | None, min_shards: int
) -> list[tuple[Run, ...]]:
    largest = max(member_bytes(run, cost) for run in runs)
    if largest > memory:
        raise ValueError(
            f"'{runs[0].name}' alone needs {largest / 1e9:.2f} GB and a shard may take {memory / 1e9:.2f} GB;"
            " raise the bound, shrink the batch, or train these runs with the training loop on several devices"
        )
    length = min(int(memory // largest), max_members or len(runs))
    count = min(len(runs), max(math.ceil(len(runs) / length), min_shards))
    edges = [len(runs) * k // count for k in range(count + 1)]
    return [tuple(runs[a:b]) for a, b in itertools.pairwise(edges)]


def _flops(runs: Sequence[Run], cost: ModelCost) -> float:
    return cost.flops_per_token * sum(run.num_tokens for run in runs)
