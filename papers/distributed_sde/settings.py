"""What each study without a network is: quadratics and test functions. Nothing here imports torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from shared.base.settings import NonNegative, Positive, PositiveRange, StrictModel
from shared.base.updates import whole_updates

Decay = Literal["constant", "inverse_sqrt", "inverse"]
Method = Literal["DSGD", "DCSGD", "normalised", "gnorm", "DSignSGD"]  # gnorm: normalised without kappa
Function = Literal["parabola", "quartic", "mixed", "cosh"]  # of `toys`
Count = Annotated[int, Field(ge=1)]
ORDER_TIME = 1.0  # at which tab_order compares


def check_compression(method: str, omega: float) -> None:
    """ValueError for an omega of a method that compresses nothing, or by signs."""
    if omega and method in ("DSGD", "DSignSGD"):
        raise ValueError(f"{method} has no omega, which is that of an unbiased compressor; leave it out, or take DCSGD")


class Bounds(StrictModel):
    """Grid of tab_2."""

    function: Function  # whose (L0, L1) enter
    omegas: list[NonNegative]
    s1s: list[NonNegative]  # affine noise per coordinate and unit of |g|
    num_clients: list[Count]
    dims: list[Count]
    s0s: list[NonNegative]  # additive noise per coordinate
    grad_norm: float = Field(ge=0)  # E|grad f| at which the bound is evaluated
    eps: float = Field(gt=0, lt=1)
    nus: list[Positive]  # degrees of freedom, DSignSGD
    scales: list[Positive]  # noise scales, DSignSGD
    u_max: float = Field(gt=0)  # range |d_j f| / s over which ell_nu is taken


class Exact(StrictModel):
    """Gradient descent beside its ODEs, and orders in closed form."""

    parabola_etas: list[Positive]  # lam = 1
    parabola_x0: float
    parabola_steps: int = Field(ge=1)
    quartic_eta: float = Field(gt=0)
    quartic_x0s: list[float]
    quartic_steps: int = Field(ge=1)
    every: int = Field(ge=1)  # steps between rows
    order_etas: list[Positive]
    order_x0: float
    order_noise: float = Field(ge=0)
    bounds: Bounds

    @field_validator("order_etas")
    @classmethod
    def _divide_the_time(cls, etas: list[float]) -> list[float]:
        for eta in etas:
            whole_updates(ORDER_TIME, eta)
        return etas


class ThresholdPoint(StrictModel):
    """One point of the stability boundary."""

    axis: Literal["grid", "omega", "num_clients", "d"]  # which panel varies it; grid: the points of the claim
    omega: float = Field(ge=0)
    d: int = Field(ge=1)
    num_clients: int = Field(ge=1)
    s1: float = Field(ge=0)


class ScalingRule(StrictModel):
    """omega -> beta omega, eta -> kap eta, batch -> delta batch, N -> a N."""

    name: str
    kap: float = Field(gt=0)
    beta: float = Field(ge=0)
    delta: float = Field(gt=0)
    a: float = Field(gt=0)


class DrawnBound(StrictModel):
    """A run whose weighted average of |grad f|^2 is drawn beside the theorem's right side: 4.2, or 4.3 of DSignSGD."""

    method: Literal["DCSGD", "DSignSGD"] = "DCSGD"
    nu: float = Field(default=float("inf"), gt=0, allow_inf_nan=True)  # degrees of freedom of noise of scale s0
    function: Function
    omega: float = Field(ge=0)
    d: int = Field(ge=1)
    num_clients: int = Field(ge=1)
    s0: float = Field(ge=0)
    x0: float
    eta: float = Field(gt=0)
    eps: float = Field(gt=0, lt=1)
    num_steps: int = Field(ge=2)
    num_runs: int = Field(ge=2)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_compression(self.method, self.omega)
        return self


class StableSteps(StrictModel):
    """Largest stable steps over the gradient norm: one coordinate is far from the optimum, all others are in it."""

    functions: list[Function]
    omegas: list[NonNegative]
    s1: float = Field(ge=0)
    d: int = Field(ge=1)
    num_clients: int = Field(ge=1)
    grad_norms: PositiveRange
    num_norms: int = Field(ge=5)  # between them, log-spaced


class Linear(StrictModel):
    """Quadratics."""

    seed: int
    lam: float = Field(gt=0)
    threshold_points: list[ThresholdPoint]
    threshold_runs: int = Field(ge=2)  # draws of one step per point
    typical_paths: int = Field(ge=2)  # for the almost-sure boundary, each of `typical_length` steps
    typical_length: int = Field(ge=20)
    typical_point: ThresholdPoint
    typical_factors: list[Positive]  # eta / eta*
    typical_steps: int = Field(ge=2)
    typical_runs: int = Field(ge=2)
    stationary_eta: float = Field(gt=0)
    stationary_noise: float = Field(gt=0)
    stationary_clients: int = Field(ge=1)
    stationary_omegas: list[NonNegative]
    stationary_paths: int = Field(ge=2)
    stationary_burn: int = Field(ge=1)  # steps before the first record; paths start with the predicted variance
    stationary_records: int = Field(ge=1)
    stationary_gap: int = Field(ge=1)  # steps between records; divides stationary_burn
    stationary_sub_steps: int = Field(ge=1)  # steps of the scheme of weak order 2 per eta
    scaling_eta: float = Field(gt=0)
    scaling_omega: float = Field(ge=0)
    scaling_clients: int = Field(ge=1)
    scaling_paths: int = Field(ge=2)
    scaling_records: int = Field(ge=1)
    scaling_rules: list[ScalingRule]
    bounds_drawn: list[DrawnBound]
    stable: StableSteps

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stationary_burn % self.stationary_gap:
            raise ValueError(
                f"stationary_gap {self.stationary_gap} has to divide stationary_burn {self.stationary_burn}"
            )
        return self


class ToyCell(StrictModel):
    """One method from one start, many independent runs."""

    method: Method
    decay: Decay
    lr: float = Field(gt=0)
    noise: Literal["cauchy", "affine"]
    scale: float = Field(ge=0)  # Cauchy scale, or s1 of affine noise
    omega: float = Field(default=0.0, ge=0)
    x0: float

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_compression(self.method, self.omega)
        return self


class Toys(StrictModel):
    """fig_toy."""

    function: Function
    d: int = Field(ge=1)
    num_clients: int = Field(ge=1)
    num_steps: int = Field(ge=100)
    num_runs: int = Field(ge=4)
    per_decade: int = Field(ge=1)  # checkpoints per factor of ten in k
    eps: float = Field(gt=0, lt=1)  # of the normalised rules
    seed: int
    cells: list[ToyCell]
    cells_per_shard: int = Field(ge=1)

    def parts(self) -> dict[str, "Toys"]:
        """The cells in jobs of `cells_per_shard`."""
        size, starts = self.cells_per_shard, range(0, len(self.cells), self.cells_per_shard)
        return {
            f"toy-{start // size:02d}": self.model_copy(update={"cells": self.cells[start : start + size]})
            for start in starts
        }


class ToyShard(StrictModel):
    """Cells of one job."""

    toys: Toys
    num_gpus: int


class TrackCase(StrictModel):
    """A method beside its SDE models."""

    method: Literal["DSGD", "DCSGD", "DSignSGD"]
    eta: float = Field(gt=0)
    omega: float = Field(default=0.0, ge=0)
    scale: float = Field(gt=0)  # noise per coordinate and client
    nu: float = Field(default=float("inf"), gt=0, allow_inf_nan=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_compression(self.method, self.omega)
        return self


class FloorPoint(StrictModel):
    """DSignSGD with constant eta on x^2 / 2."""

    eta: float = Field(gt=0)
    scale: float = Field(gt=0)
    num_clients: int = Field(ge=1)
    nu: float = Field(gt=0)


class SimulatedPaths(StrictModel):
    """fig_track and tab_floor."""

    seed: int
    function: Function
    d: int = Field(ge=1)
    num_clients: int = Field(ge=1)
    x0: float
    num_steps: int = Field(ge=2)
    every: int = Field(ge=1)
    num_paths: int = Field(ge=2)
    sub_steps: int = Field(ge=2)  # Euler-Maruyama steps per eta
    cases: list[TrackCase]
    floor_points: list[FloorPoint]
    floor_paths: int = Field(ge=2)
    floor_burn: float = Field(gt=0)  # in relaxation times s / (M eta)
    floor_records: int = Field(ge=1)  # a relaxation time apart
