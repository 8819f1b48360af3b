"""Settings of the exact analyses and of the trained ablations; no torch here."""

from typing import Any, Literal

from pydantic import Field

from shared.base.settings import StrictModel
from shared.train.recall.config import RecallSettings, RecallShard
from shared.train.sweep.config import SweepConfig
from shared.train.sweep.packing import sweep_shards

Part = Literal["casts", "maps", "rank", "zero_sets", "cover", "permutation", "structure", "scaling", "stability"]


class Casts(StrictModel):
    """Architectures against their implementations."""

    seq_len: int = Field(ge=2)
    num_seeds: int = Field(ge=1)  # of parameters and inputs
    map_len: int = Field(ge=2)  # steps of the coefficient maps


class Ranks(StrictModel):
    """Rank of phi(Q K^T)."""

    shapes: tuple[tuple[int, int], ...]  # (n, T)
    readouts: tuple[str, ...]
    tolerance: float = Field(gt=0)  # of a singular value, relative to the largest
    num_seeds: int = Field(ge=1)


class Cover(StrictModel):
    """Subsets of keys that a query can keep."""

    ns: tuple[int, ...]
    ratios: tuple[float, ...]  # T / n
    num_subsets: int = Field(ge=1)


class Permutations(StrictModel):
    """Orders of the past."""

    seq_len: int = Field(ge=3)
    n: int = Field(ge=2, multiple_of=2)
    num_permutations: int = Field(ge=1)


class Structures(StrictModel):
    """A key that is bound twice."""

    n: int = Field(ge=2)
    lag: int = Field(ge=2)
    decay: float = Field(gt=0, lt=1)
    betas: tuple[float, ...]


class Scaling(StrictModel):
    """Variance of pre-activations."""

    ns: tuple[int, ...]
    exponents: tuple[float, ...]  # b = n ** exponent
    num_draws: int = Field(ge=2)


class Stability(StrictModel):
    """Size of rows of coefficients."""

    n: int = Field(ge=1)
    seq_len: int = Field(ge=2)
    decays: tuple[float, ...]
    num_draws: int = Field(ge=2)
    shown: tuple[int, ...]  # rows i, from 0


class Exact(StrictModel):
    """All that needs no training."""

    epsilon: float = Field(gt=0)  # of near-zero sets
    num_points: int = Field(ge=2)
    casts: Casts
    ranks: Ranks
    cover: Cover
    permutations: Permutations
    structures: Structures
    scaling: Scaling
    stability: Stability


class ExactShard(StrictModel):
    """Parts of one job."""

    parts: tuple[Part, ...]
    exact: Exact


class TaskChange(StrictModel):
    """A task of a study: what differs from the study's own settings."""

    data: dict[str, Any] = {}  # of another name: all of its settings
    num_examples: int | None = Field(default=None, ge=1)


class Study(StrictModel):
    """One ablation: every variant on every task, tuned alike, then trained again with fresh seeds."""

    title: str  # in figures
    recall: RecallSettings
    tasks: dict[str, TaskChange | None]  # None leaves one out
    variants: dict[str, dict[str, Any] | None]  # settings of the backbone that differ; None leaves one out
    sweep: SweepConfig  # what is tuned
    final_seeds: tuple[int, ...] = Field(min_length=1)  # trained at the best values, none of them used for tuning
    test_examples: int = Field(ge=1)
    per_job: int = Field(ge=1)  # variants of a job

    def shards(self, name: str, num_gpus: int) -> dict[str, "AblateShard"]:
        """Shard name -> what its job trains."""
        tasks, variants = ([k for k, v in own.items() if v is not None] for own in (self.tasks, self.variants))
        whole, found = [(task, variant) for task in tasks for variant in variants], {}
        own = {"final_seeds": self.final_seeds, "test_examples": self.test_examples, "num_gpus": num_gpus}
        for start in range(0, len(whole), self.per_job):
            cells = tuple(self._cell(*pair, num_gpus) for pair in whole[start : start + self.per_job])
            found[f"{name}-{start // self.per_job:02d}"] = AblateShard(study=name, cells=cells, **own)
        return found

    def _cell(self, task: str, variant: str, num_gpus: int) -> "Cell":
        change, settings = self.tasks[task], self.recall.model_dump() | {"num_gpus": num_gpus}
        other = change.data.get("name", settings["data"]["name"]) != settings["data"]["name"]
        settings["data"] = change.data if other else settings["data"] | change.data
        settings["num_examples"] = change.num_examples or settings["num_examples"]
        settings["backbone"] = settings["backbone"] | self.variants[variant]
        recall = RecallSettings.model_validate(settings)
        label = f"{task}, {variant}"
        (shard,) = sweep_shards(RecallShard, recall, self.sweep, name=label, max_members=1024).values()
        return Cell(task=task, variant=variant, tuning=shard)


class Cell(StrictModel):
    """A variant on a task."""

    task: str
    variant: str
    tuning: RecallShard


class AblateShard(StrictModel):
    """One job of a study."""

    study: str
    cells: tuple[Cell, ...]
    final_seeds: tuple[int, ...]
    test_examples: int
    num_gpus: int
