"""Settings of the benchmark's artifacts: which suites are executed, and how scripted solvers are simulated."""

from pydantic import Field

from shared.artifacts.config import PaperConfig, StrictModel


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
    dataset: str  # whose statistics are drawn: suites, or benchmark


class Execute(StrictModel):
    """Shard of the step `execute`."""

    suite: Suite


class Describe(StrictModel):
    """Shard of the step `describe`."""

    dataset: str
    suites: list[str]


class Simulate(StrictModel):
    """Shard of the step `simulate`."""

    solvers: Solvers


STEPS: dict[str, tuple[str, ...]] = {"tables": ()}  # tables read records and reported numbers only


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """One shard per suite to execute and to simulate on, and one for the data set's statistics."""
    names = [suite.name for suite in config.suites]
    return {
        "execute": {suite.name: Execute(suite=suite) for suite in config.suites},
        "simulate": {name: Simulate(solvers=config.solvers) for name in names if name != "benchmark"},
        "describe": {"dataset": Describe(dataset=config.dataset, suites=names)},
    }
