"""What a study of GIDD is: its corpus, its models and noise, its runs, how they are measured and sampled; no torch."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from papers.gidd.names import Objective, Weighting
from shared.base.settings import Factor, NonNegative, Positive, StrictModel
from shared.data.config import MarkovConfig, TextConfig
from shared.train.config import TrainingConfig
from shared.train.run import Run as TrainingRun

Count = Annotated[int, Field(ge=1)]


class CommonWords(StrictModel):
    """A text's `num_words` most common words as tokens; stretches of `shortest` or more of them in a row are kept."""

    num_words: int = Field(ge=2)
    shortest: int = Field(ge=1)


class Corpus(StrictModel):
    """Where sequences come from: a Markov source whose likelihood is known, or text."""

    markov: MarkovConfig | None = None
    text: TextConfig | None = None  # give one of the two
    common_words: CommonWords | None = None  # of text in letters: the tokens, in its place; None: all of it
    seq_len: int = Field(ge=2)  # tokens
    num_validation: int = Field(ge=1)  # held-out sequences that likelihoods are measured on

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.markov is None) == (self.text is None):
            raise ValueError("a corpus is either 'markov' or 'text'; give one of them")
        if self.common_words is not None and (self.text is None or self.text.tokenizer.kind != "letters"):
            raise ValueError("common_words cuts a text in letters; give 'text' with a tokenizer of kind letters")
        if self.text is not None and self.text.tokenizer.special_tokens[-1:] != ("[MASK]",):
            raise ValueError("the last of the tokenizer's special_tokens must be '[MASK]'")
        return self


class ModelSize(StrictModel):
    """Shape of the diffusion transformer and of the autoregressive baseline."""

    d_model: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    cond_dim: int = Field(ge=1)  # width of the time embedding
    # taps of a depthwise convolution over positions on queries, keys and values, centred; None as in the paper: none
    conv_width: int | None = Field(default=None, ge=2)

    @model_validator(mode="after")
    def _heads(self) -> Self:
        if self.d_model % (2 * self.num_heads):
            raise ValueError(
                f"rotary embeddings need heads of an even width, which {self.num_heads} heads of d_model "
                f"{self.d_model} do not have; choose d_model a multiple of {2 * self.num_heads}"
            )
        return self


class Noise(StrictModel):
    """Mixing schedule and time grid, eqs. of the hybrid process."""

    gamma: float = Field(default=1.0, gt=0, le=2)  # exponent of c_t; the paper's value is 1
    eps: float = Field(default=1e-4, gt=0, lt=0.5)  # times stay in [eps, 1 - eps]
    w_max: float = Field(default=1.0, gt=0)  # cap of the clamped weights, scale of the dynamic ones


class Training(TrainingConfig):
    """AdamW and its schedule; each run has its own seed, and may have its own length and weight decay."""

    num_steps: int = Field(ge=1)  # updates
    batch_size: int = Field(ge=1)  # sequences of an update, over all processes and accumulation steps
    lr: float = Field(default=1e-3, gt=0)  # peak
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0)
    clip_grad_norm: float | None = Field(default=None, gt=0)  # None: no bound


class RunGroup(StrictModel):
    """A product of runs: every p_u with every weighting, weight decay, size and seed."""

    objective: Objective = "gidd"
    # share of uniform noise at t = 1/2; 1 would leave no mask to sample from
    p_u: list[Factor] = Field(default=[0.0], min_length=1)
    weighting: list[Weighting] = Field(default=["dynamic"], min_length=1)
    weight_decay: list[NonNegative] = Field(default=[0.0], min_length=1)
    size: list[str]
    seeds: list[int] = Field(default=[0], min_length=1)
    num_steps: int | None = Field(default=None, ge=1)  # updates, where they differ from the study's training
    sample: bool = False  # draw samples from these runs and correct them

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.objective != "gidd" and self.p_u != [0.0]:
            raise ValueError(f"objective {self.objective} has no uniform noise; leave p_u at [0.0]")
        return self


class Run(StrictModel):
    """One training."""

    id: str
    objective: Objective
    p_u: float
    weighting: Weighting
    weight_decay: float
    size: str
    seed: int
    num_steps: int
    sample: bool

    def described(self, training: Training, seq_len: int) -> TrainingRun:
        """This run for the training loop."""
        beta1, beta2 = training.betas
        return TrainingRun(
            name=self.id,
            optimizer="adamw",
            settings={
                "lr": training.lr, "beta1": beta1, "beta2": beta2, "eps": training.eps,
                "weight_decay": self.weight_decay,
            },
            batch_size=training.batch_size,
            num_steps=self.num_steps,
            seq_len=seq_len,
            seed=self.seed,
            clip_norm=training.clip_grad_norm,
        )  # fmt: skip


class Likelihood(StrictModel):
    """How a trained run is evaluated."""

    num_draws: int = Field(ge=2)  # draws of (t, z) per validation sequence; the spread gives the standard error
    recovery_counts: list[Count]  # k, tokens corrupted per sequence
    recovery_sequences: int = Field(ge=1)
    recovery_t0: float = Field(gt=0, lt=1)  # noise level the repairing step assumes


class Sampling(StrictModel):
    """Ancestral sampling, self-correction, and what scores the samples."""

    num_samples: int = Field(ge=2)  # per run and number of steps
    num_steps: list[Count]  # T, denoising steps
    correct_at: list[Count]  # the T whose samples are corrected
    taus: list[Positive]  # temperatures of the correction
    t0: float = Field(gt=0, lt=1)  # noise level at which the network looks at finished samples
    budget: int = Field(ge=1)  # K, iterations
    patience: int = Field(ge=1)
    tokens_per_step: int = Field(ge=1)  # n
    min_p: float = Field(ge=0, lt=1)
    num_texts: int = Field(ge=0)  # samples kept as text, per run
    scorer: str  # oracle: the source itself; ar: the study's autoregressive run; else a model's name on the hub

    @model_validator(mode="after")
    def _check(self) -> Self:
        unknown = [t for t in self.correct_at if t not in self.num_steps]
        if unknown:
            raise ValueError(f"correct_at names {unknown[0]} steps, which num_steps does not sample; add it there")
        if self.scorer not in ("oracle", "ar") and "/" not in self.scorer:
            raise ValueError(
                f"scorer '{self.scorer}' is neither 'oracle' nor 'ar' nor a model of the hub, such as google/gemma-2-9b"
            )
        return self


class Study(StrictModel):
    """A corpus and the runs trained on it."""

    corpus: Corpus
    sizes: dict[str, ModelSize]
    noise: Noise = Noise()
    training: Training
    runs: list[RunGroup]
    runs_per_shard: int = Field(ge=1)  # trained by one job
    stacked: bool = False  # runs that differ in loss weights, weight decay and seed alone train as one program
    likelihood: Likelihood
    sampling: Sampling

    @model_validator(mode="after")
    def _check(self) -> Self:
        for group in self.runs:
            for size in group.size:
                if size not in self.sizes:
                    raise ValueError(f"a run names size '{size}'; known sizes: {', '.join(self.sizes)}")
        ids = [run.id for run in self.all_runs()]
        twice = sorted({id for id in ids if ids.count(id) > 1})
        if twice:
            raise ValueError(f"two runs are the same: {twice[0]}; name each combination once")
        if self.sampling.scorer == "ar" and not any(group.objective == "ar" for group in self.runs):
            raise ValueError("scorer ar needs a run with objective ar")
        if self.sampling.scorer == "oracle" and self.corpus.markov is None:
            raise ValueError("scorer oracle needs a markov corpus, whose likelihood is known")
        if self.noise.gamma != 1 and any({"dynamic", "dynamic_v110"} & set(group.weighting) for group in self.runs):
            raise ValueError(f"weighting dynamic is defined at gamma 1, not {self.noise.gamma:g}; use dynamic_exact")
        self._check_recovery()
        return self

    def _check_recovery(self) -> None:
        most, length = max(self.likelihood.recovery_counts), self.corpus.seq_len
        if most > length:
            raise ValueError(f"recovery_counts names {most} tokens, and a sequence has {length}; lower it")
        if self.likelihood.recovery_t0 <= self.noise.eps:
            raise ValueError(
                f"the repairing step goes from recovery_t0 down to eps; {self.likelihood.recovery_t0:g} is not above "
                f"{self.noise.eps:g}"
            )

    def all_runs(self) -> Iterator[Run]:
        """The grid, in the order of the config."""
        for group in self.runs:
            product = itertools.product(group.size, group.weighting, group.weight_decay, group.p_u, group.seeds)
            for size, weighting, weight_decay, p_u, seed in product:
                kind = f"pu{p_u:g}-{weighting}" if group.objective == "gidd" else group.objective
                length = "" if group.num_steps is None else f"-{group.num_steps}"
                yield Run(
                    id=f"{kind}-wd{weight_decay:g}-{size}-s{seed}{length}",
                    objective=group.objective,
                    p_u=p_u,
                    weighting=weighting,
                    weight_decay=weight_decay,
                    size=size,
                    seed=seed,
                    num_steps=group.num_steps or self.training.num_steps,
                    sample=group.sample,
                )


class Exact(StrictModel):
    """Grid of the checks that need no training."""

    p_us: list[Factor]
    gammas: list[Annotated[float, Field(gt=0, le=2)]]
    num_steps: list[Count]  # of the sampler on a two-token toy
    discretisation_steps: list[Count]  # of the bound in discrete time
    curve_points: int = Field(ge=16)  # times at which weights and schedules are drawn
    vocab_size: int = Field(ge=3)  # of the drawn weights, mask included
    truncation_vocab: list[Annotated[int, Field(ge=2)]]  # N, sizes at which the truncation of t is measured


class StudyShard(StrictModel):
    """What one job on a study reads; sections that a step has no use for are left out."""

    study: str
    corpus: Corpus
    sizes: dict[str, ModelSize] = {}
    noise: Noise = Noise()
    training: Training | None = None
    stacked: bool = False
    likelihood: Likelihood | None = None
    sampling: Sampling | None = None
    runs: list[Run] = []
    scorer_run: Run | None = None
    scorer_shard: str | None = None  # the train shard that holds the scorer's weights
    num_gpus: int = 0
