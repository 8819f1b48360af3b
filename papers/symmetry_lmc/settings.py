"""Settings of what is trained and aligned, in the words of config.yaml. No torch here."""

from typing import Literal

from pydantic import Field, model_validator

from shared.base.settings import StrictModel
from shared.train.images.config import ImageSettings, ImageShard
from shared.train.language.config import LanguageSettings
from shared.train.run import Run


class Optimizer(StrictModel):
    """How a parent is trained."""

    optimizer: str
    settings: dict[str, float]


class Augmentation(StrictModel):
    """What training images go through, and where image networks begin."""

    noise: float = Field(default=0.0, ge=0)  # standard deviation of Gaussian noise on normalised pixels
    crop: int = Field(default=0, ge=0)  # pixels of padding before a random crop and flip; 0: neither
    jitter: float = Field(default=0.0, ge=0, lt=1)  # largest change of brightness, contrast and saturation
    init_std: float = Field(default=0.02, gt=0)  # normal init of all weight matrices, biases 0


class AugmentedShard(ImageShard, Augmentation):
    """One training job of images."""


class Parents(Augmentation):
    """Networks of one architecture that differ in their seed; exactly one of `images` and `language` is given."""

    images: ImageSettings | None = None
    language: LanguageSettings | None = None
    optimizers: tuple[Optimizer, ...] = Field(min_length=1)  # of parent 0, 1, ...; begun again after the last
    batch_size: int = Field(ge=1)
    num_steps: int = Field(ge=1)
    clip_norm: float | None = None
    num_models: int = Field(ge=2)

    @model_validator(mode="after")
    def _one_kind(self) -> "Parents":
        if (self.images is None) == (self.language is None):
            raise ValueError("parents are image models or language models; give exactly one of images and language")
        return self

    def runs(self, width: int | None = None) -> tuple[Run, ...]:
        """One run per parent; `width` replaces the language model's d_model."""
        how = {"batch_size": self.batch_size, "num_steps": self.num_steps, "clip_norm": self.clip_norm}
        how |= {"seq_len": 1 if self.language is None else self.language.seq_len}
        how |= {"model": {} if width is None else {"d_model": width}}
        own = [self.optimizers[seed % len(self.optimizers)] for seed in range(self.num_models)]
        return tuple(
            Run(name=f"model-{seed}", optimizer=o.optimizer, settings=dict(o.settings), seed=seed, **how)
            for seed, o in enumerate(own)
        )


class Sampler(StrictModel):
    """Distribution of lam, the weight of model A."""

    name: Literal["fixed", "uniform", "normal"]
    low: float = 0.5  # mean of the normal one
    high: float = 0.5  # its standard deviation

    @model_validator(mode="after")
    def _inside(self) -> "Sampler":
        if self.name == "uniform" and not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"lam lies in [0, 1]; got the interval [{self.low:g}, {self.high:g}]")
        return self


class Variant(StrictModel):
    """One way of learned matching."""

    sampler: Sampler
    orthogonal: bool = True  # the stream is rotated; else permuted
    matched: bool = True  # starts from weight matching; else from the circuits as they are
    soft: bool = False  # heads and hidden units by Sinkhorn
    watched: bool = False  # barriers are taken along the way


class Learning(StrictModel):
    """Learned matching: Adam on the latents, cosine to 0."""

    num_steps: int = Field(ge=1)
    lr: float = Field(gt=0)  # of rotations
    permutation_lr: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    rounds: int = Field(ge=1)  # of Sinkhorn
    spread: float = Field(gt=0)  # of its start


class Alignment(StrictModel):
    """How two models are aligned and judged."""

    num_pairs: int = Field(ge=1)
    num_points: int = Field(ge=3)  # of lam, both ends included
    coarse_points: int = Field(ge=3)  # of lam where barriers are followed over sweeps and updates
    num_sweeps: int = Field(ge=1)  # of weight matching
    shown_sweeps: tuple[int, ...]  # sweeps after which barriers are taken, 0 and the last included
    num_samples: int = Field(ge=1)  # training rows of activation matching
    learning: Learning
    variants: dict[str, Variant]
    watch_steps: tuple[int, ...] = ()  # updates after which watched variants are judged, 0 and the last included

    @model_validator(mode="after")
    def _reached(self) -> "Alignment":
        if max(self.shown_sweeps, default=0) > self.num_sweeps:
            raise ValueError(f"shown_sweeps go to {max(self.shown_sweeps)}, but there are {self.num_sweeps} sweeps")
        if max(self.watch_steps, default=0) > self.learning.num_steps:
            raise ValueError(f"watch_steps go to {max(self.watch_steps)} of {self.learning.num_steps} updates")
        return self


class Study(StrictModel):
    """One data set with one architecture."""

    title: str  # in figures
    dataset: str  # column of the paper's Table 2 that it stands for
    parents: Parents
    alignment: Alignment

    @model_validator(mode="after")
    def _enough(self) -> "Study":
        if 2 * self.alignment.num_pairs > self.parents.num_models:
            raise ValueError(
                f"{self.alignment.num_pairs} disjoint pairs need twice as many models; got {self.parents.num_models}"
            )
        return self


class ParentsShard(Parents):
    """One training job."""

    study: str
    width: int | None
    num_gpus: int


class AlignShard(Alignment):
    """One job of alignments in pairs: models 0 and 1, 2 and 3, ..."""

    study: str
    parents: Parents
    num_gpus: int


class Merging(StrictModel):
    """Three models at once."""

    num_triples: int = Field(ge=1)  # disjoint: models 0 to 2, 3 to 5, ...
    num_points: int = Field(ge=3)  # along each side of the simplex
    rounds: int = Field(ge=1)  # of universe matching
    num_sweeps: int = Field(ge=1)
    concentration: float = Field(gt=0)  # of the Dirichlet distribution of weights
    learning: Learning


class MergeShard(Merging):
    """The job."""

    study: str
    parents: Parents
    num_gpus: int


class Widths(StrictModel):
    """Narrow models into wide ones, which are model A."""

    widths: tuple[int, ...]
    wide: int | None = None  # None: the study's own models
    num_pairs: int = Field(ge=1)
    sampler: Sampler


class WidenShard(StrictModel):
    """Narrow models of one width, each into the wide model of its seed."""

    study: str
    width: int
    wide: int | None
    wide_shard: str  # of the training of the wide models
    num_pairs: int
    sampler: Sampler
    alignment: Alignment
    parents: Parents
    num_gpus: int
