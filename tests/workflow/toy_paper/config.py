"""Settings of the toy paper."""

from pydantic import Field

from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Problem(StrictModel):
    curvatures: list[float]
    seed: int


class Descent(StrictModel):
    lr: float = Field(gt=0)
    num_steps: int = Field(ge=1)


class Plot(StrictModel):
    label: str


class Thresholds(StrictModel):
    loss: float


class Config(PaperConfig):
    problem: Problem
    descent: Descent
    plot: Plot
    thresholds: Thresholds


class Shard(StrictModel):
    """What one job reads."""

    curvature: float
    seed: int
    descent: Descent
    num_gpus: int


class Released(StrictModel):
    """Losses that the authors released, by curvature: one per step."""

    losses: dict[float, list[float]]


STEPS = {"tables": ("plot",), "claims": ("thresholds",)}
PUBLISHED = {"descend": "released"}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """One shard per curvature, and what stands in for them under records=published."""
    problem = config.problem
    return {
        "descend": {
            f"curvature={c:g}": Shard(curvature=c, seed=problem.seed, descent=config.descent, num_gpus=config.num_gpus)
            for c in problem.curvatures
        },
        "released": {"authors": Released(losses={c: [c, 0.5 * c, 0.0] for c in problem.curvatures})},
    }
