"""What each study is: the line, the plane, searches, random data. Nothing here imports torch.

Step sizes are given as gamma = eta lambda, with lambda the largest eigenvalue of the Hessian at the minimiser;
gamma = 2 is critical.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from shared.base.settings import Positive, PositiveRange, Share, StrictModel, rising

AtLeastTwo = Annotated[int, Field(ge=2)]


class Rounds(StrictModel):
    """For how long orbits are followed: in rounds, until every one is decided."""

    num_steps: int = Field(ge=1)  # per round
    max_rounds: int = Field(ge=1)

    @property
    def rounds(self) -> dict[str, int]:
        return {"num_steps": self.num_steps, "max_rounds": self.max_rounds}


class Theorem(StrictModel):
    """Rows of one magnitude on the line: the map T_{c,gamma}, with c = n+/n-."""

    cs: list[Positive]  # of the convergence table
    gammas: list[Positive]
    num_starts: int = Field(ge=3)  # on [-60, 60], in units of u = a w
    num_steps: int = Field(ge=100)  # at most
    ratio_cs: list[Positive]  # of the two-step contraction
    ratio_gammas: list[Positive]
    num_distances: int = Field(ge=10)  # from u*, log-spaced over 1e-4..1e3
    drawn_distances: int = Field(ge=5)  # of them in fig_two_step, log-spaced over 1e-2..1e3
    proof_grid: int = Field(ge=10)  # values of p, and of delta for each p
    root_cs: list[Positive]  # of the interval bisection
    root_gammas: list[Positive]
    doubling_cs: list[Annotated[float, Field(gt=1)]]  # where the 2-cycle's doubling is computed; at 1 it has none
    cobweb_c: float = Field(gt=0)
    cobweb_gamma: float = Field(gt=0)
    cobweb_starts: list[float]
    cobweb_steps: int = Field(ge=1)


class Bifurcation(StrictModel):
    """Attractors of T over gamma."""

    cs: list[Positive]
    gamma_range: PositiveRange
    num_gammas: int = Field(ge=2)
    num_discarded: int = Field(ge=1)  # steps before the attractor is recorded
    num_kept: int = Field(ge=128)


class Unequal(Rounds):
    """Rows of unequal magnitude on the line: the named data sets A, C, D."""

    names: list[Literal["A", "C", "D"]]
    gammas: list[Positive]
    num_starts: int = Field(ge=2)
    reach: float = Field(gt=0)  # starts lie within reach |w*| of zero


class SafeLine(Rounds):
    """Random rows of unequal magnitude on the line, at gamma <= 1."""

    num_sets: int = Field(ge=1)
    gammas: list[Annotated[float, Field(gt=0, le=1)]]
    num_starts: int = Field(ge=2)
    seed: int = 0


class TwoWalls(StrictModel):
    """A data set S(theta; k, M, m) on the unit circle, or U if `theta` is omitted, with step sizes to try."""

    theta: float | None = Field(default=None, gt=0, lt=90)  # degrees
    k: int = Field(default=0, ge=0)
    heavy: int = Field(default=0, ge=0)  # M
    light: int = Field(default=0, ge=0)  # m
    gammas: list[Positive]
    box: tuple[float, float, float, float]  # starts: w1 from, to, w2 from, to

    @field_validator("box")
    @classmethod
    def _rises(cls, box: tuple[float, ...]) -> tuple[float, ...]:
        return *rising(box[:2]), *rising(box[2:])

    @model_validator(mode="after")
    def _whole(self) -> Self:
        counts = (self.k, self.heavy, self.light)
        if self.theta is None and any(counts):
            raise ValueError("k, heavy and light belong to S(theta; k, heavy, light); give theta, or leave them out")
        if self.theta is not None and not all(counts):
            raise ValueError(f"{self.name} lacks rows of one of its kinds; give k, heavy and light of at least 1")
        return self

    @property
    def name(self) -> str:
        return "U" if self.theta is None else f"S({self.theta:g};{self.k},{self.heavy},{self.light})"

    @property
    def shard(self) -> str:
        return "U" if self.theta is None else f"S-{self.theta:g}-{self.k}-{self.heavy}-{self.light}"


class Plane(Rounds):
    """Cycles of the two-walls data sets, and starts near the minimiser."""

    sets: list[TwoWalls]
    num_starts: int = Field(ge=4)  # drawn from each set's box
    num_near: int = Field(ge=1)  # drawn within `near` of the minimiser
    near: float = Field(gt=0)
    path_steps: int = Field(ge=2)  # of the drawn trajectories
    path_gamma: float = Field(gt=0)
    seed: int = 0


class BasinGrid(Rounds):
    """The starts of a basin image."""

    num_cells: int = Field(ge=2)  # along each side of the box


class Basins(StrictModel):
    """Which start ends where, for each data set."""

    sets: list[TwoWalls]
    grid: BasinGrid


class BasinShard(StrictModel):
    """One row of panels: a data set at several step sizes."""

    set: TwoWalls
    grid: BasinGrid
    num_gpus: int = 0


class PlaneSearch(StrictModel):
    """Linear programs over weights on the circle, random search over cycle points."""

    num_angles: int = Field(ge=91)  # of the grid of rows over [-90, 90] degrees
    ratios: list[Annotated[float, Field(ge=1)]]  # bounds on the heaviest row's weight over the lightest one's
    num_trials: int = Field(ge=1)  # programs per bound
    seed: int = 0

    @field_validator("num_angles")
    @classmethod
    def _has_the_families(cls, num_angles: int) -> int:
        if (num_angles - 1) % 90:
            raise ValueError(
                "the known families' rows, at even angles, have to be on the grid; take 91, 181 or another multiple of"
                " 90 and one more"
            )
        return num_angles


class LiftedSearch(StrictModel):
    """The same on spheres of many dimensions, for cycles lifted from the line."""

    num_magnitudes: int = Field(ge=2)  # of the grid of rows on the line, each sign, log-spaced over 10^-2.5..1
    dims: list[AtLeastTwo]
    num_trials: int = Field(ge=1)  # programs per dimension
    seed: int = 0


class Searches(StrictModel):
    """Both searches."""

    plane: PlaneSearch
    lifted: LiftedSearch


class Ensemble(StrictModel):
    """Random data sets of one kind by dimension and size."""

    kind: Literal["uniform", "teacher", "skewed"]
    dims: list[AtLeastTwo]  # on the line the theorem forbids cycles
    sizes: list[AtLeastTwo]  # n, number of rows, as multiples of the dimension; as many as that are always separable
    num_sets: int = Field(ge=1)  # non-separable ones per (d, n)
    flip: float = Field(default=0.1, ge=0, lt=0.5)  # teacher: share of flipped labels
    max_count: int = Field(default=1000, ge=1)  # skewed: counts are log-uniform up to this


FEATURES = {"digits": 64, "digit pairs": 64, "wine": 13, "breast cancer": 30}


class RealData(StrictModel):
    """A source of real data, two classes at a time, on principal components, every row normalised."""

    source: Literal["digits", "digit pairs", "wine", "breast cancer"]  # digits: even against odd
    dims: list[AtLeastTwo]
    label_noise: list[Share]  # shares of flipped labels
    num_draws: int = Field(ge=1)  # of which labels are flipped, where any are

    @model_validator(mode="after")
    def _has_so_many_features(self) -> Self:
        if max(self.dims) > FEATURES[self.source]:
            raise ValueError(
                f"{self.source} has {FEATURES[self.source]} features, so no {max(self.dims)} principal components"
            )
        return self


class Census(Rounds):
    """How each of many data sets is examined."""

    gammas: list[Positive]
    num_starts: int = Field(ge=2)  # per data set; the first is zero. How many are needed: `known`
    chunk: int = Field(ge=1)  # data sets run at once
    seed: int = 0


class Known(StrictModel):
    """Data sets on the circle with a proved cycle, on which the frequency study has to find one."""

    sets: list[TwoWalls]
    num_repeats: int = Field(ge=2)  # of the census of a set, each with its own starts


class Frequency(StrictModel):
    """How often cycles occur on data that nobody built for them, and how often the search finds a known one."""

    ensembles: list[Ensemble]
    real: list[RealData]
    known: Known
    census: Census

    @model_validator(mode="after")
    def _kinds_differ(self) -> Self:
        kinds = [e.kind for e in self.ensembles] + [r.source for r in self.real]
        if len(set(kinds)) < len(kinds):
            raise ValueError("each kind of data is named once; put all its dims and sizes there")
        return self


class FrequencyShard(StrictModel):
    """One kind of data."""

    census: Census
    data: Ensemble | RealData
    num_gpus: int = 0


class KnownShard(StrictModel):
    """The positive controls."""

    census: Census
    known: Known
