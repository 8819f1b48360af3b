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
    """Step -> shard -> settings. All seeds of some variants are trained by one job."""
    own, bigram = config.language, config.bigram
    variants = tuple(v for study in bigram.studies for v in study.all())
    home = None if own.base.hub else "base"
    found: dict[str, dict[str, StrictModel]] = {
        "verify": {"exact": config.exact},
        "world": {"bigram": WorldShard(world=bigram.world, variants=variants, seeds=bigram.seeds)},
        "pair": {},
        "evaluate": {},
    }
    if home:
        found["base"] = {"base": BaseShard(base=own.base, num_gpus=min(config.num_gpus, 1))}
    for variant in own.variants:
        members = tuple(Member(variant=variant, seed=seed) for seed in own.seeds)
        common = {"base": own.base, "training": own.training, "members": members}
        shard, job = own.shard_of(variant)
        trained = {**common, "base_shard": home, "num_gpus": config.num_gpus, "processes": max(1, config.num_gpus)}
        if job in found["pair"]:
            trained["members"] = (*found["pair"][job].members, *members)
        found["pair"][job] = PairShard(**trained)
        judged = {**common, "pair_shard": job, "num_gpus": min(config.num_gpus, 1)}
        if own.benchmarks.tasks:
            asked = found.setdefault("benchmark", {})
            asked[shard] = BenchmarkShard(**judged, benchmarks=own.benchmarks)
        for source in (own.base.text.source, *own.evaluation.sources):
            name = shard if source == own.base.text.source else f"{shard}-on-{source}"
            found["evaluate"][name] = EvaluateShard(**judged, source=source, base_shard=home, evaluation=own.evaluation)
    return found
