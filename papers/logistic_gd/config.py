"""Settings of the paper, and how its steps are cut into jobs. A shard's settings are all that its job reads."""

from papers.logistic_gd.settings import (
    Basins,
    BasinShard,
    Bifurcation,
    Frequency,
    FrequencyShard,
    KnownShard,
    Plane,
    SafeLine,
    Searches,
    Theorem,
    Unequal,
)
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Config(PaperConfig):
    """All of it."""

    theorem: Theorem
    bifurcation: Bifurcation
    unequal: Unequal
    safe_line: SafeLine
    plane: Plane
    basins: Basins
    search: Searches
    frequency: Frequency


STEPS = {"claims": ("basins",)}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    frequency, gpus = config.frequency, config.num_gpus
    census = frequency.census
    kinds = {e.kind: FrequencyShard(census=census, data=e, num_gpus=gpus) for e in frequency.ensembles}
    kinds |= {r.source.replace(" ", "-"): FrequencyShard(census=census, data=r) for r in frequency.real}
    return {
        "theorem": {"line": config.theorem},
        "bifurcation": {"line": config.bifurcation},
        "unequal": {"named": config.unequal},
        "safe_line": {"random": config.safe_line},
        "plane": {"circle": config.plane},
        "basins": {s.shard: BasinShard(set=s, grid=config.basins.grid, num_gpus=gpus) for s in config.basins.sets},
        "search": {"plane": config.search.plane, "lifted": config.search.lifted},
        "frequency": kinds,
        "known": {"circle": KnownShard(census=census, known=frequency.known)},
    }
