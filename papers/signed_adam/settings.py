"""What the sections of config.yaml mean, and what each step's job reads of them. No torch here.

A study is one sweep at one setup (model, corpus, sequence length).
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_serializer, model_validator

from shared.base.errors import nearest_or_all
from shared.base.settings import Factor, NonNegative, Positive, StrictModel
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.sweep.config import SweepConfig

# Optimisers whose runs the tables can name: those of one method, and those whose settings say which.
NAMES = {"rmsprop": "RMSprop", "signsgd": "SignSGD", "emasign": "EMASign"}
NAMES |= {"soft_signum": "Signum + eps", "adavar": "AdaVar"}
OPTIMIZERS = ("adam", "adamw", "signum", "sgd", "heavy_ball", *NAMES)

Averaging = Annotated[float, Field(gt=0, lt=1)]  # a factor that averages something


def _unequal(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] == pair[1]:
        raise ValueError(f"equal betas {pair[0]:g} stand under 'unequal'; move them to 'betas'")
    return pair


def _each_once(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError(f"{values} has a value twice; keep one")
    return values


class Exact(StrictModel):
    """Checks that need no training: the variance identity, the inference problem, bounds, the filter."""

    betas: list[Averaging]  # on the diagonal
    unequal: list[
        Annotated[tuple[Averaging, Averaging], AfterValidator(_unequal)]
    ]  # for which the identity has to fail
    num_steps: int = Field(ge=10)  # length of the gradient streams
    inference_cases: int = Field(ge=1)  # random (g, m, s2, beta) of the inference problem, after the worked one
    filter_betas: list[Factor]  # beta of the filter demo
    filter_steps: int = Field(ge=10)


class Quadratics(StrictModel):
    """Descents on the nine-dimensional block quadratics, one batch of rows per update."""

    draws: Annotated[list[int], AfterValidator(_each_once)]  # random rotations of the blocks
    designs: list[Literal["eig", "sqrt"]]
    warmup_fractions: list[Factor]  # of the updates; the authors' notebook has 0.05, their caption 0.1
    num_seeds: int = Field(ge=1)
    num_steps: int = Field(ge=10)
    batch_size: int = Field(ge=1, le=9)  # rows of an update, of 9
    beta: float = Field(ge=0, lt=1)  # of every method
    lrs: dict[Literal["SGD", "Signum", "Adam"], list[Positive]]  # peak learning rates
    mollifiers: list[NonNegative]  # constants eps in m / (|m| + eps)
    max_loss: float = Field(gt=0)  # a seed whose loss ever exceeds this is dropped, and counted
    log_every: int = Field(ge=1)

    @model_validator(mode="after")
    def _all_methods(self) -> Self:
        if missing := [name for name in ("SGD", "Signum", "Adam") if name not in self.lrs]:
            raise ValueError(f"'lrs' has no learning rates for {missing[0]}, with which others are compared; add them")
        return self


class QuadraticsShard(Quadratics):
    """One rotation of both landscapes."""

    draw: int


class Study(StrictModel):
    """One sweep; `setup` names an entry of `sizes`."""

    title: str  # in figures
    setup: str
    max_members: int = Field(default=64, ge=1)  # runs of one job; 1: every run is a job of its own
    extensions: int = Field(default=0, ge=0)  # times a grid whose best value is at its edge is widened
    widen: tuple[str, ...] = ("lr",)  # hyperparameters whose grids are widened; what is left names the cells
    fresh_seeds: tuple[int, ...] = ()  # on which the best setting of each cell is trained again, and measured
    sweep: SweepConfig

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        """What would be refused, or mean nothing, after hours of training."""
        blocks = self.sweep.blocks
        for block in blocks:
            if block.optimizer not in OPTIMIZERS:
                hint = nearest_or_all(block.optimizer, OPTIMIZERS)
                raise ValueError(f"no method of the paper is the optimiser '{block.optimizer}'; {hint}")
            seeds = self.sweep.seeds if block.seeds is None else block.seeds
            seeds = range(seeds) if isinstance(seeds, int) else seeds
            if taken := sorted(set(seeds) & set(self.fresh_seeds)):
                raise ValueError(f"seed {taken[0]} tunes, so it cannot be among fresh_seeds; take another")
        varied = {name for block in blocks for name in (*block.grid, *block.together)}
        if unknown := [name for name in self.widen if name not in varied]:
            raise ValueError(f"widen has '{unknown[0]}', which no block varies; {nearest_or_all(unknown[0], varied)}")
        return self

    def applied(self, setup: LanguageSettings) -> LanguageSettings:
        """The setup with what this study follows up."""
        return setup.model_copy(update={name: getattr(self, name) for name in ("extensions", "widen", "fresh_seeds")})


def _with_main(studies: dict[str, Study | None]) -> dict[str, Study | None]:
    if studies.get("main") is None:
        raise ValueError("study 'main' is what the tables compare, and cannot be left out; give it a sweep")
    return studies


Studies = Annotated[dict[str, Study | None], AfterValidator(_with_main)]  # by name; None is left out


class SweepShard(LanguageShard):
    """One job of a study, which `sweep` names."""

    own_rules: ClassVar[tuple[str, ...]] = ("heavy_ball",)

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


class Released(StrictModel):
    """Which study each file of released results belongs to."""

    source: str  # name in the registry of third-party data
    files: dict[str, list[str]]  # study -> files
    max_ppl: float = Field(gt=1)  # a run above this counts as diverged
    curve_points: int = Field(ge=2)  # kept of each training curve

    def shards(self, seq_lens: dict[str, int]) -> dict[str, ReleasedShard]:
        """One job per study; `seq_lens`: study -> tokens of a row."""
        common = self.model_dump(exclude={"files"})
        return {
            name: ReleasedShard(study=name, files=files, seq_len=seq_lens[name], **common)
            for name, files in self.files.items()
        }
