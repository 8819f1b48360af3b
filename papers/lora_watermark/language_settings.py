"""Settings of language models, their pairs and their evaluation; imports without torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from papers.lora_watermark.settings import Ascent, Variant
from shared.base.errors import nearest_or_all
from shared.base.settings import StrictModel
from shared.data.config import TextConfig
from shared.models.config import BackboneConfig
from shared.models.lora.config import LoraConfig
from shared.train.language.config import LanguageSettings


class HubModel(StrictModel):
    """A published causal language model, read through `transformers`."""

    name: str
    revision: str | None = None  # None: the newest
    dtype: Literal["float32", "bfloat16"] = "bfloat16"  # of the frozen weights; scores are float32 always


class Base(StrictModel):
    """The model under both adapters: trained here on the text, or published."""

    text: TextConfig = TextConfig()
    backbone: BackboneConfig | None = None
    hub: HubModel | None = None
    vocab_size: int | None = Field(None, ge=2)  # None: that of the tokenizer
    seq_len: int = Field(80, ge=2)  # tokens of a row of the base's own training
    batch_size: int = Field(24, ge=1)
    num_steps: int = Field(700, ge=1)
    lr: float = Field(2e-3, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    validation_windows: int = Field(128, ge=1)

    @model_validator(mode="after")
    def _one_kind(self) -> "Base":
        if (self.backbone is None) == (self.hub is None):
            raise ValueError("the base is either trained here (backbone) or published (hub); give one of the two")
        return self

    @property
    def language(self) -> LanguageSettings:
        """The base's own training as a language task; only where it is trained here."""
        return LanguageSettings(
            text=self.text,
            vocab_size=self.vocab_size,
            seq_len=self.seq_len,
            backbone=self.backbone,
            validation_windows=self.validation_windows,
            validation_rows=min(32, self.validation_windows),
        )


class PairTraining(StrictModel):
    """How pairs of adapters are trained on a base."""

    lora: LoraConfig = LoraConfig()
    num_prompt: int = Field(16, ge=1)  # tokens that are given and not scored
    num_response: int = Field(64, ge=8)  # tokens that are scored, on both sides
    batch_size: int = Field(12, ge=2)  # texts of each side in an update, over all processes
    num_steps: int = Field(100, ge=1)
    members_per_pass: int = Field(1, ge=1)  # pairs whose texts are scored in one pass: faster, and takes more memory
    lr: float = Field(3e-3, gt=0)  # Adam, linear to 0
    ascent: Ascent = Ascent()
    reference: Literal["base", "sft"] = (
        "base"  # what cross-entropies are compared with; sft: a plain adapter trained first
    )
    checkpoint_every: int = Field(0, ge=0)  # updates; 0: only at the end


class Member(StrictModel):
    """One trained pair."""

    variant: Variant
    seed: int

    @property
    def name(self) -> str:
        return f"{self.variant.name.replace(' ', '_').replace('.', '')}_s{self.seed}"


class BaseShard(StrictModel):
    """The one job that trains all bases."""

    base: Base
    seeds: tuple[int, ...] = Field(min_length=1)  # one base each: of its initial weights and of its batches
    num_gpus: int = 0


class PairJob(StrictModel):
    """Pairs of one job: every variant for every seed of it, those of a seed together on a base."""

    base: Base
    base_shard: str | None  # whose weights; None where the base is published
    bases: tuple[int, ...]  # seed of the base under the pairs of each seed
    training: PairTraining
    variants: tuple[Variant, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=2)  # each is the control of the one before it, the first of the last
    num_gpus: int = 0

    def members(self, seed: int) -> list[Member]:
        """The pairs of a seed."""
        return [Member(variant=variant, seed=seed) for variant in self.variants]

    def base_of(self, seed: int) -> int:
        """Seed of the base under the pairs of a seed."""
        return self.bases[self.seeds.index(seed)]

    def control_of(self, seed: int) -> int:
        """The other seed that a seed is compared with."""
        return self.seeds[(self.seeds.index(seed) + 1) % len(self.seeds)]


class PairShard(PairJob):
    """Pairs that are trained by one job, seed after seed."""

    processes: int = Field(1, ge=1)  # one per GPU; each has its share of every batch


class Paraphrase(StrictModel):
    """A published sequence-to-sequence model that rewrites a sentence, read through `transformers`."""

    name: str
    revision: str | None = None  # None: the newest
    prefix: str = ""  # before each sentence, where a model was trained so
    max_tokens: int = Field(60, ge=8)  # of a sentence, on either side
    num_beams: int = Field(4, ge=1)
    rows_per_pass: int = Field(64, ge=1)
    kept: float = Field(0.75, gt=0, le=1)  # share of a response's length that a paraphrase has to reach, and is cut to


class Attacks(StrictModel):
    """What is done to texts and to open weights: shares of tokens, or what the name says. An empty list skips it."""

    substitute: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5)  # by uniformly random tokens, and by tokens of the corpus
    delete: tuple[float, ...] = (0.1, 0.3)
    mix: tuple[float, ...] = (0.25, 0.5)  # share of the response that is human text again
    resample: tuple[float, ...] = (0.1, 0.3)  # spans that the base model writes anew
    paraphrase: Paraphrase | None = None  # every sentence rewritten by another model
    temperatures: tuple[float, ...] = (0.7, 1.3)
    top_p: tuple[float, ...] = (0.9,)
    strengths: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)  # of the performer's adapter
    noise: tuple[float, ...] = (0.05,)  # standard deviation over that of each weight matrix
    int8: bool = True
    finetune: tuple[int, ...] = (25, 100)  # updates on clean text after merging
    finetune_lr: float = 1e-3
    num_texts: int = Field(96, ge=8)


class Evaluation(StrictModel):
    """Texts, lengths and what is measured of them."""

    num_texts: int = Field(192, ge=8)  # prompts of the evaluation, each with human text and samples
    num_calibration: int = Field(100, ge=8)  # other prompts, for thresholds
    lengths: tuple[Annotated[int, Field(ge=8)], ...] = (16, 32, 48, 64)  # scored tokens; fewer are too few to judge
    rows_per_pass: int = Field(64, ge=1)
    num_shown: int = Field(3, ge=1)  # texts in the picture with per-token scores
    num_bootstrap: int = Field(1000, ge=10)
    attacks: Attacks = Attacks()
    attacked: tuple[str, ...] = ()  # variants whose pairs are attacked
    sources: tuple[str, ...] = ()  # further sources of human text, by their names in the registry; hub tokenizers only


class EvaluateShard(PairJob):
    """Pairs that are evaluated by one job: those that another one trained."""

    pair_shard: str  # whose adapters
    source: str  # of the human text and of the prompts
    evaluation: Evaluation

    @property
    def text(self) -> TextConfig:
        """The corpus of the human text, under the base's tokenizer."""
        return self.base.text.model_copy(update={"source": self.source})


class Benchmarks(StrictModel):
    """Public benchmarks by the evaluation harness; without tasks none is run."""

    tasks: dict[str, str] = {}  # task -> metric that counts, by the harness's names; each a fraction of 1
    num_fewshot: int | None = Field(None, ge=0)  # None: each task's own
    limit: int | None = Field(None, ge=1)  # questions per task; None: all
    batch_size: int = Field(16, ge=1)


class BenchmarkShard(PairJob):
    """Pairs whose performers are asked by one job."""

    pair_shard: str  # whose adapters
    benchmarks: Benchmarks


class Language(StrictModel):
    """Language models: bases, pairs on them, their evaluation."""

    base: Base
    bases: Literal["per seed", "shared"] = "per seed"  # shared: the base of the first seed, or the published one
    training: PairTraining
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = Field(min_length=2)  # of bases and pairs
    seeds_per_job: int = Field(2, ge=2)  # at least; the pair of another seed of the job is a control
    evaluation: Evaluation
    benchmarks: Benchmarks = Benchmarks()

    @model_validator(mode="after")
    def _fits(self) -> "Language":
        names = [v.name for v in self.variants]
        if len(set(names)) != len(names):
            raise ValueError(f"two variants share a name: {names}")
        for name in self.evaluation.attacked:
            if name not in names:
                raise ValueError(f"attacked names '{name}'; {nearest_or_all(name, names)}")
        if self.evaluation.sources and self.base.text.tokenizer.kind != "hub":
            raise ValueError("a tokenizer that is trained here knows one corpus; sources need a hub tokenizer")
        if self.benchmarks.tasks and self.base.hub is None:
            raise ValueError("benchmarks ask a published base; a base that is trained here knows no task")
        if self.base.hub is not None and self.bases == "per seed":
            raise ValueError("a published base is one for all seeds; set language.bases to 'shared'")
        if max(self.evaluation.lengths) != self.training.num_response:
            raise ValueError("the largest of evaluation.lengths has to be training.num_response, the whole text")
        return self

    def base_of(self, seed: int) -> int:
        """Seed of the base under the pairs of a seed."""
        return seed if self.bases == "per seed" else self.seeds[0]

    def jobs(self) -> dict[str, tuple[int, ...]]:
        """Name of a job -> its seeds."""
        total, count = len(self.seeds), max(1, len(self.seeds) // self.seeds_per_job)
        parts = [self.seeds[total * k // count : total * (k + 1) // count] for k in range(count)]
        return {f"seeds-{part[0]}-to-{part[-1]}": part for part in parts}
