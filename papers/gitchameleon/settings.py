"""What the steps read: the suites that are executed, scripted solvers, protocols, names of data sets."""

from pydantic import Field

from shared.base.settings import Share, StrictModel


class Suite(StrictModel):
    """Problems that are executed with systems whose answers are known."""

    name: str  # builtin (no network), mini (wheels from PyPI) or benchmark (the 328; needs its data)
    tasks: list[str] = []  # only these; all if empty
    systems: list[str]
    wall_seconds: float = Field(gt=0)  # of one run of tests
    memory_mb: int = Field(ge=64)  # of one run, all processes together
    jobs: int = Field(default=2, ge=1)  # executions at a time
    allow_builds: bool = False  # of source distributions
    retry_failed: bool = False  # build environments again that failed before
    recorded: bool = False  # take verdicts that were recorded elsewhere, and execute nothing
    libraries: list[str] = []  # only these; all if empty


class Solvers(StrictModel):
    """Scripted solvers, simulated over seeds on the executed verdicts."""

    qualities: list[Share]  # q: probability that the idiom of the pinned version is taken
    repair_rates: list[Share]  # r: probability that self-debug switches idiom after a failure
    overfit_rates: list[Share]  # o: probability that it special-cases the visible test instead
    num_seeds: int = Field(ge=2)
    seed: int = 0


class Scores(StrictModel):
    """Shard of the step `scores`."""

    suite: Suite
    protocols: dict[str, list[str]]
    num_seeds: int


class Datasets(StrictModel):
    """Shard of the steps that read problems and execute nothing."""

    names: list[str]  # suites, or benchmark
    or_recorded: bool = False  # take recorded facts of the benchmark where its file is not at hand


class Answers(StrictModel):
    """Shard of the step `answers`: one published system on the benchmark."""

    system: str
    suite: Suite


class Recorded(StrictModel):
    """Shard of the step `recorded`."""

    tests: list[str]  # hidden, visible
