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


class Scores(StrictModel):
    """Shard of the step `scores`."""

    suite: Suite
    protocols: dict[str, list[str]]
    num_seeds: int


class Datasets(StrictModel):
    """Shard of the steps that read problems and execute nothing."""

    names: list[str]  # suites, or benchmark


STEPS: dict[str, tuple[str, ...]] = {"tables": ("worked",)}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """One shard per suite to execute, to simulate on and to ask about, and one for the data set's statistics."""
    executed = {suite.name: suite for suite in config.suites}
    ours = {name: suite for name, suite in executed.items() if name != "benchmark"}
    described = ["benchmark"] if config.dataset == "benchmark" else list(executed)
    asked = {"protocols": config.protocols, "num_seeds": config.num_seeds}
    return {
        "execute": executed,
        "pairs": executed,
        "simulate": dict.fromkeys(ours, config.solvers),
        "scores": {name: Scores(suite=suite, **asked) for name, suite in ours.items()},
        "examine": ours,
        "formatting": ours,
        "retrieve": {name: Datasets(names=[name]) for name in dict.fromkeys([*ours, *described])},
        "describe": {"dataset": Datasets(names=described)},
    }
