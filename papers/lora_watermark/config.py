"""Settings of the exact world and of language models. Nothing here imports torch."""

from papers.lora_watermark.language_settings import (
    BaseShard,
    BenchmarkShard,
    EvaluateShard,
    Language,
    PairShard,
)
from papers.lora_watermark.settings import Bigram, Exact, WorldShard
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Config(PaperConfig):
    """All of it."""

    exact: Exact
    bigram: Bigram
    language: Language


STEPS = {"claims": ("language", "bigram"), "tables": ("bigram", "language")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings. All bases are trained by one job, all pairs of some seeds by another."""
    own, bigram, one_gpu = config.language, config.bigram, min(config.num_gpus, 1)
    variants = tuple(v for study in bigram.studies for v in study.all())
    home = None if own.base.hub else "base"
    found: dict[str, dict[str, StrictModel]] = {
        "verify": {"exact": config.exact},
        "world": {"bigram": WorldShard(world=bigram.world, variants=variants, seeds=bigram.seeds)},
        "pair": {},
        "evaluate": {},
    }
    if home:
        bases = tuple(dict.fromkeys(own.base_of(seed) for seed in own.seeds))
        found["base"] = {home: BaseShard(base=own.base, seeds=bases, num_gpus=one_gpu)}
    for job, seeds in own.jobs().items():
        common = {"base": own.base, "base_shard": home, "bases": tuple(own.base_of(seed) for seed in seeds)}
        common |= {"training": own.training, "variants": own.variants, "seeds": seeds}
        found["pair"][job] = PairShard(**common, num_gpus=config.num_gpus, processes=max(1, config.num_gpus))
        judged = {**common, "pair_shard": job, "num_gpus": one_gpu}
        if own.benchmarks.tasks:
            found.setdefault("benchmark", {})[job] = BenchmarkShard(**judged, benchmarks=own.benchmarks)
        for source in (own.base.text.source, *own.evaluation.sources):
            name = job if source == own.base.text.source else f"{job}-on-{source}"
            found["evaluate"][name] = EvaluateShard(**judged, source=source, evaluation=own.evaluation)
    return found
