"""Settings of the toy paper."""

from pydantic import Field

from shared.artifacts.config import PaperConfig, StrictModel


class Problem(StrictModel):
    curvatures: list[float]
    seed: int


class Descent(StrictModel):
    lr: float = Field(gt=0)
    num_steps: int = Field(ge=1)
    pause_seconds: float  # per step, to give a test time to kill the run


class Plot(StrictModel):
    label: str


class Config(PaperConfig):
    problem: Problem
    descent: Descent
    plot: Plot


STEPS = {"descend": ("problem", "descent"), "tables": ("plot",)}


def shards(config: Config) -> dict[str, list[str]]:
    return {"descend": [f"curvature={c:g}" for c in config.problem.curvatures]}
