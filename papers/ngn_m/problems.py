"""Settings of the toy problems and of the theorems' checks. No torch here."""

from typing import Annotated

from pydantic import Field

from shared.base.settings import Factor, NonNegative, Positive, StrictModel


class Quartic(StrictModel):
    """Figure E.1."""

    lrs: tuple[Positive, ...]
    start: float
    tolerance: float = Field(gt=0)
    num_steps: int = Field(ge=1)


class Curves(StrictModel):
    """Loss curves for several learning rates; Rosenbrock and least squares."""

    lrs: tuple[Positive, ...]
    num_steps: int = Field(ge=10)
    num_points: int = Field(ge=5)  # of a curve, spaced geometrically


class Minima(StrictModel):
    """Figure H.1."""

    lrs: tuple[Positive, ...]
    num_starts: int = Field(ge=2)  # evenly spaced in [-20, 20]
    num_steps: int = Field(ge=1)
    radius: float = Field(gt=0)  # |x| below which a run has reached the global minimum


class Quadratics(StrictModel):
    """Figure H.4: 1/2 |(A + r I) x - y|^2."""

    size: int = Field(ge=2)
    shifts: dict[float, Annotated[int, Field(ge=1)]]  # r -> draws of A and y
    num_steps: tuple[int, ...]  # K
    constants: tuple[Positive, ...]  # learning rates beside 1/sqrt(K) and 1/sqrt(k)
    num_points: int = Field(ge=5)


class Robustness(StrictModel):
    """Every form of NGN on every toy loss, over learning rates of many decades."""

    lrs: tuple[Positive, ...]
    num_steps: int = Field(ge=1)
    optimizers: tuple[str, ...]


class Toys(StrictModel):
    """Toy problems."""

    beta: float = Field(ge=0, lt=1)
    eigenvalue: float = Field(gt=0)  # the largest of the diabetes problem's A^T A
    quartic: Quartic
    rosenbrock: Curves
    least_squares: Curves
    minima: Minima
    quadratics: Quadratics
    robustness: Robustness


class Theorems(StrictModel):
    """Bounds beside what is measured."""

    num_rows: int = Field(ge=2)
    width: int = Field(ge=1)
    noise: float = Field(gt=0)
    offsets: tuple[float, ...]  # added to each row's loss: its minimum
    cls: tuple[NonNegative, ...]  # c L
    num_steps: tuple[int, ...]  # K, ascending
    rate_steps: tuple[int, ...]  # K of the rates
    num_seeds: int = Field(ge=2)
    largest_lam: float = Field(ge=9)  # Lam of Theorem D.2
    constants: tuple[Positive, ...]  # C of Theorem E.5
    betas: tuple[Factor, ...]  # beside the theorem's own
    diagonal_steps: int = Field(ge=10)
