"""Settings of the problems that are no language: block quadratics and one-dimensional diffusions. No torch here."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from papers.optimizer_gap.powers import WEAK_UP_TO
from shared.base.errors import nearest_or_all
from shared.base.settings import Factor, NonNegative, Positive, StrictModel
from shared.base.updates import whole_updates

KNOWN_LANDSCAPES = ("hom", "het")  # three blocks that each span all scales, or have a scale each
DIM = 9  # of the quadratics
OPTIMIZERS = {"sgd": "sgd_ema", "adam": "adam", "signum": "signum"}  # label in the tables -> update rule
JUDGED = {"landscapes": {"het"}, "sigmas": {100.0}, "batch_sizes": {16, 256}}  # what the claims look at
SOLVED = 1e-20  # losses below count as this: the digits of a solved problem (it starts at 1e4) say nothing

BatchSize = Annotated[int, Field(ge=1)]


def listed_once(values: tuple) -> tuple:
    """`values`; ValueError for one that is listed twice."""
    if twice := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{twice[0]} is listed twice, and the same again tells nothing new")
    return values


class QuadraticGrid(StrictModel):
    """Settings of one optimiser on the quadratics; every learning rate with every momentum."""

    label: str  # sgd, adam or signum in the tables
    optimizer: str  # name of the update rule
    lrs: tuple[Positive, ...]
    momentum: tuple[Factor, ...]  # of sgd; beta1 of adam, beta of signum

    @model_validator(mode="after")
    def _known(self) -> Self:
        if OPTIMIZERS.get(self.label) != self.optimizer:
            raise ValueError(f"label and optimizer are one of {OPTIMIZERS}; got {self.label}: {self.optimizer}")
        return self

    @field_validator("lrs", "momentum")
    @classmethod
    def _once(cls, values: tuple) -> tuple:
        return listed_once(values)


class Quadratics(StrictModel):
    """Nine dimensions, three blocks; learning rates tuned for each batch size."""

    landscapes: tuple[str, ...]  # hom, het
    sigmas: tuple[NonNegative, ...]  # additive noise per sample, per coordinate
    batch_sizes: tuple[BatchSize, ...]  # of the additive model
    num_samples: tuple[BatchSize, ...]  # B * updates: each is a budget that every batch size gets
    row_batch_sizes: tuple[Annotated[int, Field(ge=1, le=DIM)], ...]  # rows of the nine, without replacement
    row_steps: int = Field(ge=1)  # updates with sampled rows
    beta2: float = Field(ge=0, lt=1)  # of adam
    warmup_fraction: float = Field(ge=0, lt=1)  # of the updates; a cosine to zero follows
    draws: tuple[int, ...] = Field(min_length=1)  # random rotations of the blocks, each tuned by itself
    tuning_seeds: int = Field(ge=1)  # of the gradient noise, on which a rotation's setting is chosen
    fresh_seeds: int = Field(ge=2)  # others, on which the chosen one is measured
    grids: tuple[QuadraticGrid, ...]  # of one size: every optimiser gets the same number of settings

    @field_validator("landscapes", "draws")
    @classmethod
    def _once(cls, values: tuple) -> tuple:
        return listed_once(values)

    @field_validator("grids")
    @classmethod
    def _compared(cls, grids: tuple[QuadraticGrid, ...]) -> tuple[QuadraticGrid, ...]:
        labels = listed_once(tuple(grid.label for grid in grids))
        if not {"sgd", "adam"} <= {*labels}:
            raise ValueError(f"SGD is compared with Adam: give a grid labelled sgd and one labelled adam; got {labels}")
        return grids

    @field_validator("landscapes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in KNOWN_LANDSCAPES:
                raise ValueError(f"unknown landscape '{name}'; {nearest_or_all(name, KNOWN_LANDSCAPES)}")
        return names

    @model_validator(mode="after")
    def _fair_and_whole(self) -> Self:
        sizes = {grid.label: len(grid.lrs) * len(grid.momentum) for grid in self.grids}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"every optimiser gets the same number of settings; got {sizes}")
        for name, needed in JUDGED.items():
            if lacking := sorted(needed - {*getattr(self, name)}):
                raise ValueError(
                    f"{name} lacks {lacking[0]}, which the claims look at; got {list(getattr(self, name))}"
                )
        for number in self.num_samples:
            unequal = [size for size in self.batch_sizes if number % size]
            if unequal:
                raise ValueError(f"{number} samples are no whole number of batches of {unequal[0]}")
        return self


class WeakError(StrictModel):
    """Discrete method against its equation on f(x) = x^2 / 2 with unit noise."""

    etas: tuple[Positive, ...]  # each divides the time
    batch_size: BatchSize
    x0: float
    time: float = Field(gt=0)
    num_paths: int = Field(ge=2)  # of the Euler-Maruyama simulation
    steps_per_eta: int = Field(ge=1)  # its steps within one update

    @model_validator(mode="after")
    def _at_one_time(self) -> Self:
        for eta in self.etas:
            whole_updates(self.time, eta)
        if sum(eta <= 1.001 * WEAK_UP_TO for eta in self.etas) < 2:
            raise ValueError(f"the weak order is fitted over learning rates up to {WEAK_UP_TO:g}; give two or more")
        return self


class Stationary(StrictModel):
    """Stationary variance over the batch size, f(x) = x^2 / 2 and unit noise."""

    eta: float = Field(gt=0, lt=2)  # SGD diverges from 2 on
    batch_sizes: tuple[BatchSize, ...] = Field(min_length=2)


class Decay(StrictModel):
    """Expected loss over time, over batch sizes and, as the paper does, over noise levels."""

    eta: float = Field(gt=0)
    sigma: float = Field(gt=0)
    batch_sizes: tuple[BatchSize, ...]
    noise_eta: float = Field(gt=0)  # learning rate of the panels over sigma, batch size 1
    sigmas: tuple[Positive, ...]
    x0: float
    time: float = Field(gt=0)
    num_points: int = Field(ge=2)
    num_paths: int = Field(ge=2)
    steps_per_eta: int = Field(ge=1)

    @model_validator(mode="after")
    def _at_one_time(self) -> Self:
        for eta in (self.eta, self.noise_eta):
            whole_updates(self.time, eta)
        return self


class Sde(StrictModel):
    """SGD and SignSGD as diffusions."""

    weak: WeakError
    stationary: Stationary
    decay: Decay
