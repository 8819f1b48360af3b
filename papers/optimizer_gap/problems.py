"""Settings of the problems that are no language: block quadratics and one-dimensional diffusions. No torch here."""

from pydantic import Field

from shared.base.settings import Factor, NonNegative, Positive, StrictModel


class QuadraticGrid(StrictModel):
    """Settings of one optimiser on the quadratics; every learning rate with every momentum."""

    label: str  # sgd, adam or signum in the tables
    optimizer: str  # name of an update rule
    lrs: tuple[Positive, ...]
    momentum: tuple[Factor, ...]  # of sgd; beta1 of adam, beta of signum


class Quadratics(StrictModel):
    """Nine dimensions, three blocks; learning rates tuned for each batch size."""

    landscapes: tuple[str, ...]  # hom, het
    sigmas: tuple[NonNegative, ...]  # additive noise per sample, per coordinate
    batch_sizes: tuple[int, ...]  # of the additive model
    num_samples: int = Field(ge=1)  # B * updates, the same for every batch size
    row_batch_sizes: tuple[int, ...]  # rows of the nine, without replacement
    row_steps: int = Field(ge=1)  # updates with sampled rows
    beta2: float = Field(ge=0, lt=1)  # of adam
    warmup_fraction: float = Field(ge=0, lt=1)  # of the updates; a cosine to zero follows
    seeds: tuple[int, ...]
    draw: int = 0  # which random rotation of the blocks
    grids: tuple[QuadraticGrid, ...]


class WeakError(StrictModel):
    """Discrete method against its equation on f(x) = x^2 / 2 with unit noise."""

    etas: tuple[Positive, ...]
    batch_size: int = Field(ge=1)
    x0: float
    time: float = Field(gt=0)
    num_paths: int = Field(ge=2)  # of the Euler-Maruyama simulation
    steps_per_eta: int = Field(ge=1)  # its steps within one update


class Stationary(StrictModel):
    """Stationary variance over the batch size, f(x) = x^2 / 2 and unit noise."""

    eta: float = Field(gt=0)
    batch_sizes: tuple[int, ...]


class Decay(StrictModel):
    """Expected loss over time, over batch sizes and, as the paper does, over noise levels."""

    eta: float = Field(gt=0)
    sigma: float = Field(gt=0)
    batch_sizes: tuple[int, ...]
    noise_eta: float = Field(gt=0)  # learning rate of the panels over sigma, batch size 1
    sigmas: tuple[NonNegative, ...]
    x0: float
    time: float = Field(gt=0)
    num_points: int = Field(ge=2)
    num_paths: int = Field(ge=2)
    steps_per_eta: int = Field(ge=1)


class Sde(StrictModel):
    """SGD and SignSGD as diffusions."""

    weak: WeakError
    stationary: Stationary
    decay: Decay
