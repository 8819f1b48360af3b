"""Settings of NGN with momentum: toy problems, theorems, stability sweeps of networks, layers, cost. No torch here.

A study is one sweep of one model. Every scale names the same studies; null leaves one out.
"""

from typing import Literal

from pydantic import Field

from papers.ngn_m.problems import Theorems, Toys
from papers.ngn_m.studies import ClassifyShard, Cost, CostShard, PredictShard, Study, WatchPlan, WatchShard
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel
from shared.train.sweep.packing import sweep_shards


class ToyShard(StrictModel):
    """One toy problem."""

    problem: Literal["quartic", "rosenbrock", "least_squares", "minima", "quadratics", "robustness"]
    toys: Toys


class Thresholds(StrictModel):
    """What claims ask for at a scale."""

    large_lr: float = Field(gt=0)  # beta1 ablation: the learning rate at which Adam no longer trains


class Config(PaperConfig):
    """All of it."""

    toys: Toys
    theorems: Theorems
    studies: dict[str, Study | None]
    watched: dict[str, WatchPlan | None]
    cost: Cost
    thresholds: Thresholds

    def present(self) -> dict[str, Study]:
        """The studies of this scale."""
        return {name: study for name, study in self.studies.items() if study is not None}


STEPS = {"tables": ("studies", "toys"), "claims": ("studies", "thresholds")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    found: dict[str, dict[str, StrictModel]] = {"toys": {}, "theorems": {"theorems": config.theorems}}
    for problem in ToyShard.model_fields["problem"].annotation.__args__:
        found["toys"][problem] = ToyShard(problem=problem, toys=config.toys)
    found |= {"classify": {}, "predict": {}, "watch": {}}
    for name, study in config.present().items():
        step, kind, own = ("classify", ClassifyShard, study.images)
        if study.language is not None:
            step, kind, own = ("predict", PredictShard, study.language)
        own = own.model_copy(update={"num_gpus": config.num_gpus if study.num_gpus is None else study.num_gpus})
        found[step] |= sweep_shards(kind, own, study.sweep, name=name, max_members=study.max_members)
    one = {"num_gpus": min(1, config.num_gpus)}
    for name, plan in config.watched.items():
        if plan is not None:
            study = config.studies[plan.study]
            found["watch"][name] = WatchShard(**plan.model_dump(), images=study.images, language=study.language, **one)
    language = config.studies[config.cost.study].language
    found["cost"] = {"updates": CostShard(**config.cost.model_dump(), language=language, **one)}
    return {step: own for step, own in found.items() if own}
