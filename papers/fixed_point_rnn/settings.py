"""Settings of exact checks, layers, solver, tasks and studies. No torch here."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shared.base.settings import StrictModel, merge
from shared.data.config import TextConfig
from shared.models.config import BackboneConfig
from shared.train.config import TrainingConfig

Dependence = Literal["lam", "Q", "b", "c", "gate"]


class Exact(StrictModel):
    """Checks in float64."""

    num_draws: int = Field(ge=2)  # random layers of the gradients' study
    num_linear: int = Field(ge=1)  # random dense recurrences against their closed form
    num_backward: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 2, 4, 8), min_length=1
    )  # differentiable steps
    width: int = Field(ge=2, multiple_of=2)  # D; layers have half of it outside
    length: int = Field(ge=2)  # T
    contraction_length: int = Field(ge=2)  # T of the dense Jacobian
    num_jacobians: int = Field(ge=1)  # random ones for Theorem 3.2


class SolverSettings(StrictModel):
    """When the fixed-point iteration stops, and how it is damped (paper, appendix on the solver)."""

    tol: float = Field(default=0.1, gt=0, lt=1)  # bound on the relative residual
    l_max: int = Field(default=16, ge=1)  # iterations without gradient; the differentiable step comes after them
    quantile: float = Field(default=0.9, gt=0, le=1)  # of the batch that has to meet tol; 1: every sequence
    damping: float = Field(default=1.0, gt=0, le=1)  # y <- damping * f(y) + (1 - damping) * y
    damping_decay: float = Field(default=1.0, gt=0, le=1)  # factor where the residual stops falling; 1: never
    patience: int = Field(default=15, ge=1)  # iterations without a new best residual before the damping drops
    min_damping: float = Field(default=1e-3, gt=0)  # stop below
    num_backward: int = Field(default=1, ge=1)  # differentiable steps: 1 is the paper's gradient


class MixerSettings(StrictModel):
    """A channel mixer Q_t (paper, section 3.2)."""

    kind: Literal["none", "householder", "dplr", "kronecker", "monarch", "constant"] = "householder"
    r: int = Field(default=1, ge=1)  # reflections, or terms of dplr
    reflection_scale: Literal[1, 2] = 1  # 1: the paper's formulas; 2: what the released code does
    argument: Literal["concat", "sum", "input"] = "concat"  # [x_t, h_{t-1}], x_t + h_{t-1}, or x_t alone
    power_iterations: int = Field(default=16, ge=0)  # kronecker: of the largest eigenvalue; 0: rows normalised only
    block: int = Field(default=8, ge=1)  # monarch: width of a block


class ModelSettings(StrictModel):
    """A residual stack of one kind of layer between a token embedding and a tied head."""

    layer: Literal["fp_rnn", "fp_mamba", "fp_mamba2", "baseline"] = "fp_rnn"
    baseline: dict[str, Any] = {}  # layer baseline: a sequence mixer of shared/models, e.g. {name: lstm}
    num_layers: int = Field(default=1, ge=1)
    d_model: int = Field(default=32, ge=1)
    num_heads: int = Field(default=4, ge=1)  # of baselines that have heads
    mlp: Literal["none", "gelu", "swiglu"] = "none"  # after every baseline mixer
    expand: int = Field(default=2, ge=1)  # inner width d / d_model
    d_state: int = Field(default=16, ge=1)  # fp_mamba: states per channel
    head_dim: int = Field(default=64, ge=1)  # fp_mamba2: width of a head
    conv_width: int = Field(default=0, ge=0)  # taps of the short convolution before the projections; 0: none
    mixer: MixerSettings = MixerSettings()
    hidden: tuple[Dependence, ...] = ("Q", "b", "c", "gate")  # fp_mamba: what depends on y_{t-1}, fp_rnn: Q alone
    normalise_bc: bool = True  # fp_mamba: b and c of unit length
    norm_in_loop: bool = True  # fp_mamba: normalise y in every iteration
    gate_in_loop: bool = False  # fp_mamba: the output gate inside the iteration
    solver: SolverSettings = SolverSettings()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.layer == "baseline") != bool(self.baseline):
            raise ValueError("give the settings under 'baseline' to layer 'baseline', and to no other")
        if self.baseline:
            self.backbone()
        return self

    def backbone(self) -> BackboneConfig:
        """Settings of a baseline in shared/models."""
        own = {"d_model": self.d_model, "num_heads": self.num_heads, "num_layers": self.num_layers}
        return BackboneConfig(**own, mixer=self.baseline, mlp=self.mlp)


class TaskSettings(StrictModel):
    """What is learned."""

    kind: Literal["word", "repeat", "copy", "arithmetic", "text"]
    group: str = "Z2"  # word: Zn, Sn or An; repeat: its elements are the alphabet
    train_len: int = Field(default=8, ge=1)  # word, repeat: elements of a word; text: predicted tokens
    min_len: int = Field(default=1, ge=1)  # copy, arithmetic: shortest training string; longest is train_len
    alphabet: int = Field(default=26, ge=2)  # copy: letters
    modulus: int = Field(default=5, ge=2)  # arithmetic
    short_share: float = Field(default=0.0, ge=0, lt=1)  # word: share of training words of length 2
    text: TextConfig = TextConfig()
    vocab_size: int | None = None  # text: of a tokenizer from the hub

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.min_len > self.train_len:
            raise ValueError(f"min_len {self.min_len} is above train_len {self.train_len}")
        return self


class EvaluationSettings(StrictModel):
    """How trained models are measured."""

    lengths: tuple[int, ...] = ()  # test lengths
    num_words: int = Field(default=512, ge=1)  # test sequences per length
    rows: int = Field(default=512, ge=1)  # of one forward pass
    cap: int = Field(default=64, ge=1)  # largest number of iterations; the paper's is 1000
    caps: tuple[int, ...] = ()  # accuracy at cap_length under these caps
    cap_length: int | None = None
    sequential: tuple[str, ...] = ()  # models whose token-by-token solution is set beside the parallel one

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if min((*self.lengths, 1)) < 1:
            raise ValueError(f"test lengths have to be at least 1; got {min(self.lengths)}")
        if self.caps and self.cap_length is None:
            raise ValueError("caps need a cap_length, the test length at which they are measured")
        return self


class Study(StrictModel):
    """Models that are trained on one task under one recipe."""

    task: TaskSettings
    training: TrainingConfig
    num_steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    lrs: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        min_length=1
    )  # peak learning rates; of several, every model has its own best
    tuning_seeds: tuple[int, ...] = Field(
        default=(100, 101), min_length=1
    )  # they choose the rate, by the loss of the last logged window
    extensions: int = Field(default=2, ge=0)  # times the rates go on where the best one is at their end
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float | None = 1.0
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    evaluation: EvaluationSettings
    model: ModelSettings = ModelSettings()  # what all models of the study share
    reference: str | None = None  # all models have as many parameters as this one, within 10 %; None: nothing is asked
    models: dict[str, dict[str, Any] | None]  # name -> what differs from `model`; null leaves one out
    l_max: dict[str, tuple[int, ...]] = {}  # name -> training l_max, one model each; the model's own if absent
    gamma: dict[str, int | None] = {}  # name -> k: l_max of an update is Gamma(4, k / 16 + 1), rounded up
    stacked: bool = True  # seeds train as one program
    models_per_shard: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _names_and_seeds(self) -> Self:
        if self.reference is not None and self.models.get(self.reference) is None:
            raise ValueError(f"reference '{self.reference}' is none of the study's models: {'; '.join(self.models)}")
        if self.models and (unknown := [name for name in (*self.l_max, *self.gamma) if name not in self.models]):
            raise ValueError(f"l_max or gamma of '{unknown[0]}', which is none of the models: {'; '.join(self.models)}")
        if shared := set(self.seeds) & set(self.tuning_seeds):
            raise ValueError(f"seed {min(shared)} judges and cannot choose the learning rate; change tuning_seeds")
        return self


class Entry(StrictModel):
    """One model of a study with its name in tables."""

    name: str
    model: ModelSettings
    gamma: int | None = None


def entries_of(study: Study) -> list[Entry]:
    """The study's models, one per training l_max where several are asked for."""
    found = []
    for name, own in study.models.items():
        if own is None:
            continue
        values: dict[str, Any] = merge(study.model.model_dump(), own)
        limits = study.l_max.get(name) or (values["solver"]["l_max"],)
        for l_max in limits:
            model = ModelSettings(**merge(values, {"solver": {"l_max": l_max}}))
            label = name if len(limits) == 1 else f"{name}, l_max {l_max}"
            found.append(Entry(name=label, model=model, gamma=study.gamma.get(name)))
    known = [entry.name for entry in found if entry.model.layer != "baseline"]
    if unknown := set(study.evaluation.sequential) - set(known):
        raise ValueError(f"evaluation.sequential has '{min(unknown)}'; models with fixed points are {'; '.join(known)}")
    return found
