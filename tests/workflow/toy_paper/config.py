"""Settings of the toy paper."""

from pydantic import Field

from shared.artifacts.config import PaperConfig, StrictModel


class Problem(StrictModel):
    curvatures: list[float]
    seed: int


class Descent(StrictModel):
    lr: float = Field(gt=0)
    num_steps: int = Field(ge=1)


class Plot(StrictModel):
    label: str


class Config(PaperConfig):
    problem: Problem
    descent: Descent
    plot: Plot


class Shard(StrictModel):
    """What one job reads."""

    curvature: float
    seed: int
    descent: Descent


STEPS = {"tables": ("plot",)}


def shards(config: Config) -> dict[str, dict[str, Shard]]:
    """One shard per curvature."""
    problem = config.problem
    return {
        "descend": {
            f"curvature={c:g}": Shard(curvature=c, seed=problem.seed, descent=config.descent)
            for c in problem.curvatures
        }
    }
