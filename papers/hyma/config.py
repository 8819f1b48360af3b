"""Settings of Hyma, and how its steps are cut into jobs. A shard's settings are all that its job reads."""

from papers.hyma.settings import Captioning, CaptionShard, ExactShard, Search, SearchShard, TuneShard, Zoo
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Config(PaperConfig):
    """All of it."""

    exact: ExactShard
    zoo: Zoo
    search: Search
    captioning: Captioning | None


STEPS = {"tables": ("search", "captioning"), "claims": ("search",)}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    gpus, search = {"num_gpus": config.num_gpus}, config.search
    found: dict[str, dict[str, StrictModel]] = {"exact": {"arithmetic": config.exact}, "search": {}}
    found["embed"] = {"zoo": config.zoo.model_copy(update=gpus)}
    depths = [plan.depth for plan in search.depths]
    for d in _parts(depths, search.depths_per_shard):
        for s in _parts(search.seeds, search.seeds_per_shard):
            name = f"d{'-'.join(map(str, d))}-s{'-'.join(map(str, s))}"
            found["search"][name] = SearchShard(search=search, depths=d, seeds=s, **gpus)
    if search.tuning_depths:
        found["tune"] = {
            f"d{'-'.join(map(str, d))}": TuneShard(search=search, depths=d, **gpus)
            for d in _parts(search.tuning_depths, search.depths_per_shard)
        }
    if config.captioning is not None:
        found["caption"] = {"captions": CaptionShard(captioning=config.captioning, zoo=config.zoo, **gpus)}
    return found


def _parts(items: list, size: int) -> list[list]:
    return [items[i : i + size] for i in range(0, len(items), size)]
