"""Settings of Adam against signed momentum: exact checks, toy quadratics, and sweeps of language models.

A study is one sweep at one setup (model, corpus, sequence length). Every scale names the same studies; null leaves one
out. Nothing here imports torch.
"""

from typing import Literal, Self

from pydantic import Field, field_serializer, model_validator

from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.sweep.config import SweepConfig
from shared.train.sweep.packing import sweep_shards


class Exact(StrictModel):
    """Checks that need no training: the variance identity, the inference problem, bounds, the filter."""

    betas: list[float]  # averaging factors on the diagonal
    unequal: list[tuple[float, float]]  # (beta1, beta2) for which the identity has to fail
    num_steps: int = Field(ge=10)  # length of the gradient streams
    inference_cases: int = Field(ge=1)  # random (g, m, s2, beta) of the inference problem, after the worked one
    filter_betas: list[float]  # beta of the filter demo
    filter_steps: int = Field(ge=10)


class Quadratics(StrictModel):
    """Descents on the nine-dimensional block quadratics, one batch of rows per update."""

    draws: list[int]  # random rotations of the blocks
    designs: list[Literal["eig", "sqrt"]]
    warmup_fractions: list[float]  # of the updates; the authors' notebook has 0.05, their caption 0.1
    num_seeds: int = Field(ge=1)
    num_steps: int = Field(ge=10)
    batch_size: int = Field(ge=1, le=9)  # rows of an update, of 9
    beta: float = Field(ge=0, lt=1)  # of every method
    lrs: dict[Literal["SGD", "Signum", "Adam"], list[float]]  # peak learning rates
    mollifiers: list[float]  # constants eps in m / (|m| + eps)
    max_loss: float = Field(gt=0)  # a seed whose loss ever exceeds this is dropped, and counted
    log_every: int = Field(ge=1)


class QuadraticsShard(Quadratics):
    """One rotation of both landscapes."""

    draw: int


class Study(StrictModel):
    """One sweep; `setup` names an entry of `sizes`."""

    title: str  # in figures
    setup: str
    max_members: int = Field(default=64, ge=1)  # runs of one job; 1: every run is a job of its own
    sweep: SweepConfig


class Released(StrictModel):
    """Which study each file of released results belongs to."""

    source: str  # name in the registry of third-party data
    files: dict[str, list[str]]  # study -> files
    max_ppl: float = Field(gt=1)  # a run above this counts as diverged
    curve_points: int = Field(ge=2)  # kept of each training curve


class Thresholds(StrictModel):
    """What claims allow at a scale, in nats, and what they know of noise."""

    regret: float = Field(gt=0)  # of beta2 = beta1 against the best beta2, for every beta1
    tied: float = Field(gt=0)  # of the best tied pair against the best pair
    adavar: float = Field(gt=0)  # of AdaVar's best point with gamma = tau = beta against its best other point
    reported_spread: bool  # whether a single run of a method has the spread that the paper's Table 1 prints


class Config(PaperConfig):
    """All of it."""

    exact: Exact
    thresholds: Thresholds
    quadratics: Quadratics
    sizes: dict[str, LanguageSettings]  # model, corpus and sequence length by name
    studies: dict[str, Study | None]
    released: Released | None

    @model_validator(mode="after")
    def _known_setups(self) -> Self:
        for name, study in self.studies.items():
            if study is not None and study.setup not in self.sizes:
                raise ValueError(f"study '{name}' names setup '{study.setup}'; known: {', '.join(self.sizes)}")
        if self.released is not None:
            for name in self.released.files:
                if self.studies.get(name) is None:
                    raise ValueError(f"released names study '{name}', which this scale does not have")
        return self

    def present(self) -> dict[str, Study]:
        """The studies of this scale."""
        return {name: study for name, study in self.studies.items() if study is not None}


class SweepShard(LanguageShard):
    """One job of a study, which `sweep` names."""

    @field_serializer("text", "backbone", when_used="json")
    def _as_one_value(self, section: StrictModel) -> str:
        """One setting each for Snakemake: two thousand jobs with a parameter per leaf take twice as long to plan."""
        return section.model_dump_json()


class ReleasedShard(StrictModel):
    """One study of the released results."""

    study: str
    source: str
    files: list[str]
    seq_len: int  # tokens of a row
    max_ppl: float
    curve_points: int


STEPS = {"tables": ("studies", "quadratics"), "claims": ("thresholds",)}
PUBLISHED = {"sweep": "released"}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    found: dict[str, dict] = {step: {} for step in ("exact", "quadratics", "sweep")}
    found["exact"]["exact"] = config.exact
    for draw in config.quadratics.draws:
        found["quadratics"][f"draw-{draw}"] = QuadraticsShard(draw=draw, **config.quadratics.model_dump())
    for name, study in config.present().items():
        settings = config.sizes[study.setup]
        found["sweep"] |= sweep_shards(SweepShard, settings, study.sweep, name=name, max_members=study.max_members)
    if config.released is not None:
        found["released"], common = {}, config.released.model_dump(exclude={"files"})
        for name, files in config.released.files.items():
            seq_len = config.sizes[config.studies[name].setup].seq_len
            found["released"][name] = ReleasedShard(study=name, files=files, seq_len=seq_len, **common)
    return found
