"""Settings of the zoo, of the searches over pairs, and of captioning. No torch here."""

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.base.settings import StrictModel
from shared.models.config import HypernetworkConfig


class ImageEncoder(StrictModel):
    """A frozen image encoder of the zoo."""

    name: str
    dim: int = Field(ge=1)
    kind: Literal["cnn", "timm"] = "cnn"
    supervised: list[str] = []  # attributes that it learns to name; cnn only
    autoencoder: bool = False  # cnn only: learns to draw the image again
    hub: str | None = None  # timm: name of the model
    revision: str | None = None  # of the hub's repository; None: unpinned
    image_size: int = Field(224, ge=1)  # timm: side to which images are resized


class TextEncoder(StrictModel):
    """A frozen text encoder of the zoo."""

    name: str
    dim: int = Field(ge=1)
    kind: Literal["words", "places", "gru", "hub"] = "words"
    trained: bool = False  # gru only: as a language model on the captions
    hub: str | None = None
    revision: str | None = None
    published_score: float | None = None  # hub only: uni-modal benchmark, as its authors give it


class LanguageModelPlan(StrictModel):
    """A frozen causal language model that captioning is stitched to: a small one of ours, or one from the hub."""

    name: str
    width: int = Field(ge=4)
    num_layers: int = Field(ge=1)
    num_steps: int = Field(0, ge=0)  # of its training; 0: pretrained, from the hub
    hub: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        if (self.hub is None) == (self.num_steps == 0):
            raise ValueError("a language model is either trained here (num_steps) or taken from the hub (hub)")
        return self


class Data(StrictModel):
    """What images and captions are."""

    source: Literal["scenes", "cifar10", "hub"]
    magnify: int = Field(1, ge=1)  # scenes: side of a pixel
    noise: float = Field(0.05, ge=0)  # scenes: standard deviation, pixels lie in [0, 1]
    num_train: int = Field(ge=8)
    num_validation: int = Field(ge=8)
    num_test: int = Field(ge=8)
    prompts_per_class: int = Field(ge=1)  # of the zero-shot classifiers
    zero_shot: list[Literal["cifar10", "imagenet-1k"]] = []  # hub: data sets of zero-shot classification
    seed: int = 0


class Pretraining(StrictModel):
    """How the zoo's own encoders and language models are trained, before any stitching."""

    num_steps: int = Field(ge=1)  # of each encoder that is trained
    batch_size: int = Field(ge=1)
    lr: float = Field(gt=0)
    language_batch_size: int = Field(ge=1)
    language_lr: float = Field(gt=0)


class Zoo(StrictModel):
    """Data, encoders and language models."""

    data: Data
    images: list[ImageEncoder] = Field(min_length=1)
    texts: list[TextEncoder] = Field(min_length=1)
    language_models: list[LanguageModelPlan] = []
    pretraining: Pretraining
    probe_image: str  # attribute whose linear probe is an image encoder's uni-modal score
    ridge: float = Field(gt=0)  # of the linear probes
    num_gpus: int = 0


class Grid(StrictModel):
    """Training of each pair's own connector."""

    batch_size: int = Field(ge=2)
    lr: float = Field(gt=0)
    warmup: int = Field(ge=0)  # steps, then cosine to zero


class Hyma(StrictModel):
    """Joint training of the hypernetwork."""

    batch_size: int = Field(ge=2)
    pairs_per_step: int = Field(ge=1)
    lr: float = Field(gt=0)
    warmup: int = Field(ge=0)
    cosine: bool = True  # to zero; else constant
    clip_norm: float = Field(gt=0)
    group_by_dims: bool = False  # a hypernetwork for each pair of widths in place of one for all
    network: HypernetworkConfig


class DepthPlan(StrictModel):
    """Lengths of the runs for connectors with `depth` hidden layers."""

    depth: int = Field(ge=0, le=2)
    grid_steps: int = Field(ge=1)
    short_steps: int = Field(ge=1)  # of the short grid, in Hyma's batches
    hyma_steps: int = Field(ge=1)


class Variant(StrictModel):
    """A change of the hypernetwork or its learning rate, for the ablation."""

    name: str
    network: dict[str, str | int] = {}
    group_by_dims: bool = False


class Search(StrictModel):
    """The study of section 4 for embeddings of the zoo: every pair, by every method."""

    score: str  # the benchmark that ranks pairs
    num_ranked: int = Field(7, ge=1)  # k of NDCG@k
    logit_scale: float = Field(gt=0)
    hidden: int = Field(ge=1)
    depths: list[DepthPlan] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    seeds_per_shard: int = Field(ge=1)
    depths_per_shard: int = Field(ge=1)
    grid: Grid
    hyma: Hyma
    halving_rounds: int = Field(ge=1)
    num_checkpoints: int = Field(ge=2)  # of the learning curves, which are those of the first entry of `scaling`
    curve_depth: int = Field(ge=0, le=2)
    scaling: list[tuple[int, int]] = Field(min_length=1)  # first encoders of both kinds that get a hypernetwork alone
    scaling_depths: list[int]  # for which depths; the curves' depth is one of them
    extend_image: str  # encoder that is added to a frozen hypernetwork
    extend_depth: int = Field(ge=0, le=2)
    extend_steps: int = Field(ge=1)
    variants: list[Variant] = []
    variant_depth: int = Field(ge=0, le=2)
    variant_seeds: list[int] = []  # some of the seeds
    lrs_grid: list[float] = []  # tuning: learning rates around those above
    lrs_hyma: list[float] = []
    tuning_depths: list[int] = []
    tuning_size: tuple[int, int] = (3, 3)  # first encoders of both kinds whose pairs learning rates are tried on
    tuning_seed: int = 1000
    num_queries: int = Field(ge=1)  # of the picture of retrieved images
    ask_llm: str | None = None  # file of a chat model's recorded answer, below this folder

    @model_validator(mode="after")
    def _fits(self) -> Self:
        planned = [plan.depth for plan in self.depths]
        for name in ("curve_depth", "extend_depth", "variant_depth"):
            if getattr(self, name) not in planned:
                raise ValueError(f"{name} is {getattr(self, name)}, and depths plans {planned}")
        if self.curve_depth not in self.scaling_depths:
            raise ValueError(f"scaling_depths has to name curve_depth, {self.curve_depth}; it is {self.scaling_depths}")
        return self

    def plan(self, depth: int) -> DepthPlan:
        """The lengths for one depth."""
        return next(plan for plan in self.depths if plan.depth == depth)


class Captioning(StrictModel):
    """Image encoders stitched into frozen language models by soft tokens."""

    images: list[str] = Field(min_length=1)
    language_models: list[str] = Field(min_length=1)
    depth: int = Field(1, ge=0, le=2)
    hidden: int = Field(ge=1)
    num_ranked: int = Field(7, ge=1)
    num_soft: int = Field(4, ge=1)  # soft tokens; as many as a scene has attributes
    seeds: list[int] = Field(min_length=1)
    grid_steps: int = Field(ge=1)
    hyma_steps: int = Field(ge=1)
    num_checkpoints: int = Field(ge=2)
    grid: Grid
    hyma: Hyma
    lrs_grid: list[float] = []  # tuning, as in the search
    lrs_hyma: list[float] = []
    tuning_seed: int = 1000


class SearchShard(StrictModel):
    """Some depths and seeds of the search."""

    search: Search
    depths: list[int]
    seeds: list[int]
    num_gpus: int = 0


class TuneShard(StrictModel):
    """Learning rates of both methods for one depth."""

    search: Search
    depths: list[int]
    num_gpus: int = 0


class CaptionShard(StrictModel):
    """All of the captioning study."""

    captioning: Captioning
    zoo: Zoo
    num_gpus: int = 0


class ExactShard(StrictModel):
    """Arithmetic: costs against logged ones, NDCG of random orders."""

    num_draws: int = Field(ge=100)
    seed: int = 0
