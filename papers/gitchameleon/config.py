"""Settings of the benchmark's artifacts: which suites are executed, and how scripted solvers are simulated."""

from pydantic import Field

from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Suite(StrictModel):
    """Problems that are executed with systems whose answers are known."""

    name: str  # builtin (no network), mini (wheels from PyPI) or benchmark (the 328; needs its data)
    tasks: list[str] = []  # only these; all if empty
    systems: list[str]
    wall_seconds: float = Field(gt=0)  # of one run of tests
    memory_mb: int = Field(ge=64)  # of one run, all processes together
    jobs: int = Field(default=2, ge=1)  # executions at a time
    allow_builds: bool = False  # of source distributions
    libraries: list[str] = []  # only these; all if empty


class Solvers(StrictModel):
    """Scripted solvers, simulated over seeds on the executed verdicts."""

    qualities: list[float]  # q: probability that the idiom of the pinned version is taken
    repair_rates: list[float]  # r: probability that self-debug switches idiom after a failure
    num_seeds: int = Field(ge=2)
    seed: int = 0


class Config(PaperConfig):
    suites: list[Suite]
    solvers: Solvers
    protocols: dict[str, list[str]]  # scripted solver -> protocols that it is asked under; greedy before self-debug
    num_seeds: int = Field(ge=2)  # of the protocol temperature
    dataset: str  # whose statistics are drawn: suites, or benchmark
    worked: str  # task of Figure 1: the old version's idiom at the new one


class Execute(StrictModel):
    """Shard of the step `execute`."""

    suite: Suite


class Pairs(StrictModel):
    """Shard of the step `pairs`."""

    suite: Suite


class Examine(StrictModel):
    """Shard of the step `examine`."""

    suite: Suite


class Formatting(StrictModel):
    """Shard of the step `formatting`."""

    suite: Suite


class Describe(StrictModel):
    """Shard of the step `describe`."""

    dataset: str
    suites: list[str]


class Simulate(StrictModel):
    """Shard of the step `simulate`."""

    solvers: Solvers


class Scores(StrictModel):
    """Shard of the step `scores`."""

    suite: Suite
    protocols: dict[str, list[str]]
    num_seeds: int


class Retrieve(StrictModel):
    """Shard of the step `retrieve`."""

    dataset: str  # a suite, or benchmark


STEPS: dict[str, tuple[str, ...]] = {"tables": ("worked",)}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """One shard per suite to execute, to simulate on and to ask about, and one for the data set's statistics."""
    names = [suite.name for suite in config.suites]
    ours = [suite for suite in config.suites if suite.name != "benchmark"]
    indexed = [suite.name for suite in ours] + ["benchmark"] * (config.dataset == "benchmark")
    return {
        "execute": {suite.name: Execute(suite=suite) for suite in config.suites},
        "pairs": {suite.name: Pairs(suite=suite) for suite in config.suites},
        "simulate": {suite.name: Simulate(solvers=config.solvers) for suite in ours},
        "scores": {s.name: Scores(suite=s, protocols=config.protocols, num_seeds=config.num_seeds) for s in ours},
        "examine": {suite.name: Examine(suite=suite) for suite in ours},
        "formatting": {suite.name: Formatting(suite=suite) for suite in ours},
        "retrieve": {name: Retrieve(dataset=name) for name in indexed},
        "describe": {"dataset": Describe(dataset=config.dataset, suites=names)},
    }
