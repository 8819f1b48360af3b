"""Settings of what is trained and merged. No torch here."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.base.settings import StrictModel
from shared.train.images.config import ImageSettings, ImageShard
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.run import Value
from shared.train.sweep.config import SweepConfig

Augmentation = Literal["none", "gaussian", "shift", "crop_flip"]


class Images(ImageSettings):
    """Classification with label noise, which keeps gradients noisy to the end of training."""

    num_train: int = Field(default=0, ge=0)  # training images, the rest of digits is for testing; 0: the usual split
    num_test: int = Field(default=0, ge=0)  # test images that count, drawn once and for all; 0: all
    label_noise: float = Field(default=0.0, ge=0, lt=1)  # share of training labels drawn anew, uniformly
    augmentation: Augmentation = "none"
    augmentation_scale: float = Field(default=1.0, ge=0)  # std of gaussian noise, or largest shift in pixels
    quarter_turns: int = Field(default=0, ge=0, le=3)  # all images are rotated
    classes: tuple[int, ...] = ()  # those kept, of both splits; empty: all
    decay_head: bool = True  # whether weight decay acts on the last layer
    freeze_head: bool = False  # the last layer stays as seed 0 draws it, in every run
    pretraining: "Pretraining | None" = None  # where runs start; a random initialisation if None


class Pretraining(StrictModel):
    """Training of the base that runs start from, on the same images rotated."""

    quarter_turns: int = Field(ge=0, le=3)
    lr: float = Field(gt=0)
    batch_size: int = Field(gt=0)
    num_steps: int = Field(gt=0)


class Methods(StrictModel):
    """Ways of merging that stand beside the average."""

    keep: float = Field(default=0.2, gt=0, le=1)  # share of entries that TIES keeps (its published default)
    drops: tuple[float, ...] = (0.5, 0.9)  # probabilities with which DARE drops an entry; 0.9 is the one published
    examples: int = Field(default=512, ge=1)  # training images behind a Fisher information


class ForkPlan(StrictModel):
    """How trunks branch, and what is measured of the branches."""

    forks: tuple[int, ...] = Field(min_length=1)  # updates after which trunks branch
    branches: int = Field(default=2, ge=2)  # of each fork; merges of the first 2, 3, ... of them
    lr_after: tuple[float, ...] = ()  # learning rates of the branches; empty: the trunk's own
    same_order: bool = False  # branches see one data order: a control, whose gain is 0
    path_points: int = Field(default=0, ge=0)  # of the line from alpha = -0.5 to 1.5; 0: none
    arithmetic_points: int = Field(default=0, ge=0)  # of task arithmetic and TIES, scales from 0 to 1.2; 0: none
    keep: float = Field(default=0.2, gt=0, le=1)  # share of entries that TIES keeps (its published default)
    trace_examples: int = Field(default=0, ge=0)  # examples of tr Sigma at the first branch; 0: none
    layers: bool = False  # squared norms of weights
    cka: bool = False
    methods: Methods | None = None  # other ways of merging, of all branches at once

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        if self.path_points and (self.path_points - 1) % 4:
            raise ValueError(f"path_points has to be 4 k + 1, so that 0 and 1 are on the path; got {self.path_points}")
        return self


class Study(ForkPlan):
    """One experiment: a sweep of trunks with their branches; exactly one of `images` and `language`."""

    title: str
    role: str | None = None  # name under which tables and claims know it; its own if None
    images: Images | None = None
    language: LanguageSettings | None = None
    sweep: SweepConfig
    max_members: int = Field(default=64, ge=1)  # trunks of one ensemble

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.images is None) == (self.language is None):
            raise ValueError("a study has images or language, one of them")
        if self.methods is not None and self.language is not None:
            raise ValueError("methods are compared on image classifiers; leave them out of a study of language models")
        return self

    @property
    def plan(self) -> ForkPlan:
        return ForkPlan(**{name: getattr(self, name) for name in ForkPlan.model_fields})


class ImageBranches(Images, ImageShard):
    """An ensemble of image classifiers and how they branch."""

    plan: ForkPlan


class LanguageBranches(LanguageShard):
    """An ensemble of language models and how they branch."""

    plan: ForkPlan


class BranchJob(StrictModel):
    """What one job trains, one ensemble after the other."""

    images: dict[str, ImageBranches] = {}
    language: dict[str, LanguageBranches] = {}
    num_gpus: int = 0


class Alignment(StrictModel):
    """Independent models, aligned and merged."""

    images: Images
    lrs: tuple[float, ...] = Field(min_length=2)
    batch_size: int = Field(gt=0)
    num_steps: int = Field(gt=0)
    pairs: int = Field(ge=1)
    path_points: int = Field(ge=3)
    num_gpus: int = 0


class Trajectory(StrictModel):
    """Stochastic weight averaging: one run without annealing, averaged over its own past."""

    images: Images
    lrs: tuple[float, ...] = Field(min_length=2)
    batch_size: int = Field(gt=0)
    num_steps: int = Field(gt=0)
    first: int = Field(ge=1)  # update from which weights are averaged
    every: int = Field(ge=1)  # updates between two of them
    seeds: int = Field(ge=1)
    num_gpus: int = 0

    @model_validator(mode="after")
    def _reached(self) -> Self:
        if self.first > self.num_steps:
            raise ValueError(f"weights are averaged from update {self.first} on; the run has {self.num_steps}")
        return self

    @property
    def points(self) -> range:
        """Updates after which weights join the average."""
        return range(self.first, self.num_steps + 1, self.every)


class CrossTasks(StrictModel):
    """Two tasks fine-tuned from one base at every pair of learning rates.

    A base that is trained here has one frozen head for both tasks. Published weights have none: each task trains its
    own, and what is merged is all but the heads.
    """

    title: str
    images: Images  # the base's; the tasks' but for data set, classes and rotation
    base: Pretraining | None  # None: the published weights of `images`
    datasets: tuple[str, str] | None = None  # of each task; that of `images` if None
    classes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())  # those kept; empty: all
    quarter_turns: tuple[int, int] = (0, 0)
    optimizer: str = "sgd"
    fixed: dict[str, Value] = {}  # its hyperparameters but for lr
    lrs: tuple[float, ...] = Field(min_length=3)
    batch_size: int = Field(gt=0)
    num_steps: int = Field(gt=0)
    seeds: int = Field(ge=1)
    scales: tuple[float, ...] = Field(min_length=2)  # of task arithmetic and TIES
    keep: float = Field(default=0.2, gt=0, le=1)
    stack: int | None = Field(default=None, ge=1)  # models computed together; None: all, of merges 64
    num_gpus: int = 0

    @model_validator(mode="after")
    def _has_a_base(self) -> Self:
        if (self.base is None) != (self.images.kind == "pretrained"):
            raise ValueError("two tasks start from a base trained here (base) or from a pretrained kind; give one")
        return self


def _one_of_them(plans: dict[str, CrossTasks | None]) -> dict[str, CrossTasks | None]:
    named = [name for name, plan in plans.items() if plan is not None]
    if len(named) != 1:
        raise ValueError(f"a scale has one pair of tasks; leave out all others by null (given: {named})")
    return plans


CrossPlans = Annotated[dict[str, CrossTasks | None], AfterValidator(_one_of_them)]  # pairs of tasks by name


class Theory(StrictModel):
    """Simulations of what has a closed form."""

    num_chains: int = Field(ge=2)
    num_steps: int = Field(ge=1)
    lr: float = 0.05
    variance: float = 4.0
    batch_size: int = 8
    curvature: float = 1.0
    momenta: tuple[float, ...] = (0.0, 0.5, 0.9)
    norm_lr: float = 0.1
    norm_decay: float = 5e-3
    norm_size: int = 1000
    norm_steps: int = Field(ge=1)
