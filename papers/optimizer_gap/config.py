"""Settings of the Adam-SGD gap: language-model sweeps, probes along training, quadratics and SDEs. No torch here."""

from papers.optimizer_gap.problems import Quadratics, Sde
from papers.optimizer_gap.settings import DataShard, GapShard, Language, Probes, Thresholds, probe_shards, stacked
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel
from shared.train.sweep.packing import sweep_shards


class Config(PaperConfig):
    """All of it."""

    language: Language
    probes: Probes
    quadratics: Quadratics
    sde: Sde
    thresholds: Thresholds


STEPS = {"tables": (), "claims": ("thresholds",)}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    language = config.language
    settings = language.settings.model_copy(update={"num_gpus": config.num_gpus})
    watched = settings.model_copy(update={"num_gpus": min(1, config.num_gpus), "extensions": 0, "fresh_seeds": ()})
    corpus = DataShard(text=settings.text, num_symbols=settings.num_symbols, num_groups=settings.num_groups)
    train: dict[str, StrictModel] = {}
    for name, sweep in language.sweeps:
        own = settings if name != "no_clip" else settings.model_copy(update={"fresh_seeds": ()})  # it decides nothing
        train |= sweep_shards(GapShard, own, sweep, name=name, max_members=language.max_members)
    return {
        "data": {"corpus": corpus},
        "simulate": {"sde": config.sde},
        "quadratics": {"descents": config.quadratics},
        "train": stacked(train, language.stack_rows),
        "probe": stacked(probe_shards(watched, config.probes, train), language.stack_rows),
    }
