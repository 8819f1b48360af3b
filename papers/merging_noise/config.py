"""Settings of merging noise: studies of branches, alignment, two tasks, theory. No torch here."""

from pydantic import Field

from papers.merging_noise.packing import Branches, job_of, packed
from papers.merging_noise.settings import (
    Alignment,
    CrossPlans,
    ImageBranches,
    LanguageBranches,
    Study,
    Theory,
    Trajectory,
)
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel
from shared.train.sweep.packing import sweep_shards


class Thresholds(StrictModel):
    """What claims ask for, and which runs count."""

    comparable: float = Field(gt=0)  # percentage points below the best accuracy of the study at which settings drop out
    comparable_nats: float = Field(gt=0)  # the same for language models, in nats above the lowest loss
    middle_lr: dict[str, float]  # task arithmetic: learning rates that are compared, of each study
    large_lr: dict[str, float]
    collapse: float  # R^2 that the noise scale explains more than lr or batch size alone


class Config(PaperConfig):
    """All of it. Every scale names every study; null leaves one out."""

    studies: dict[str, Study | None]
    alignments: dict[str, Alignment | None]
    trajectories: dict[str, Trajectory | None]
    cross: CrossPlans
    theory: Theory
    thresholds: Thresholds
    num_jobs: int | None = Field(default=None, ge=1)  # ensembles are packed into as many; None: a job each

    def present(self) -> dict[str, Study]:
        """The studies of this scale by their roles."""
        return {study.role or name: study for name, study in self.studies.items() if study is not None}


STEPS = {"tables": ("studies", "thresholds", "cross"), "claims": ("studies", "thresholds")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    gpus = {"num_gpus": config.num_gpus}
    ensembles: dict[str, Branches] = {}
    for name, study in config.present().items():
        how = {"name": name, "max_members": study.max_members, "plan": study.plan}
        if study.images is not None:
            ensembles |= sweep_shards(ImageBranches, study.images.model_copy(update=gpus), study.sweep, **how)
        else:
            ensembles |= sweep_shards(LanguageBranches, study.language.model_copy(update=gpus), study.sweep, **how)
    jobs = packed(ensembles, config.num_jobs)
    found = {
        "branch": {name: job_of(own, config.num_gpus) for name, own in jobs.items()},
        "theory": {"all": config.theory},
        "cross": {"all": next(filter(None, config.cross.values())).model_copy(update=gpus)},
    }
    for step, named in (("align", config.alignments), ("trajectory", config.trajectories)):
        found[step] = {name: own.model_copy(update=gpus) for name, own in named.items() if own is not None}
    return {step: own for step, own in found.items() if own}
