"""Settings of the exact world and of language models. Nothing here imports torch."""

from pydantic import Field, model_validator

from papers.lora_watermark.settings import (
    Base,
    BaseShard,
    EvaluateShard,
    Evaluation,
    Exact,
    Member,
    PairShard,
    PairTraining,
    Variant,
    World,
    WorldShard,
)
from shared.artifacts.config import PaperConfig
from shared.base.errors import nearest_or_all
from shared.base.settings import StrictModel


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


class Language(StrictModel):
    """Language models: a base, pairs on it, their evaluation."""

    base: Base
    training: PairTraining
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = Field(min_length=2)  # the pair of another seed is a control
    evaluation: Evaluation

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
        if max(self.evaluation.lengths) != self.training.num_response:
            raise ValueError("the largest of evaluation.lengths has to be training.num_response, the whole text")
        return self


class Config(PaperConfig):
    """All of it."""

    exact: Exact
    bigram: Bigram
    language: Language


STEPS = {"claims": ("language", "bigram"), "tables": ("bigram", "language")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings. Pairs of one variant, all seeds, are one shard."""
    own, bigram = config.language, config.bigram
    variants = tuple(v for study in bigram.studies for v in study.all())
    home = None if own.base.hub else "base"
    found: dict[str, dict[str, StrictModel]] = {
        "verify": {"exact": config.exact},
        "world": {"bigram": WorldShard(world=bigram.world, variants=variants, seeds=bigram.seeds)},
        "base": {"base": BaseShard(base=own.base, num_gpus=min(config.num_gpus, 1))} if home else {},
        "pair": {},
        "evaluate": {},
    }
    for variant in own.variants:
        members = tuple(Member(variant=variant, seed=seed) for seed in own.seeds)
        common = {"base": own.base, "base_shard": home, "training": own.training, "members": members}
        shard = variant.name.replace(" ", "-")
        found["pair"][shard] = PairShard(**common, num_gpus=config.num_gpus, processes=max(1, config.num_gpus))
        judged = {**common, "pair_shard": shard, "evaluation": own.evaluation, "num_gpus": min(config.num_gpus, 1)}
        for source in (own.base.text.source, *own.evaluation.sources):
            name = shard if source == own.base.text.source else f"{shard}-on-{source}"
            found["evaluate"][name] = EvaluateShard(source=source, **judged)
    return found
