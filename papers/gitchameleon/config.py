"""Settings of the benchmark's artifacts: which suites are executed, and how scripted solvers are simulated."""

from pydantic import Field

from papers.gitchameleon.settings import Answers, Datasets, Recorded, Scores, Solvers, Suite
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Config(PaperConfig):
    suites: list[Suite]
    solvers: Solvers
    protocols: dict[str, list[str]]  # scripted solver -> protocols that it is asked under; greedy before self-debug
    num_seeds: int = Field(ge=2)  # of the protocol temperature
    dataset: str  # whose statistics are drawn: suites, benchmark, or "at hand": the benchmark, or recorded facts of it
    worked: str  # task of Figure 1: the old version's idiom at the new one
    recorded: list[str] = []  # tests whose recorded verdicts of real answers are drawn
    answers: list[str] = []  # published systems whose answers are run


STEPS: dict[str, tuple[str, ...]] = {"tables": ("worked",)}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """One shard per suite to execute, to simulate on and to ask about, per published system, and for the data set."""
    executed = {suite.name: suite for suite in config.suites}
    ours = {name: suite for name, suite in executed.items() if name != "benchmark"}
    described = list(executed) if config.dataset == "suites" else ["benchmark"]
    retrieved = dict.fromkeys([*ours, *(described if config.dataset == "benchmark" else [])])
    asked = {"protocols": config.protocols, "num_seeds": config.num_seeds}
    real = {name: Answers(system=name, suite=executed["benchmark"]) for name in config.answers}
    return {
        "execute": executed,
        "pairs": executed,
        "simulate": dict.fromkeys(ours, config.solvers),
        "scores": {name: Scores(suite=suite, **asked) for name, suite in ours.items()},
        "examine": ours,
        "formatting": ours,
        "retrieve": {name: Datasets(names=[name]) for name in retrieved},
        "describe": {"dataset": Datasets(names=described, or_recorded=config.dataset == "at hand")},
        "recorded": {"verdicts": Recorded(tests=config.recorded)},
    } | ({"answers": real} if real else {})
