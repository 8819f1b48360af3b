"""Settings of Adam against signed momentum: exact checks, toy quadratics, and sweeps of language models."""

from typing import Self

from pydantic import Field, model_validator

from papers.signed_adam.settings import Exact, Quadratics, QuadraticsShard, Released, Studies, Study, SweepShard
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel
from shared.train.language.config import LanguageSettings
from shared.train.sweep.packing import sweep_shards


class Thresholds(StrictModel):
    """What claims allow at a scale, in nats, and what they know of noise."""

    regret: float = Field(gt=0)  # of beta2 = beta1 against the best beta2, for every beta1
    tied: float = Field(gt=0)  # of the best tied pair against the best pair
    adavar: float = Field(gt=0)  # of AdaVar's best point with gamma = tau = beta against its best other point
    reported_spread: bool  # whether a single run of a method has the spread that the paper's Table 1 prints


class Config(PaperConfig):
    """All of it."""

    exact: Exact
    thresholds: Thresholds
    quadratics: Quadratics
    sizes: dict[str, LanguageSettings]  # model, corpus and sequence length by name
    studies: Studies
    released: Released | None

    @model_validator(mode="after")
    def _known_setups(self) -> Self:
        for name, study in self.studies.items():
            if study is not None and study.setup not in self.sizes:
                raise ValueError(f"study '{name}' names setup '{study.setup}'; known: {', '.join(self.sizes)}")
        for name in self.released.files if self.released else ():
            if self.studies.get(name) is None:
                raise ValueError(f"released names study '{name}', which this scale does not have")
        return self

    def present(self) -> dict[str, Study]:
        """The studies of this scale."""
        return {name: study for name, study in self.studies.items() if study is not None}


STEPS = {"tables": ("studies", "quadratics", "thresholds"), "claims": ("quadratics", "thresholds")}
PUBLISHED = {"sweep": "released"}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    found: dict[str, dict] = {step: {} for step in ("exact", "quadratics", "sweep")}
    found["exact"]["exact"] = config.exact
    for draw in config.quadratics.draws:
        found["quadratics"][f"draw-{draw}"] = QuadraticsShard(draw=draw, **config.quadratics.model_dump())
    for name, study in config.present().items():
        settings = study.applied(config.sizes[study.setup])
        found["sweep"] |= sweep_shards(SweepShard, settings, study.sweep, name=name, max_members=study.max_members)
    if config.released is not None:
        lengths = {name: config.sizes[study.setup].seq_len for name, study in config.present().items()}
        found["released"] = config.released.shards(lengths)
    return found
