"""What the language-model sections of config.yaml mean, and what each step's job reads of them. No torch here."""

import itertools
from collections import Counter
from typing import ClassVar, Self

from pydantic import Field, model_validator

from shared.base.settings import Positive, StrictModel
from shared.data.config import TextConfig
from shared.optim.ranges import check_hyperparameters
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.run import Run
from shared.train.sweep.config import SweepConfig, expand

# Rule -> the values over which its tuned hyperparameter gains, at every batch size.
UNTUNED = {"sgd_ema": {"momentum": 0.0}, "adam": {"beta1": 0.9, "beta2": 0.95}}


class GapSettings(LanguageSettings):
    """A language model and how its losses are broken down."""

    num_groups: int = Field(ge=1)  # frequency groups of the vocabulary
    train_windows: int = Field(ge=1)  # windows of training text whose loss is measured, too; a multiple of
    # validation_rows


class GapShard(LanguageShard, GapSettings):
    """One job of a sweep."""

    own_rules: ClassVar[tuple[str, ...]] = (
        "graft_adam_sgd",
        "graft_sgd_adam",
        "sgd_quantile_clip",
        "sgd_ema_quantile_clip",
    )


class Sweeps(StrictModel):
    """The sweeps; each at equal tokens, except for `steps`."""

    main: SweepConfig  # optimiser x momentum or beta2 x learning rate x batch size, gradients clipped to norm 1
    no_clip: SweepConfig  # the same for momentum SGD without clipping
    interventions: SweepConfig  # grafting and quantile clipping at the largest batch
    steps: SweepConfig  # equal updates in place of equal tokens: a different question

    @model_validator(mode="after")
    def _beside_main(self) -> Self:
        """What is compared with the main sweep has its batch sizes; gains are over settings that it has to have."""
        sizes = {name: {run.batch_size for run in expand(sweep)} for name, sweep in self}
        if sizes["interventions"] != {max(sizes["main"])}:
            raise ValueError(
                f"interventions are compared at the largest batch size of the main sweep, {max(sizes['main'])}; got"
                f" {sorted(sizes['interventions'])}"
            )
        if alone := sorted(sizes["no_clip"] - sizes["main"]):
            raise ValueError(f"no_clip has batch size {alone[0]}, which the main sweep lacks: {sorted(sizes['main'])}")
        found = {
            (run.batch_size, run.optimizer, *map(run.settings.get, UNTUNED[run.optimizer]))
            for run in expand(self.main)
            if run.optimizer in UNTUNED
        }
        for size, (rule, plain) in itertools.product(sorted(sizes["main"]), UNTUNED.items()):
            if (size, rule, *plain.values()) not in found:
                words = " and ".join(f"{name} {value:g}" for name, value in plain.items())
                raise ValueError(f"the main sweep needs {rule} with {words} at batch size {size}: gains are over that")
        return self


class Language(StrictModel):
    """Language-model experiments."""

    settings: GapSettings
    sweeps: Sweeps
    max_members: int = Field(ge=1)  # runs of one job; 1: each run is a job of its own
    stack_rows: int = Field(ge=1)  # rows computed in one call: a job stacks stack_rows / batch_size members, at least 1

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if self.settings.train_windows % self.settings.validation_rows:
            raise ValueError(
                f"train_windows {self.settings.train_windows} is not a multiple of validation_rows"
                f" {self.settings.validation_rows}; unequal passes would weigh windows unequally"
            )
        return self

    @model_validator(mode="after")
    def _seeds_apart(self) -> Self:
        chosen = {run.seed for _, sweep in self.sweeps for run in expand(sweep)}
        if taken := sorted(chosen & set(self.settings.fresh_seeds)):
            raise ValueError(
                f"seed {taken[0]} chooses the settings and cannot measure them; give fresh_seeds without it"
            )
        return self


class ProbePlan(StrictModel):
    """What is measured along training."""

    num_points: int = Field(ge=2)  # updates at which slope and sharpness are measured, evenly spread
    windows: int = Field(ge=1)  # held-out windows of the loss that is differentiated
    # multiples of an update at which the remainder is measured, float64
    taylor_scales: tuple[Positive, ...] = Field(min_length=2)
    taylor_windows: int = Field(ge=1)
    noise_points: int = Field(ge=1)  # updates at which gradient noise is measured, evenly spread
    noise_batches: int = Field(ge=2)  # minibatches behind a coordinate's mean and standard deviation
    noise_rows: int = Field(ge=1)  # rows of such a minibatch


class Probes(StrictModel):
    """Trainings that are watched: one SGD and one Adam per batch size, at the best settings of the main sweep.

    Where those are chosen by one job, the sweep names what is fixed; where not, a learning rate as well.
    """

    sweep: SweepConfig
    plan: ProbePlan


class ProbeShard(GapShard):
    """One job of probes: the runs of one batch size."""

    plan: ProbePlan
    main_shard: str | None = None  # job of the main sweep whose record says at which settings; None: those of the runs


class DataShard(StrictModel):
    """What the data step reads: the corpus and its groups."""

    text: TextConfig
    num_symbols: int
    num_groups: int


class Thresholds(StrictModel):
    """What claims ask for at a scale."""

    gap_at_largest_batch: float = Field(gt=0)  # of SGD to Adam, nats


def stacked(shards: dict[str, GapShard], stack_rows: int) -> dict[str, GapShard]:
    """The shards, each with as many runs in one call as `stack_rows` rows hold.

    Raises:
        ValueError: fresh seeds are asked for, and the runs that a method chooses from are in several jobs.
    """
    studies = Counter((shard.sweep, shard.runs[0].batch_size) for shard in shards.values() if shard.fresh_seeds)
    if split := [f"{sweep}, batch size {size}" for (sweep, size), number in studies.items() if number > 1]:
        raise ValueError(f"fresh seeds need all runs of a batch size in one job; raise max_members ({split[0]})")
    return {
        name: shard.model_copy(update={"stack": max(1, stack_rows // shard.runs[0].batch_size)})
        for name, shard in shards.items()
    }


def _like_those_that_choose(run: Run, job: GapShard) -> None:
    """ValueError if a probe at the settings that `job` chooses has another length than its runs or a seed of theirs."""
    if run.num_steps != job.runs[0].num_steps:
        told = f"has {run.num_steps} updates, and its settings are those of {job.runs[0].num_steps}"
        raise ValueError(f"'{run.name}' among the probes {told}; give both sweeps the same num_tokens")
    if run.seed in {other.seed for other in job.runs}:
        raise ValueError(f"seed {run.seed} of the probes chooses their settings; give them other seeds")


def probe_shards(settings: GapSettings, probes: Probes, train: dict[str, GapShard]) -> dict[str, ProbeShard]:
    """A shard per batch size, with the job that tries all settings of the main sweep there, if one does.

    Raises:
        ValueError: a learning rate that nothing reads, or none where it is needed; settings read for other runs than
            those that chose them, or for those themselves.
    """
    jobs: dict[int, list[str]] = {}
    for name, shard in train.items():
        if shard.sweep == "main":
            jobs.setdefault(shard.runs[0].batch_size, []).append(name)
    watched: dict[int, list[Run]] = {}
    for run in expand(probes.sweep):
        own = jobs.get(run.batch_size, [])
        if ("lr" in run.settings) == (len(own) == 1):
            said = f"read from '{own[0]}'; leave it out" if len(own) == 1 else "chosen by no one job; give it"
            raise ValueError(f"the learning rate of '{run.name}' among the probes is {said}")
        if len(own) == 1:
            _like_those_that_choose(run, train[own[0]])
        check_hyperparameters(run.optimizer, {"lr": 1.0} | run.settings)
        watched.setdefault(run.batch_size, []).append(run)
    common = {**settings.model_dump(), "sweep": "probe", "plan": probes.plan}
    return {
        f"probe-b{size}": ProbeShard(
            **common, runs=tuple(runs), main_shard=jobs[size][0] if len(jobs.get(size, [])) == 1 else None
        )
        for size, runs in watched.items()
    }
