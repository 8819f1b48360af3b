"""Settings of the paper, and how its steps are cut into jobs. A shard's settings are all that its job reads."""

from pydantic import Field

from papers.sequence_framework.settings import Exact, ExactShard, Part, Study
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Thresholds(StrictModel):
    """What claims ask for."""

    cast: float = Field(gt=0)  # largest deviation in float64
    cast_float32: float = Field(gt=0)  # of the float32 module, relative to the largest output


class Config(PaperConfig):
    """All of it; a study that is null is left out."""

    exact: Exact
    exact_jobs: dict[str, tuple[Part, ...] | None]
    studies: dict[str, Study | None]
    thresholds: Thresholds


STEPS = {
    "tables": ("studies",),
    "claims": (
        "exact",
        "thresholds",
    ),
}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    exact = {name: ExactShard(parts=parts, exact=config.exact) for name, parts in config.exact_jobs.items() if parts}
    ablations: dict[str, StrictModel] = {}
    for name, study in config.studies.items():
        if study is not None:
            ablations |= study.shards(name, config.num_gpus)
    return {"exact": exact, "ablate": ablations}
