"""Settings of the exact world and of language models. Nothing here imports torch."""

from papers.lora_watermark.language_settings import (
    BaseShard,
    BenchmarkShard,
    EvaluateShard,
    Language,
    Member,
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
    """Step -> shard -> settings. All bases are trained by one job, all variants of a seed by another."""
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
        seeds = tuple(dict.fromkeys(own.base_seed(seed) for seed in own.seeds))
        found["base"] = {home: BaseShard(base=own.base, seeds=seeds, num_gpus=one_gpu)}
    for seed, other in zip(own.seeds, (*own.seeds[1:], own.seeds[0]), strict=True):
        job, members = f"seed-{seed}", tuple(Member(variant=variant, seed=seed) for variant in own.variants)
        common = {"base": own.base, "training": own.training, "members": members}
        below = {"base_shard": home, "base_seed": own.base_seed(seed)}
        processes = {"num_gpus": config.num_gpus, "processes": max(1, config.num_gpus)}
        found["pair"][job] = PairShard(**common, **below, **processes)
        judged = {**common, "pair_shard": job, "num_gpus": one_gpu}
        if own.benchmarks.tasks:
            found.setdefault("benchmark", {})[job] = BenchmarkShard(**judged, benchmarks=own.benchmarks)
        control = {"other_shard": f"seed-{other}", "other_seed": other, "other_base_seed": own.base_seed(other)}
        for source in (own.base.text.source, *own.evaluation.sources):
            name = job if source == own.base.text.source else f"{job}-on-{source}"
            shard = EvaluateShard(**judged, **below, **control, source=source, evaluation=own.evaluation)
            found["evaluate"][name] = shard
    return found
