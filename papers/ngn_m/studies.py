"""Settings of what is trained: stability sweeps, watched layers, update cost. No torch here."""

from pydantic import Field

from shared.base.settings import Positive, StrictModel
from shared.train.images.config import ImageSettings, ImageShard
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.sweep.config import SweepConfig


class Study(StrictModel):
    """One sweep; exactly one of `images` and `language` says of what."""

    title: str  # in figures
    paper_task: str  # row of the paper's Tables 7 to 9 that it stands for
    images: ImageSettings | None = None
    language: LanguageSettings | None = None
    sweep: SweepConfig
    max_members: int = Field(default=64, ge=1)  # runs of one job
    num_gpus: int | None = Field(default=None, ge=0)  # of one job; the scale's if None


class WatchPlan(StrictModel):
    """Trainings whose steps are taken apart layer by layer."""

    study: str  # whose model and data are used
    optimizers: tuple[str, ...]
    lrs: tuple[Positive, ...]
    layers: tuple[str, ...]  # parameters by name
    batch_size: int = Field(ge=1)
    num_steps: int = Field(ge=2)
    num_points: int = Field(ge=2)
    seeds: int = Field(ge=1)
    clip_norm: float | None = None


class WatchShard(WatchPlan):
    """One model that is watched."""

    images: ImageSettings | None
    language: LanguageSettings | None
    num_gpus: int


class Cost(StrictModel):
    """What an update costs."""

    study: str  # whose language model is updated
    optimizers: tuple[str, ...]
    batch_size: int = Field(ge=1)
    num_rounds: int = Field(ge=3)  # timings of each optimiser, interleaved
    num_updates: int = Field(ge=1)  # of one timing


class CostShard(Cost):
    """The job."""

    language: LanguageSettings
    num_gpus: int


class ClassifyShard(ImageShard):
    """One job of image classifiers."""


class PredictShard(LanguageShard):
    """One job of language models."""
