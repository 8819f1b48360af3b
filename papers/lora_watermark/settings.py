"""Variants of the objective, and settings of the exact world; imports without torch."""

from typing import Literal

from pydantic import Field, model_validator

from shared.base.settings import StrictModel


class Variant(StrictModel):
    """One way to train the pair. Everything here is a reconstruction: the paper's own choices are not public."""

    name: str
    eps: float = Field(0.05, gt=0, allow_inf_nan=False)  # allowed rise of cross-entropy and of KL, nats per token
    combine: Literal["dual", "barrier", "weighted", "none"] = "dual"  # V3, V2, V1; none: the gap alone
    detect: Literal["gap", "logistic"] = "logistic"
    naturalness: Literal["ce", "ce+kl", "ce+kl+nll"] = "ce+kl"  # which constraints hold; see `objective`
    numerator: Literal["observer", "performer"] = "observer"
    roles: Literal["pair", "observer", "performer"] = "pair"  # which adapters are trained; the other one is the base
    sampling_grad: Literal["none", "reinforce"] = "reinforce"
    temperature: float = Field(0.1, gt=0)  # T of the logistic term
    mu: float = Field(0.05, gt=0)  # of the barrier
    weight: float = Field(1.0, gt=0)  # lambda_w of V1, times the detectability term
    weight_observer: float = Field(1.0, gt=0)  # lambda_O of V1, times the observer's cross-entropy


class Ascent(StrictModel):
    """How multipliers follow the constraints g of the last update: lam = clip(nu + rho g), nu <- clip(nu + eta g)."""

    eta: float = Field(2.0, gt=0)  # step of dual ascent
    rho: float = Field(20.0, ge=0, allow_inf_nan=False)  # damping; 0: plain dual ascent, which oscillates


class World(StrictModel):
    """The bigram world: human text is a stationary chain with logits N(0, 1), and the base is that chain."""

    vocab_size: int = Field(32, ge=2)  # V
    rank: int = Field(4, ge=1)  # of the adapters, at most V
    length: int = Field(64, ge=8)  # scored tokens of a text
    lengths: tuple[int, ...] = (16, 32, 64)  # prefixes that are scored
    num_steps: int = Field(250, ge=1)
    batch_size: int = Field(48, ge=2)  # texts of each side in an update
    lr: float = Field(0.02, gt=0)  # Adam, linear to 0
    ascent: Ascent = Ascent()
    num_texts: int = Field(2000, ge=8)  # of each side in the evaluation
    log_every: int = Field(10, ge=1)
    robust: tuple[float, ...] = (0.1, 0.3, 0.5)  # shares of tokens that are replaced

    @model_validator(mode="after")
    def _fits(self) -> "World":
        if self.rank > self.vocab_size or max(self.lengths) > self.length or min(self.lengths) < 8:
            raise ValueError(f"rank is at most V, lengths lie in 8..{self.length}; got {self.rank}, {self.lengths}")
        return self


class WorldShard(StrictModel):
    """One job of the bigram world: variants times seeds, trained side by side."""

    world: World
    variants: tuple[Variant, ...] = Field(min_length=1)
    seeds: tuple[int, ...]


class Study(StrictModel):
    """Variants by name; `eps` and `weight` lists make one variant per value."""

    variant: Variant
    eps: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()

    def all(self) -> list[Variant]:
        """One variant per value."""
        pairs = [(eps, weight) for eps in self.eps or (self.variant.eps,) for weight in self.weights or (None,)]
        found = []
        for eps, weight in pairs:
            update = {"eps": eps} | ({} if weight is None else {"weight": weight})
            found.append(self.variant.model_copy(update=update))
        return found


class Bigram(StrictModel):
    """The exact world: which variants, for which seeds."""

    world: World
    studies: tuple[Study, ...]
    seeds: tuple[int, ...] = Field(min_length=2)


class Exact(StrictModel):
    """Checks by enumeration."""

    num_batches: int = Field(1000, ge=20)  # of 20 texts, for the estimator's mean
    lengths: tuple[int, ...] = (16, 64, 256)
    num_texts: int = Field(2000, ge=100)
